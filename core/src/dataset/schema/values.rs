//! From the schema of a value to what the value must be: its type, null, arrays, and what may stand where.

use super::cursor::{At, shown};
use super::patterns::Patterns;
use super::reference::References;
use super::{ANNOTATIONS, Result, fits, scalar};
use crate::dataset::{ListRule, Nulls, Repeats, ValueKind, Values};
use crate::limits;

/// What goes with a type beside the annotations.
const TEXT: [&str; 6] = ["enum", "const", "minLength", "maxLength", "pattern", "format"];
const NUMBER: [&str; 7] = ["enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const BOOLEAN: [&str; 2] = ["enum", "const"];
const OBJECT: [&str; 3] = ["properties", "required", "additionalProperties"];
const LIST: [&str; 4] = ["items", "minItems", "maxItems", "uniqueItems"];

/// Compiles the values of one schema, and counts what they take.
pub(super) struct Compiler<'a> {
    pub(super) references: References<'a>,
    pub(super) patterns: Patterns<'a>,
    /// The columns so far, those inside structs and lists one by one.
    pub(super) columns: usize,
}

/// What a value must be, and what stands in for it.
pub(super) struct Compiled<'a> {
    pub(super) values: Values,
    /// Its `default`, not yet held to `values`.
    pub(super) default: Option<At<'a>>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(root: At<'a>) -> Self {
        Self { references: References::new(root), patterns: Patterns::default(), columns: 0 }
    }

    /// Compiles the schema of a value that lies `depth` columns deep, from 1.
    pub(super) fn values(&mut self, at: &At<'a>, depth: usize) -> Result<Compiled<'a>> {
        if depth > limits::SCHEMA_DEPTH {
            return at.refuse(format!(
                "columns nest deeper than {} levels; leave the property undeclared and it is kept in `extra`",
                limits::SCHEMA_DEPTH
            ));
        }
        at.object()?;
        let target = self.references.follow(at, &ANNOTATIONS)?;
        let values = self.typed(&target.at, depth)?;
        self.references.leave(&target);
        Ok(Compiled { values, default: target.default })
    }

    fn typed(&mut self, at: &At<'a>, depth: usize) -> Result<Values> {
        check_known(at)?;
        let (type_name, nullable) = type_of(at)?;
        let timed = type_name == "string" && at.get("format").is_some_and(|format| is_time(&format));
        let fitting: &[&str] = match type_name {
            "string" if timed => &["format"],
            "string" => &TEXT,
            "integer" | "number" => &NUMBER,
            "boolean" => &BOOLEAN,
            "object" => &OBJECT,
            "array" => &LIST,
            other => {
                return at.refuse(format!(
                    "the type `{}` is not implemented for a property; known: string, integer, number, boolean, object, \
                     array. Leave the property undeclared and it is kept in `extra`",
                    shown(other)
                ));
            }
        };
        for (keyword, member) in at.members()? {
            if keyword != "type" && !ANNOTATIONS.contains(&keyword) && !fitting.contains(&keyword) {
                return member
                    .refuse(format!("`{keyword}` does not go with this property's type and format; remove it"));
            }
        }
        check_annotations(at)?;
        if !matches!(type_name, "object" | "array") {
            self.columns += 1;
            if self.columns > limits::SCHEMA_COLUMNS {
                return at.refuse(format!("more than {} columns, nested ones included", limits::SCHEMA_COLUMNS));
            }
        }
        let (kind, null_listed) = match type_name {
            "object" => (ValueKind::Object(self.nested_object(at, depth)?), true),
            "array" => (ValueKind::List(self.list(at, depth)?), true),
            "string" if timed => (scalar::time(at)?, true),
            "string" => scalar::text(at, nullable, &mut self.patterns)?,
            "boolean" => scalar::boolean(at, nullable)?,
            "integer" => scalar::integer(at, nullable)?,
            _ => scalar::number(at, nullable)?,
        };
        if fits::lists_none_that_fits(&kind) {
            return at.refuse("none of the values listed meets the other keywords: no value fits");
        }
        let nulls = if nullable && null_listed { Nulls::Listed } else { Nulls::NotListed };
        Ok(Values { kind, nulls })
    }

    fn list(&mut self, at: &At<'a>, depth: usize) -> Result<ListRule> {
        let Some(items) = at.get("items") else {
            return at.refuse("an array needs `items`, so that its column has a type");
        };
        let compiled = self.values(&items, depth + 1)?;
        if let Some(default) = compiled.default {
            return default.refuse("the items of an array have no `default`: none of them can be missing");
        }
        let [min_items, max_items] = ["minItems", "maxItems"].map(|keyword| at.get(keyword));
        let count = |at: &Option<At<'_>>| at.as_ref().map(At::count).transpose();
        let rule = ListRule {
            items: Box::new(compiled.values),
            min_items: count(&min_items)?,
            max_items: count(&max_items)?,
            repeats: match at.get("uniqueItems") {
                Some(at) if at.flag()? => Repeats::Refused,
                _ => Repeats::Allowed,
            },
        };
        match (rule.min_items, rule.max_items, min_items) {
            (Some(least), Some(most), Some(at)) if least > most => {
                at.refuse(format!("`minItems` {least} is more than `maxItems` {most}: no array fits"))
            }
            _ => Ok(rule),
        }
    }
}

/// The keywords that any schema of a value may have.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    let of_types = [&TEXT[..], &NUMBER, &OBJECT, &LIST];
    ["type", "$ref"].into_iter().chain(ANNOTATIONS).chain(of_types.into_iter().flatten().copied())
}

/// Refuses a keyword that no type has.
fn check_known(at: &At<'_>) -> Result<()> {
    for (keyword, member) in at.members()? {
        if !known().any(|name| name == keyword) {
            let mut names: Vec<_> = known().collect();
            names.sort_unstable();
            names.dedup();
            return member.unknown("keyword", keyword, &names);
        }
    }
    Ok(())
}

/// Holds the keywords that are for people to what they must be.
pub(super) fn check_annotations(at: &At<'_>) -> Result<()> {
    for keyword in ["title", "description"] {
        at.get(keyword).map(|member| member.text()).transpose()?;
    }
    at.get("examples").map(|member| member.items()).transpose()?;
    Ok(())
}

/// The one type of a value, and whether null is listed beside it.
fn type_of<'a>(at: &At<'a>) -> Result<(&'a str, bool)> {
    let Some(types) = at.get("type") else {
        return at.refuse("a property needs a `type`, so that its column has one");
    };
    if let Some(one) = types.value.as_str() {
        return Ok((one, false));
    }
    let listed: Vec<_> = types.value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap_or("")).collect();
    match listed.as_slice() {
        [one] => Ok((one, false)),
        [one, "null"] | ["null", one] if *one != "null" => Ok((one, true)),
        _ => types.refuse("expected one type, or one type and \"null\", so that its column has one type"),
    }
}

fn is_time(format: &At<'_>) -> bool {
    matches!(format.value.as_str(), Some("date-time" | "date"))
}
