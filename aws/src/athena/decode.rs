//! Athena's results, which are text, as typed columns.
//!
//! | Athena's type | column |
//! |---|---|
//! | `tinyint`, `smallint`, `integer`, `bigint` | Int64 |
//! | `float`, `double` | Float64, `NaN` and `Infinity` included |
//! | `boolean` | Boolean |
//! | `date` | Date32 |
//! | `timestamp` | Timestamp in µs without a time zone; what is finer is cut off |
//! | `timestamp with time zone` | Timestamp in µs, UTC |
//! | `varbinary` | Binary |
//! | all others, `varchar`, `decimal` and `json` among them | Utf8, as Athena writes it |
//!
//! `array`, `map` and `row` are among the others: Athena writes them in a way of its own that cannot be read back
//! (`{room=a, b=c}` may have one field or two). A statement that wants them writes `json_format(cast(place as json))`.
//!
//! Source: Amazon Athena API Reference, `ColumnInfo`; Amazon Athena User Guide, "Data types in Amazon Athena".

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{Advice, PortError};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use aws_sdk_athena::types::{ColumnInfo, ResultSet, Row};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Which page a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The first, which begins with the names of its columns when the statement is a query.
    First,
    /// Any other.
    Later,
}

/// The rows of a page.
///
/// # Errors
///
/// When a value is not of its column's type.
pub(super) fn rows(page: &ResultSet, place: Place) -> Result<RecordBatch, PortError> {
    let columns = page.result_set_metadata().map(|metadata| metadata.column_info()).unwrap_or_default();
    let rows = match page.rows().split_first() {
        // Statements such as `SHOW TABLES` are answered without the names.
        Some((first, rest)) if place == Place::First && names_columns(first, columns) => rest,
        _ => page.rows(),
    };
    let arrays = columns.iter().enumerate().map(|(at, column)| Cells { rows, at, column }.array());
    let arrays: Vec<ArrayRef> = arrays.collect::<Result<_, _>>()?;
    let fields =
        columns.iter().zip(&arrays).map(|(column, array)| Field::new(column.name(), array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema, arrays, &options)
        .map_err(|error| PortError::because(Advice::Stop, "Athena's results cannot be put together", error))
}

fn names_columns(row: &Row, columns: &[ColumnInfo]) -> bool {
    let names = row.data().iter().map(|datum| datum.var_char_value());
    !columns.is_empty() && names.eq(columns.iter().map(|column| Some(column.name())))
}

/// The cells of one column.
struct Cells<'a> {
    rows: &'a [Row],
    at: usize,
    column: &'a ColumnInfo,
}

impl Cells<'_> {
    fn array(&self) -> Result<ArrayRef, PortError> {
        Ok(match self.column.r#type() {
            "tinyint" | "smallint" | "integer" | "bigint" => {
                Arc::new(Int64Array::from(self.each(|text| text.parse().ok())?))
            }
            "float" | "real" | "double" => Arc::new(Float64Array::from(self.each(|text| text.parse().ok())?)),
            "boolean" => Arc::new(BooleanArray::from(self.each(|text| text.parse().ok())?)),
            "date" => Arc::new(Date32Array::from(self.each(days)?)),
            "timestamp" => Arc::new(TimestampMicrosecondArray::from(self.each(local_micros)?)),
            "timestamp with time zone" => {
                Arc::new(TimestampMicrosecondArray::from(self.each(micros)?).with_timezone("UTC"))
            }
            "varbinary" => {
                let values = self.each(bytes)?;
                Arc::new(BinaryArray::from_iter(values))
            }
            _ => Arc::new(StringArray::from_iter((0..self.rows.len()).map(|row| self.text(row)))),
        })
    }

    /// A cell's text; `None`: null.
    fn text(&self, row: usize) -> Option<&str> {
        self.rows[row].data().get(self.at)?.var_char_value()
    }

    fn each<T>(&self, read: impl Fn(&str) -> Option<T>) -> Result<Vec<Option<T>>, PortError> {
        let cells = (0..self.rows.len()).map(|row| match self.text(row) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| self.wrong(row, text)),
        });
        cells.collect()
    }

    fn wrong(&self, row: usize, text: &str) -> PortError {
        let (name, kind) = (self.column.name(), self.column.r#type());
        let text: String = text.chars().take(80).collect();
        let message = format!(
            "Athena's answer cannot be read: `{text}` in column `{name}`, row {} of the page, is no {kind}; cast it to varchar",
            row + 1
        );
        PortError::new(Advice::Stop, message)
    }
}

fn days(text: &str) -> Option<i32> {
    let date: Date = text.parse().ok()?;
    Some((date - Date::constant(1970, 1, 1)).get_days())
}

/// `2026-01-31 12:00:00.25`, with up to 12 fractional digits.
fn civil(text: &str) -> Option<DateTime> {
    let fraction = text.find('.').map_or(0, |point| text.len() - point - 1);
    let kept = text.len() - fraction.saturating_sub(9);
    text.get(..kept)?.parse().ok()
}

fn local_micros(text: &str) -> Option<Micros> {
    Some(civil(text)?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
}

/// The same with a time zone behind it: `UTC`, `+02:00` or `Europe/Berlin`.
fn micros(text: &str) -> Option<Micros> {
    let (time, zone) = text.rsplit_once(' ')?;
    match zone {
        "UTC" | "Z" => local_micros(time),
        _ if zone.starts_with(['+', '-']) => {
            let time: Timestamp = format!("{}{zone}", civil(time)?).parse().ok()?;
            Some(time.as_microsecond())
        }
        _ => Some(civil(time)?.to_zoned(TimeZone::get(zone).ok()?).ok()?.timestamp().as_microsecond()),
    }
}

/// Pairs of hexadecimal digits with spaces between them.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &str| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok()).flatten();
    text.split_ascii_whitespace().map(pair).collect()
}

#[cfg(test)]
mod tests;
