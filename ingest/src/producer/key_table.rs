//! The partition keys of an aggregate, each held once.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};

/// Partition keys by number, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    text: String,
    ends: Vec<u32>,
    /// By a hash of the key. Two keys of one hash are both kept, and only the first is found again, so a key may be held twice.
    found: FxHashMap<u64, u32>,
}

/// What a key table holds once nothing more is added.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    text: Box<str>,
    ends: Box<[u32]>,
}

fn slice<'a>(text: &'a str, ends: &[u32], number: u32) -> &'a str {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &text[start..ends[number] as usize]
}

impl KeyTable {
    /// The number of a key that is held.
    pub(super) fn find(&self, key: &str) -> Option<u32> {
        let number = *self.found.get(&FxBuildHasher.hash_one(key))?;
        (slice(&self.text, &self.ends, number) == key).then_some(number)
    }

    /// Adds a key that [`find`](Self::find) does not find; its number.
    pub(super) fn add(&mut self, key: &str) -> u32 {
        let number = self.ends.len() as u32;
        self.text.push_str(key);
        self.ends.push(self.text.len() as u32);
        self.found.entry(FxBuildHasher.hash_one(key)).or_insert(number);
        number
    }

    /// Takes the keys out; the table is empty then and keeps its memory.
    pub(super) fn take(&mut self) -> Keys {
        let keys = Keys { text: self.text.as_str().into(), ends: self.ends.as_slice().into() };
        self.text.clear();
        self.ends.clear();
        self.found.clear();
        keys
    }
}

impl Keys {
    pub(super) fn get(&self, number: u32) -> &str {
        slice(&self.text, &self.ends, number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|number| self.get(number))
    }
}
