//! Reads one property's value: what fits as it is, what can be cleaned without loss, and why the rest does not fit.
//!
//! Cleaning: a text that is a number by JSON's grammar counts as that number (`"21.5"`; white space around it is ignored,
//! `"007"` is no number); a whole number written with a fraction or exponent is an integer (`3.0`, `1e3`) below 2⁵³, where it is
//! exact; an integer is a number; `true`, `false`, `yes`, `no`, `on` and `off` as texts, in any case, are booleans; times are
//! read as [`time`](crate::time) says; a time at midnight UTC is a date.

use alluvium_core::dataset::{
    Bounds, Clean, ListRule, NumberFault, NumberRule, Repeats, TextFault, TextFormat, TextRule,
};

use crate::clean::{self, CleanText, Moved};
use crate::decimal;
use crate::draft::{Cell, Draft, Place};
use crate::judge::Reading;
use crate::plan::{FieldPlan, KindPlan, ValuePlan};
use crate::scan::number_kind;
use crate::tape::{Kind, Token};
use crate::time;

/// Up to here, every integer is a number.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// Why a value does not fit.
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
    /// It does not match the pattern.
    Pattern,
    /// It is not written as its format says.
    Format,
    /// It is no multiple of what it must be one of.
    NotMultiple,
    /// It is none of the values allowed.
    NotListed,
    /// It has too few or too many items.
    Items,
    /// Two of its items are equal.
    Repeated,
}

impl Misfit {
    /// What would have been right, for a sentence that begins with the value.
    pub(crate) fn sentence(self, kind: &KindPlan) -> String {
        match (self, kind) {
            (Self::Type, kind) => format!("is not {}", wanted(kind)),
            (Self::Range, KindPlan::Integer(_)) => "does not fit a 64-bit integer".to_owned(),
            (Self::Range, _) => "does not fit a 64-bit floating-point number".to_owned(),
            (Self::Bounds, KindPlan::Integer(rule) | KindPlan::Number(rule)) => {
                format!("is out of bounds: expected {}", bounds_in_words(&rule.bounds))
            }
            (Self::Length, KindPlan::Text(rule)) => {
                format!("has the wrong length: expected {} characters", count_in_words(rule.min_chars, rule.max_chars))
            }
            (Self::Pattern, KindPlan::Text(TextRule { pattern: Some(pattern), .. })) => {
                format!("does not match the pattern {}", crate::fault::shown(pattern.as_str()))
            }
            (Self::NotListed, KindPlan::Text(rule)) => {
                format!("is none of the values allowed: {}", crate::fault::shown(&rule.one_of.join(", ")))
            }
            (Self::NotListed, KindPlan::Integer(rule) | KindPlan::Number(rule)) => {
                let listed: Vec<_> = rule.one_of.iter().map(ToString::to_string).collect();
                format!("is none of the values allowed: {}", crate::fault::shown(&listed.join(", ")))
            }
            (Self::NotListed, KindPlan::Boolean(one_of)) => {
                let listed: Vec<_> = one_of.iter().map(ToString::to_string).collect();
                format!("is not the value allowed: {}", listed.join(", "))
            }
            (Self::Format, KindPlan::Text(TextRule { format: Some(format), .. })) => {
                format!("is not {}", written_as(*format))
            }
            (Self::NotMultiple, KindPlan::Integer(rule) | KindPlan::Number(rule)) => {
                let divisor = rule.multiple_of.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("is no multiple of {divisor}")
            }
            (Self::Items, KindPlan::List(_, rule)) => {
                format!("has the wrong length: expected {} items", count_in_words(rule.min_items, rule.max_items))
            }
            (Self::Repeated, _) => "has two items that are equal".to_owned(),
            _ => "breaks the schema".to_owned(),
        }
    }
}

fn wanted(kind: &KindPlan) -> &'static str {
    match kind {
        KindPlan::Text(_) => "a string",
        KindPlan::Integer(_) => "an integer",
        KindPlan::Number(_) => "a number",
        KindPlan::Boolean(_) => "true or false",
        KindPlan::Timestamp => "a time such as 2014-02-14T14:30:00Z",
        KindPlan::Date => "a date such as 2014-02-14",
        KindPlan::Object(_) => "an object",
        KindPlan::List(..) => "an array",
    }
}

