//! Cutting a request's body into events, without judging them.
//!
//! An element is found by structure alone: line breaks in NDJSON; strings, brackets and commas in an array. So `nope` in
//! `[{"a":1}, nope]` is an element like any other, and the transform makes it a dead letter. Only a body whose elements
//! cannot be told apart is an error: an array that does not close, or that something follows.

mod array;
mod layout;

use memchr::memchr;

pub use layout::{BodyKind, Layout};

use array::ArrayElements;

/// Why a body cannot be cut into events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DelimitError {
    /// It should be an array and does not begin with `[`.
    #[error("expected a JSON array, but the body begins with {0:?}")]
    NotAnArray(String),
    /// The array does not close.
    #[error("the JSON array does not close: the body ends in element {index}, which begins at byte {at}")]
    Unclosed {
        /// The element in which the body ends, from 0.
        index: usize,
        /// Where that element begins, in bytes of the body.
        at: usize,
    },
    /// A `}` stands where no `{` was opened.
    #[error("the `}}` at byte {at}, after element {index} of the JSON array, closes nothing")]
    Unbalanced {
        /// The element before it, from 0.
        index: usize,
        /// Where it stands, in bytes of the body.
        at: usize,
    },
    /// Something follows the array.
    #[error("something follows the JSON array at byte {at}; expected nothing there, or NDJSON with one event per line")]
    Trailing {
        /// Where it begins, in bytes of the body.
        at: usize,
    },
    /// An element of the array is nested deeper than the limit.
    #[error("element {index} of the JSON array, which begins at byte {at}, is nested deeper than {limit} levels")]
    TooDeep {
        /// The element, from 0.
        index: usize,
        /// Where it begins, in bytes of the body.
        at: usize,
        /// The deepest nesting allowed.
        limit: usize,
    },
}

/// The events of a body, in order, blanks around each cut off.
///
/// After an error the iterator ends. Depth is checked in arrays alone, where brackets are counted anyway.
#[derive(Debug)]
pub struct Elements<'a>(Kind<'a>);

#[derive(Debug)]
enum Kind<'a> {
    One(Option<&'a [u8]>),
    Lines(&'a [u8]),
    Array(ArrayElements<'a>),
}

impl<'a> Elements<'a> {
    /// The events of `body`, which lie in it as `layout` says; `json_depth` is the deepest nesting of brackets in one.
    pub fn of(body: &'a [u8], layout: Layout, json_depth: usize) -> Self {
        Self(match layout {
            Layout::One => Kind::One(Some(trim(body)).filter(|event| !event.is_empty())),
            Layout::Lines => Kind::Lines(body),
            Layout::Array => Kind::Array(ArrayElements::of(body, json_depth)),
        })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], DelimitError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Kind::One(event) => event.take().map(Ok),
            Kind::Lines(rest) => next_line(rest).map(Ok),
            Kind::Array(elements) => elements.next(),
        }
    }
}

/// Takes the next line that is not blank.
#[inline]
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    while !rest.is_empty() {
        let line = match memchr(b'\n', rest) {
            Some(end) => {
                let line = &rest[..end];
                *rest = &rest[end + 1..];
                line
            }
            None => std::mem::take(rest),
        };
        let line = trim(line);
        if !line.is_empty() {
            return Some(line);
        }
    }
    None
}

/// Whether a byte is white space between JSON values (RFC 8259, section 2).
#[inline]
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// `bytes` without the blanks around it.
#[inline]
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests;
