//! A cursor over the event's JSON: reads on, and never back.
//!
//! It tells the members that are wanted and skips all others as fast as it can. What is skipped is only seen to be bracketed
//! rightly: a number or a word in it may be none.

use std::borrow::Cow;
use std::ops::Range;

use super::{InvocationError, Place};

/// The deepest nesting that is skipped.
const DEPTH: u32 = 64;

/// A value that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar {
    /// A string, without its quotes.
    Text(Place),
    /// A number, or a word such as `true`.
    Bare(Place),
    /// `null`, an object or an array.
    Nothing,
}

#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    pub(super) event: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(event: &'a [u8]) -> Self {
        Self { event, at: 0 }
    }

    pub(super) fn wrong(&self, expected: &'static str) -> InvocationError {
        InvocationError::NotJson { at: self.at, expected }
    }

    /// Where the cursor stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What has not been read.
    pub(super) fn left(&self) -> &'a [u8] {
        &self.event[self.at..]
    }

    /// Passes bytes that stand next; `None`: others do.
    #[inline]
    pub(super) fn pass(&mut self, expected: &[u8]) -> Option<()> {
        self.left().starts_with(expected).then(|| self.at += expected.len())
    }

    /// Passes so many bytes and says where they stand. There must be as many left.
    #[inline]
    pub(super) fn advance(&mut self, length: usize) -> Place {
        let start = self.at;
        self.at += length;
        place(start..self.at)
    }

    /// The next byte that is no white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.event.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    #[inline]
    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), InvocationError> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self) -> Result<(), InvocationError> {
        if self.peek().is_some() { Err(self.wrong("the end of the event")) } else { Ok(()) }
    }

    /// Reads an object: `member` is called with each key, as it was sent, and must read the value.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Place) -> Result<(), InvocationError>,
    ) -> Result<(), InvocationError> {
        self.take(b'{', "an object")?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.text()?;
            self.take(b':', "`:` after a key")?;
            member(self, key)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.wrong("`,` or `}` after a member")),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Reads an array: `item` is called for each item and must read it.
    pub(super) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), InvocationError>,
    ) -> Result<(), InvocationError> {
        self.take(b'[', "an array")?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.wrong("`,` or `]` after an item")),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// A string's place, without its quotes.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Place, InvocationError> {
        self.take(b'"', "a string")?;
        let start = self.at;
        loop {
            let Some(found) = memchr::memchr2(b'"', b'\\', &self.event[self.at..]) else {
                self.at = self.event.len();
                return Err(self.wrong("`\"` at the end of a string"));
            };
            self.at += found;
            if self.event[self.at] == b'"' {
                let place = place(start..self.at);
                self.at += 1;
                return Ok(place);
            }
            self.at = (self.at + 2).min(self.event.len());
        }
    }

    /// Reads a value that is wanted.
    #[inline]
    pub(super) fn scalar(&mut self) -> Result<Scalar, InvocationError> {
        match self.peek() {
            Some(b'"') => self.text().map(Scalar::Text),
            Some(b'n' | b'{' | b'[') => self.skip().map(|()| Scalar::Nothing),
            _ => self.bare().map(Scalar::Bare),
        }
    }

    fn bare(&mut self) -> Result<Place, InvocationError> {
        let start = self.at;
        let rest = &self.event[start..];
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        if length == 0 || !rest[..length].iter().copied().all(is_word) {
            return Err(self.wrong("a value"));
        }
        self.at += length;
        Ok(place(start..self.at))
    }

    /// Skips a value of any kind.
    pub(super) fn skip(&mut self) -> Result<(), InvocationError> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: u32) -> Result<(), InvocationError> {
        match self.peek() {
            Some(b'"') => self.text().map(drop),
            Some(b'{' | b'[') if depth == 0 => Err(self.wrong("no deeper nesting")),
            Some(b'{') => self.object(|cursor, _| cursor.skip_within(depth - 1)),
            Some(b'[') => self.array(|cursor| cursor.skip_within(depth - 1)),
            _ => self.bare().map(drop),
        }
    }
}

/// Whether a byte may stand in a number or in a word such as `true`.
#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    const WORD: [bool; 256] = {
        let mut word = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            word[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'+' | b'.');
            byte += 1;
        }
        word
    };
    WORD[usize::from(byte)]
}

/// Whether a string's bytes are a text as they are: ASCII without escapes and control characters.
#[inline]
pub(super) fn is_plain(sent: &[u8]) -> bool {
    // Without leaving early, so that many bytes are looked at together.
    sent.iter().fold(true, |plain, byte| plain & byte.is_ascii() & (*byte >= b' ') & (*byte != b'\\'))
}

fn place(range: Range<usize>) -> Place {
    // An event is far smaller than 4 GiB.
    range.start as u32..range.end as u32
}

pub(super) fn bytes<'a>(event: &'a [u8], place: &Place) -> &'a [u8] {
    &event[place.start as usize..place.end as usize]
}

/// What a string stands for; `None` when it is no UTF-8 or an escape in it is none.
pub(super) fn unescaped<'a>(event: &'a [u8], place: &Place) -> Option<Cow<'a, str>> {
    let sent = bytes(event, place);
    if memchr::memchr(b'\\', sent).is_none() {
        return std::str::from_utf8(sent).ok().map(Cow::Borrowed);
    }
    let quoted = place.start as usize - 1..place.end as usize + 1;
    serde_json::from_slice(&event[quoted]).ok().map(Cow::Owned)
}
