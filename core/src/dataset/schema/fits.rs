//! Whether a value that the schema itself holds, such as a `default`, is one that the schema allows.

use serde_json::Value;

use super::scalar::whole;
use crate::dataset::{Nulls, ObjectRule, Required, Undeclared, ValueKind, Values};

/// Why a value is none of these values; `None` when it is.
pub(super) fn misfit(values: &Values, value: &Value) -> Option<String> {
    let wrong_type = |expected: &str| Some(format!("expected {expected}"));
    match (&values.kind, value) {
        (_, Value::Null) => (values.nulls == Nulls::NotListed).then(|| "null is not allowed".to_owned()),
        (ValueKind::Text(_), Value::String(_)) => None,
        (ValueKind::Text(_) | ValueKind::Timestamp | ValueKind::Date, _) => wrong_type("a string"),
        (ValueKind::Integer(_), value) if whole(value).is_some() => None,
        (ValueKind::Integer(_), _) => wrong_type("an integer of 64 bits"),
        (ValueKind::Number(_), Value::Number(_)) => None,
        (ValueKind::Number(_), _) => wrong_type("a number"),
        (ValueKind::Boolean(_), Value::Bool(_)) => None,
        (ValueKind::Boolean(_), _) => wrong_type("true or false"),
        (ValueKind::Object(object), Value::Object(members)) => misfit_in_object(object, members),
        (ValueKind::Object(_), _) => wrong_type("an object"),
        (ValueKind::List(list), Value::Array(items)) => items.iter().find_map(|item| misfit(&list.items, item)),
        (ValueKind::List(_), _) => wrong_type("an array"),
    }
}

fn misfit_in_object(object: &ObjectRule, members: &serde_json::Map<String, Value>) -> Option<String> {
    let missing = object.properties.iter().find(|p| p.required == Required::Yes && !members.contains_key(&p.name));
    if let Some(missing) = missing {
        return Some(format!("`{}` is required", missing.name));
    }
    members.iter().find_map(|(name, value)| match object.properties.iter().find(|property| property.name == *name) {
        Some(property) => misfit(&property.values, value).map(|problem| format!("in `{name}`: {problem}")),
        None => (object.undeclared == Undeclared::Refused).then(|| format!("`{name}` is not declared")),
    })
}
