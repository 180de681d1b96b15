//! A page of a statement's results. As JSON:
//!
//! ```json
//! {"columns": [{"name": "n", "type": "bigint"}, {"name": "at", "type": "timestamp with time zone"}],
//!  "rows": [[1, "2026-01-31T12:00:00.25Z"], [2, null]],
//!  "next": "…"}
//! ```
//!
//! A value is written as in a page of records: numbers as numbers, times in UTC, bytes as text where they are UTF-8 and else in
//! base64. NaN and the infinities, for which JSON has no word, are null. What has no counterpart there (decimals, intervals, times
//! of no time zone) is text. The other formats have the same values; a line of NDJSON is an object, so no two columns may share a name there.
//! Arrow alone has the values as the engine answered them.

use std::collections::BTreeSet;

use alluvium_core::cell::{Cell, plain};
use alluvium_core::ports::ResultPage;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::api::csv;
use crate::api::format::{Format, arrow_stream};

/// The response body of a page.
pub(super) fn body(page: &ResultPage, format: Format) -> Result<Vec<u8>, ArrowError> {
    if format == Format::Arrow {
        return arrow_stream(&page.batches);
    }
    let batches = page.batches.iter().map(|batch| batch.columns().iter().map(plain).collect());
    let batches: Vec<Vec<ArrayRef>> = batches.collect::<Result<_, _>>()?;
    let names =
        page.batches.first().into_iter().flat_map(|batch| batch.schema_ref().fields()).map(|field| field.name());
    if format == Format::Csv {
        return csv::body(names.map(String::as_str), &batches);
    }
    let page = Page { page, batches: &batches };
    let mut body = Vec::new();
    let written = if format == Format::Ndjson {
        page.lines(&names.collect::<Vec<_>>(), &mut body)
    } else {
        serde_json::to_writer(&mut body, &page)
    };
    written.map_err(|error| ArrowError::JsonError(error.to_string()))?;
    Ok(body)
}

/// A name that two values of one object would have, of which readers of JSON see one alone.
pub(super) fn same_name(page: &ResultPage, format: Format) -> Option<&str> {
    let columns = page.batches.first()?.schema_ref().fields();
    match format {
        Format::Json => columns.iter().find_map(|field| same_name_within(field.data_type())),
        Format::Ndjson => same_name_among(columns),
        Format::Csv | Format::Arrow => None,
    }
}

fn same_name_among(fields: &Fields) -> Option<&str> {
    let mut names = BTreeSet::new();
    let twice = fields.iter().map(|field| field.name().as_str()).find(|name| !names.insert(*name));
    twice.or_else(|| fields.iter().find_map(|field| same_name_within(field.data_type())))
}

fn same_name_within(kind: &DataType) -> Option<&str> {
    match kind {
        DataType::Struct(fields) => same_name_among(fields),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            same_name_within(item.data_type())
        }
        _ => None,
    }
}

struct Page<'a> {
    page: &'a ResultPage,
    /// The columns of each RecordBatch, with values that can be written.
    batches: &'a [Vec<ArrayRef>],
}
struct Columns<'a>(Option<&'a RecordBatch>);
struct Rows<'a>(&'a Page<'a>);
struct Row<'a>(&'a [ArrayRef], usize);
struct Object<'a>(&'a [&'a String], Row<'a>);

impl Page<'_> {
    fn lines(&self, names: &[&String], body: &mut Vec<u8>) -> serde_json::Result<()> {
        for (batch, columns) in self.page.batches.iter().zip(self.batches) {
            for row in 0..batch.num_rows() {
                serde_json::to_writer(&mut *body, &Object(names, Row(columns, row)))?;
                body.push(b'\n');
            }
        }
        Ok(())
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(names, Row(columns, row)) = self;
        serializer.collect_map(names.iter().zip(columns.iter().map(|column| Cell(column, *row))))
    }
}

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("columns", &Columns(self.page.batches.first()))?;
        map.serialize_entry("rows", &Rows(self))?;
        map.serialize_entry("next", &self.page.next)?;
        map.end()
    }
}

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.map(|batch| batch.schema_ref().fields());
        let columns = fields.into_iter().flatten();
        serializer.collect_seq(columns.map(|field| serde_json::json!({"name": field.name(), "type": sql_type(field)})))
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(None)?;
        for (batch, columns) in self.0.page.batches.iter().zip(self.0.batches) {
            (0..batch.num_rows()).try_for_each(|row| rows.serialize_element(&Row(columns, row)))?;
        }
        rows.end()
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|column| Cell(column, self.1)))
    }
}

/// A column's type in SQL's words.
fn sql_type(field: &Field) -> String {
    match field.data_type() {
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "varchar".to_owned(),
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => "varbinary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision},{scale})")
        }
        DataType::Struct(_) => "row".to_owned(),
        DataType::List(_) => "array".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
