//! Reads one property's value: what fits as it is, what can be cleaned without loss, and why the rest does not fit.
//!
//! Cleaning: a text that is a number by JSON's grammar counts as that number (`"21.5"`; white space around it is ignored,
//! `"007"` is no number); a whole number written with a fraction or exponent is an integer (`3.0`, `1e3`) below 2⁵³, where it is
//! exact; an integer is a number; `true`, `false`, `yes`, `no`, `on` and `off` as texts, in any case, are booleans; times are
//! read as [`time`](crate::time) says; a time at midnight UTC is a date.

use alluvium_core::dataset::{Bounds, ListRule, NumberRule, Repeats, TextRule};

use crate::decimal;
use crate::draft::{Cell, Draft};
use crate::judge::Reading;
use crate::plan::{KindPlan, ValuePlan};
use crate::scan::number_kind;
use crate::tape::{Kind, Token};
use crate::time;

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

/// Reads a value that is neither null nor of a nested kind.
#[inline]
pub(crate) fn read(
    draft: &mut Draft,
    event: &str,
    values: &ValuePlan,
    token: Token,
    reading: Reading,
) -> Result<Cell, Misfit> {
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
    check_text(rule, draft.resolve(event, place))?;
    Ok(Cell::Text(place))
}

fn check_text(rule: &TextRule, text: &str) -> Result<(), Misfit> {
    // A text has no more characters than bytes, so most need no counting.
    if rule.max_chars.is_some_and(|most| text.len() as u64 > most && text.chars().count() as u64 > most)
        || rule.min_chars.is_some_and(|least| (text.chars().count() as u64) < least)
    {
        return Err(Misfit::Length);
    }
    if !rule.one_of.is_empty() && rule.one_of.binary_search_by(|allowed| allowed.as_str().cmp(text)).is_err() {
        return Err(Misfit::NotListed);
    }
    if rule.pattern.as_ref().is_some_and(|pattern| !pattern.matches(text)) {
        return Err(Misfit::Pattern);
    }
    Ok(())
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
    let (text, _) = number_text(draft, event, value, reading)?;
    let number = Some(decimal::read(text)).filter(|number| number.is_finite()).ok_or(Misfit::Range)?;
    if rule.bounds.contain(number) { Ok(Cell::Number(number)) } else { Err(Misfit::Bounds) }
}

fn read_integer(
    draft: &mut Draft,
    event: &str,
    rule: &NumberRule,
    value: Token,
    reading: Reading,
) -> Result<Cell, Misfit> {
    const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;
    let integer = match number_text(draft, event, value, reading)? {
        (text, Kind::Integer) => text.parse::<i64>().map_err(|_| Misfit::Range)?,
        (text, _) => {
            let number = decimal::read(text);
            if number.abs() >= EXACT_BELOW {
                return Err(Misfit::Range);
            }
            if number.fract() != 0.0 {
                return Err(Misfit::Type);
            }
            number as i64
        }
    };
    if rule.bounds.contain(integer as f64) { Ok(Cell::Integer(integer)) } else { Err(Misfit::Bounds) }
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
    let items = items as u64;
    if rule.min_items.is_some_and(|least| items < least) || rule.max_items.is_some_and(|most| items > most) {
        return Err(Misfit::Items);
    }
    if rule.repeats == Repeats::Refused && !differ() {
        return Err(Misfit::Repeated);
    }
    Ok(())
}
