//! How the events lie in a body: told by its content type, else by its first bytes.

use super::array::{ValueEnd, value_end};
use super::{Elements, is_blank, trim};

/// How the events lie in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The whole body is one event.
    One,
    /// One event per line; blank lines are none.
    Lines,
    /// The body is a JSON array, each element of it an event.
    Array,
}

/// What a request says about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/json`: one event, or an array of them.
    Json,
    /// `application/x-ndjson`, `application/ndjson`, `application/jsonl`: one event per line.
    Lines,
    /// `application/cloudevents+json`: one event.
    One,
    /// `application/cloudevents-batch+json`: an array of events.
    Array,
    /// No content type, or one that says nothing about events, such as what `curl --data` sends.
    Unknown,
}

impl BodyKind {
    /// What a `Content-Type` says; its parameters are not looked at.
    pub fn of_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Self::Json,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Self::Lines
            }
            "application/cloudevents+json" => Self::One,
            "application/cloudevents-batch+json" => Self::Array,
            _ => Self::Unknown,
        }
    }

    /// How the events lie in a body of this kind.
    pub fn layout(self, body: &[u8]) -> Layout {
        let first = body.iter().copied().find(|byte| !is_blank(*byte));
        match self {
            Self::One => Layout::One,
            Self::Lines => Layout::Lines,
            Self::Array => Layout::Array,
            Self::Json | Self::Unknown if first == Some(b'[') => Layout::Array,
            Self::Json => Layout::One,
            Self::Unknown => one_or_lines(trim(body)),
        }
    }
}

/// Tells one event from NDJSON.
///
/// An object that closes at the body's end is one event, however many lines it takes. One that closes at its line's end with
/// more lines after it begins NDJSON. When the first object is broken, NDJSON is what has several lines that all begin
/// with `{`.
fn one_or_lines(body: &[u8]) -> Layout {
    if body.first() != Some(&b'{') {
        return Layout::One;
    }
    if let Some(end) = object_end(body) {
        let after = body[end..].iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        match after {
            None => return Layout::One,
            Some(b'\n') => return Layout::Lines,
            Some(_) => {}
        }
    }
    let mut lines = Elements::of(body, Layout::Lines, usize::MAX).flatten();
    let several = lines.next().is_some() && lines.next().is_some();
    let mut lines = Elements::of(body, Layout::Lines, usize::MAX).flatten();
    if several && lines.all(|line| line.first() == Some(&b'{')) { Layout::Lines } else { Layout::One }
}

/// Where the object that `body` begins with ends: the position after its closing bracket.
fn object_end(body: &[u8]) -> Option<usize> {
    // Past the opening bracket, the first bracket that closes nothing is the object's.
    let mut at = 1;
    loop {
        match value_end(body, at, usize::MAX) {
            ValueEnd::Comma(comma) => at = comma + 1,
            ValueEnd::Bracket(bracket) => return Some(bracket + 1),
            ValueEnd::Missing | ValueEnd::TooDeep => return None,
        }
    }
}
