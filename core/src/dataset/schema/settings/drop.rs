//! `drop`: fields that are not kept, and events that are not written.

use serde_json::Value;

use super::super::Result;
use super::super::cursor::{At, shown};
use super::distinct;
use crate::dataset::{Condition, Dataset, EventFilter, ObjectRule, ValueKind};
use crate::limits;

pub(super) fn apply(dataset: &mut Dataset, setting: &At<'_>) -> Result<()> {
    for (what, at) in setting.members()? {
        match what {
            "fields" => dataset.dropped_fields = fields(&dataset.object, &at)?,
            "events" => dataset.dropped_events = events(&dataset.object, &at)?,
            other => return at.unknown("setting", other, &["fields", "events"]),
        }
    }
    Ok(())
}

fn fields(object: &ObjectRule, at: &At<'_>) -> Result<Vec<String>> {
    let names = distinct(at)?;
    for (name, at) in names.iter().zip(at.items()?) {
        let leads_here =
            |property: &&crate::dataset::Property| property.name == *name || property.aliases.contains(name);
        if let Some(property) = object.properties.iter().find(leads_here) {
            return at.refuse(format!(
                "`{}` is the declared property `{}`; take it out of `properties` or `aliases`",
                shown(name),
                property.name
            ));
        }
        if ["id", "source", "type", "time"].contains(&name.as_str()) {
            return at.refuse(format!("`{name}` is an attribute of the event, which is always kept"));
        }
    }
    Ok(names)
}

fn events(object: &ObjectRule, at: &At<'_>) -> Result<Vec<EventFilter>> {
    let mut values = 0;
    let filters = at.items()?.map(|filter| {
        let conditions = filter.members()?.map(|(field, at)| condition(object, field, &at, &mut values));
        let conditions: Vec<_> = conditions.collect::<Result<_>>()?;
        if conditions.is_empty() {
            return filter.refuse("expected at least one condition; without one every event would be dropped");
        }
        Ok(EventFilter { conditions })
    });
    filters.collect()
}

fn condition(object: &ObjectRule, field: &str, at: &At<'_>, values: &mut usize) -> Result<Condition> {
    let declared = object.properties.iter().find(|property| property.name == field);
    let any_of: Vec<At<'_>> = if at.value.is_array() { at.items()?.collect() } else { vec![at.clone()] };
    if any_of.is_empty() {
        return at.refuse("expected a value, or an array of values; none is never equal");
    }
    *values += any_of.len();
    if *values > limits::SCHEMA_NAMES {
        return at.refuse(format!("more than {} values in `events`", limits::SCHEMA_NAMES));
    }
    let (expected, fits): (&str, fn(&Value) -> bool) = match declared.map(|property| &property.values.kind) {
        None if field == "source" => ("a string", Value::is_string),
        None if field == "type" => ("a string or null", |value| value.is_string() || value.is_null()),
        None => {
            return at.refuse(format!(
                "`{}` is neither a property of this dataset nor `source` or `type`; what is nested cannot be asked for",
                shown(field)
            ));
        }
        Some(ValueKind::Text(_)) => ("a string or null", |value| value.is_string() || value.is_null()),
        Some(ValueKind::Integer(_) | ValueKind::Number(_)) => {
            ("a number or null", |value| value.is_number() || value.is_null())
        }
        Some(ValueKind::Boolean(_)) => ("true, false or null", |value| value.is_boolean() || value.is_null()),
        Some(ValueKind::Timestamp | ValueKind::Date) => {
            return at.refuse("a time cannot be asked for; `max_past` and `max_future` bound the time of an event");
        }
        Some(ValueKind::Object(_) | ValueKind::List(_)) => {
            return at.refuse("an object or array cannot be asked for");
        }
    };
    match any_of.iter().find(|value| !fits(value.value)) {
        Some(stranger) => stranger.refuse(format!("expected {expected}, as `{}` is", shown(field))),
        None => Ok(Condition { field: field.to_owned(), any_of: any_of.iter().map(|at| at.value.clone()).collect() }),
    }
}
