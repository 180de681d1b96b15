//! Cuts a text into lines without copying them.

use std::io::Read;

use crate::error::TransformError;

/// How much is read at a time: it stays in the processor's cache until its lines have been used.
const READ_BYTES: usize = 128 * 1024;

/// Reads lines, and of a line that is too long only as much as shows that it is.
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the bytes lie in the buffer that have been read and not yet been used.
    start: usize,
    end: usize,
    limit: usize,
    number: u64,
}

/// One line, without its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Its bytes; none of a line that is too long.
    pub(super) text: &'a [u8],
    /// How many bytes it has with its end.
    pub(super) bytes: u64,
    /// Its number, from 1.
    pub(super) number: u64,
    /// Whether it has more bytes than the limit, its end and a carriage return left aside.
    pub(super) is_too_long: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R, limit: usize) -> Self {
        Self { input, buffer: vec![0; READ_BYTES], start: 0, end: 0, limit, number: 0 }
    }

    /// The next line; `None` at the end of the input.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, TransformError> {
        let mut searched = 0;
        loop {
            let unsearched = &self.buffer[self.start + searched..self.end];
            if let Some(at) = memchr::memchr(b'\n', unsearched) {
                return Ok(Some(self.line(searched + at, 1)));
            }
            searched += unsearched.len();
            if searched > self.limit + 1 {
                return self.too_long(searched).map(Some);
            }
            if self.fill()? == 0 {
                return Ok((searched > 0).then(|| self.line(searched, 0)));
            }
        }
    }

    /// The line that begins the unused bytes.
    fn line(&mut self, length: usize, newline: usize) -> Line<'_> {
        let text = self.start..self.start + length;
        self.start = text.end + newline;
        self.number += 1;
        let bytes = (length + newline) as u64;
        Line { text: &self.buffer[text], bytes, number: self.number, is_too_long: false }
    }

    /// Passes over the rest of a line of which so many bytes were too many.
    fn too_long(&mut self, seen: usize) -> Result<Line<'static>, TransformError> {
        let mut bytes = seen as u64;
        self.number += 1;
        loop {
            (self.start, self.end) = (0, 0);
            if self.fill()? == 0 {
                break;
            }
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[..self.end]) {
                self.start = at + 1;
                bytes += at as u64 + 1;
                break;
            }
            bytes += self.end as u64;
        }
        Ok(Line { text: &[], bytes, number: self.number, is_too_long: true })
    }

    /// Reads more behind the unused bytes; returns how much.
    fn fill(&mut self) -> Result<usize, TransformError> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(TransformError::Input { line: self.number, source }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
