//! What the values at one place look like.

use serde_json::Value;

use super::object::Fields;
use super::text::Texts;
use crate::limits;

/// The most places that are told apart, in all.
const SHAPES: usize = 20_000;

/// The most bytes of texts that are kept to tell distinct ones, in all.
const TEXT_BYTES: usize = 16 * 1024 * 1024;

/// What an inference may still take.
#[derive(Debug)]
pub(super) struct Budget {
    shapes: usize,
    text_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { shapes: SHAPES, text_bytes: TEXT_BYTES }
    }
}

impl Budget {
    pub(super) fn take_shape(&mut self) -> bool {
        let left = self.shapes.checked_sub(1);
        self.shapes = left.unwrap_or(0);
        left.is_some()
    }

    pub(super) fn take_text(&mut self, bytes: usize) -> bool {
        let left = self.text_bytes.checked_sub(bytes);
        self.text_bytes = left.unwrap_or(self.text_bytes);
        left.is_some()
    }
}

/// How many values of each type there were, and what they had in common.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) count: u64,
    pub(super) nulls: u64,
    pub(super) booleans: u64,
    /// Those that 64 bits hold.
    pub(super) integers: u64,
    /// Integers that 64 bits do not hold.
    pub(super) large: u64,
    /// Numbers with a fraction or exponent.
    pub(super) fractions: u64,
    /// The least and the greatest number.
    pub(super) range: Option<(f64, f64)>,
    pub(super) texts: Option<Box<Texts>>,
    pub(super) objects: Option<Box<Fields>>,
    pub(super) lists: Option<Box<Lists>>,
    /// Values that lie deeper than columns may.
    pub(super) deep: u64,
}

/// What arrays at one place look like.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) count: u64,
    pub(super) items: Shape,
    pub(super) most_items: u64,
}

impl Shape {
    /// Takes in a value that lies `depth` columns deep.
    pub(super) fn add(&mut self, value: &Value, depth: usize, budget: &mut Budget) {
        self.count += 1;
        match value {
            Value::Null => self.nulls += 1,
            _ if depth > limits::SCHEMA_DEPTH => self.deep += 1,
            Value::Bool(_) => self.booleans += 1,
            Value::Number(number) => {
                match () {
                    () if number.is_i64() => self.integers += 1,
                    () if number.is_u64() => self.large += 1,
                    () => self.fractions += 1,
                }
                let number = number.as_f64().unwrap_or_default();
                let (least, most) = self.range.unwrap_or((number, number));
                self.range = Some((least.min(number), most.max(number)));
            }
            Value::String(text) => self.texts.get_or_insert_default().add(text, budget),
            Value::Object(members) => {
                let objects = self.objects.get_or_insert_default();
                objects.count += 1;
                for (name, value) in members {
                    objects.add(name, value, depth + 1, budget);
                }
            }
            Value::Array(items) => {
                let lists = self.lists.get_or_insert_default();
                lists.count += 1;
                lists.most_items = lists.most_items.max(items.len() as u64);
                for item in items {
                    lists.items.add(item, depth + 1, budget);
                }
            }
        }
    }

    /// How many values there are of each type that is there, null left out.
    pub(super) fn types(&self) -> Vec<(&'static str, u64)> {
        let counts = [
            ("integer", self.integers),
            ("integer beyond 64 bits", self.large),
            ("number", self.fractions),
            ("boolean", self.booleans),
            ("string", self.texts.as_ref().map_or(0, |texts| texts.count)),
            ("object", self.objects.as_ref().map_or(0, |objects| objects.count)),
            ("array", self.lists.as_ref().map_or(0, |lists| lists.count)),
            ("value too deep for a column", self.deep),
        ];
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}
