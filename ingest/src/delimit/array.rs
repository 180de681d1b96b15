//! Finding the elements of a JSON array in one pass over its bytes.

use memchr::memchr2;

use super::{DelimitError, is_blank};

/// What a byte outside a string does to the structure.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Ordinary,
    Quote,
    Open,
    Close,
    Comma,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Ordinary; 256];
    classes[b'"' as usize] = Class::Quote;
    classes[b'{' as usize] = Class::Open;
    classes[b'[' as usize] = Class::Open;
    classes[b'}' as usize] = Class::Close;
    classes[b']' as usize] = Class::Close;
    classes[b',' as usize] = Class::Comma;
    classes
};

/// The elements of the array that a body is.
///
/// `{` and `[` are counted, not told apart: an element with mismatched brackets is delimited where the count returns to
/// nought, and it is for the transform to say that it is not JSON. Nothing here recurses.
#[derive(Debug)]
pub(super) struct ArrayElements<'a> {
    body: &'a [u8],
    at: usize,
    next_index: usize,
    json_depth: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Inside,
    Done,
}

/// What ended a value: the position of the byte after it, which is not part of it.
pub(super) enum ValueEnd {
    /// A comma.
    Comma(usize),
    /// A closing bracket that was not opened within the value.
    Bracket(usize),
    /// The body ended first.
    Missing,
    /// The value is nested too deep.
    TooDeep,
}

impl<'a> ArrayElements<'a> {
    pub(super) fn of(body: &'a [u8], json_depth: usize) -> Self {
        Self { body, at: 0, next_index: 0, json_depth, state: State::Before }
    }

    fn skip_blanks(&mut self) {
        while self.body.get(self.at).copied().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn open(&mut self) -> Result<(), DelimitError> {
        self.skip_blanks();
        if self.body.get(self.at) != Some(&b'[') {
            let begin = &self.body[self.at..self.body.len().min(self.at + 20)];
            return Err(DelimitError::NotAnArray(String::from_utf8_lossy(begin).into_owned()));
        }
        self.at += 1;
        self.skip_blanks();
        self.state = State::Inside;
        if self.body.get(self.at) == Some(&b']') {
            self.close(self.at)?;
        }
        Ok(())
    }

    /// Checks that nothing follows the bracket at `bracket`.
    fn close(&mut self, bracket: usize) -> Result<(), DelimitError> {
        self.at = bracket + 1;
        self.skip_blanks();
        self.state = State::Done;
        if self.at < self.body.len() { Err(DelimitError::Trailing { at: self.at }) } else { Ok(()) }
    }

    fn element(&mut self) -> Result<&'a [u8], DelimitError> {
        self.skip_blanks();
        let (start, index) = (self.at, self.next_index);
        self.next_index += 1;
        let end = match value_end(self.body, start, self.json_depth) {
            ValueEnd::Comma(end) => {
                self.at = end + 1;
                end
            }
            ValueEnd::Bracket(end) if self.body[end] == b']' => {
                self.close(end)?;
                end
            }
            ValueEnd::Bracket(at) => return Err(DelimitError::Unbalanced { index, at }),
            ValueEnd::Missing => return Err(DelimitError::Unclosed { index, at: start }),
            ValueEnd::TooDeep => return Err(DelimitError::TooDeep { index, at: start, limit: self.json_depth }),
        };
        Ok(super::trim(&self.body[start..end]))
    }
}

impl<'a> Iterator for ArrayElements<'a> {
    type Item = Result<&'a [u8], DelimitError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Before
            && let Err(error) = self.open()
        {
            self.state = State::Done;
            return Some(Err(error));
        }
        if self.state == State::Done {
            return None;
        }
        let element = self.element();
        if element.is_err() {
            self.state = State::Done;
        }
        Some(element)
    }
}

/// Finds what ends the value that begins at `at`.
#[inline]
pub(super) fn value_end(body: &[u8], mut at: usize, json_depth: usize) -> ValueEnd {
    let mut depth = 0_usize;
    while let Some(&byte) = body.get(at) {
        match CLASSES[usize::from(byte)] {
            Class::Ordinary => {}
            Class::Quote => match string_end(body, at + 1) {
                Some(quote) => at = quote,
                None => return ValueEnd::Missing,
            },
            Class::Open => {
                depth += 1;
                if depth > json_depth {
                    return ValueEnd::TooDeep;
                }
            }
            Class::Close if depth == 0 => return ValueEnd::Bracket(at),
            Class::Close => depth -= 1,
            Class::Comma if depth == 0 => return ValueEnd::Comma(at),
            Class::Comma => {}
        }
        at += 1;
    }
    ValueEnd::Missing
}

/// The position of the quote that closes the string whose inside begins at `at`.
#[inline]
fn string_end(body: &[u8], mut at: usize) -> Option<usize> {
    /// Up to here a plain loop beats a call of `memchr2`: keys and most values of events are short.
    const SHORT: usize = 24;
    loop {
        let short = body.len().min(at + SHORT);
        let near = body[at.min(short)..short].iter().position(|byte| matches!(byte, b'"' | b'\\'));
        let found = match near {
            Some(offset) => at + offset,
            None => short + memchr2(b'"', b'\\', &body[short..])?,
        };
        if body[found] == b'"' {
            return Some(found);
        }
        // A backslash: the byte after it belongs to the string whatever it is.
        at = found + 2;
    }
}
