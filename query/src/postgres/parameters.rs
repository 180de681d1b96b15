//! Parameters: what stands for `$1` in a statement that the engine is given.
//!
//! The engine takes texts for `?`, so a parameter of another type is `cast(? as bigint)` there, and null is `cast(null as bigint)`. Which
//! type it has the client says; where it does not, the place in the statement does; and where that says nothing, it is a text.

use arrow::datatypes::DataType;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pgwire::api::Type;

use super::columns::{Format, wire_type};
use super::numeric;
use super::refusal::Refusal;
use super::text::{Kind, words};

/// The most parameters that an engine is given, each as often as it stands in the statement. As over HTTP.
const PARAMETERS: usize = 1_000;

/// The type of a parameter that is nothing else; which of the types of text a client says does not matter.
pub(super) const TEXT: Type = Type::TEXT;

/// The type that an engine's place for a parameter asks for; `None`: any.
pub(super) fn of_place(arrow: &DataType) -> Option<Type> {
    use super::columns::Kind as Column;
    let kind = match arrow {
        DataType::Null => return None,
        other => Column::of(other),
    };
    Some(match kind {
        // Values of these are not taken, but for their text.
        Column::Bytea | Column::Json | Column::Interval | Column::Time => TEXT,
        kind => wire_type(kind),
    })
}

/// What a value of this type is cast to for the engine; `None`: it is a text.
fn cast_to(kind: &Type, value: Option<&str>) -> Option<String> {
    Some(match *kind {
        Type::BOOL => "boolean".to_owned(),
        Type::INT2 => "smallint".to_owned(),
        Type::INT4 => "int".to_owned(),
        Type::INT8 | Type::OID => "bigint".to_owned(),
        Type::FLOAT4 => "real".to_owned(),
        Type::FLOAT8 => "double".to_owned(),
        Type::NUMERIC => decimal(value.unwrap_or_default()),
        Type::DATE => "date".to_owned(),
        Type::TIMESTAMP => "timestamp(6)".to_owned(),
        Type::TIMESTAMPTZ => "timestamp(6) with time zone".to_owned(),
        _ => return None,
    })
}

/// A type that holds a number without loss.
fn decimal(number: &str) -> String {
    // Where no value is there yet, only that it is a decimal matters.
    let digits = number.chars().filter(char::is_ascii_digit).count().max(1);
    let scale = number.split_once('.').map_or(0, |(_, fraction)| fraction.chars().filter(char::is_ascii_digit).count());
    if number.contains(['e', 'E']) || digits > 38 { "double".to_owned() } else { format!("decimal({digits}, {scale})") }
}

/// One parameter: its type and its value, of which the engine reads the text.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) kind: Type,
    pub(super) value: Option<String>,
}

impl Parameter {
    /// A value as it was bound.
    ///
    /// # Errors
    ///
    /// When it is not of its type, or of one that is not taken.
    pub(super) fn bound(number: usize, kind: &Type, format: Format, bytes: Option<&[u8]>) -> Result<Self, Refusal> {
        let Some(bytes) = bytes else { return Ok(Self { kind: kind.clone(), value: None }) };
        let wrong = || {
            let form = if format == Format::Text { "text" } else { "binary" };
            Refusal::statement(
                "22P03",
                format!("the parameter ${number} is not the {form} form of a value of type {kind}"),
            )
        };
        if *kind == Type::BYTEA {
            let message = format!("the parameter ${number} is of type bytea, which is not taken; pass its text");
            return Err(Refusal::statement("0A000", message));
        }
        let value = match format {
            Format::Text => std::str::from_utf8(bytes).ok().map(|text| from_text(kind, text)),
            Format::Binary => from_binary(kind, bytes),
        };
        let value = value.ok_or_else(wrong)?;
        Ok(Self { kind: kind.clone(), value: Some(value) })
    }
}

/// The engine's text for a value in its text form.
fn from_text(kind: &Type, text: &str) -> String {
    match *kind {
        // `2026-01-31 12:00:00+00`: the engine wants minutes too.
        Type::TIMESTAMPTZ
            if text.contains(':')
                && text.get(text.len().saturating_sub(3)..).is_some_and(|end| end.starts_with(['+', '-'])) =>
        {
            format!("{text}:00")
        }
        _ => text.to_owned(),
    }
}

