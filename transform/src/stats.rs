//! A data file's statistics as the Delta log holds them.
//!
//! Only columns that say nothing about persons have minimum and maximum: `source`, `type`, the times and dates, and the
//! dataset's numbers. The owner, the event's id, `extra` and every other text are left out, because the log is kept longer than
//! the rows.
//!
//! Source: Delta Transaction Log Protocol, "Per-file Statistics". Timestamps are cut to milliseconds there; readers add the
//! missing 999 µs to a maximum. Strings are cut to 32 characters, a maximum then being rounded up.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use serde_json::{Map, Value, json};

use crate::rows::primitive;
use crate::time::MICROS_PER_DAY;

const STRING_CHARS: usize = 32;
/// The text columns that have statistics.
const TEXTS: [&str; 2] = ["source", "type"];

/// The statistics of a data file with these rows, as the JSON text of a Delta `add` action.
pub(crate) fn delta(rows: &RecordBatch) -> String {
    let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let is_text = matches!(field.data_type(), DataType::Utf8 | DataType::Binary);
        if is_text && !TEXTS.contains(&field.name().as_str()) {
            continue;
        }
        nulls.insert(field.name().clone(), column.null_count().into());
        let (low, high) = ends(column);
        least.extend(low.map(|low| (field.name().clone(), low)));
        most.extend(high.map(|high| (field.name().clone(), high)));
    }
    json!({"numRecords": rows.num_rows(), "minValues": least, "maxValues": most, "nullCount": nulls}).to_string()
}

/// The least and the greatest value, as far as they can be said.
fn ends(column: &ArrayRef) -> (Option<Value>, Option<Value>) {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            (min_string(texts).map(|text| cut(text).into()), max_string(texts).and_then(rounded_up).map(Value::from))
        }
        DataType::Int64 => {
            let numbers = primitive::<Int64Type>(column);
            (min(numbers).map(Value::from), max(numbers).map(Value::from))
        }
        DataType::Float64 => {
            let numbers = primitive::<Float64Type>(column);
            (min(numbers).and_then(finite), max(numbers).and_then(finite))
        }
        DataType::Date32 => {
            let days = primitive::<Date32Type>(column);
            let shown = |day: i32| Value::from(instant(i64::from(day) * MICROS_PER_DAY, "%Y-%m-%d"));
            (min(days).map(shown), max(days).map(shown))
        }
        DataType::Timestamp(..) => {
            let times = primitive::<TimestampMicrosecondType>(column);
            let shown = |time: i64| Value::from(instant(time.div_euclid(1000) * 1000, "%Y-%m-%dT%H:%M:%S.%3fZ"));
            (min(times).map(shown), max(times).map(shown))
        }
        _ => (None, None),
    }
}

fn finite(number: f64) -> Option<Value> {
    serde_json::Number::from_f64(number).map(Value::Number)
}

fn instant(micros: i64, format: &str) -> String {
    let time = jiff::Timestamp::from_microsecond(micros).expect("times are held to the years 0001 to 9999");
    time.strftime(format).to_string()
}

/// The first characters of a text: never after the text itself.
fn cut(text: &str) -> &str {
    text.char_indices().nth(STRING_CHARS).map_or(text, |(end, _)| &text[..end])
}

/// A short text that is never before the given one; `None` when there is none.
fn rounded_up(text: &str) -> Option<String> {
    let kept = cut(text);
    if kept.len() == text.len() {
        return Some(text.to_owned());
    }
    let mut chars: Vec<char> = kept.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = next_char(last) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn next_char(c: char) -> Option<char> {
    match c {
        '\u{D7FF}' => Some('\u{E000}'),
        _ => char::from_u32(u32::from(c) + 1),
    }
}

#[cfg(test)]
mod tests;
