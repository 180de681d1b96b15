//! Finds where the events of a record begin and end, without judging what lies between.

use std::ops::Range;

use alluvium_core::ReasonCode;

use super::{EVENTS_PER_RECORD, too_many};
use crate::fault::Fault;

/// The events of a record's text, in order.
///
/// # Errors
///
/// When the text begins as an array and does not end as one, so that its items cannot be told apart, or holds too many events.
pub(super) fn delimit(text: &[u8]) -> Result<Vec<Range<usize>>, Fault> {
    let whole = trimmed(text, 0..text.len());
    let places = match text.get(whole.start) {
        None => Vec::new(),
        Some(b'[') => items(text, whole)?,
        Some(b'{') if first_value_end(text, whole.start) == Some(whole.end) => vec![whole],
        Some(_) => lines(text, whole),
    };
    if places.len() > EVENTS_PER_RECORD { Err(too_many()) } else { Ok(places) }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// The place without the white space at its ends.
fn trimmed(text: &[u8], place: Range<usize>) -> Range<usize> {
    let inside = &text[place.clone()];
    let Some(first) = inside.iter().position(|byte| !is_space(*byte)) else { return place.start..place.start };
    let last = inside.iter().rposition(|byte| !is_space(*byte)).map_or(first, |last| last + 1);
    place.start + first..place.start + last
}

fn lines(text: &[u8], whole: Range<usize>) -> Vec<Range<usize>> {
    let ends = memchr::memchr_iter(b'\n', &text[whole.clone()]).map(|at| whole.start + at).chain([whole.end]);
    let mut start = whole.start;
    let lines = ends.map(|end| trimmed(text, std::mem::replace(&mut start, end + 1)..end));
    lines.filter(|line| !line.is_empty()).take(EVENTS_PER_RECORD + 1).collect()
}

/// The end of the bracketed value that begins at `start`; `None` when it does not end.
fn first_value_end(text: &[u8], start: usize) -> Option<usize> {
    let mut brackets = Brackets::new(text, start);
    while let Some((at, byte)) = brackets.next() {
        if matches!(byte, b'}' | b']') && brackets.open == 0 {
            return Some(at + 1);
        }
    }
    None
}

fn items(text: &[u8], whole: Range<usize>) -> Result<Vec<Range<usize>>, Fault> {
    let mut items = Vec::new();
    let mut start = whole.start + 1;
    let mut brackets = Brackets::new(text, whole.start);
    while let Some((at, byte)) = brackets.next() {
        let ends_array = brackets.open == 0;
        if ends_array || (byte == b',' && brackets.open == 1) {
            let item = trimmed(text, start..at);
            start = at + 1;
            // `[]` holds nothing; an empty item elsewhere is an event that is not JSON.
            if !(ends_array && item.is_empty() && items.is_empty()) {
                items.push(item);
            }
            if ends_array && start == whole.end {
                return Ok(items);
            }
            if ends_array {
                return Err(broken(start, "the end of the record after the array"));
            }
            if items.len() > EVENTS_PER_RECORD {
                return Err(too_many());
            }
        }
    }
    Err(broken(whole.end, "`]` at the end of the array"))
}

fn broken(at: usize, expected: &str) -> Fault {
    Fault::new(
        ReasonCode::NotJson,
        format!(
            "the record begins as a JSON array, and its items cannot be told apart: at byte {at} expected {expected}"
        ),
    )
}

/// The brackets and commas outside strings, and how many brackets are open after each.
struct Brackets<'a> {
    text: &'a [u8],
    at: usize,
    open: usize,
}

impl<'a> Brackets<'a> {
    fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at, open: 0 }
    }

    fn next(&mut self) -> Option<(usize, u8)> {
        while let Some(byte) = self.text.get(self.at).copied() {
            let at = self.at;
            self.at += 1;
            match byte {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    self.open += 1;
                    return Some((at, byte));
                }
                b'}' | b']' => {
                    self.open = self.open.checked_sub(1)?;
                    return Some((at, byte));
                }
                b',' => return Some((at, byte)),
                _ => {}
            }
        }
        None
    }

    fn skip_string(&mut self) -> Option<()> {
        loop {
            let found = memchr::memchr2(b'"', b'\\', &self.text[self.at..])?;
            let quote = self.text[self.at + found] == b'"';
            self.at += found + if quote { 1 } else { 2 };
            if quote {
                return Some(());
            }
            if self.at > self.text.len() {
                return None;
            }
        }
    }
}
