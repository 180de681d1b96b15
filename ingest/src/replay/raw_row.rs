//! The row of CSV that is being read, as its bytes lie in the file: what the reader of CSV does not tell.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// An input that keeps what was read of the row that is being read.
#[derive(Debug)]
pub(super) struct Kept<R> {
    input: R,
    row: RawRow,
}

/// The bytes of the row, from the end of the one before it on: blank lines before it are its own, and if the lines end in CR LF, the LF of the last
/// one. What the reader has read ahead is there too.
#[derive(Debug, Clone, Default)]
pub(super) struct RawRow(Arc<Mutex<Window>>);

#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    /// Where in the file the first of them lies.
    start: u64,
    /// Where in the file the row begins.
    row: u64,
    /// Whether the reader has come to the file's end: then a row that it has just read ends in nothing else.
    at_end: bool,
}

impl<R> Kept<R> {
    pub(super) fn of(input: R) -> (Self, RawRow) {
        let row = RawRow::default();
        (Self { input, row: row.clone() }, row)
    }
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        let mut window = self.row.window();
        window.at_end = read == 0;
        let passed = window.passed();
        window.bytes.drain(..passed);
        window.start += passed as u64;
        window.bytes.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

impl Window {
    /// How many of the bytes lie before the row.
    fn passed(&self) -> usize {
        usize::try_from(self.row - self.start).unwrap_or(usize::MAX).min(self.bytes.len())
    }

    fn row(&self) -> &[u8] {
        let row = &self.bytes[self.passed()..];
        if self.row == 0 { row.strip_prefix(BYTE_ORDER_MARK).unwrap_or(row) } else { row }
    }
}

impl RawRow {
    /// The next row begins at this byte of the file.
    pub(super) fn begin(&self, at: u64) {
        self.window().row = at;
    }

    /// How many lines end before what the row holds begins.
    pub(super) fn line_ends_before(&self) -> u64 {
        let window = self.window();
        let ends = window.row().iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        ends.filter(|byte| **byte == b'\n').count() as u64
    }

    /// Whether the file ends in the row, and that within a cell in quotes (RFC 4180, section 2). `delimiter` stands between cells.
    pub(super) fn ends_within_quotes(&self, delimiter: u8) -> bool {
        let window = self.window();
        if !window.at_end {
            return false;
        }
        let (mut within, mut at_start) = (false, true);
        // A quote that is written twice closes the cell and opens it again.
        let mut after_quote = false;
        for byte in window.row() {
            let opens = *byte == b'"' && (at_start || after_quote);
            after_quote = *byte == b'"' && within;
            within = if within { !after_quote } else { opens };
            at_start = !within && (*byte == delimiter || matches!(byte, b'\r' | b'\n'));
        }
        within
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
