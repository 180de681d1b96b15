//! The fields that objects have.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::{Budget, Shape};

/// The most names of one object that are told apart. An object with more is a map from keys to values, and no struct.
const NAMES: usize = 1_000;

/// The longest name that a column may have, in bytes; longer ones are not told apart.
const NAME_BYTES: usize = 255;

/// What is known of the objects at one place.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// How many objects there were.
    pub(super) count: u64,
    /// In the order in which they were met.
    fields: Vec<(String, Shape)>,
    index: BTreeMap<String, usize>,
    /// Whether some names were not told apart.
    pub(super) left_out: bool,
}

impl Fields {
    pub(super) fn add(&mut self, name: &str, value: &Value, depth: usize, budget: &mut Budget) {
        let known = self.index.get(name).copied();
        let index = match known {
            Some(index) => index,
            None if name.len() > NAME_BYTES || self.fields.len() >= NAMES || !budget.take_shape() => {
                self.left_out = true;
                return;
            }
            None => {
                self.index.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), Shape::default()));
                self.fields.len() - 1
            }
        };
        self.fields[index].1.add(value, depth, budget);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.fields.iter().map(|(name, shape)| (name.as_str(), shape))
    }
}
