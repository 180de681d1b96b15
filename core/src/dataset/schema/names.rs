//! The names that columns may have.
//!
//! Sources: Delta Lake protocol, "Column Mapping" (the characters ` ,;{}()\n\t=` need it, and we stay at writer version 2);
//! Amazon Athena User Guide, "Name databases, tables, and columns" (255 characters, no case) and "Delta Lake" (a dot in a
//! column's name is read as the way into a struct).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Result;
use super::cursor::{At, shown};
use crate::dataset::{COMMON_COLUMNS, EXTRA_COLUMN};

/// What columns stand beside those of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Those that every table has.
    Table,
    /// None: they are fields of a struct.
    Struct,
}

/// Holds the names under `properties` to what Delta and Athena take.
pub(super) fn check(properties: &At<'_>, level: Level) -> Result<()> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (name, here) in properties.members()? {
        let lower = name.to_lowercase();
        let refused = |why: &str| {
            let taken = properties.object()?.keys().map(|name| name.to_lowercase()).collect();
            let instead = mended(name, level, &taken);
            let path: Vec<_> = outer_names(&here.pointer()).into_iter().chain([instead.clone()]).collect();
            here.refuse(format!(
                "the column name `{}` {why}; name the property `{instead}` and put \"aliases\": {{\"{}\": [{}]}} under \
                 `x-alluvium`",
                shown(name),
                path.join("."),
                Value::from(shown(name))
            ))
        };
        if reserved(&lower, level) {
            return refused("is one of the columns that every table has");
        }
        if !can_be_held(name) {
            return refused("cannot be held by Delta or Athena");
        }
        if let Some(other) = seen.insert(lower, name) {
            return refused(&format!("differs from `{}` by case alone, and Athena knows no case", shown(other)));
        }
    }
    Ok(())
}

/// The properties that lead to the object whose property stands at this pointer.
fn outer_names(pointer: &str) -> Vec<String> {
    let tokens: Vec<_> = pointer.split('/').skip(1).collect();
    let outer = tokens.chunks(2).rev().skip(1).rev().take_while(|pair| pair[0] == "properties");
    outer.filter_map(|pair| pair.get(1)).map(|name| (*name).to_owned()).collect()
}

fn reserved(lower: &str, level: Level) -> bool {
    level == Level::Table && (COMMON_COLUMNS.contains(&lower) || lower == EXTRA_COLUMN)
}

fn can_be_held(name: &str) -> bool {
    let refused = |c: char| " .,;{}()=`\"".contains(c) || c.is_control();
    (1..=255).contains(&name.len()) && !name.contains(refused)
}

/// Whether a column may have this name, given those beside it in lower case.
pub(crate) fn allowed(name: &str, level: Level, taken: &BTreeSet<String>) -> bool {
    let lower = name.to_lowercase();
    can_be_held(name) && !reserved(&lower, level) && !taken.contains(&lower)
}

/// A name like this one that a column may have, given those beside it in lower case.
pub(crate) fn mended(name: &str, level: Level, taken: &BTreeSet<String>) -> String {
    let lower = name.to_lowercase();
    let kept: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(64).collect();
    let base = match kept.as_str() {
        "" => "field".to_owned(),
        name if reserved(name, level) => format!("{name}_value"),
        _ => kept,
    };
    let numbered = (2_u64..).map(|number| format!("{base}_{number}"));
    let mut candidates = std::iter::once(base.clone()).chain(numbered);
    candidates.find(|name| allowed(name, level, taken)).expect("there are more numbers than names taken")
}
