//! Settings about how data files are laid out: `sort` and `bloom_filters`.

use super::super::Result;
use super::super::cursor::{At, shown};
use super::distinct;
use crate::dataset::{COMMON_COLUMNS, ObjectRule, ValueKind};

pub(super) fn sort(object: &ObjectRule, setting: &At<'_>) -> Result<Vec<String>> {
    let columns = distinct(setting)?;
    if columns.is_empty() {
        return setting.refuse("expected at least one column; without this setting it is `source`, `event_time`");
    }
    for (column, at) in columns.iter().zip(setting.items()?) {
        let declared = object.properties.iter().find(|property| property.name == *column);
        match declared.map(|property| &property.values.kind) {
            None if COMMON_COLUMNS.contains(&column.as_str()) => {}
            None => {
                return at.refuse(format!("`{}` is no column of this table that rows can be sorted by", shown(column)));
            }
            Some(ValueKind::Object(_) | ValueKind::List(_)) => {
                return at.refuse(format!("`{}` is nested, and rows are sorted by single values", shown(column)));
            }
            Some(_) => {}
        }
    }
    Ok(columns)
}

pub(super) fn bloom_filters(object: &ObjectRule, setting: &At<'_>) -> Result<Vec<String>> {
    let mut columns = distinct(setting)?;
    for (column, at) in columns.iter().zip(setting.items()?) {
        let declared = object.properties.iter().find(|property| property.name == *column);
        let is_text = declared.is_some_and(|property| matches!(property.values.kind, ValueKind::Text(_)));
        if !is_text && !["event_id", "source"].contains(&column.as_str()) {
            return at.refuse(format!(
                "`{}` cannot have a bloom filter; `event_id`, `source` and string properties that are not nested can",
                shown(column)
            ));
        }
    }
    if !columns.iter().any(|column| column == "source") {
        columns.insert(0, "source".to_owned());
    }
    Ok(columns)
}
