//! Whether a value that the schema itself holds, such as a `default`, is one that the schema allows.

use serde_json::{Number, Value};

use super::scalar::whole;
use super::times::{is_date, is_date_time};
use crate::dataset::{NumberFault, NumberRule, TextFault, ValueKind};

/// Why a value is none of the values of this kind; `None` when it is. An object or array never is.
pub(super) fn misfit(kind: &ValueKind, value: &Value) -> Option<&'static str> {
    match (kind, value) {
        (ValueKind::Text(rule), Value::String(text)) => rule.check(text).err().map(text_problem),
        (ValueKind::Text(_), _) => Some("expected a string"),
        (ValueKind::Timestamp, Value::String(text)) if is_date_time(text) => None,
        (ValueKind::Timestamp, _) => Some("expected a time such as \"2014-02-14T14:30:00Z\""),
        (ValueKind::Date, Value::String(text)) if is_date(text) => None,
        (ValueKind::Date, _) => Some("expected a date such as \"2014-02-14\""),
        (ValueKind::Integer(rule), value) => match whole(value) {
            Some(integer) => rule.check_integer(integer).err().map(number_problem),
            None => Some("expected an integer of 64 bits"),
        },
        (ValueKind::Number(rule), Value::Number(_)) => number_misfit(rule, value),
        (ValueKind::Number(_), _) => Some("expected a number"),
        (ValueKind::Boolean(allowed), Value::Bool(value)) => {
            (!allowed.is_empty() && !allowed.contains(value)).then_some("it is none of the values allowed")
        }
        (ValueKind::Boolean(_), _) => Some("expected true or false"),
        (ValueKind::Object(_) | ValueKind::List(_), _) => Some("expected a single value"),
    }
}

/// Whether values are listed, and none of them meets the other bounds.
pub(super) fn lists_none_that_fits(kind: &ValueKind) -> bool {
    let unlisted = |rule: &NumberRule| NumberRule { one_of: Vec::new(), ..rule.clone() };
    match kind {
        ValueKind::Text(rule) => !rule.one_of.is_empty() && !rule.one_of.iter().any(|text| rule.check(text).is_ok()),
        ValueKind::Integer(rule) => none_fits(&ValueKind::Integer(unlisted(rule)), &rule.one_of),
        ValueKind::Number(rule) => none_fits(&ValueKind::Number(unlisted(rule)), &rule.one_of),
        _ => false,
    }
}

fn none_fits(kind: &ValueKind, listed: &[Number]) -> bool {
    !listed.is_empty() && listed.iter().all(|number| misfit(kind, &Value::Number(number.clone())).is_some())
}

fn number_misfit(rule: &NumberRule, value: &Value) -> Option<&'static str> {
    let checked = match (value.as_i64(), value.as_f64()) {
        (Some(integer), _) => rule.check_integer(integer),
        (None, number) => rule.check_number(number.unwrap_or(f64::NAN)),
    };
    checked.err().map(number_problem)
}

fn text_problem(fault: TextFault) -> &'static str {
    match fault {
        TextFault::Length => "it has too few or too many characters",
        TextFault::NotListed => "it is none of the values allowed",
        TextFault::Pattern => "it has no match of the pattern",
        TextFault::Format => "it is not written as the format says",
    }
}

fn number_problem(fault: NumberFault) -> &'static str {
    match fault {
        NumberFault::Bounds => "it lies out of bounds",
        NumberFault::NotListed => "it is none of the values allowed",
        NumberFault::NotMultiple => "it is no multiple of what it must be one of",
    }
}
