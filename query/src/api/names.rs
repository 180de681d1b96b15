//! The names of a record's columns, as clients see them.

use std::borrow::Cow;

use arrow::datatypes::Schema;

use crate::error::QueryError;

/// The names of common columns that differ from those in the table.
const DIFFERENT: [(&str, &str); 2] = [("event_id", "id"), ("event_time", "time")];

/// What a column of the table is called in an answer; `None`: it is in none, for it follows from another. A property that is called
/// like a common column is told from it by `data.` before its name.
pub(super) fn shown(column: &str) -> Option<Cow<'_, str>> {
    if column == "event_date" {
        return None;
    }
    let different = DIFFERENT.iter().find_map(|(table, shown)| {
        if *table == column {
            Some(Cow::Borrowed(*shown))
        } else if *shown == column {
            Some(Cow::Owned(format!("data.{column}")))
        } else {
            None
        }
    });
    different.or(Some(Cow::Borrowed(column)))
}

/// The columns of the table that `fields` names, in its order.
///
/// # Errors
///
/// When a name is unknown or given twice; the message lists those there are.
pub(super) fn columns(fields: &str, table: &Schema) -> Result<Vec<String>, QueryError> {
    let known = || table.fields().iter().filter_map(|field| Some((shown(field.name())?, field.name())));
    let refused = |what: String| {
        let names: Vec<_> = known().map(|(name, _)| name).collect();
        QueryError::parameter("fields", format!("{what}; known: {}", names.join(", ")))
    };
    let mut columns: Vec<String> = Vec::new();
    for field in fields.split(',').map(str::trim) {
        let said = || field.chars().take(80).collect::<String>();
        let found = known().find(|(name, _)| name == field);
        let (_, column) = found.ok_or_else(|| refused(format!("there is no field `{}`", said())))?;
        if columns.contains(column) {
            return Err(refused(format!("`{}` is named twice", said())));
        }
        columns.push(column.clone());
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn table() -> Schema {
        let names = ["event_id", "event_time", "event_date", "owner", "id", "value", "extra"];
        Schema::new(names.map(|name| Field::new(name, DataType::Utf8, true)).to_vec())
    }

    #[test]
    fn fields_are_named_as_answers_show_them() {
        for (fields, found) in [
            ("id", vec!["event_id"]),
            ("value, time,id", vec!["value", "event_time", "event_id"]),
            ("data.id,extra", vec!["id", "extra"]),
        ] {
            assert_eq!(columns(fields, &table()).unwrap(), found, "{fields}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_with_those_there_are() {
        for (fields, what) in [
            ("values", "there is no field `values`"),
            ("event_id", "there is no field `event_id`"),
            ("event_date", "there is no field `event_date`"),
            ("value.x", "there is no field `value.x`"),
            ("data.value", "there is no field `data.value`"),
            ("", "there is no field ``"),
            ("id,", "there is no field ``"),
            ("id,value,id", "`id` is named twice"),
        ] {
            let message = columns(fields, &table()).unwrap_err().to_string();
            assert_eq!(message, format!("`fields`: {what}; known: id, time, owner, data.id, value, extra"), "{fields}");
        }
    }
}
