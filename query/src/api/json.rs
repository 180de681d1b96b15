//! A page of records as JSON, and its records as lines of JSON.
//!
//! ```json
//! {"records": [{"id": "…", "source": "…", "type": "…", "time": "2026-01-31T12:00:00.25Z", "ingest_time": "…", "owner": "…",
//!               "data": {"value": 1.5}, "extra": {"undeclared": true}}],
//!  "next": "…", "complete": true}
//! ```
//!
//! `type` is null when the event had none. `data` holds the declared properties that are not null, in the schema's order, and so
//! does every object within it; an array keeps its nulls, which have places there. `extra` holds what was undeclared or did not
//! fit, as it was sent. A record of which only some fields were wanted has those alone, `data` if any property is among them. Times are UTC, with as many fractional digits as they need. Bytes
//! (a dead letter's `original`) are text where they are UTF-8, else base64 under the name with `_base64` behind it.

use alluvium_core::cell::Cell;
use alluvium_core::dataset::{COMMON_COLUMNS, EXTRA_COLUMN};
use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// The response body of a page of these rows.
pub(super) fn page(rows: &RecordBatch, next: Option<&str>, complete: bool) -> Vec<u8> {
    let mut body = Vec::with_capacity(256 * rows.num_rows() + 64);
    let page = Page { rows, next, complete };
    serde_json::to_writer(&mut body, &page).expect("a page holds only JSON values, and a vector takes any bytes");
    body
}

/// Records, each a line by itself.
pub(super) fn lines(rows: &RecordBatch) -> Vec<u8> {
    let mut body = Vec::with_capacity(256 * rows.num_rows());
    let shape = Shape::of(rows);
    for row in 0..rows.num_rows() {
        serde_json::to_writer(&mut body, &Record(&shape, row)).expect("a record holds only JSON values");
        body.push(b'\n');
    }
    body
}

struct Page<'a> {
    rows: &'a RecordBatch,
    next: Option<&'a str>,
    complete: bool,
}
struct Records<'a>(&'a RecordBatch);
struct Record<'a>(&'a Shape<'a>, usize);
struct Data<'a>(&'a [(&'a str, &'a ArrayRef)], usize);
struct Extra<'a>(Option<&'a ArrayRef>, usize);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("records", &Records(self.rows))?;
        map.serialize_entry("next", &self.next)?;
        map.serialize_entry("complete", &self.complete)?;
        map.end()
    }
}

/// Where the columns of rows stand in their records.
struct Shape<'a> {
    common: Vec<(&'static str, &'a ArrayRef)>,
    /// The properties; `None`: none of them was wanted.
    data: Option<Vec<(&'a str, &'a ArrayRef)>>,
    /// What was undeclared, if the table has a place for it; `None`: it was not wanted.
    extra: Option<Option<&'a ArrayRef>>,
}

impl<'a> Shape<'a> {
    fn of(rows: &'a RecordBatch) -> Self {
        const COMMON: [(&str, &str); 6] = [
            ("id", "event_id"),
            ("source", "source"),
            ("type", "type"),
            ("time", "event_time"),
            ("ingest_time", "ingest_time"),
            ("owner", "owner"),
        ];
        // Where columns were wanted by their names in an answer, this one is not there, for it has none.
        let whole = rows.column_by_name("event_date").is_some();
        let common = COMMON.iter().filter_map(|(name, column)| Some((*name, rows.column_by_name(column)?))).collect();
        let columns = rows.schema_ref().fields().iter().map(|field| field.name().as_str()).zip(rows.columns());
        let is_property = |name: &str| !COMMON_COLUMNS.contains(&name) && name != EXTRA_COLUMN;
        let data: Vec<_> = columns.filter(|(name, _)| is_property(name)).collect();
        let extra = rows.column_by_name(EXTRA_COLUMN);
        Self {
            common,
            data: (whole || !data.is_empty()).then_some(data),
            extra: (whole || extra.is_some()).then_some(extra),
        }
    }
}

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shape = Shape::of(self.0);
        serializer.collect_seq((0..self.0.num_rows()).map(|row| Record(&shape, row)))
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(shape, row) = *self;
        let mut map = serializer.serialize_map(None)?;
        for (name, column) in &shape.common {
            map.serialize_entry(name, &Cell(column, row))?;
        }
        if let Some(properties) = &shape.data {
            map.serialize_entry("data", &Data(properties, row))?;
        }
        if let Some(extra) = shape.extra {
            map.serialize_entry("extra", &Extra(extra, row))?;
        }
        map.end()
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(properties, row) = *self;
        let mut map = serializer.serialize_map(None)?;
        for (name, column) in properties.iter().filter(|(_, column)| column.is_valid(row)) {
            match column.data_type() {
                DataType::Binary if std::str::from_utf8(column.as_binary::<i32>().value(row)).is_err() => {
                    map.serialize_entry(&format!("{name}_base64"), &Cell(column, row))?;
                }
                _ => map.serialize_entry(name, &Cell(column, row))?,
            }
        }
        map.end()
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text =
            self.0.filter(|column| column.is_valid(self.1)).map(|column| column.as_string::<i32>().value(self.1));
        match text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok()) {
            Some(extra) => extra.serialize(serializer),
            None => serializer.serialize_map(Some(0))?.end(),
        }
    }
}

#[cfg(test)]
mod tests;
