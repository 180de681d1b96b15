//! Scalar values: texts, times, numbers and booleans, with what bounds them.

use serde_json::{Number, Value};

use super::Result;
use super::cursor::{At, shown};
use super::patterns::Patterns;
use crate::dataset::{Bounds, NumberRule, TextFormat, TextRule, ValueKind};
use crate::limits;

/// Beyond this, not every integer is an `f64`.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

pub(in crate::dataset) const TEXT_FORMATS: [(&str, TextFormat); 5] = [
    ("uuid", TextFormat::Uuid),
    ("email", TextFormat::Email),
    ("ipv4", TextFormat::Ipv4),
    ("ipv6", TextFormat::Ipv6),
    ("uri", TextFormat::Uri),
];

/// The kind of a text whose `format` is a time.
pub(super) fn time(at: &At<'_>) -> Result<ValueKind> {
    match at.get("format").map(|format| format.value) {
        Some(Value::String(format)) if format == "date" => Ok(ValueKind::Date),
        _ => Ok(ValueKind::Timestamp),
    }
}

/// The kind of a text, and whether its `enum` lets null be.
pub(super) fn text<'a>(at: &At<'a>, nullable: bool, patterns: &mut Patterns<'a>) -> Result<(ValueKind, bool)> {
    let format = at.get("format").map(|format| text_format(&format)).transpose()?;
    let pattern = at.get("pattern").map(|pattern| patterns.compile(&pattern)).transpose()?;
    let [min_chars, max_chars] = ["minLength", "maxLength"].map(|keyword| at.get(keyword));
    let count = |at: &Option<At<'_>>| at.as_ref().map(At::count).transpose();
    let listed = Listed::read(at, nullable)?;
    let mut one_of = listed.all("a string", |value| value.as_str().map(str::to_owned))?;
    one_of.sort_unstable();
    one_of.dedup();
    let rule = TextRule { min_chars: count(&min_chars)?, max_chars: count(&max_chars)?, pattern, format, one_of };
    match (rule.min_chars, rule.max_chars, min_chars) {
        (Some(least), Some(most), Some(at)) if least > most => {
            at.refuse(format!("`minLength` {least} is more than `maxLength` {most}: no string fits"))
        }
        _ => Ok((ValueKind::Text(rule), listed.null)),
    }
}

fn text_format(at: &At<'_>) -> Result<TextFormat> {
    let name = at.text()?;
    match TEXT_FORMATS.iter().find(|(known, _)| *known == name) {
        Some((_, format)) => Ok(*format),
        None => {
            let known: Vec<_> = ["date-time", "date"].into_iter().chain(TEXT_FORMATS.map(|(name, _)| name)).collect();
            at.unknown("format", name, &known)
        }
    }
}

/// The kind of a boolean, and whether its `enum` lets null be.
pub(super) fn boolean(at: &At<'_>, nullable: bool) -> Result<(ValueKind, bool)> {
    let listed = Listed::read(at, nullable)?;
    let mut allowed = listed.all("true or false", Value::as_bool)?;
    allowed.sort_unstable();
    allowed.dedup();
    Ok((ValueKind::Boolean(allowed), listed.null))
}

/// The kind of a number, and whether its `enum` lets null be.
pub(super) fn number(at: &At<'_>, nullable: bool) -> Result<(ValueKind, bool)> {
    let listed = Listed::read(at, nullable)?;
    let one_of = listed.all("a number", |value| value.as_number().cloned())?;
    let rule = NumberRule { bounds: bounds(at)?, multiple_of: multiple_of(at)?, one_of };
    Ok((ValueKind::Number(rule), listed.null))
}

/// The kind of an integer, and whether its `enum` lets null be.
pub(super) fn integer(at: &At<'_>, nullable: bool) -> Result<(ValueKind, bool)> {
    let listed = Listed::read(at, nullable)?;
    let one_of = listed.all("an integer of 64 bits", |value| whole(value).map(Number::from))?;
    let rule = NumberRule { bounds: bounds(at)?, multiple_of: multiple_of(at)?, one_of };
    let Bounds { minimum, maximum, exclusive_minimum, exclusive_maximum } = rule.bounds;
    let least = [minimum.map(f64::ceil), exclusive_minimum.map(|below| below.floor() + 1.0)];
    let most = [maximum.map(f64::floor), exclusive_maximum.map(|above| above.ceil() - 1.0)];
    let least = least.into_iter().flatten().reduce(f64::max);
    let most = most.into_iter().flatten().reduce(f64::min);
    if least.zip(most).is_some_and(|(least, most)| least > most) {
        return at.refuse("no integer lies between its bounds");
    }
    Ok((ValueKind::Integer(rule), listed.null))
}

