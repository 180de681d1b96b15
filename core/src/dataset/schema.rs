//! From a JSON Schema file to a [`Dataset`]. What is not implemented is refused by name and position, never ignored.
//!
//! Compiling takes time and memory that are bounded by the limits of [`limits`], whatever the file holds: fuzzers feed it
//! arbitrary bytes.

mod cursor;
mod fits;
mod json;
pub(super) mod names;
mod object;
mod patterns;
mod reference;
mod scalar;
mod settings;
mod times;
mod values;

use cursor::At;
use values::{Compiler, check_annotations};

pub(super) use scalar::TEXT_FORMATS;
pub(super) use times::{is_date, is_date_time};

use super::{Dataset, DatasetName, Misfits, columns};
use crate::limits;

/// What is wrong with a schema, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at `{pointer}`: {problem}")]
pub struct SchemaError {
    /// A JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

type Result<T> = std::result::Result<T, SchemaError>;

/// Keywords that bound no value. `default` says what stands in for one.
const ANNOTATIONS: [&str; 4] = ["title", "description", "examples", "default"];

/// What may stand at the root, beside a `$ref` or not.
const ROOT: [&str; 7] = ["$schema", "$id", "$defs", "title", "description", "examples", "x-alluvium"];

/// What may stand at the root, or where its `$ref` leads.
const ROOT_OBJECT: [&str; 4] = ["type", "properties", "required", "additionalProperties"];

pub(super) fn compile(name: DatasetName, schema: &str) -> Result<Dataset> {
    let nowhere = |problem: String| SchemaError { pointer: String::new(), problem };
    if schema.len() > limits::SCHEMA_BYTES {
        let problem = format!("the schema has {} bytes; at most {} are taken", schema.len(), limits::SCHEMA_BYTES);
        return Err(nowhere(problem));
    }
    let parsed = json::parse(schema).map_err(|error| nowhere(format!("not JSON: {error}")))?;
    let root = At::root(&parsed);
    let mut compiler = Compiler::new(root.clone());
    let object_at = root_object(&root, &mut compiler)?;
    let object = compiler.object(&object_at, 1)?;
    check_definitions(&root, &mut compiler)?;
    let mut dataset = Dataset {
        name,
        object,
        misfits: Misfits::Kept,
        types: Vec::new(),
        hot_retention: limits::HOT_RETENTION,
        retention: None,
        max_past: limits::MAX_PAST,
        max_future: limits::MAX_FUTURE,
        dropped_fields: Vec::new(),
        dropped_events: Vec::new(),
        sort: vec!["source".to_owned(), "event_time".to_owned()],
        bloom_filters: vec!["source".to_owned()],
        columns: columns::dataset_columns(&[]),
    };
    if let Some(at) = root.get("x-alluvium") {
        settings::apply(&mut dataset, &at)?;
    }
    dataset.columns = columns::dataset_columns(&dataset.object.properties);
    Ok(dataset)
}

/// The object that declares the properties: the root, or what its `$ref` leads to.
fn root_object<'a>(root: &At<'a>, compiler: &mut Compiler<'a>) -> Result<At<'a>> {
    for (keyword, at) in root.members()? {
        if keyword != "$ref" && !ROOT.contains(&keyword) && !ROOT_OBJECT.contains(&keyword) {
            return at.unknown("keyword", keyword, &[&ROOT[..], &["$ref"], &ROOT_OBJECT].concat());
        }
    }
    if let Some(draft) = root.get("$schema")
        && draft.text()?.trim_end_matches('#') != "https://json-schema.org/draft/2020-12/schema"
    {
        return draft
            .refuse("expected \"https://json-schema.org/draft/2020-12/schema\", the draft that is implemented");
    }
    root.get("$id").map(|id| id.text()).transpose()?;
    check_annotations(root)?;
    let target = compiler.references.follow(root, &ROOT)?;
    let at = target.at;
    if root.get("$ref").is_some() {
        check_annotations(&at)?;
        for (keyword, member) in at.members()? {
            if !ROOT_OBJECT.contains(&keyword) && !ANNOTATIONS[..3].contains(&keyword) {
                return member.unknown("keyword", keyword, &[&ROOT_OBJECT[..], &ANNOTATIONS[..3]].concat());
            }
        }
    }
    match at.get("type") {
        Some(kind) if kind.value != "object" => kind.refuse("expected \"object\": an event's data is an object"),
        _ => Ok(at),
    }
}

/// Compiles the definitions that no `$ref` led to, so that what is wrong there is said too.
fn check_definitions<'a>(root: &At<'a>, compiler: &mut Compiler<'a>) -> Result<()> {
    let Some(definitions) = root.get("$defs") else { return Ok(()) };
    for (name, at) in definitions.members()? {
        if name.len() > 255 {
            return definitions.refuse("a name of more than 255 bytes");
        }
        if !compiler.references.reached(&at) {
            compiler.columns = 0;
            compiler.values(&at, 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
