//! One pass over the text of an event: checks that it is JSON and notes where its members lie.
//!
//! The scanner holds an event to RFC 8259 exactly: every escape, every surrogate pair and every number is checked, in nested
//! values too, because their text is kept as it was sent and has to be valid wherever it is read again. (sonic-rs, read at version
//! 0.5.10, was not taken: its lazy values skip nested values without checking their `\u` escapes, and skipping recurses.) It allocates nothing
//! but the lists of members, which are used again for the next event, and never recurses: the depth is a counter that is
//! checked at every opening bracket.

mod escape;

pub(crate) use escape::unescape;

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
    start: u32,
    end: u32,
}

impl Token {
    /// The text between the ends. For a string: without its quotes, escapes as sent.
    pub(crate) fn text<'a>(&self, event: &'a str) -> &'a str {
        &event[self.start as usize..self.end as usize]
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::EscapedText)
    }

    /// The value as it was sent, a string with its quotes.
    pub(crate) fn raw<'a>(&self, event: &'a str) -> &'a str {
        let quote = usize::from(self.is_text());
        &event[self.start as usize - quote..self.end as usize + quote]
    }
}

/// One member of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: Token,
    pub(crate) value: Token,
}

/// The members of an event, and those of its member `data` when that is an object, in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) event: Vec<Member>,
    pub(crate) data: Vec<Member>,
}

/// Why a text is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanFault {
    /// The text breaks the grammar.
    NotJson { at: usize, expected: &'static str },
    /// A bracket opens past the limit.
    TooDeep { at: usize },
    /// The text is JSON and not an object.
    NotAnObject(Kind),
}

type Result<T> = std::result::Result<T, ScanFault>;

/// Scans one event: `members` holds its members afterwards, unless it is at fault.
pub(crate) fn scan_event(event: &str, depth_limit: u32, members: &mut Members) -> Result<()> {
    members.event.clear();
    members.data.clear();
    let mut scanner = Scanner { bytes: event.as_bytes(), at: 0, depth_limit };
    scanner.skip_space();
    if scanner.peek() == Some(b'{') {
        scanner.event(members)?;
        return scanner.expect_end();
    }
    let value = scanner.value(0)?;
    scanner.expect_end()?;
    Err(ScanFault::NotAnObject(value.kind))
}

