//! What is told of a commit to whoever wants to know: one message for each dataset of which batches came into the lake.
//!
//! ```json
//! {"format": "alluvium.commit", "version": 1, "dataset": "telemetry", "table_version": 17,
//!  "committed_at": "2026-11-28T10:00:02Z", "files": 2, "rows": 1000, "dead": 3,
//!  "first_date": "2026-11-27", "last_date": "2026-11-28", "batches": ["0123…"]}
//! ```
//!
//! It is told at least once: `batches` say whether one was told before. `docs/formats/commits.md` has every field.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::commit::CommitMessage;
use crate::identity::BatchIdentity;

/// What such a message calls itself.
pub const FORMAT: &str = "alluvium.commit";

const VERSION: u32 = 1;

/// What one batch brought to one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPart {
    /// The batch.
    pub batch: BatchIdentity,
    /// The dataset, or `dead_letters`.
    pub dataset: String,
    /// Its data files: one or none.
    pub files: u64,
    /// The rows in them.
    pub rows: u64,
    /// Events of the dataset that became dead letters. `dead_letters` has them as rows, and none here.
    pub dead: u64,
    /// The first and the last date of its rows; `None`: it has none, or its file does not say.
    pub dates: Option<(Date, Date)>,
}

impl BatchPart {
    /// The parts of a batch, by dataset: what received events or has rows.
    pub fn of(message: &CommitMessage) -> Vec<Self> {
        let mut parts: BTreeMap<&str, Self> = BTreeMap::new();
        let part = |dataset: &str| -> Self {
            let batch = message.batch.clone();
            Self { batch, dataset: dataset.to_owned(), files: 0, rows: 0, dead: 0, dates: None }
        };
        for entry in &message.ledger {
            // What belongs to no dataset is counted there as dead, and is there as rows already.
            let is_own = entry.dataset != DEAD_LETTERS;
            parts.entry(&entry.dataset).or_insert_with(|| part(&entry.dataset)).dead +=
                if is_own { entry.dead } else { 0 };
        }
        for file in &message.files {
            let part = parts.entry(&file.dataset).or_insert_with(|| part(&file.dataset));
            (part.files, part.rows, part.dates) = (part.files + 1, part.rows + file.rows, file.dates());
        }
        parts.into_values().filter(|part| part.rows + part.dead > 0).collect()
    }
}

const DEAD_LETTERS: &str = "dead_letters";

/// The message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitAnnouncement {
    /// [`FORMAT`].
    pub format: String,
    /// The format's version.
    pub version: u32,
    /// The dataset, or `dead_letters`.
    pub dataset: String,
    /// The version of its table that has all of this; null: an earlier one has, and this is told because that may not have been told.
    pub table_version: Option<u64>,
    /// When it was committed, or found to be committed.
    #[serde(with = "crate::clock::rfc3339")]
    pub committed_at: Micros,
    /// How many data files came.
    pub files: u64,
    /// How many rows are in them.
    pub rows: u64,
    /// How many events of the dataset became dead letters.
    pub dead: u64,
    /// The date of the oldest row, by event time; null: there are no rows.
    #[serde(with = "date")]
    pub first_date: Option<Date>,
    /// The date of the newest.
    #[serde(with = "date")]
    pub last_date: Option<Date>,
    /// The batches that it is about.
    pub batches: Vec<BatchIdentity>,
}

impl CommitAnnouncement {
    /// One for each dataset that these parts brought something to, by name. `table_version` tells which version of a table was made.
    pub fn of(
        parts: impl IntoIterator<Item = BatchPart>,
        table_version: impl Fn(&str) -> Option<u64>,
        committed_at: Micros,
    ) -> Vec<Self> {
        let mut all: BTreeMap<String, Self> = BTreeMap::new();
        for part in parts {
            let one = all.entry(part.dataset.clone()).or_insert_with(|| Self {
                format: FORMAT.to_owned(),
                version: VERSION,
                table_version: table_version(&part.dataset),
                committed_at,
                files: 0,
                rows: 0,
                dead: 0,
                first_date: None,
                last_date: None,
                batches: Vec::new(),
                dataset: part.dataset,
            });
            if one.batches.contains(&part.batch) {
                continue;
            }
            one.files += part.files;
            one.rows += part.rows;
            one.dead += part.dead;
            if let Some((first, last)) = part.dates {
                one.first_date = Some(one.first_date.map_or(first, |known| known.min(first)));
                one.last_date = Some(one.last_date.map_or(last, |known| known.max(last)));
            }
            one.batches.push(part.batch);
        }
        all.into_values().collect()
    }

    /// What a filter can go by without reading the message: names and values, numbers apart from texts.
    pub fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let day = |date: Date| {
            Attribute::Number(i64::from(date.year()) * 10_000 + i64::from(date.month()) * 100 + i64::from(date.day()))
        };
        let number = |count: u64| Attribute::Number(i64::try_from(count).unwrap_or(i64::MAX));
        let mut attributes = vec![
            ("dataset", Attribute::Text(self.dataset.clone())),
            ("rows", number(self.rows)),
            ("dead", number(self.dead)),
        ];
        attributes.extend(self.first_date.map(|date| ("first_day", day(date))));
        attributes.extend(self.last_date.map(|date| ("last_day", day(date))));
        attributes
    }
}

/// Dates as `2026-11-28`, or null.
mod date {
    use jiff::civil::Date;
    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
        match date {
            Some(date) => serializer.collect_str(date),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// The value of an attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// Text.
    Text(String),
    /// A whole number; a date is its digits: `20261128`.
    Number(i64),
}

#[cfg(test)]
mod tests;
