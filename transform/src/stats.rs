//! A data file's statistics as the Delta log holds them.
//!
//! Only columns that say nothing about persons have minimum and maximum: `source`, `type`, the times and dates, and the
//! dataset's numbers. The owner, the event's id, `extra` and every other text are left out, because the log is kept
//! longer than the rows.
//!
//! Source: Delta Transaction Log Protocol, "Per-file Statistics". Timestamps are cut to milliseconds there; readers add
//! the missing 999 µs to a maximum. Strings are cut to 32 characters, a maximum then being rounded up.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType, UInt32Type};
use serde_json::{Map, Value, json};

use crate::encode::Layout;
use crate::rows::primitive;
use crate::time::MICROS_PER_DAY;

const STRING_CHARS: usize = 32;
/// The text columns that have statistics.
const TEXTS: [&str; 2] = ["source", "type"];

/// The statistics of a data file, as they come together row group by row group.
#[derive(Debug)]
pub(crate) struct FileStatistics {
    rows: u64,
    columns: Vec<ColumnStatistics>,
}

/// Of one column that has statistics: its place among the columns, its name, how many nulls it has and its bounds.
#[derive(Debug)]
struct ColumnStatistics {
    place: usize,
    name: String,
    nulls: u64,
    ends: Option<(End, End)>,
}

/// The least or the greatest value of a column.
#[derive(Debug, Clone, PartialEq)]
enum End {
    Text(String),
    Integer(i64),
    Number(f64),
    Days(i32),
    Micros(i64),
}

impl FileStatistics {
    /// Of a file without rows.
    pub(crate) fn new(layout: &Layout) -> Self {
        let of = |(place, name): (usize, &str)| ColumnStatistics { place, name: name.to_owned(), nulls: 0, ends: None };
        let fields = layout.columns.fields().iter().enumerate();
        let told = fields.filter(|(_, field)| {
            let open = match field.data_type() {
                DataType::Utf8 => TEXTS.contains(&field.name().as_str()),
                DataType::Binary | DataType::Struct(_) | DataType::List(_) => false,
                _ => true,
            };
            open && !layout.is_silent(field.name())
        });
        Self { rows: 0, columns: told.map(|(place, field)| of((place, field.name()))).collect() }
    }

    /// Takes in rows of the file's columns.
    pub(crate) fn add(&mut self, rows: &RecordBatch) {
        self.rows += rows.num_rows() as u64;
        for column in &mut self.columns {
            let values = rows.column(column.place);
            column.nulls += values.null_count() as u64;
            column.ends = match (column.ends.take(), ends(values)) {
                (Some((low, high)), Some((lower, higher))) => Some((low.lesser(lower), high.greater(higher))),
                (known, new) => known.or(new),
            };
        }
    }

    /// The rows taken in.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The JSON text of a Delta `add` action's statistics.
    pub(crate) fn json(&self) -> String {
        let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
        for column in &self.columns {
            nulls.insert(column.name.clone(), column.nulls.into());
            if let Some((low, high)) = &column.ends {
                least.extend(low.low().map(|low| (column.name.clone(), low)));
                most.extend(high.high().map(|high| (column.name.clone(), high)));
            }
        }
        json!({"numRecords": self.rows, "minValues": least, "maxValues": most, "nullCount": nulls}).to_string()
    }
}

/// The least and the greatest value; `None` when all are null.
fn ends(column: &ArrayRef) -> Option<(End, End)> {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            Some((End::Text(min_string(texts)?.to_owned()), End::Text(max_string(texts)?.to_owned())))
        }
        DataType::Dictionary(..) => ends_of_dictionary(column.as_dictionary()),
        DataType::Int64 => {
            let numbers = primitive::<Int64Type>(column);
            Some((End::Integer(min(numbers)?), End::Integer(max(numbers)?)))
        }
        DataType::Float64 => {
            let numbers = primitive::<Float64Type>(column);
            Some((End::Number(min(numbers)?), End::Number(max(numbers)?)))
        }
        DataType::Date32 => {
            let days = primitive::<Date32Type>(column);
            Some((End::Days(min(days)?), End::Days(max(days)?)))
        }
        DataType::Timestamp(..) => {
            let times = primitive::<TimestampMicrosecondType>(column);
            Some((End::Micros(min(times)?), End::Micros(max(times)?)))
        }
        _ => None,
    }
}

/// Each value is compared once, however many rows have it.
fn ends_of_dictionary(column: &DictionaryArray<UInt32Type>) -> Option<(End, End)> {
    let values = column.values().as_string::<i32>();
    let mut has_rows = vec![false; values.len()];
    column.keys().iter().flatten().for_each(|key| has_rows[key as usize] = true);
    let seen = || values.iter().zip(&has_rows).filter_map(|(value, has_rows)| value.filter(|_| *has_rows));
    Some((End::Text(seen().min()?.to_owned()), End::Text(seen().max()?.to_owned())))
}

impl End {
    fn lesser(self, other: Self) -> Self {
        if self.compare(&other).is_gt() { other } else { self }
    }

    fn greater(self, other: Self) -> Self {
        if self.compare(&other).is_lt() { other } else { self }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Integer(one), Self::Integer(other)) | (Self::Micros(one), Self::Micros(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Days(one), Self::Days(other)) => one.cmp(other),
            _ => unreachable!("a column has one type"),
        }
    }

    /// How the log says that nothing is less, if it can.
    fn low(&self) -> Option<Value> {
        match self {
            Self::Text(text) => Some(cut(text).into()),
            _ => self.shown(),
        }
    }

    /// How the log says that nothing is greater, if it can.
    fn high(&self) -> Option<Value> {
        match self {
            Self::Text(text) => rounded_up(text).map(Value::from),
            _ => self.shown(),
        }
    }

    fn shown(&self) -> Option<Value> {
        match self {
            Self::Text(text) => Some(text.as_str().into()),
            Self::Integer(number) => Some((*number).into()),
            Self::Number(number) => finite(*number),
            Self::Days(day) => instant(i64::from(*day).checked_mul(MICROS_PER_DAY)?, "%Y-%m-%d"),
            Self::Micros(time) => instant(time.div_euclid(1000).checked_mul(1000)?, "%Y-%m-%dT%H:%M:%S.%3fZ"),
        }
    }
}

fn finite(number: f64) -> Option<Value> {
    serde_json::Number::from_f64(number).map(Value::Number)
}

/// `None` outside the years that the log can write; cleaning lets none of those through.
fn instant(micros: i64, format: &str) -> Option<Value> {
    let time = jiff::Timestamp::from_microsecond(micros).ok()?;
    Some(time.strftime(format).to_string().into())
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