fn written_as(format: TextFormat) -> &'static str {
    match format {
        TextFormat::Uuid => "a UUID such as f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        TextFormat::Email => "an e-mail address",
        TextFormat::Ipv4 => "an IPv4 address",
        TextFormat::Ipv6 => "an IPv6 address",
        TextFormat::Uri => "a URI with a scheme",
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

fn count_in_words(least: Option<u64>, most: Option<u64>) -> String {
    let most = most.map_or_else(|| "any number of".to_owned(), |most| most.to_string());
    format!("{} to {most}", least.unwrap_or(0))
}

impl From<TextFault> for Misfit {
    fn from(fault: TextFault) -> Self {
        match fault {
            TextFault::Length => Self::Length,
            TextFault::NotListed => Self::NotListed,
            TextFault::Pattern => Self::Pattern,
            TextFault::Format => Self::Format,
        }
    }
}

impl From<NumberFault> for Misfit {
    fn from(fault: NumberFault) -> Self {
        match fault {
            NumberFault::Bounds => Self::Bounds,
            NumberFault::NotListed => Self::NotListed,
            NumberFault::NotMultiple => Self::NotMultiple,
        }
    }
}

/// What a field's value becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Read {
    /// This cell.
    Cell(Cell),
    /// This cell; what was sent is kept in the column `extra` beside it.
    Beside(Cell),
}

/// Reads a field's value that is neither null nor of a nested kind: cleaned as the field asks for, held to its rule, and
/// pseudonymised if it is to be.
#[inline]
pub(crate) fn read_field(
    draft: &mut Draft,
    event: &str,
    field: &FieldPlan,
    token: Token,
    reading: Reading,
) -> Result<Read, Misfit> {
    if field.clean.is_none() && field.pseudonyms.is_none() || reading != Reading::Cleaned {
        return read(draft, event, &field.values, token, reading).map(Read::Cell);
    }
    read_changed(draft, event, field, token)
}

fn read_changed(draft: &mut Draft, event: &str, field: &FieldPlan, token: Token) -> Result<Read, Misfit> {
    let unchanged = Clean::default();
    let clean = field.clean.as_deref().unwrap_or(&unchanged);
    match &field.values.kind {
        KindPlan::Text(rule) => {
            let Some(place) = clean_text(draft, event, clean, token)? else { return Ok(Read::Beside(Cell::Null)) };
            rule.check(draft.resolve(event, place))?;
            let place = match &field.pseudonyms {
                Some(pseudonyms) => draft.rewrite(event, place, |text, pseudonym| pseudonyms.write(text, pseudonym)),
                None => place,
            };
            Ok(Read::Cell(Cell::Text(place)))
        }
        KindPlan::Number(rule) => {
            let (number, moved) = clean::number(clean, parse_number(draft, event, token, Reading::Cleaned)?.0);
            if !number.is_finite() {
                return Err(Misfit::Range);
            }
            rule.check_number(number)?;
            Ok(moved.into_read(Cell::Number(number)))
        }
        KindPlan::Integer(rule) => {
            let (integer, moved) = clean::integer(clean, parse_integer(draft, event, token, Reading::Cleaned)?);
            rule.check_integer(integer)?;
            Ok(moved.into_read(Cell::Integer(integer)))
        }
        _ => read(draft, event, &field.values, token, Reading::Cleaned).map(Read::Cell),
    }
}

impl Moved {
    fn into_read(self, cell: Cell) -> Read {
        match self {
            Self::Yes => Read::Beside(cell),
            Self::No => Read::Cell(cell),
        }
    }
}

/// The place of a text after cleaning; `None`: it stands for null.
fn clean_text(draft: &mut Draft, event: &str, clean: &Clean, token: Token) -> Result<Option<Place>, Misfit> {
    if !token.is_text() {
        return Err(Misfit::Type);
    }
    let place = draft.text(event, token);
    let mut cleaned = CleanText::Null;
    let written = draft.rewrite(event, place, |text, scratch| cleaned = clean::text(clean, text, scratch));
    Ok(match cleaned {
        CleanText::Part(part) => Some(place.part(part)),
        CleanText::Written => Some(written),
        CleanText::Null => None,
    })
}

/// Reads a value that is neither null nor of a nested kind.
#[inline]
pub(crate) fn read(
    draft: &mut Draft,
    event: &str,
    values: &ValuePlan,
    token: Token,
    reading: Reading,
) -> Result<Cell, Misfit> {
    #[cfg(test)]
    if reading == Reading::AsSent
        && matches!(values.kind, KindPlan::Timestamp | KindPlan::Date)
        && !is_time_as_sent(draft, event, &values.kind, token)
    {
        return Err(Misfit::Type);
    }
    match &values.kind {
        KindPlan::Text(rule) => read_text(draft, event, rule, token),
        KindPlan::Number(rule) => read_number(draft, event, rule, token, reading),
        KindPlan::Integer(rule) => read_integer(draft, event, rule, token, reading),
        KindPlan::Boolean(one_of) => read_boolean(draft, event, one_of, token, reading),
        KindPlan::Timestamp => read_time(draft, event, token).map(Cell::Timestamp).ok_or(Misfit::Type),
        KindPlan::Date => {
            let midnight = read_time(draft, event, token).filter(|time| time.rem_euclid(time::MICROS_PER_DAY) == 0);
            midnight.map(|time| Cell::Date(time.div_euclid(time::MICROS_PER_DAY) as i32)).ok_or(Misfit::Type)
        }
        KindPlan::Object(_) | KindPlan::List(..) => Err(Misfit::Type),
    }
}

