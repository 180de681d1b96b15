//! Settings about the names and identities of properties: `aliases` and `pseudonymise`.

use super::super::Result;
use super::super::cursor::{At, shown};
use super::{distinct, named};
use crate::dataset::{COMMON_COLUMNS, Identity, ObjectRule, Property, ValueKind};
use crate::limits;

pub(super) fn aliases(object: &mut ObjectRule, setting: &At<'_>) -> Result<()> {
    let mut count = 0;
    for (path, at) in setting.members()? {
        let listed = distinct(&at)?;
        count += listed.len();
        if count > limits::SCHEMA_NAMES {
            return at.refuse(format!("more than {} aliases", limits::SCHEMA_NAMES));
        }
        named(object, path, &at)?.property.aliases = listed;
    }
    let mut clashes = Vec::new();
    clash(&object.properties, &mut clashes);
    match clashes.first() {
        None => Ok(()),
        Some(alias) => setting.refuse(format!(
            "`{}` already names a property of the same object; an alias leads to one property alone",
            shown(alias)
        )),
    }
}

/// An alias that two properties of one object have, or one has as its name.
fn clash<'d>(properties: &'d [Property], clashes: &mut Vec<&'d str>) {
    let mut names = std::collections::BTreeSet::new();
    for property in properties {
        names.insert(property.name.as_str());
    }
    for alias in properties.iter().flat_map(|property| &property.aliases) {
        if !names.insert(alias) {
            clashes.push(alias);
        }
    }
    for property in properties {
        let mut kind = &property.values.kind;
        while let ValueKind::List(list) = kind {
            kind = &list.items.kind;
        }
        if let ValueKind::Object(object) = kind {
            clash(&object.properties, clashes);
        }
    }
}

pub(super) fn pseudonymise(object: &mut ObjectRule, setting: &At<'_>) -> Result<()> {
    for (path, at) in distinct(setting)?.iter().zip(setting.items()?) {
        if COMMON_COLUMNS.contains(&path.as_str()) {
            return at.refuse(format!(
                "`{path}` cannot be: it is part of what tells events apart or finds them. Let the producer send a pseudonym"
            ));
        }
        let found = named(object, path, &at)?;
        if found.in_list {
            return at.refuse(
                "a property inside an array cannot be: an array that does not fit is kept in `extra` as it was sent. Leave \
                 the array out with `drop`, or let the producer send a pseudonym",
            );
        }
        match &found.property.values.kind {
            ValueKind::Text(rule) if rule.one_of.is_empty() => {}
            ValueKind::Text(_) => {
                return at
                    .refuse("an `enum` tells the values, so that a hash of them hides nothing; remove one of the two");
            }
            _ => return at.refuse("only a string without a `format` of time can be; its column holds text"),
        }
        if found.property.default.is_some() {
            return at.refuse("a `default` identifies nobody; remove it");
        }
        found.property.identity = Identity::Pseudonymised;
    }
    Ok(())
}
