//! One value of a RecordBatch as JSON has it.
//!
//! Numbers are numbers, NaN and the infinities null, times RFC 3339 in UTC, bytes text where they are UTF-8 and else base64, objects
//! objects without their null members, and lists lists.

mod plain;
mod written;

use arrow::array::{Array, ArrayRef, AsArray as _, StructArray};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

pub use plain::plain;
pub use written::written;

/// The value of a column in a row, which must be one that there is. The column's type is one that tables of ours have; [`plain`] makes any
/// other such a one.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a>(pub &'a ArrayRef, pub usize);
struct Object<'a>(&'a StructArray, usize);
struct List<'a>(&'a ArrayRef);

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
            other => Err(serde::ser::Error::custom(format!("a column of type {other} has to be made plain first"))),
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

fn date(days: i32) -> Date {
    let beyond = if days < 0 { Date::MIN } else { Date::MAX };
    let span = jiff::Span::new().try_days(days);
    span.map_or(beyond, |span| Date::constant(1970, 1, 1).saturating_add(span))
}
