//! Objects: properties, which of them are required, and what becomes of other fields.

use serde_json::Value;

use super::cursor::{At, shown};
use super::names::{self, Level};
use super::values::Compiler;
use super::{Result, fits};
use crate::dataset::{Clean, Identity, Nulls, ObjectRule, Property, Required, Undeclared, ValueKind, Values};

impl<'a> Compiler<'a> {
    /// An object inside a property.
    pub(super) fn nested_object(&mut self, at: &At<'a>, depth: usize) -> Result<ObjectRule> {
        let object = self.object(at, depth + 1)?;
        if object.properties.is_empty() {
            return at.refuse(
                "an object needs at least one property, since a struct column cannot be empty. Leave it undeclared and it \
                 is kept in `extra`",
            );
        }
        Ok(object)
    }

    /// An object whose properties lie `depth` columns deep.
    pub(super) fn object(&mut self, at: &At<'a>, depth: usize) -> Result<ObjectRule> {
        let mut properties = Vec::new();
        if let Some(declared) = at.get("properties") {
            names::check(&declared, if depth == 1 { Level::Table } else { Level::Struct })?;
            for (name, at) in declared.members()? {
                properties.push(self.property(name, &at, depth)?);
            }
        }
        if let Some(required) = at.get("required") {
            require(&mut properties, &required)?;
        }
        let undeclared = match at.get("additionalProperties") {
            Some(allowed) if !allowed.flag()? => Undeclared::Refused,
            _ => Undeclared::Kept,
        };
        Ok(ObjectRule { properties, undeclared })
    }

    fn property(&mut self, name: &str, at: &At<'a>, depth: usize) -> Result<Property> {
        let compiled = self.values(at, depth)?;
        let default = compiled.default.map(|default| check_default(&compiled.values, &default)).transpose()?;
        Ok(Property {
            name: name.to_owned(),
            aliases: Vec::new(),
            required: Required::No,
            values: compiled.values,
            default: default.cloned(),
            clean: Clean::default(),
            identity: Identity::Plain,
        })
    }
}

fn check_default<'a>(values: &Values, default: &At<'a>) -> Result<&'a Value> {
    if matches!(values.kind, ValueKind::Object(_) | ValueKind::List(_)) {
        return default
            .refuse("a `default` for an object or array is not implemented; give one to each property inside");
    }
    if default.value.is_null() && values.nulls == Nulls::Listed {
        return Ok(default.value);
    }
    match fits::misfit(&values.kind, default.value) {
        Some(problem) => default.refuse(format!("the default breaks its own rule: {problem}")),
        None => Ok(default.value),
    }
}

fn require(properties: &mut [Property], required: &At<'_>) -> Result<()> {
    for at in required.items()? {
        let name = at.text()?;
        match properties.iter_mut().find(|property| property.name == name) {
            Some(property) => property.required = Required::Yes,
            None => {
                return at.refuse(format!("`{}` is required and not declared under `properties`", shown(name)));
            }
        }
    }
    Ok(())
}
