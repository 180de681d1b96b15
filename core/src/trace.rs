//! The trace that a request belongs to, as it travels with what the request brought.
//!
//! It is written as W3C Trace Context, section 3.2, has it, version 00: `00-<trace>-<parent>-01`, lower-case hexadecimal digits. Only what is
//! sampled is carried on, so the flags are always 01.
//!
//! **Where it travels.** In the stream it is the record's partition key: the key chooses a shard and nothing else, so where it is a trace, an
//! explicit hash key does that in its place. So no record has other bytes for being traced, and a reader that knows nothing of traces
//! reads it as ever. From the transform on, it stands in the commit message.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most traces that are followed out of one batch: the first ones, by record. Our own.
pub const BATCH_TRACES: usize = 8;

/// The target of spans that are steps of a request's or a batch's way: an entry point may show what each took. At `debug`, so that a log
/// has none of them. A field `of` becomes part of the step's name, such as the table of a commit; one that is called `fault` and true says
/// that the step failed.
pub const STEP: &str = "alluvium::step";

/// Bytes of the text.
const TEXT_BYTES: usize = 55;

/// A sampled trace, and the piece of work in it to which what comes next belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TraceParent {
    trace: u128,
    span: u64,
}

/// Not the text of a sampled trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a sampled trace; expected `00-<32 hexadecimal digits>-<16 hexadecimal digits>-01`, none of them all zeros"
)]
pub struct TraceParentError;

impl TraceParent {
    /// The work `span` of the trace `trace`.
    ///
    /// # Errors
    ///
    /// When one of them is zero, which stands for none.
    pub fn new(trace: u128, span: u64) -> Result<Self, TraceParentError> {
        if trace == 0 || span == 0 { Err(TraceParentError) } else { Ok(Self { trace, span }) }
    }

    /// The trace.
    pub fn trace(&self) -> u128 {
        self.trace
    }

    /// The piece of work.
    pub fn span(&self) -> u64 {
        self.span
    }

    /// Reads the text; `None`: it is none, as of most partition keys.
    #[inline]
    pub fn read(text: &[u8]) -> Option<Self> {
        let framed = text.len() == TEXT_BYTES && text.starts_with(b"00-") && text.ends_with(b"-01");
        if framed { Self::digits(text) } else { None }
    }

    #[cold]
    fn digits(text: &[u8]) -> Option<Self> {
        let (trace, span) = (hexadecimal(&text[3..35])?, hexadecimal(&text[36..52])?);
        let parent = Self::new(trace, u64::try_from(span).ok()?).ok()?;
        (text[35] == b'-').then_some(parent)
    }
}

/// A number of lower-case digits; a sign, which the standard library would take, is none.
fn hexadecimal(digits: &[u8]) -> Option<u128> {
    let is_digit = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(is_digit))?;
    u128::from_str_radix(text, 16).ok()
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text.as_bytes()).ok_or(TraceParentError)
    }
}

impl TryFrom<String> for TraceParent {
    type Error = TraceParentError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(parent: TraceParent) -> Self {
        parent.to_string()
    }
}

#[cfg(test)]
mod tests;
