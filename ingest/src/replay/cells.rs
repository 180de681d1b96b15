//! What every reader of CSV does alike: names, cells, and rows that never end.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alluvium_core::limits;

/// Names of the time's column when none is given, the first that is there.
pub(super) const TIME_COLUMNS: [&str; 6] = ["timestamp", "time", "event_time", "datetime", "date", "ts"];

/// A column's name as the header has it. A byte order mark, which spreadsheet programs write, is no part of the first.
pub(super) fn column_name(cell: &str) -> &str {
    cell.trim_start_matches('\u{FEFF}').trim()
}

/// Appends a cell: as it is when it is a JSON number, else as a string.
pub(super) fn put_cell(out: &mut Vec<u8>, cell: &str) {
    let number = cell.trim_matches(' ');
    if is_number(number) {
        out.extend_from_slice(number.as_bytes());
    } else {
        out.extend(json_text(cell));
    }
}

/// Whether a text is a number by JSON's grammar that a column can hold.
pub(super) fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && serde_json::from_str::<f64>(text).is_ok()
}

pub(super) fn json_text(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a string is always JSON")
}

/// An input that refuses to be read on within a row that never ends, such as after a quote that is not closed.
#[derive(Debug)]
pub(super) struct Metered<R> {
    input: R,
    since_row: SinceRow,
}

/// How many bytes were read since the last row.
#[derive(Debug, Clone, Default)]
pub(super) struct SinceRow(Arc<AtomicUsize>);

impl SinceRow {
    /// A row begins.
    pub(super) fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl<R> Metered<R> {
    pub(super) fn of(input: R) -> (Self, SinceRow) {
        let since_row = SinceRow::default();
        (Self { input, since_row: since_row.clone() }, since_row)
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        if self.since_row.0.fetch_add(read, Ordering::Relaxed) > limits::EVENT_BYTES {
            let problem = format!("a row is longer than {} bytes; is a quote not closed?", limits::EVENT_BYTES);
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, problem));
        }
        Ok(read)
    }
}
