//! Values as Postgres writes them, in its text form and in its binary one.
//!
//! "PostgreSQL Documentation", chapter "Data Types"; the binary forms are those of the `…send` functions in `src/backend/utils/adt`.

use std::fmt::Write as _;

use alluvium_core::cell::Cell;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, IntervalMonthDayNanoArray, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::error::ArrowError;
use bytes::{BufMut as _, BytesMut};
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};

use super::columns::{Format, Kind, written_as};
use super::numeric;

/// Days from 1970-01-01 to 2000-01-01, from which Postgres counts.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// A column's values, ready to be written.
pub(super) enum Values {
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Numeric(StringArray),
    Text(StringArray),
    Bytea(BinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    Timestamp(TimestampMicrosecondArray),
    Timestamptz(TimestampMicrosecondArray),
    Interval(IntervalMonthDayNanoArray),
    Json(ArrayRef),
}

impl Values {
    /// The values of an Arrow column as those of `kind`, which is the one that [`Kind::of`] gives for it.
    ///
    /// # Errors
    ///
    /// When they cannot be cast.
    pub(super) fn new(kind: Kind, column: &ArrayRef) -> Result<Self, ArrowError> {
        let wanted = written_as(kind, column.data_type());
        let column = match column.data_type() {
            have if *have == wanted => column.clone(),
            have if kind == Kind::Text && !arrow::compute::can_cast_types(have, &wanted) => texts(column)?,
            _ => cast(column, &wanted)?,
        };
        let data = column.to_data();
        Ok(match kind {
            Kind::Bool => Self::Bool(data.into()),
            Kind::Int2 => Self::Int2(data.into()),
            Kind::Int4 => Self::Int4(data.into()),
            Kind::Int8 => Self::Int8(data.into()),
            Kind::Float4 => Self::Float4(data.into()),
            Kind::Float8 => Self::Float8(data.into()),
            Kind::Numeric => Self::Numeric(data.into()),
            Kind::Text => Self::Text(data.into()),
            Kind::Bytea => Self::Bytea(data.into()),
            Kind::Date => Self::Date(data.into()),
            Kind::Time => Self::Time(data.into()),
            Kind::Timestamp => Self::Timestamp(data.into()),
            Kind::Timestamptz => Self::Timestamptz(data.into()),
            Kind::Interval => Self::Interval(data.into()),
            Kind::Json => Self::Json(column),
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Bool(values) => values,
            Self::Int2(values) => values,
            Self::Int4(values) => values,
            Self::Int8(values) => values,
            Self::Float4(values) => values,
            Self::Float8(values) => values,
            Self::Numeric(values) | Self::Text(values) => values,
            Self::Bytea(values) => values,
            Self::Date(values) => values,
            Self::Time(values) => values,
            Self::Timestamp(values) | Self::Timestamptz(values) => values,
            Self::Interval(values) => values,
            Self::Json(values) => values,
        }
    }

    /// Writes the value of a row, its length before it; -1 and nothing for null.
    pub(super) fn write(&self, row: usize, format: Format, to: &mut BytesMut) {
        let begin = to.len();
        to.put_i32(-1);
        if self.array().is_null(row) {
            return;
        }
        match format {
            Format::Text => self.write_text(row, to),
            Format::Binary => self.write_binary(row, to),
        }
        let length = i32::try_from(to.len() - begin - 4).expect("a page of rows has less than 2 GiB");
        to[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
    }

    fn write_text(&self, row: usize, to: &mut BytesMut) {
        match self {
            Self::Bool(values) => to.put_u8(if values.value(row) { b't' } else { b'f' }),
            Self::Int2(values) => show(to, values.value(row)),
            Self::Int4(values) => show(to, values.value(row)),
            Self::Int8(values) => show(to, values.value(row)),
            Self::Float4(values) => float(to, values.value(row).into(), values.value(row)),
            Self::Float8(values) => float(to, values.value(row), values.value(row)),
            Self::Numeric(values) | Self::Text(values) => to.put_slice(values.value(row).as_bytes()),
            Self::Bytea(values) => {
                to.put_slice(b"\\x");
                values.value(row).iter().for_each(|byte| show(to, format_args!("{byte:02x}")));
            }
            Self::Date(values) => show(to, date(values.value(row))),
            Self::Time(values) => time_of_day(to, values.value(row)),
            Self::Timestamp(values) => timestamp(to, values.value(row), ""),
            Self::Timestamptz(values) => timestamp(to, values.value(row), "+00"),
            Self::Interval(values) => interval(to, parts(values, row)),
            Self::Json(values) => json(to, values, row),
        }
    }

    fn write_binary(&self, row: usize, to: &mut BytesMut) {
        match self {
            Self::Bool(values) => to.put_u8(values.value(row).into()),
            Self::Int2(values) => to.put_i16(values.value(row)),
            Self::Int4(values) => to.put_i32(values.value(row)),
            Self::Int8(values) => to.put_i64(values.value(row)),
            Self::Float4(values) => to.put_f32(values.value(row)),
            Self::Float8(values) => to.put_f64(values.value(row)),
            Self::Numeric(values) => {
                let binary = numeric::to_binary(values.value(row));
                to.put_slice(&binary.expect("Arrow writes numbers in plain digits"));
            }
            Self::Text(values) => to.put_slice(values.value(row).as_bytes()),
            Self::Bytea(values) => to.put_slice(values.value(row)),
            Self::Date(values) => to.put_i32(values.value(row).saturating_sub(EPOCH_DAYS)),
            Self::Time(values) => to.put_i64(values.value(row)),
            Self::Timestamp(values) | Self::Timestamptz(values) => {
                to.put_i64(values.value(row).saturating_sub(EPOCH_MICROS));
            }
            Self::Interval(values) => {
                let (months, days, micros) = parts(values, row);
                to.put_i64(micros);
                to.put_i32(days);
                to.put_i32(months);
            }
            Self::Json(values) => json(to, values, row),
        }
    }
}

fn show(to: &mut BytesMut, value: impl std::fmt::Display) {
    write!(to, "{value}").expect("a buffer takes any text");
}

/// As short as it can be read back; with an exponent where Postgres writes one.
fn float(to: &mut BytesMut, value: f64, shown: impl std::fmt::Display + std::fmt::LowerExp) {
    match value.abs() {
        _ if value.is_nan() => to.put_slice(b"NaN"),
        f64::INFINITY => to.put_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" }),
        size if size != 0.0 && !(1e-4..1e15).contains(&size) => {
            let text = format!("{shown:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            show(to, format_args!("{digits}e{sign}{exponent:0>2}"));
        }
        _ => show(to, shown),
    }
}

/// A day, the first or last there is for one that lies beyond.
fn date(days: i32) -> Date {
    Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().try_days(days).unwrap_or_default())
}

fn timestamp(to: &mut BytesMut, micros: i64, zone: &str) {
    let beyond = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let time = Timestamp::from_microsecond(micros).unwrap_or(beyond);
    let time = TimeZone::UTC.to_datetime(time);
    show(to, format_args!("{} ", time.date()));
    let of_day = time.time().duration_since(jiff::civil::Time::midnight());
    time_of_day(to, i64::try_from(of_day.as_micros()).unwrap_or_default());
    to.put_slice(zone.as_bytes());
}

/// `12:00:00.25`: a fraction only where there is one.
fn time_of_day(to: &mut BytesMut, micros: i64) {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    show(to, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    if fraction > 0 {
        to.put_slice(format!(".{fraction:06}").trim_end_matches('0').as_bytes());
    }
}

/// Months, days and microseconds.
fn parts(values: &IntervalMonthDayNanoArray, row: usize) -> (i32, i32, i64) {
    let value = values.value(row);
    (value.months, value.days, value.nanoseconds / 1_000)
}

/// `1 year 2 mons 3 days 04:05:06`, the form of `IntervalStyle` `postgres`.
fn interval(to: &mut BytesMut, (months, days, micros): (i32, i32, i64)) {
    let begin = to.len();
    for (count, name) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count != 0 {
            let space = if to.len() > begin { " " } else { "" };
            show(to, format_args!("{space}{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    if micros != 0 || to.len() == begin {
        let space = if to.len() > begin { " " } else { "" };
        show(to, format_args!("{space}{}", if micros < 0 { "-" } else { "" }));
        time_of_day(to, micros.saturating_abs());
    }
}

fn json(to: &mut BytesMut, values: &ArrayRef, row: usize) {
    serde_json::to_writer(to.writer(), &Cell(values, row)).expect("its type is one that is written, into a buffer");
}

/// The values of a type that Arrow does not cast to text, as it shows them.
fn texts(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = arrow::util::display::FormatOptions::new();
    let shown = arrow::util::display::ArrayFormatter::try_new(column, &options)?;
    let text = |row| column.is_valid(row).then(|| shown.value(row).try_to_string()).transpose();
    let texts: Vec<Option<String>> = (0..column.len()).map(text).collect::<Result<_, _>>()?;
    Ok(std::sync::Arc::new(StringArray::from(texts)))
}

#[cfg(test)]
mod tests;
