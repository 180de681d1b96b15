//! Why an event becomes a dead letter.

use alluvium_core::ReasonCode;

/// The reason and the sentence of one dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: ReasonCode,
    /// What was wrong, and what would be right.
    pub(crate) detail: String,
    /// A JSON pointer to the offending value, if it is one value that offends.
    pub(crate) pointer: Option<String>,
}

impl Fault {
    pub(crate) fn new(reason: ReasonCode, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), pointer: None }
    }

    /// The same fault, at the value that a JSON pointer leads to.
    pub(crate) fn at(mut self, pointer: String) -> Self {
        self.pointer = Some(pointer);
        self
    }
}

/// A value as it stands in a sentence: cut after 60 characters, without control characters.
pub(crate) fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(60).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}
