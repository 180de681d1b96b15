//! Segment documents.
//!
//! Source: AWS X-Ray Developer Guide, "AWS X-Ray segment documents".

use alluvium_core::clock::Micros;
use alluvium_core::identity::content_hash;
use serde::Serialize;
use serde_json::{Map, Value};

/// The longest name of a segment, in characters.
const NAME_CHARS: usize = 200;

/// A segment, a subsegment that is sent by itself, or one within a segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Document {
    pub(super) name: String,
    /// 16 hexadecimal digits.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) start_time: f64,
    pub(super) end_time: f64,
    /// `subsegment` for one that is sent by itself.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    /// Not within a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<String>,
    /// Not within a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) fault: bool,
    /// What traces are found by: texts, numbers and truth values.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) annotations: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) subsegments: Vec<Document>,
}

/// An id of a segment that depends on this text and nothing else.
pub(super) fn id_of(text: &str) -> String {
    let mut digits = content_hash(text.as_bytes());
    digits.truncate(16);
    digits
}

/// A time as X-Ray has it.
pub(super) fn seconds(time: Micros) -> f64 {
    time as f64 / 1e6
}

/// A name of the characters that one may have.
pub(super) fn name_of(text: &str) -> String {
    let is_allowed = |char: &char| char.is_alphanumeric() || " _.:/%&#=+\\-@".contains(*char);
    text.chars().filter(is_allowed).take(NAME_CHARS).collect()
}