/// Whether a value is a time or date as JSON Schema has it.
#[cfg(test)]
fn is_time_as_sent(draft: &mut Draft, event: &str, kind: &KindPlan, token: Token) -> bool {
    if !token.is_text() {
        return false;
    }
    let place = draft.text(event, token);
    let text = draft.resolve(event, place);
    if matches!(kind, KindPlan::Date) { time::is_date(text) } else { time::is_date_time(text) }
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
    rule.check(draft.resolve(event, place))?;
    Ok(Cell::Text(place))
}

/// The text of a number, whether it was sent as one or as a string, and whether it has a fraction or exponent.
#[inline]
fn number_text<'a>(
    draft: &'a mut Draft,
    event: &'a str,
    value: Token,
    reading: Reading,
) -> Result<(&'a str, Kind), Misfit> {
    match value.kind {
        Kind::Integer | Kind::Decimal => Ok((value.text(event), value.kind)),
        Kind::Text | Kind::EscapedText if reading == Reading::Cleaned => {
            let place = draft.text(event, value);
            let text = draft.resolve(event, place).trim_ascii();
            number_kind(text).map(|kind| (text, kind)).ok_or(Misfit::Type)
        }
        _ => Err(Misfit::Type),
    }
}

fn read_number(
    draft: &mut Draft,
    event: &str,
    rule: &NumberRule,
    value: Token,
    reading: Reading,
) -> Result<Cell, Misfit> {
    let (number, sent) = parse_number(draft, event, value, reading)?;
    match sent {
        Some(sent) => rule.check_integer(sent)?,
        None => rule.check_number(number)?,
    }
    Ok(Cell::Number(number))
}

/// A number; and the integer that it was sent as, if that is one of 64 bits which the number may only be a neighbour of.
#[inline]
fn parse_number(draft: &mut Draft, event: &str, value: Token, reading: Reading) -> Result<(f64, Option<i64>), Misfit> {
    let (text, kind) = number_text(draft, event, value, reading)?;
    let number = Some(decimal::read(text)).filter(|number| number.is_finite()).ok_or(Misfit::Range)?;
    let sent = if kind == Kind::Integer && number.abs() >= EXACT_BELOW { text.parse().ok() } else { None };
    Ok((number, sent))
}

fn read_integer(
    draft: &mut Draft,
    event: &str,
    rule: &NumberRule,
    value: Token,
    reading: Reading,
) -> Result<Cell, Misfit> {
    let integer = parse_integer(draft, event, value, reading)?;
    rule.check_integer(integer)?;
    Ok(Cell::Integer(integer))
}

#[inline]
fn parse_integer(draft: &mut Draft, event: &str, value: Token, reading: Reading) -> Result<i64, Misfit> {
    match number_text(draft, event, value, reading)? {
        (text, Kind::Integer) => text.parse::<i64>().map_err(|_| Misfit::Range),
        (text, _) => {
            let number = decimal::read(text);
            if number.fract() != 0.0 {
                return Err(Misfit::Type);
            }
            if number.abs() >= EXACT_BELOW {
                return Err(Misfit::Range);
            }
            Ok(number as i64)
        }
    }
}

fn read_boolean(
    draft: &mut Draft,
    event: &str,
    one_of: &[bool],
    value: Token,
    reading: Reading,
) -> Result<Cell, Misfit> {
    let value = match value.kind {
        Kind::True => true,
        Kind::False => false,
        Kind::Text | Kind::EscapedText if reading == Reading::Cleaned => {
            let place = draft.text(event, value);
            boolean_word(draft.resolve(event, place).trim_ascii()).ok_or(Misfit::Type)?
        }
        _ => return Err(Misfit::Type),
    };
    if one_of.is_empty() || one_of.contains(&value) { Ok(Cell::Boolean(value)) } else { Err(Misfit::NotListed) }
}

fn boolean_word(word: &str) -> Option<bool> {
    let is = |words: [&str; 3]| words.iter().any(|listed| word.eq_ignore_ascii_case(listed));
    match (is(["true", "yes", "on"]), is(["false", "no", "off"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// Holds an array of so many items to its rule; `differ` says whether no two of them are equal.
pub(crate) fn check_list(rule: &ListRule, items: usize, differ: impl FnOnce() -> bool) -> Result<(), Misfit> {
    if !rule.takes(items as u64) {
        return Err(Misfit::Items);
    }
    if rule.repeats == Repeats::Refused && !differ() {
        return Err(Misfit::Repeated);
    }
    Ok(())
}
