//! `x-alluvium`: our own settings of a dataset.

mod clean;
mod drop;
mod layout;
mod names;

use std::collections::BTreeSet;

use super::Result;
use super::cursor::{At, shown};
use crate::dataset::{Dataset, Misfits, ObjectRule, Property, ValueKind};
use crate::limits;

/// In the order in which they are applied, so that each finds what those before it have set.
pub(super) const SETTINGS: [&str; 12] = [
    "aliases",
    "types",
    "strict",
    "clean",
    "pseudonymise",
    "drop",
    "sort",
    "bloom_filters",
    "hot_retention",
    "retention",
    "max_past",
    "max_future",
];

pub(super) fn apply(dataset: &mut Dataset, settings: &At<'_>) -> Result<()> {
    for (setting, at) in settings.members()? {
        if !SETTINGS.contains(&setting) {
            return at.unknown("setting", setting, &SETTINGS);
        }
    }
    for setting in SETTINGS {
        let Some(at) = settings.get(setting) else { continue };
        match setting {
            "aliases" => names::aliases(&mut dataset.object, &at)?,
            "types" => dataset.types = types(&at)?,
            "strict" => dataset.misfits = if at.flag()? { Misfits::Refused } else { Misfits::Kept },
            "clean" => clean::apply(&mut dataset.object, &at)?,
            "pseudonymise" => names::pseudonymise(&mut dataset.object, &at)?,
            "drop" => drop::apply(dataset, &at)?,
            "sort" => dataset.sort = layout::sort(&dataset.object, &at)?,
            "bloom_filters" => dataset.bloom_filters = layout::bloom_filters(&dataset.object, &at)?,
            "hot_retention" => dataset.hot_retention = at.duration()?,
            "retention" => dataset.retention = Some(at.duration()?),
            "max_past" => dataset.max_past = at.duration()?,
            "max_future" => dataset.max_future = at.duration()?,
            _ => unreachable!("every setting that is listed has an arm"),
        }
    }
    Ok(())
}

fn types(at: &At<'_>) -> Result<Vec<String>> {
    let types = distinct(at)?;
    match at.items()?.find(|item| !(1..=1024).contains(&item.value.as_str().map_or(0, str::len))) {
        Some(item) => item.refuse("expected 1 to 1,024 bytes, as the `type` of an event has"),
        None => Ok(types),
    }
}

/// An array of strings, each of which stands there once.
fn distinct(at: &At<'_>) -> Result<Vec<String>> {
    let items = at.items()?;
    if items.len() > limits::SCHEMA_NAMES {
        return at.refuse(format!("{} values; at most {} are taken", items.len(), limits::SCHEMA_NAMES));
    }
    let mut seen = BTreeSet::new();
    for item in items {
        let text = item.text()?;
        if !seen.insert(text) {
            return item.refuse(format!("`{}` stands twice", shown(text)));
        }
    }
    at.texts()
}

/// Where a path leads.
struct Found<'d> {
    property: &'d mut Property,
    /// Whether it leads through the items of an array.
    in_list: bool,
}

/// The property that a name or dotted path leads to; a name of the object itself comes first.
fn find<'d>(object: &'d mut ObjectRule, path: &str) -> Option<Found<'d>> {
    let mut in_list = false;
    let mut properties = &mut object.properties;
    let mut rest = path;
    loop {
        if let Some(index) = properties.iter().position(|property| property.name == rest) {
            return Some(Found { property: &mut properties[index], in_list });
        }
        let (name, inner) = rest.split_once('.')?;
        let index = properties.iter().position(|property| property.name == name)?;
        let mut kind = &mut properties[index].values.kind;
        while let ValueKind::List(list) = kind {
            in_list = true;
            kind = &mut list.items.kind;
        }
        let ValueKind::Object(object) = kind else { return None };
        (properties, rest) = (&mut object.properties, inner);
    }
}

/// The property that a setting names.
fn named<'d>(object: &'d mut ObjectRule, path: &str, at: &At<'_>) -> Result<Found<'d>> {
    match find(object, path) {
        Some(found) => Ok(found),
        None => at.refuse(format!(
            "`{}` is not declared under `properties`; a nested property is named by its path, such as `position.lat`",
            shown(path)
        )),
    }
}
