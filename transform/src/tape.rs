//! The tape: every value of one event in the order in which it was sent, each knowing where it ends.

use crate::scan::unescape;

/// What a JSON value is, as far as its first pass tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    /// A number without fraction and exponent.
    Integer,
    /// Any other number.
    Decimal,
    /// A string that stands for itself: no escape in it.
    Text,
    /// A string with at least one escape.
    EscapedText,
    Object,
    Array,
}

/// Where a key or a value lies in the event's text; a string's quotes are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The place on the tape after this value and all that lies in it.
    pub(crate) next: u32,
}

impl Token {
    /// The text between the ends. For a string: without its quotes, escapes as sent.
    #[inline]
    pub(crate) fn text<'a>(&self, event: &'a str) -> &'a str {
        &event[self.start as usize..self.end as usize]
    }

    #[inline]
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::EscapedText)
    }

    /// The value as it was sent, a string with its quotes.
    pub(crate) fn raw<'a>(&self, event: &'a str) -> &'a str {
        let quote = usize::from(self.is_text());
        &event[self.start as usize - quote..self.end as usize + quote]
    }
}

/// The place of a value on its tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(pub(crate) u32);

/// The values of one event. A container is followed by what it holds: an object by key, value, key, value; an array by its
/// items. The event itself is the first.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) tokens: Vec<Token>,
}

impl Tape {
    /// The event itself.
    pub(crate) const EVENT: At = At(0);

    /// The value at a place.
    #[inline]
    pub(crate) fn token(&self, at: At) -> Token {
        self.tokens[at.0 as usize]
    }

    /// The members of an object in the order in which they were sent: each key, and the place of its value.
    #[inline]
    pub(crate) fn members(&self, object: At) -> Members<'_> {
        Members { tape: self, next: object.0 + 1, end: self.token(object).next }
    }

    /// The places of an array's items.
    #[inline]
    pub(crate) fn items(&self, array: At) -> Items<'_> {
        Items { tape: self, next: array.0 + 1, end: self.token(array).next }
    }

    /// A JSON pointer to the value, or the key, at a place.
    pub(crate) fn pointer(&self, event: &str, sought: At) -> String {
        let mut pointer = String::new();
        let mut within = Self::EVENT;
        while within != sought {
            let inner = match self.token(within).kind {
                Kind::Object => {
                    // A key stands right before its value.
                    let member = self.members(within).find(|(_, value)| sought.0 < self.token(*value).next);
                    member.map(|(key, value)| {
                        pointer.push('/');
                        let mut name = String::new();
                        unescape(key.text(event), &mut name);
                        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                        value
                    })
                }
                Kind::Array => {
                    let mut items = self.items(within).enumerate();
                    items.find(|(_, item)| sought.0 < self.token(*item).next).map(|(index, item)| {
                        pointer.push_str(&format!("/{index}"));
                        item
                    })
                }
                _ => None,
            };
            match inner {
                Some(inner) if inner.0 <= sought.0 => within = inner,
                _ => break,
            }
        }
        pointer
    }
}

/// The members of an object: see [`Tape::members`].
#[derive(Debug, Clone)]
pub(crate) struct Members<'a> {
    tape: &'a Tape,
    next: u32,
    end: u32,
}

impl Iterator for Members<'_> {
    type Item = (Token, At);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let key = self.tape.token(At(self.next));
        let value = At(self.next + 1);
        self.next = self.tape.token(value).next;
        Some((key, value))
    }
}

/// The items of an array: see [`Tape::items`].
#[derive(Debug, Clone)]
pub(crate) struct Items<'a> {
    tape: &'a Tape,
    next: u32,
    end: u32,
}

impl Iterator for Items<'_> {
    type Item = At;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let item = At(self.next);
        self.next = self.tape.token(item).next;
        Some(item)
    }
}
