//! A Delta `add` action's statistics, as bounds that DataFusion prunes files by.
//!
//! Source: Delta Transaction Log Protocol, "Per-file Statistics". Timestamps there are cut to milliseconds, so 999 µs are added
//! to a maximum; texts are cut, a maximum being rounded up. What cannot be read bounds nothing.

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DeltaStats {
    min_values: Map<String, Value>,
    max_values: Map<String, Value>,
    null_count: Map<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Least,
    Greatest,
}

/// The bounds of a file's columns. They are marked exact, which is what pruning asks for, and must not be used as the answer to a
/// `min` or `max`.
pub(super) fn read(stats: Option<&str>, rows: usize, columns: &SchemaRef) -> Statistics {
    let stats: DeltaStats = stats.and_then(|stats| serde_json::from_str(stats).ok()).unwrap_or_default();
    let bound = |value: Option<&Value>, data_type, end| {
        value.and_then(|value| scalar(value, data_type, end)).map_or(Precision::Absent, Precision::Exact)
    };
    let column_statistics = columns.fields().iter().map(|field| ColumnStatistics {
        null_count: stats
            .null_count
            .get(field.name())
            .and_then(Value::as_u64)
            .map_or(Precision::Absent, |nulls| Precision::Exact(nulls as usize)),
        min_value: bound(stats.min_values.get(field.name()), field.data_type(), End::Least),
        max_value: bound(stats.max_values.get(field.name()), field.data_type(), End::Greatest),
        ..ColumnStatistics::new_unknown()
    });
    Statistics {
        num_rows: Precision::Exact(rows),
        total_byte_size: Precision::Absent,
        column_statistics: column_statistics.collect(),
    }
}

/// The least time of a column, in µs.
pub(super) fn min_micros(bounds: &Statistics, column: usize) -> Option<i64> {
    micros(&bounds.column_statistics.get(column)?.min_value)
}

/// The greatest time of a column, in µs.
pub(super) fn max_micros(bounds: &Statistics, column: usize) -> Option<i64> {
    micros(&bounds.column_statistics.get(column)?.max_value)
}

fn micros(bound: &Precision<ScalarValue>) -> Option<i64> {
    match bound.get_value()? {
        ScalarValue::TimestampMicrosecond(time, _) => *time,
        _ => None,
    }
}

fn scalar(value: &Value, data_type: &DataType, end: End) -> Option<ScalarValue> {
    match data_type {
        DataType::Utf8 => Some(ScalarValue::Utf8(Some(value.as_str()?.to_owned()))),
        DataType::Int64 => Some(ScalarValue::Int64(Some(value.as_i64()?))),
        DataType::Float64 => Some(ScalarValue::Float64(Some(value.as_f64()?))),
        DataType::Date32 => {
            let date: Date = value.as_str()?.parse().ok()?;
            let days = date.since(Date::constant(1970, 1, 1)).ok()?.get_days();
            Some(ScalarValue::Date32(Some(days)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let time: Timestamp = value.as_str()?.parse().ok()?;
            let cut_off = if end == End::Greatest { 999 } else { 0 };
            Some(ScalarValue::TimestampMicrosecond(Some(time.as_microsecond() + cut_off), zone.clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema};

    use super::*;

    #[test]
    fn bounds_hold_every_value_that_the_log_may_stand_for() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let columns: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("t", time, false),
            Field::new("d", DataType::Date32, false),
            Field::new("s", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]));
        let stats = r#"{"numRecords": 3,
            "minValues": {"t": "1970-01-01T00:00:01.234Z", "d": "1969-12-31", "s": "a", "n": "odd"},
            "maxValues": {"t": "1970-01-01T00:00:01.234Z", "d": "1970-01-02", "s": "b"}, "nullCount": {"s": 1}}"#;
        let bounds = read(Some(stats), 3, &columns);
        let of = |column: usize| &bounds.column_statistics[column];
        assert_eq!(max_micros(&bounds, 0), Some(1_234_999));
        assert_eq!(of(0).min_value.get_value().unwrap().to_string(), "1234000");
        assert_eq!(of(1).min_value, Precision::Exact(ScalarValue::Date32(Some(-1))));
        assert_eq!(of(1).max_value, Precision::Exact(ScalarValue::Date32(Some(1))));
        assert_eq!(of(2).null_count, Precision::Exact(1));
        assert_eq!(of(3).min_value, Precision::Absent, "what cannot be read bounds nothing");
        assert_eq!(read(Some("{"), 3, &columns).column_statistics[2].max_value, Precision::Absent);
    }
}
