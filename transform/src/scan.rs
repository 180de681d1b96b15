//! One pass over the text of an event: checks that it is JSON and writes its values onto a [`Tape`].
//!
//! The scanner holds an event to RFC 8259 exactly: every escape, every surrogate pair and every number is checked, in nested
//! values too, because their text is kept as it was sent and has to be valid wherever it is read again. (sonic-rs, read at version
//! 0.5.10, was not taken: its lazy values skip nested values without checking their `\u` escapes, and skipping recurses.) It
//! allocates nothing but the tape, which is used again for the next event, and never recurses: open containers are chained on
//! the tape, and the depth is a counter that is checked at every opening bracket.

mod escape;
pub(crate) mod plain;

pub(crate) use escape::unescape;

use crate::tape::{Kind, Tape, Token};

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

/// The most bytes of an event: places in it are 32 bits wide.
pub(crate) const SCANNED_BYTES: usize = u32::MAX as usize;

/// Scans one event of at most [`SCANNED_BYTES`]: the tape holds its values afterwards, unless it is at fault.
pub(crate) fn scan_event(event: &str, depth_limit: u32, tape: &mut Tape) -> Result<()> {
    tape.tokens.clear();
    let mut scanner = Scanner { bytes: event.as_bytes(), at: 0, depth_limit };
    scanner.skip_space();
    scanner.value(&mut tape.tokens)?;
    scanner.skip_space();
    if scanner.at < scanner.bytes.len() {
        return scanner.fault("the end of the event");
    }
    match tape.token(Tape::EVENT).kind {
        Kind::Object => Ok(()),
        other => Err(ScanFault::NotAnObject(other)),
    }
}

/// What kind of number a text is: `None` when it is none by JSON's grammar.
pub(crate) fn number_kind(text: &str) -> Option<Kind> {
    let mut scanner = Scanner::new(text);
    let starts = matches!(scanner.peek(), Some(b'-' | b'0'..=b'9'));
    let kind = starts.then(|| scanner.number().ok()).flatten()?;
    (scanner.at == text.len()).then_some(kind)
}

/// Reads JSON from one end of a text to the other.
pub(crate) struct Scanner<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where the next byte stands that has not been read.
    pub(crate) at: usize,
    depth_limit: u32,
}

impl<'a> Scanner<'a> {
    /// At the beginning of a text.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, depth_limit: 0 }
    }

    /// Reads a value that is no container; `None`: it is one, or none at all.
    #[inline]
    pub(crate) fn simple_value(&mut self) -> Option<Token> {
        if self.peek() == Some(b'"') {
            return self.string(0).ok();
        }
        let start = self.at as u32;
        let kind = self.scalar().ok()?;
        Some(Token { kind, start, end: self.at as u32, next: 0 })
    }

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

    /// A value and all that lies in it; the scanner stands on its first byte.
    fn value(&mut self, tokens: &mut Vec<Token>) -> Result<()> {
        /// No container is open.
        const NONE: u32 = u32::MAX;
        // The innermost open container; its `next` holds the one around it until it is closed.
        let mut open = NONE;
        let mut depth = 0;
        loop {
            let start = self.at as u32;
            let next = tokens.len() as u32 + 1;
            match self.peek() {
                Some(b'"') => {
                    let text = self.string(next)?;
                    tokens.push(text);
                }
                Some(bracket @ (b'{' | b'[')) => {
                    if depth >= self.depth_limit {
                        return Err(ScanFault::TooDeep { at: self.at });
                    }
                    depth += 1;
                    let kind = if bracket == b'{' { Kind::Object } else { Kind::Array };
                    tokens.push(Token { kind, start, end: start, next: open });
                    open = next - 1;
                    self.at += 1;
                    self.skip_space();
                    match (self.peek(), kind) {
                        (Some(b'}'), Kind::Object) | (Some(b']'), Kind::Array) => {}
                        (_, Kind::Object) => {
                            self.key(tokens)?;
                            continue;
                        }
                        _ => continue,
                    }
                }
                _ => {
                    let kind = self.scalar()?;
                    tokens.push(Token { kind, start, end: self.at as u32, next });
                }
            }
            // A value has ended, or an empty container is about to.
            loop {
                if open == NONE {
                    return Ok(());
                }
                self.skip_space();
                let container = &mut tokens[open as usize];
                match (self.peek(), container.kind) {
                    (Some(b','), Kind::Object) => {
                        self.at += 1;
                        self.skip_space();
                        self.key(tokens)?;
                        break;
                    }
                    (Some(b','), _) => {
                        self.at += 1;
                        self.skip_space();
                        break;
                    }
                    (Some(b'}'), Kind::Object) | (Some(b']'), Kind::Array) => {
                        self.at += 1;
                        depth -= 1;
                        let closed = open as usize;
                        open = container.next;
                        tokens[closed].end = self.at as u32;
                        tokens[closed].next = tokens.len() as u32;
                    }
                    (_, Kind::Object) => return self.fault("`,` or `}`"),
                    _ => return self.fault("`,` or `]`"),
                }
            }
        }
    }

    /// A key and its colon; the scanner stands on its value's first byte afterwards.
    #[inline]
    fn key(&mut self, tokens: &mut Vec<Token>) -> Result<()> {
        if self.peek() != Some(b'"') {
            return self.fault("a key in double quotes");
        }
        let key = self.string(tokens.len() as u32 + 1)?;
        tokens.push(key);
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.fault("`:`");
        }
        self.at += 1;
        self.skip_space();
        Ok(())
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

    /// A string; the scanner stands on its first quote.
    #[inline]
    fn string(&mut self, next: u32) -> Result<Token> {
        self.at += 1;
        let start = self.at as u32;
        let mut kind = Kind::Text;
        loop {
            self.at = plain::end(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    let end = self.at as u32;
                    self.at += 1;
                    return Ok(Token { kind, start, end, next });
                }
                Some(b'\\') => {
                    kind = Kind::EscapedText;
                    self.escape()?;
                }
                Some(_) => return self.fault("a control character to be escaped"),
                None => return self.fault("a closing `\"`"),
            }
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
