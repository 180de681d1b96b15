//! Rows as CSV (RFC 4180): a line of names, then a line for each row; lines end in CR LF.
//!
//! A value is written as JSON has it, a text without its quotes; objects and lists are JSON text. Null is empty, and so is an empty
//! text. Values are written as they are: a program that takes a text that begins with `=` for a formula is to be told not to.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryArray, StringArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use csv::{Terminator, WriterBuilder};
use serde_json::Value;

use super::json::Cell;
use super::names::shown;

/// A page of records. A column of bytes is two: under its name where they are UTF-8, in base64 under its name with `_base64` behind
/// it where they are not.
pub(super) fn records(rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let (mut names, mut columns): (Vec<Cow<'_, str>>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let Some(name) = shown(field.name()) else { continue };
        if let DataType::Binary = column.data_type() {
            let (texts, others) = texts_and_others(column.as_binary());
            names.extend([name.clone(), format!("{name}_base64").into()]);
            columns.extend([Arc::new(texts) as ArrayRef, Arc::new(others)]);
        } else {
            names.push(name);
            columns.push(Arc::clone(column));
        }
    }
    body(names.iter().map(|name| &**name), &[columns])
}

/// Rows of columns with these names, block by block. Their types are those that [`Cell`] writes.
pub(super) fn body<'a>(names: impl Iterator<Item = &'a str>, blocks: &[Vec<ArrayRef>]) -> Result<Vec<u8>, ArrowError> {
    let failed = |error: csv::Error| ArrowError::CsvError(error.to_string());
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(names).map_err(failed)?;
    for columns in blocks {
        for row in 0..columns.first().map_or(0, |column| column.len()) {
            for column in columns {
                writer.write_field(text(column, row)?.as_bytes()).map_err(failed)?;
            }
            writer.write_record(None::<&[u8]>).map_err(failed)?;
        }
    }
    writer.into_inner().map_err(|error| ArrowError::CsvError(error.to_string()))
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

fn texts_and_others(values: &BinaryArray) -> (StringArray, StringArray) {
    let split = |value: Option<&[u8]>| match value.map(|value| (std::str::from_utf8(value), value)) {
        None => (None, None),
        Some((Ok(text), _)) => (Some(text.to_owned()), None),
        Some((Err(_), bytes)) => (None, Some(STANDARD.encode(bytes))),
    };
    let (texts, others): (Vec<_>, Vec<_>) = values.iter().map(split).unzip();
    (texts.into(), others.into())
}

#[cfg(test)]
mod tests;