/// What kind of number a text is: `None` when it is none by JSON's grammar.
pub(crate) fn number_kind(text: &str) -> Option<Kind> {
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0, depth_limit: 0 };
    let starts = matches!(scanner.peek(), Some(b'-' | b'0'..=b'9'));
    let kind = starts.then(|| scanner.number().ok()).flatten()?;
    (scanner.at == text.len()).then_some(kind)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth_limit: u32,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fault<T>(&self, expected: &'static str) -> Result<T> {
        Err(ScanFault::NotJson { at: self.at, expected })
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn expect_end(&mut self) -> Result<()> {
        self.skip_space();
        if self.at == self.bytes.len() { Ok(()) } else { self.fault("the end of the event") }
    }

    fn enter(&mut self, depth: u32) -> Result<()> {
        if depth >= self.depth_limit {
            return Err(ScanFault::TooDeep { at: self.at });
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// The event's own object; the scanner stands on its brace.
    fn event(&mut self, members: &mut Members) -> Result<()> {
        self.enter(0)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.key()?;
            let is_data = key.kind == Kind::Text && &self.bytes[key.start as usize..key.end as usize] == b"data";
            let value = if is_data && self.peek() == Some(b'{') {
                members.data.clear();
                self.data(&mut members.data)?
            } else {
                self.value(1)?
            };
            members.event.push(Member { key, value });
            if !self.another_member()? {
                return Ok(());
            }
        }
    }

    /// The object under `data`; the scanner stands on its brace.
    fn data(&mut self, members: &mut Vec<Member>) -> Result<Token> {
        let start = self.at;
        self.enter(1)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(self.token(Kind::Object, start));
        }
        loop {
            let key = self.key()?;
            let value = self.value(2)?;
            members.push(Member { key, value });
            if !self.another_member()? {
                return Ok(self.token(Kind::Object, start));
            }
        }
    }

    /// Whether the object goes on, after a member of it.
    #[inline]
    fn another_member(&mut self) -> Result<bool> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(true)
            }
            Some(b'}') => {
                self.at += 1;
                Ok(false)
            }
            _ => self.fault("`,` or `}`"),
        }
    }

    /// A key and its colon; the scanner stands on a value's first byte afterwards.
    #[inline]
    fn key(&mut self) -> Result<Token> {
        if self.peek() != Some(b'"') {
            return self.fault("a key in double quotes");
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.fault("`:`");
        }
        self.at += 1;
        self.skip_space();
        Ok(key)
    }

    fn token(&self, kind: Kind, start: usize) -> Token {
        Token { kind, start: start as u32, end: self.at as u32 }
    }

    /// A value inside `depth` open brackets; the scanner stands on its first byte.
    #[inline]
    fn value(&mut self, depth: u32) -> Result<Token> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.container(depth).map(|()| self.token(Kind::Object, start)),
            Some(b'[') => self.container(depth).map(|()| self.token(Kind::Array, start)),
            _ => self.scalar().map(|kind| self.token(kind, start)),
        }
    }

    fn scalar(&mut self) -> Result<Kind> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true", Kind::True),
            Some(b'f') => self.literal(b"false", Kind::False),
            Some(b'n') => self.literal(b"null", Kind::Null),
            _ => self.fault("a JSON value"),
        }
    }

    fn literal(&mut self, literal: &[u8], kind: Kind) -> Result<Kind> {
        if self.bytes[self.at..].starts_with(literal) {
            self.at += literal.len();
            return Ok(kind);
        }
        self.fault("`true`, `false` or `null`")
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.fault("a digit") } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Kind> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut kind = Kind::Integer;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            kind = Kind::Decimal;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
            kind = Kind::Decimal;
        }
        Ok(kind)
    }

    /// An object or array that is kept whole; the scanner stands on its bracket.
    fn container(&mut self, outer: u32) -> Result<()> {
        // One bit per open container, the innermost lowest: 1 for an object. `MAX_JSON_DEPTH` of them fit.
        let mut objects: u128 = 0;
        let mut open = 0;
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.enter(outer + open)?;
                    open += 1;
                    objects = objects << 1 | 1;
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter(outer + open)?;
                    open += 1;
                    objects <<= 1;
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                Some(b'"') => {
                    self.string()?;
                }
                _ => {
                    self.scalar()?;
                }
            }
            // A value has ended, or an empty container is about to.
            loop {
                self.skip_space();
                match (self.peek(), objects & 1 == 1) {
                    (Some(b','), true) => {
                        self.at += 1;
                        self.skip_space();
                        self.key()?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.at += 1;
                        self.skip_space();
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        open -= 1;
                        objects >>= 1;
                        if open == 0 {
                            return Ok(());
                        }
                    }
                    (_, true) => return self.fault("`,` or `}`"),
                    (_, false) => return self.fault("`,` or `]`"),
                }
            }
        }
    }

    /// A string; the scanner stands on its first quote.
    #[inline]
    fn string(&mut self) -> Result<Token> {
        self.at += 1;
        let start = self.at;
        let mut kind = Kind::Text;
        loop {
            self.skip_plain_text();
            match self.peek() {
                Some(b'"') => {
                    let token = self.token(kind, start);
                    self.at += 1;
                    return Ok(token);
                }
                Some(b'\\') => {
                    kind = Kind::EscapedText;
                    self.escape()?;
                }
                Some(0..=0x1F) => return self.fault("a control character to be escaped"),
                Some(_) => self.at += 1,
                None => return self.fault("a closing `\"`"),
            }
        }
    }

    /// Moves, eight bytes at a time, to the next byte that ends or breaks a plain run of text; near the end of the event it
    /// may stop before.
    #[inline]
    fn skip_plain_text(&mut self) {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
        const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
        const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);
        const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
        while let Some(chunk) = self.bytes[self.at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let (quote, backslash) = (word ^ QUOTES, word ^ BACKSLASHES);
            // The lowest byte that is marked is right; a borrow can mark wrong ones only above it.
            let quotes = quote.wrapping_sub(ONES) & !quote;
            let backslashes = backslash.wrapping_sub(ONES) & !backslash;
            let controls = word.wrapping_sub(SPACES) & !word;
            let marked = (quotes | backslashes | controls) & HIGH;
            if marked != 0 {
                self.at += marked.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
    }

    /// An escape; the scanner stands on its backslash.
    fn escape(&mut self) -> Result<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.code_unit()? {
                0xD800..=0xDBFF => {
                    if !self.bytes[self.at..].starts_with(b"\\u") {
                        return self.fault("the second half of a surrogate pair");
                    }
                    self.at += 1;
                    match self.code_unit()? {
                        0xDC00..=0xDFFF => Ok(()),
                        _ => self.fault("the second half of a surrogate pair"),
                    }
                }
                0xDC00..=0xDFFF => self.fault("the first half of a surrogate pair before its second"),
                _ => Ok(()),
            },
            _ => self.fault("one of `\"\\/bfnrtu` after a backslash"),
        }
    }

    /// The `u` of an escape and its four digits.
    fn code_unit(&mut self) -> Result<u16> {
        self.at += 1;
        let digits = self.bytes.get(self.at..self.at + 4);
        let digits = digits.and_then(|digits| {
            digits.iter().try_fold(0, |unit: u16, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
        });
        match digits {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => self.fault("four hexadecimal digits"),
        }
    }
}

#[cfg(test)]
mod tests;
