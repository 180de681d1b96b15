//! Reads one property's value: what fits as it is, what can be cleaned without loss, and why the rest does not fit.
//!
//! Cleaning: a text that is a number by JSON's grammar counts as that number (`"21.5"`; white space around it is ignored,
//! `"007"` is no number); a whole number written with a fraction or exponent is an integer (`3.0`, `1e3`) below 2⁵³, where it is
//! exact; an integer is a number; `true`, `false`, `yes`, `no`, `on` and `off` as texts, in any case, are booleans; times are
//! read as [`time`](crate::time) says; a time at midnight UTC is a date.

use alluvium_core::dataset::{Bounds, TextRule, ValueKind};

use crate::draft::{Cell, Draft};
use crate::plan::Plan;
use crate::scan::{Kind, Token, number_kind};
use crate::time;

/// Why a value does not fit its property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It is of another type and cannot be cleaned.
    Type,
    /// It is a number that the column cannot hold.
    Range,
    /// It breaks a bound.
    Bounds,
    /// It has too few or too many characters.
    Length,
    /// It is none of the values allowed.
    NotListed,
}

impl Misfit {
    /// What would have been right, for a sentence that begins with the value.
    pub(crate) fn sentence(self, plan: &Plan, property: usize) -> String {
        let kind = &plan.dataset.object.properties[property].values.kind;
        match (self, kind) {
            (Self::Type, kind) => format!("is not {}", wanted(kind)),
            (Self::Range, ValueKind::Integer(_)) => "does not fit a 64-bit integer".to_owned(),
            (Self::Range, _) => "does not fit a 64-bit floating-point number".to_owned(),
            (Self::Bounds, ValueKind::Integer(rule) | ValueKind::Number(rule)) => {
                format!("is out of bounds: expected {}", bounds_in_words(&rule.bounds))
            }
            (Self::NotListed, ValueKind::Text(rule)) => {
                format!("is none of the values allowed: {}", crate::fault::shown(&rule.one_of.join(", ")))
            }
            (_, ValueKind::Text(rule)) => {
                let least = rule.min_chars.unwrap_or(0);
                let most = rule.max_chars.map_or_else(|| "any number of".to_owned(), |most| most.to_string());
                format!("has the wrong length: expected {least} to {most} characters")
            }
            _ => "breaks the schema".to_owned(),
        }
    }
}

fn wanted(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Text(_) => "a string",
        ValueKind::Integer(_) => "an integer",
        ValueKind::Number(_) => "a number",
        ValueKind::Boolean(_) => "true or false",
        ValueKind::Timestamp => "a time such as 2014-02-14T14:30:00Z",
        ValueKind::Date => "a date such as 2014-02-14",
        ValueKind::Object(_) => "an object",
        ValueKind::List(_) => "an array",
    }
}

fn bounds_in_words(bounds: &Bounds) -> String {
    let words = [
        ("at least", bounds.minimum),
        ("at most", bounds.maximum),
        ("more than", bounds.exclusive_minimum),
        ("less than", bounds.exclusive_maximum),
    ];
    let words: Vec<_> = words.iter().filter_map(|(word, bound)| Some(format!("{word} {}", (*bound)?))).collect();
    words.join(" and ")
}

/// Reads a value that is not null.
pub(crate) fn read(draft: &mut Draft, event: &str, plan: &Plan, property: usize, value: Token) -> Result<Cell, Misfit> {
    match &plan.dataset.object.properties[property].values.kind {
        ValueKind::Text(rule) => read_text(draft, event, rule, value),
        ValueKind::Number(rule) => read_number(draft, event, &rule.bounds, value),
        ValueKind::Integer(rule) => read_integer(draft, event, &rule.bounds, value),
        ValueKind::Object(_) | ValueKind::List(_) => Err(Misfit::Type),
        ValueKind::Boolean(_) => read_boolean(draft, event, value),
        ValueKind::Timestamp => read_time(draft, event, value).map(Cell::Timestamp).ok_or(Misfit::Type),
        ValueKind::Date => {
            let midnight = read_time(draft, event, value).filter(|time| time.rem_euclid(time::MICROS_PER_DAY) == 0);
            midnight.map(|time| Cell::Date(time.div_euclid(time::MICROS_PER_DAY) as i32)).ok_or(Misfit::Type)
        }
    }
}

