//! The schema that says what was inferred.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::object::Fields;
use super::shape::Shape;
use super::{ATTRIBUTES, Inference};
use crate::dataset::schema::names::{Level, allowed, mended};
use crate::limits;

/// The most fields that the schema's description names.
const NOTES: usize = 20;

pub(super) fn schema(inference: &Inference) -> Value {
    let mut renderer = Renderer { aliases: Map::new(), notes: Vec::new(), columns: 0 };
    let attributes = inference.attributes.iter().zip(ATTRIBUTES).filter(|(attribute, _)| attribute.shape.count > 0);
    let mut fields: Vec<(&str, &Shape)> = Vec::new();
    let mut sentences = Vec::new();
    for (attribute, name) in attributes.clone() {
        let values = attribute.shape.count - attribute.shape.nulls;
        if attribute.unfit > 0 && attribute.unfit == values {
            fields.push((name, &attribute.shape));
        } else if attribute.unfit > 0 {
            sentences.push(format!(
                "{} of {} values of `{name}` cannot be that attribute of an event: their events become dead letters.",
                count(attribute.unfit),
                count(values)
            ));
        }
    }
    let stands_outside = |name: &str| {
        let framing = ["data", "specversion"].contains(&name) && inference.enveloped > 0;
        framing || attributes.clone().any(|(_, attribute)| attribute == name)
    };
    for (name, shape) in inference.data.iter() {
        if stands_outside(name) {
            renderer.note(name, "it means something else outside `data`");
        } else {
            fields.push((name, shape));
        }
    }
    let (properties, required) =
        renderer.fields(&fields, inference.data.count, "events", Level::Table, &mut Vec::new());
    if inference.data.left_out {
        sentences.push("Some fields are not listed: there are too many, or their names are too long.".to_owned());
    }
    if inference.strangers > 0 {
        sentences.push(format!("{} values were no objects and were left out.", count(inference.strangers)));
    }
    sentences.extend(renderer.left_to_extra());
    let events = match inference.events {
        1 => "1 event".to_owned(),
        events => format!("{} events", count(events)),
    };
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": format!("Inferred from {events}. {}", sentences.join(" ")).trim_end(),
        "type": "object",
        "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !renderer.aliases.is_empty() {
        schema["x-alluvium"] = json!({ "aliases": renderer.aliases });
    }
    schema
}

/// Writes schemas, and notes what cannot be declared.
struct Renderer {
    aliases: Map<String, Value>,
    notes: Vec<String>,
    columns: usize,
}

impl Renderer {
    fn note(&mut self, path: &str, why: impl std::fmt::Display) {
        self.notes.push(format!("`{path}` ({why})"));
    }

    fn left_to_extra(&self) -> Option<String> {
        let more = self.notes.len().saturating_sub(NOTES);
        let named = self.notes[..self.notes.len() - more].join(", ");
        let and_more = if more > 0 { format!(" and {} more", count(more as u64)) } else { String::new() };
        (!self.notes.is_empty()).then(|| format!("Not declared, and so kept in `extra`: {named}{and_more}."))
    }

    /// The `properties` of an object, and which of them are required. `path` leads to the object by the names of columns.
    fn fields(
        &mut self,
        fields: &[(&str, &Shape)],
        objects: u64,
        of: &str,
        level: Level,
        path: &mut Vec<String>,
    ) -> (Map<String, Value>, Vec<String>) {
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let raw: BTreeSet<String> = fields.iter().map(|(name, _)| name.to_lowercase()).collect();
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (raw_name, shape) in fields {
            let fits = allowed(raw_name, level, &taken);
            let name = if fits { (*raw_name).to_owned() } else { mended(raw_name, level, &(&taken | &raw)) };
            path.push(name.clone());
            let declared = self.property(shape, Some(described(shape, objects, of)), path);
            let at = path.join(".");
            path.pop();
            let property = match declared {
                Ok(property) => property,
                Err(why) => {
                    self.note(&at, why);
                    continue;
                }
            };
            taken.insert(name.to_lowercase());
            if !fits {
                self.aliases.insert(at, json!([raw_name]));
            }
            if shape.count - shape.nulls == objects {
                required.push(name.clone());
            }
            properties.insert(name, property.into());
        }
        (properties, required)
    }

