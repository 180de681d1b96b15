//! Rows as CSV (RFC 4180): a line of names, then a line for each row; UTF-8, lines end in CR LF.
//!
//! A value is written as JSON has it ([`Cell`]), a text without its quotes; objects and lists are JSON text. Null is empty, and so is an empty
//! text. Values are written as they are: a program that takes a text that begins with `=` for a formula is to be told not to.

use std::borrow::Cow;
use std::io::Write;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use csv::{Terminator, WriterBuilder};
use serde_json::Value;

use crate::cell::{Cell, plain};

/// Writes rows as CSV, block by block, so that a result of any size takes little memory.
pub struct CsvWriter<W: Write>(csv::Writer<W>);

impl<W: Write> std::fmt::Debug for CsvWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvWriter").finish_non_exhaustive()
    }
}

impl<W: Write> CsvWriter<W> {
    /// A writer that has written the line of these names.
    ///
    /// # Errors
    ///
    /// When the output takes no more.
    pub fn new<'a>(output: W, names: impl IntoIterator<Item = &'a str>) -> Result<Self, ArrowError> {
        let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(output);
        writer.write_record(names).map_err(failed)?;
        Ok(Self(writer))
    }

    /// Writes rows: a column for each name, all of one length. Their types are those that [`Cell`] writes.
    ///
    /// # Errors
    ///
    /// When a column is of another type, or the output takes no more.
    pub fn write(&mut self, columns: &[ArrayRef]) -> Result<(), ArrowError> {
        for row in 0..columns.first().map_or(0, |column| column.len()) {
            for column in columns {
                self.0.write_field(text(column, row)?.as_bytes()).map_err(failed)?;
            }
            self.0.write_record(None::<&[u8]>).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes rows with columns of any type.
    ///
    /// # Errors
    ///
    /// When a value cannot be shown, or the output takes no more.
    pub fn write_rows(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let columns: Vec<ArrayRef> = rows.columns().iter().map(plain).collect::<Result<_, _>>()?;
        self.write(&columns)
    }

    /// Ends the text and gives the output back.
    ///
    /// # Errors
    ///
    /// When the output takes no more.
    pub fn finish(self) -> Result<W, ArrowError> {
        self.0.into_inner().map_err(|error| ArrowError::CsvError(error.to_string()))
    }
}

fn failed(error: csv::Error) -> ArrowError {
    ArrowError::CsvError(error.to_string())
}

fn text(column: &ArrayRef, row: usize) -> Result<Cow<'_, str>, ArrowError> {
    if column.is_null(row) {
        return Ok(Cow::Borrowed(""));
    }
    if let DataType::Utf8 = column.data_type() {
        return Ok(Cow::Borrowed(column.as_string::<i32>().value(row)));
    }
    let value = serde_json::to_value(Cell(column, row)).map_err(|error| ArrowError::JsonError(error.to_string()))?;
    Ok(match value {
        Value::String(text) => Cow::Owned(text),
        Value::Null => Cow::Borrowed(""),
        value => Cow::Owned(value.to_string()),
    })
}