/// The integer that a value is; `3.0` is one, as JSON Schema has it.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let exact = |number: f64| (number.fract() == 0.0 && number.abs() < EXACT_BELOW).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(exact))
}

fn bounds(at: &At<'_>) -> Result<Bounds> {
    let bound = |keyword| at.get(keyword).map(|at| exact(&at)).transpose();
    let bounds = Bounds {
        minimum: bound("minimum")?,
        maximum: bound("maximum")?,
        exclusive_minimum: bound("exclusiveMinimum")?,
        exclusive_maximum: bound("exclusiveMaximum")?,
    };
    let Bounds { minimum, maximum, exclusive_minimum, exclusive_maximum } = bounds;
    let pairs = [
        ("minimum", minimum, "maximum", maximum, false),
        ("minimum", minimum, "exclusiveMaximum", exclusive_maximum, true),
        ("exclusiveMinimum", exclusive_minimum, "maximum", maximum, true),
        ("exclusiveMinimum", exclusive_minimum, "exclusiveMaximum", exclusive_maximum, true),
    ];
    for (low_name, low, high_name, high, open) in pairs {
        if let Some((low, high)) = low.zip(high).filter(|(low, high)| low > high || (open && low == high)) {
            return at.refuse(format!("no number fits `{low_name}` {low} and `{high_name}` {high} at once"));
        }
    }
    Ok(bounds)
}

/// A bound, which must be an `f64` without loss.
fn exact(at: &At<'_>) -> Result<f64> {
    let number = at.number()?;
    let whole = at.value.as_i64().map(i128::from).or_else(|| at.value.as_u64().map(i128::from));
    if whole.is_some_and(|whole| number as i128 != whole) {
        return at.refuse("a bound beyond 2^53 must be a 64-bit floating-point number; round it");
    }
    Ok(number)
}

fn multiple_of(at: &At<'_>) -> Result<Option<Number>> {
    let Some(at) = at.get("multipleOf") else { return Ok(None) };
    match at.value {
        Value::Number(number) if number.as_f64().is_some_and(|number| number > 0.0) => Ok(Some(number.clone())),
        _ => at.refuse("expected a number greater than 0"),
    }
}

/// The values that `enum` and `const` leave.
struct Listed<'a> {
    /// Those that are not null; `None` when neither keyword stands there.
    values: Option<Vec<At<'a>>>,
    /// Whether null is among them, or nothing is listed.
    null: bool,
}

impl<'a> Listed<'a> {
    fn read(at: &At<'a>, nullable: bool) -> Result<Self> {
        let one = at.get("const");
        let mut values: Vec<At<'a>> = match (at.get("enum"), &one) {
            (None, None) => return Ok(Self { values: None, null: true }),
            (None, Some(one)) => vec![one.clone()],
            (Some(several), _) => {
                let items = several.items()?;
                match items.len() {
                    0 => return several.refuse("expected at least one value: an empty `enum` allows none"),
                    count if count > limits::SCHEMA_ENUM_VALUES => {
                        return several.refuse(format!(
                            "{count} values; at most {} are taken. Use a `pattern`, or leave the values open",
                            limits::SCHEMA_ENUM_VALUES
                        ));
                    }
                    _ => items.collect(),
                }
            }
        };
        if let Some(one) = one {
            values.retain(|value| same_scalar(value.value, one.value));
            if values.is_empty() {
                return one.refuse("`enum` does not list this value, so that none fits");
            }
        }
        let all = values.len();
        if let Some(null) = values.iter().find(|value| value.value.is_null()).filter(|_| !nullable) {
            return null.refuse("null is not of this property's `type`; list \"null\" there, or remove it here");
        }
        values.retain(|value| !value.value.is_null());
        if values.is_empty() {
            return at.refuse("no value but null fits, which needs no column");
        }
        Ok(Self { null: values.len() < all, values: Some(values) })
    }

    /// Every value, as the type has it.
    fn all<T>(&self, expected: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
        let read = |at: &At<'_>| match read(at.value) {
            Some(value) => Ok(value),
            None => at.refuse(format!("`{}` is not {expected}", shown(&at.value.to_string()))),
        };
        self.values.iter().flatten().map(read).collect()
    }
}

/// Whether two scalars are equal as JSON Schema has it: `1` equals `1.0`.
fn same_scalar(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || {
                let whole = |number: &Number| whole(&Value::Number(number.clone()));
                match (whole(one), whole(other)) {
                    (None, None) => one.as_f64() == other.as_f64(),
                    (one, other) => one == other,
                }
            }
        }
        (one, other) => one == other,
    }
}