    /// The schema of the values at one place, or why they can have none.
    fn property(
        &mut self,
        shape: &Shape,
        description: Option<String>,
        path: &mut Vec<String>,
    ) -> Result<Map<String, Value>, String> {
        let type_name = one_type(shape)?;
        let nullable = shape.nulls > 0;
        let mut schema = Map::new();
        schema.insert("type".to_owned(), if nullable { json!([type_name, "null"]) } else { json!(type_name) });
        if let Some(description) = description {
            schema.insert("description".to_owned(), description.into());
        }
        if let Some(objects) = &shape.objects {
            self.object(&mut schema, objects, path)?;
            return Ok(schema);
        }
        if let Some(lists) = &shape.lists {
            let items = self.property(&lists.items, None, path).map_err(|why| match lists.items.count {
                0 => "arrays without items".to_owned(),
                _ => format!("its items: {why}"),
            })?;
            schema.insert("items".to_owned(), items.into());
            return Ok(schema);
        }
        self.columns += 1;
        if self.columns > limits::SCHEMA_COLUMNS {
            return Err(format!("past the limit of {} columns", count(limits::SCHEMA_COLUMNS as u64)));
        }
        let Some(texts) = &shape.texts else { return Ok(schema) };
        if let Some(format) = texts.format() {
            schema.insert("format".to_owned(), format.into());
        } else if let Some(few) = texts.few() {
            let null = nullable.then_some(Value::Null);
            schema.insert("enum".to_owned(), few.into_iter().map(Value::from).chain(null).collect());
        }
        Ok(schema)
    }

    fn object(
        &mut self,
        schema: &mut Map<String, Value>,
        objects: &Fields,
        path: &mut Vec<String>,
    ) -> Result<(), String> {
        if objects.left_out {
            return Err("objects with too many names, or too long ones, for columns".to_owned());
        }
        let fields: Vec<_> = objects.iter().collect();
        let (properties, required) = self.fields(&fields, objects.count, "objects", Level::Struct, path);
        if properties.is_empty() {
            return Err("objects without a field that can be declared".to_owned());
        }
        schema.insert("properties".to_owned(), properties.into());
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        Ok(())
    }
}

/// The one type that all values have, null left out, or why there is none.
fn one_type(shape: &Shape) -> Result<&'static str, String> {
    match shape.types().as_slice() {
        [] => Err("null alone".to_owned()),
        [("integer", _), ("number", _)] => Ok("number"),
        [(name @ ("integer" | "number" | "boolean" | "string" | "object" | "array"), _)] => Ok(name),
        types => {
            let seen: Vec<_> = types.iter().map(|(name, seen)| format!("{name} in {}", count(*seen))).collect();
            Err(seen.join(", "))
        }
    }
}

/// What was counted, for the person who edits the schema.
fn described(shape: &Shape, objects: u64, of: &str) -> String {
    let mut parts = vec![match shape.count == objects {
        true => format!("In all {} {of}", count(objects)),
        false => format!("In {} of {} {of}", count(shape.count), count(objects)),
    }];
    if shape.nulls > 0 {
        parts.push(format!("null in {}", count(shape.nulls)));
    }
    if let Some(texts) = &shape.texts {
        parts.push(match texts.distinct() {
            Some(1) => "1 distinct value".to_owned(),
            Some(distinct) => format!("{distinct} distinct values"),
            None => "many distinct values".to_owned(),
        });
        parts.push(format!("{} to {} characters", count(texts.least_chars as u64), count(texts.most_chars as u64)));
    }
    if let Some((least, most)) = shape.range {
        parts.push(format!("{} to {}", number(least), number(most)));
    }
    if let Some(lists) = &shape.lists {
        let plural = if lists.most_items == 1 { "" } else { "s" };
        parts.push(format!("up to {} item{plural}", count(lists.most_items)));
    }
    parts.join("; ") + "."
}

/// A number as JSON writes it.
fn number(number: f64) -> String {
    match number {
        whole if whole.fract() == 0.0 && whole.abs() < 1e15 => format!("{whole:.0}"),
        other => Value::from(other).to_string(),
    }
}

/// A count with a comma every three digits.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
