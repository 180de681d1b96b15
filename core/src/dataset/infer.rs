//! From events to a schema that takes them.
//!
//! The schema declares what all events agree on: a property whose values have one type is a column, one whose values differ is
//! left to `extra`, with a note. Counts go into the descriptions, for the person who edits the file. It bounds nothing but
//! formats and, where a text has few values that come often, its values. The same events in the same order give the same
//! schema; memory is bounded, whatever the events hold.
//!
//! Events are read as the transform reads them: in the envelope form when they have `specversion` or an object `data`, whose
//! members are the properties then; in the bare form otherwise.

mod object;
mod render;
mod shape;
mod text;

use serde_json::Value;

use object::Fields;
use shape::{Budget, Shape};

/// The event attributes, which are no properties as long as they can be attributes.
const ATTRIBUTES: [&str; 4] = ["id", "source", "type", "time"];

/// What is known of the events so far.
#[derive(Debug)]
pub struct Inference {
    reads_time: fn(&Value) -> bool,
    events: u64,
    strangers: u64,
    /// Events whose properties are the members of `data`.
    enveloped: u64,
    data: Fields,
    /// The members of bare events that may be attributes, and how many of their values cannot be one.
    attributes: [Attribute; 4],
    budget: Budget,
}

#[derive(Debug, Default)]
struct Attribute {
    shape: Shape,
    unfit: u64,
}

impl Inference {
    /// Knows nothing yet. `reads_time` tells whether the transform reads a value as the time of an event.
    pub fn new(reads_time: fn(&Value) -> bool) -> Self {
        Self {
            reads_time,
            events: 0,
            strangers: 0,
            enveloped: 0,
            data: Fields::default(),
            attributes: Default::default(),
            budget: Budget::default(),
        }
    }

    /// Takes in one event. What is no object is counted, and left out of the schema.
    pub fn add(&mut self, event: &Value) {
        let Some(members) = event.as_object() else {
            self.strangers += 1;
            return;
        };
        self.events += 1;
        let data = members.get("data").and_then(Value::as_object);
        if data.is_some() || members.contains_key("specversion") {
            self.enveloped += 1;
            self.data.count += 1;
            for (name, value) in data.into_iter().flatten() {
                self.data.add(name, value, 1, &mut self.budget);
            }
            return;
        }
        self.data.count += 1;
        for (name, value) in members {
            match ATTRIBUTES.iter().position(|attribute| attribute == name) {
                Some(index) => {
                    let unfit = !self.can_be(index, value);
                    let attribute = &mut self.attributes[index];
                    attribute.unfit += u64::from(unfit);
                    attribute.shape.add(value, 1, &mut self.budget);
                }
                None => self.data.add(name, value, 1, &mut self.budget),
            }
        }
    }

    /// How many events there were, those that are no objects left out.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many of the values taken in were no objects.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    /// The schema, as JSON.
    pub fn schema(&self) -> Value {
        render::schema(self)
    }

    fn can_be(&self, attribute: usize, value: &Value) -> bool {
        match (ATTRIBUTES[attribute], value) {
            (_, Value::Null) => true,
            ("time", value) => (self.reads_time)(value),
            (_, Value::String(text)) => (1..=1024).contains(&text.len()),
            ("id" | "source", Value::Number(_)) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
