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

use alluvium_core::dataset::{COMMON_COLUMNS, EXTRA_COLUMN};
use arrow::array::{Array, ArrayRef, AsArray as _, StructArray};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::records::RecordsPage;

/// The response body of a page.
pub(super) fn page(page: &RecordsPage) -> Vec<u8> {
    let mut body = Vec::with_capacity(256 * page.rows.num_rows() + 64);
    serde_json::to_writer(&mut body, &Page(page)).expect("a page holds only JSON values, and a vector takes any bytes");
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

struct Page<'a>(&'a RecordsPage);
struct Records<'a>(&'a RecordBatch);
struct Record<'a>(&'a Shape<'a>, usize);
struct Data<'a>(&'a [(&'a str, &'a ArrayRef)], usize);
struct Extra<'a>(Option<&'a ArrayRef>, usize);
/// The value of a column in a row.
pub(crate) struct Cell<'a>(pub(crate) &'a ArrayRef, pub(crate) usize);
struct Object<'a>(&'a StructArray, usize);
struct List<'a>(&'a ArrayRef);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("records", &Records(&self.0.rows))?;
        map.serialize_entry("next", &self.0.next.as_ref().map(ToString::to_string))?;
        map.serialize_entry("complete", &self.0.complete)?;
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

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(column, row) = *self;
        if column.is_null(row) {
            return serializer.serialize_none();
        }
        match column.data_type() {
            DataType::Utf8 => serializer.serialize_str(column.as_string::<i32>().value(row)),
            DataType::Int64 => serializer.serialize_i64(column.as_primitive::<Int64Type>().value(row)),
            DataType::Float64 => serializer.serialize_f64(column.as_primitive::<Float64Type>().value(row)),
            DataType::Boolean => serializer.serialize_bool(column.as_boolean().value(row)),
            DataType::Date32 => serializer.collect_str(&date(column.as_primitive::<Date32Type>().value(row))),
            DataType::Timestamp(..) => {
                match Timestamp::from_microsecond(column.as_primitive::<TimestampMicrosecondType>().value(row)) {
                    Ok(time) => serializer.collect_str(&time),
                    Err(_) => serializer.serialize_none(),
                }
            }
            DataType::Binary => {
                let bytes = column.as_binary::<i32>().value(row);
                match std::str::from_utf8(bytes) {
                    Ok(text) => serializer.serialize_str(text),
                    Err(_) => serializer.serialize_str(&STANDARD.encode(bytes)),
                }
            }
            DataType::Struct(_) => Object(column.as_struct(), row).serialize(serializer),
            DataType::List(_) => List(&column.as_list::<i32>().value(row)).serialize(serializer),
            other => Err(serde::ser::Error::custom(format!("no table of ours has a column of type {other}"))),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(fields, row) = *self;
        let mut map = serializer.serialize_map(None)?;
        for (field, column) in fields.fields().iter().zip(fields.columns()).filter(|(_, column)| column.is_valid(row)) {
            map.serialize_entry(field.name(), &Cell(column, row))?;
        }
        map.end()
    }
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(self.0.len()))?;
        (0..self.0.len()).try_for_each(|item| items.serialize_element(&Cell(self.0, item)))?;
        items.end()
    }
}

/// The type in which [`Cell`] writes values of this one, once they are cast to it; `None`: JSON has nothing like them.
#[cfg(feature = "postgres")]
pub(crate) fn written(kind: &DataType) -> Option<DataType> {
    use arrow::datatypes::{Field, Fields, TimeUnit};
    Some(match kind {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => DataType::Int64,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => DataType::Int64,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Boolean | DataType::Date32 => kind.clone(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Timestamp(_, Some(zone)) => DataType::Timestamp(TimeUnit::Microsecond, Some(zone.clone())),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Field::new(item.name(), written(item.data_type())?, true).into())
        }
        DataType::Struct(fields) => {
            let field =
                |field: &arrow::datatypes::FieldRef| Some(Field::new(field.name(), written(field.data_type())?, true));
            DataType::Struct(fields.iter().map(field).collect::<Option<Vec<_>>>().map(Fields::from)?)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => DataType::Utf8,
        DataType::Date64 | DataType::Timestamp(_, None) | DataType::UInt64 => DataType::Utf8,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            DataType::Utf8
        }
        _ => return None,
    })
}

fn date(days: i32) -> Date {
    Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(days))
}

#[cfg(test)]
mod tests;
