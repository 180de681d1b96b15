//! Pages as CSV: see [`alluvium_core::csv`].

use std::borrow::Cow;
use std::sync::Arc;

use alluvium_core::csv::CsvWriter;
use arrow::array::{ArrayRef, AsArray as _, BinaryArray, StringArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

/// Rows of columns with these names, block by block. Their types are those that [`Cell`](alluvium_core::cell::Cell) writes.
pub(super) fn body<'a>(names: impl Iterator<Item = &'a str>, blocks: &[Vec<ArrayRef>]) -> Result<Vec<u8>, ArrowError> {
    let mut writer = CsvWriter::new(Vec::new(), names)?;
    blocks.iter().try_for_each(|columns| writer.write(columns))?;
    writer.finish()
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