/// Reads a time out of a text or a number.
pub(crate) fn read_time(draft: &mut Draft, event: &str, value: Token) -> Option<i64> {
    match value.kind {
        Kind::Text | Kind::EscapedText => {
            let text = draft.text(event, value);
            time::from_text(draft.resolve(event, text))
        }
        Kind::Integer | Kind::Decimal => time::from_number(value.text(event)),
        _ => None,
    }
}

fn read_text(draft: &mut Draft, event: &str, rule: &TextRule, value: Token) -> Result<Cell, Misfit> {
    if !value.is_text() {
        return Err(Misfit::Type);
    }
    let place = draft.text(event, value);
    let text = draft.resolve(event, place);
    // A text has no more characters than bytes, so most need no counting.
    if rule.max_chars.is_some_and(|most| text.len() as u64 > most && text.chars().count() as u64 > most)
        || rule.min_chars.is_some_and(|least| (text.chars().count() as u64) < least)
    {
        return Err(Misfit::Length);
    }
    if !rule.one_of.is_empty() && rule.one_of.binary_search_by(|allowed| allowed.as_str().cmp(text)).is_err() {
        return Err(Misfit::NotListed);
    }
    Ok(Cell::Text(place))
}

/// The text of a number, whether it was sent as one or as a string, and whether it has a fraction or exponent.
fn number_text<'a>(draft: &'a mut Draft, event: &'a str, value: Token) -> Result<(&'a str, Kind), Misfit> {
    match value.kind {
        Kind::Integer | Kind::Decimal => Ok((value.text(event), value.kind)),
        Kind::Text | Kind::EscapedText => {
            let place = draft.text(event, value);
            let text = draft.resolve(event, place).trim_ascii();
            number_kind(text).map(|kind| (text, kind)).ok_or(Misfit::Type)
        }
        _ => Err(Misfit::Type),
    }
}

fn read_number(draft: &mut Draft, event: &str, bounds: &Bounds, value: Token) -> Result<Cell, Misfit> {
    let (text, _) = number_text(draft, event, value)?;
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or(Misfit::Range)?;
    if bounds.contain(number) { Ok(Cell::Number(number)) } else { Err(Misfit::Bounds) }
}

fn read_integer(draft: &mut Draft, event: &str, bounds: &Bounds, value: Token) -> Result<Cell, Misfit> {
    const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;
    let integer = match number_text(draft, event, value)? {
        (text, Kind::Integer) => text.parse::<i64>().map_err(|_| Misfit::Range)?,
        (text, _) => {
            let number = text.parse::<f64>().map_err(|_| Misfit::Range)?;
            if number.abs() >= EXACT_BELOW {
                return Err(Misfit::Range);
            }
            if number.fract() != 0.0 {
                return Err(Misfit::Type);
            }
            number as i64
        }
    };
    if bounds.contain(integer as f64) { Ok(Cell::Integer(integer)) } else { Err(Misfit::Bounds) }
}

fn read_boolean(draft: &mut Draft, event: &str, value: Token) -> Result<Cell, Misfit> {
    match value.kind {
        Kind::True => return Ok(Cell::Boolean(true)),
        Kind::False => return Ok(Cell::Boolean(false)),
        Kind::Text | Kind::EscapedText => {}
        _ => return Err(Misfit::Type),
    }
    let place = draft.text(event, value);
    let word = draft.resolve(event, place).trim_ascii();
    let is = |words: [&str; 3]| words.iter().any(|listed| word.eq_ignore_ascii_case(listed));
    match (is(["true", "yes", "on"]), is(["false", "no", "off"])) {
        (true, _) => Ok(Cell::Boolean(true)),
        (_, true) => Ok(Cell::Boolean(false)),
        _ => Err(Misfit::Type),
    }
}