/// The engine's text for a value in its binary form; `None`: it is none of this type, or the type is not taken.
fn from_binary(kind: &Type, bytes: &[u8]) -> Option<String> {
    const EPOCH_SECONDS: i64 = 946_684_800;
    let time = |micros: i64| Timestamp::from_microsecond(micros.checked_add(EPOCH_SECONDS * 1_000_000)?).ok();
    Some(match *kind {
        Type::BOOL => (*bytes.first().filter(|_| bytes.len() == 1)? != 0).to_string(),
        Type::INT2 => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::INT4 => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::INT8 => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::OID => u32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::FLOAT4 => f32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::FLOAT8 => f64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::NUMERIC => numeric::from_binary(bytes)?,
        Type::DATE => {
            let days = i32::from_be_bytes(bytes.try_into().ok()?);
            let day = Date::constant(2000, 1, 1).checked_add(jiff::Span::new().try_days(days).ok()?);
            day.ok()?.to_string()
        }
        Type::TIMESTAMP => TimeZone::UTC.to_datetime(time(i64::from_be_bytes(bytes.try_into().ok()?))?).to_string(),
        Type::TIMESTAMPTZ => time(i64::from_be_bytes(bytes.try_into().ok()?))?.to_string(),
        Type::UUID => {
            let digits = format!("{:032x}", u128::from_be_bytes(bytes.try_into().ok()?));
            let part = |from: usize, to: usize| &digits[from..to];
            format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
        }
        // Its first byte is a version.
        Type::JSONB => std::str::from_utf8(bytes.strip_prefix(&[1])?).ok()?.to_owned(),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON => {
            std::str::from_utf8(bytes).ok()?.to_owned()
        }
        _ => return None,
    })
}

/// How many parameters a statement has: the highest number in it.
///
/// # Errors
///
/// When they are too many.
pub(super) fn count(sql: &str) -> Result<usize, Refusal> {
    match numbers(sql).max().unwrap_or_default() {
        count if count > PARAMETERS => {
            let message = format!("there is no parameter ${count}; at most {PARAMETERS} are taken");
            Err(Refusal::statement("42P02", message))
        }
        count => Ok(count),
    }
}

/// The number of each place, in order.
pub(super) fn numbers(sql: &str) -> impl Iterator<Item = usize> {
    words(sql).into_iter().filter_map(|word| match word.kind {
        Kind::Parameter(number) => Some(number),
        _ => None,
    })
}

/// What stands for a parameter in a statement that an engine is given.
pub(super) enum Place<'a> {
    /// A value to come, of a type that the engine is to find out.
    Open,
    /// A value to come of this type.
    Typed(&'a Type),
    /// This value.
    Value(&'a Parameter),
}

impl Place<'_> {
    fn write(&self, text: &mut String, values: &mut Vec<String>) {
        let (kind, value) = match self {
            Self::Open => (None, Some("")),
            Self::Typed(kind) => (Some(cast_to(kind, None).unwrap_or_else(|| "varchar".to_owned())), Some("")),
            Self::Value(Parameter { kind, value: None }) => {
                (Some(cast_to(kind, None).unwrap_or_else(|| "varchar".to_owned())), None)
            }
            Self::Value(Parameter { kind, value: Some(value) }) => (cast_to(kind, Some(value)), Some(value.as_str())),
        };
        let stands = if value.is_some() { "?" } else { "null" };
        match kind {
            Some(kind) => text.push_str(&format!("cast({stands} as {kind})")),
            None => text.push_str(stands),
        }
        values.extend(value.map(str::to_owned));
    }
}

/// A statement for the engine, and the texts for its `?`s. `place` says what stands for `$1`, which it is asked for as 0, and so on.
///
/// # Errors
///
/// When a number has no parameter, or there are too many.
pub(super) fn for_engine<'a>(
    sql: &str,
    place: impl Fn(usize) -> Option<Place<'a>>,
) -> Result<(String, Vec<String>), Refusal> {
    let (mut text, mut values, mut from) = (String::with_capacity(sql.len()), Vec::new(), 0);
    for word in words(sql) {
        let Kind::Parameter(number) = word.kind else { continue };
        text.push_str(&sql[from..word.at]);
        from = word.at + word.text.len();
        let Some(place) = number.checked_sub(1).and_then(&place) else {
            return Err(Refusal::statement("42P02", format!("there is no parameter ${number}")));
        };
        place.write(&mut text, &mut values);
        if values.len() > PARAMETERS {
            let message = format!("the statement has parameters in more than {PARAMETERS} places");
            return Err(Refusal::statement("54000", message));
        }
    }
    text.push_str(&sql[from..]);
    Ok((text, values))
}

#[cfg(test)]
mod tests;
