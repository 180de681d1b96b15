//! The ledger: what became of every event of a batch, per dataset (TR-2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::identity::{BatchIdentity, SequenceNumber, ShardId};

/// Why an event could not become a row. The codes are stable: dashboards and redrive conditions name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The record is no envelope that this release reads, or cannot be decompressed.
    UnreadableRecord,
    /// A compressed record expands past the limit.
    ExpandsTooFar,
    /// Not JSON (RFC 8259), bytes that are not UTF-8 included.
    NotJson,
    /// JSON, but not an object.
    NotAnObject,
    /// Nested deeper than the limit.
    TooDeep,
    /// Larger than the limit.
    TooLarge,
    /// The same key stands twice in one object, so that it cannot be told which value was meant.
    DuplicateKey,
    /// Neither a route nor the event's `type` nor a default names a dataset.
    NoDataset,
    /// `time` is there and cannot be read as a time.
    TimeUnreadable,
    /// `time` lies further in the future than the dataset allows.
    TimeInFuture,
    /// `time` lies further in the past than the dataset allows.
    TimeInPast,
    /// An event attribute (`id`, `source`, `type`) has a value that cannot be one.
    BadAttribute,
    /// A required property is missing or null.
    RequiredMissing,
    /// A required property's value breaks the schema, or the dataset is strict and any value does.
    SchemaViolated,
    /// The schema allows no undeclared field, and there is one.
    UndeclaredField,
}

impl ReasonCode {
    /// The code as it stands in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnreadableRecord => "unreadable_record",
            Self::ExpandsTooFar => "expands_too_far",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::DuplicateKey => "duplicate_key",
            Self::NoDataset => "no_dataset",
            Self::TimeUnreadable => "time_unreadable",
            Self::TimeInFuture => "time_in_future",
            Self::TimeInPast => "time_in_past",
            Self::BadAttribute => "bad_attribute",
            Self::RequiredMissing => "required_missing",
            Self::SchemaViolated => "schema_violated",
            Self::UndeclaredField => "undeclared_field",
        }
    }

    /// Whether it is of a whole record, which was never told into events: a redrive sends that record again, and not an event.
    pub fn is_of_record(self) -> bool {
        matches!(self, Self::UnreadableRecord | Self::ExpandsTooFar)
    }
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run of records of one shard, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShardRange {
    /// The shard.
    pub shard: ShardId,
    /// The first record's sequence number.
    pub first: SequenceNumber,
    /// The last record's sequence number.
    pub last: SequenceNumber,
}

/// What became of the events of one batch that belong to one dataset.
///
/// Events that belong to no dataset are counted in the entry of [`DatasetName::dead_letters`](crate::DatasetName::dead_letters),
/// as received and dead. So over all entries of a batch `received` is the number of its events, and the rows of the table
/// `dead_letters` are the sum of `dead`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The batch.
    pub batch: BatchIdentity,
    /// The dataset.
    pub dataset: String,
    /// Events that belong to this dataset.
    pub received: u64,
    /// Events that became a row of its table.
    pub written: u64,
    /// Events dropped on purpose by a rule of the dataset.
    pub filtered: u64,
    /// Events that became a dead letter.
    pub dead: u64,
    /// Bytes of the events received, as they were sent.
    pub bytes: u64,
    /// `dead`, by reason.
    pub dead_by_reason: BTreeMap<ReasonCode, u64>,
    /// Events among those received that a redrive has sent again; `None`: a release wrote it that did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven: Option<u64>,
    /// The arrival time of the batch's newest record.
    pub arrival: Micros,
    /// The records that the batch covers, one run per shard, by shard.
    pub covers: Vec<ShardRange>,
}

/// What maintenance took out of a table in one commit of it. So at any time the rows of a table are those that batches wrote less
/// these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The piece of work that did it: 32 hexadecimal digits, never given twice.
    pub work: String,
    /// The table.
    pub table: String,
    /// Rows that were not the first arrival of their event key.
    pub duplicates: u64,
    /// Rows older than the dataset's retention.
    pub expired: u64,
    /// Rows of owners who were to be erased.
    pub erased: u64,
    /// When it was done.
    pub at: Micros,
}

impl Removal {
    /// The rows that went.
    pub fn rows(&self) -> u64 {
        self.duplicates + self.expired + self.erased
    }
}

impl LedgerEntry {
    /// Whether `received = written + filtered + dead` (TR-2), and what is counted within one of these is no more than it.
    pub fn balances(&self) -> bool {
        self.received == self.written + self.filtered + self.dead
            && self.dead == self.dead_by_reason.values().sum::<u64>()
            && self.redriven.is_none_or(|redriven| redriven <= self.received)
    }
}

#[cfg(test)]
mod tests;
