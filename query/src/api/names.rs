//! The names of a record's columns, as clients see them.

use std::borrow::Cow;

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
