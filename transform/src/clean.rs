//! Cleaning that a dataset asks for: what is done to a value before it is held to its rule (`x-alluvium.clean`).
//!
//! Texts are trimmed (Unicode's white space), written in one case, and compared with those that stand for null; numbers are
//! converted, then moved into their range. The order is that of [`Clean`]'s fields. Nothing is allocated for a value that stays as
//! it is.

use std::ops::Range;

use alluvium_core::dataset::{Case, Clamp, Clean, Conversion};

/// What cleaning makes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CleanText {
    /// This part of it, as it was sent.
    Part(Range<usize>),
    /// Another text, which the scratch holds.
    Written,
    /// It stands for null.
    Null,
}

/// Cleans a text; `scratch` is overwritten when the text has to be written anew.
pub(crate) fn text(clean: &Clean, text: &str, scratch: &mut String) -> CleanText {
    let trimmed = text.trim();
    if clean.null_like.iter().any(|null| same_without_case(null.trim(), trimmed)) {
        return CleanText::Null;
    }
    let kept = if clean.trim { trimmed } else { text };
    let changes = match clean.case {
        None => false,
        Some(Case::Lower) => !kept.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()),
        Some(Case::Upper) => !kept.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase()),
    };
    if !changes {
        let start = if clean.trim { text.len() - text.trim_start().len() } else { 0 };
        return CleanText::Part(start..start + kept.len());
    }
    scratch.clear();
    match clean.case {
        // The one case that depends on what stands around a character is known to the whole text alone.
        Some(Case::Lower) if kept.contains('Σ') => scratch.push_str(&kept.to_lowercase()),
        Some(Case::Lower) => scratch.extend(kept.chars().flat_map(char::to_lowercase)),
        _ => scratch.extend(kept.chars().flat_map(char::to_uppercase)),
    }
    CleanText::Written
}

/// Whether two texts are the same but for their case.
fn same_without_case(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

/// Whether cleaning has moved a number to an end of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    Yes,
    No,
}

/// Converts a number, then moves it into its range. The result may not be finite.
#[inline]
pub(crate) fn number(clean: &Clean, number: f64) -> (f64, Moved) {
    let converted = match clean.convert {
        Some(Conversion { multiply, add }) => number * multiply + add,
        None => number,
    };
    match clean.clamp {
        Some(Clamp { low, .. }) if converted < low => (low, Moved::Yes),
        Some(Clamp { high, .. }) if converted > high => (high, Moved::Yes),
        _ => (converted, Moved::No),
    }
}

/// Moves an integer into its range, whose ends are whole and at most 2⁵³.
#[inline]
pub(crate) fn integer(clean: &Clean, integer: i64) -> (i64, Moved) {
    match clean.clamp {
        Some(Clamp { low, .. }) if integer < low as i64 => (low as i64, Moved::Yes),
        Some(Clamp { high, .. }) if integer > high as i64 => (high as i64, Moved::Yes),
        _ => (integer, Moved::No),
    }
}

#[cfg(test)]
mod tests;
