//! What the texts at one place have in common.

use std::collections::BTreeMap;

use super::shape::Budget;
use crate::dataset::schema::{TEXT_FORMATS, is_date, is_date_time};

/// The most distinct texts that are counted.
const DISTINCT: usize = 100;

/// The longest text that is counted as one of the distinct, in bytes.
const DISTINCT_BYTES: usize = 200;

/// The most values of an `enum`.
const ENUM_VALUES: usize = 20;

/// How often each value of an `enum` must have been seen at least: what was seen once may be one of many.
const ENUM_SEEN: u64 = 10;

/// What is known of the texts at one place.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) count: u64,
    pub(super) least_chars: usize,
    pub(super) most_chars: usize,
    /// How often each was seen; `None` when there are too many to count.
    distinct: Option<BTreeMap<String, u64>>,
    /// The formats that all of them have so far.
    formats: Vec<&'static str>,
}

impl Default for Texts {
    fn default() -> Self {
        let mut formats = vec!["date-time", "date"];
        formats.extend(TEXT_FORMATS.map(|(name, _)| name));
        Self { count: 0, least_chars: usize::MAX, most_chars: 0, distinct: Some(BTreeMap::new()), formats }
    }
}

impl Texts {
    pub(super) fn add(&mut self, text: &str, budget: &mut Budget) {
        self.count += 1;
        let chars = text.chars().count();
        self.least_chars = self.least_chars.min(chars);
        self.most_chars = self.most_chars.max(chars);
        self.formats.retain(|format| has_format(text, format));
        let Some(distinct) = &mut self.distinct else { return };
        if let Some(seen) = distinct.get_mut(text) {
            *seen += 1;
        } else if distinct.len() < DISTINCT && text.len() <= DISTINCT_BYTES && budget.take_text(text.len() + 64) {
            distinct.insert(text.to_owned(), 1);
        } else {
            self.distinct = None;
        }
    }

    /// The format that all texts have.
    pub(super) fn format(&self) -> Option<&'static str> {
        self.formats.first().copied()
    }

    /// How many distinct texts there are; `None`: more than are counted.
    pub(super) fn distinct(&self) -> Option<usize> {
        self.distinct.as_ref().map(BTreeMap::len)
    }

    /// The values, where they are few and each came often.
    pub(super) fn few(&self) -> Option<Vec<&str>> {
        let distinct = self.distinct.as_ref()?;
        let few = distinct.len() <= ENUM_VALUES && distinct.values().all(|seen| *seen >= ENUM_SEEN);
        few.then(|| distinct.keys().map(String::as_str).collect())
    }
}

fn has_format(text: &str, format: &str) -> bool {
    match format {
        "date-time" => is_date_time(text),
        "date" => is_date(text),
        other => TEXT_FORMATS.iter().any(|(name, format)| *name == other && format.matches(text)),
    }
}
