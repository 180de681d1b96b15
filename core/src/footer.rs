//! What the data files of a batch say of the batch: enough to make its commit message again, should that be lost.
//!
//! It stands in the key-value metadata of each file's Parquet footer, under [`BATCH_KEY`], and is the same in all files of a batch. What
//! is of one file alone has keys of its own. A footer holds what the commit message holds and nothing else: no owner, no value of an
//! event but the bounds that the log has too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::commit::{CommitMessage, DataFileEntry};
use crate::identity::BatchIdentity;
use crate::ledger::{LedgerEntry, ReasonCode, ShardRange};

/// The key of a [`BatchFooter`].
pub const BATCH_KEY: &str = "alluvium.batch";
/// The key of the fingerprint of the dataset's columns that the file was written with.
pub const SCHEMA_KEY: &str = "alluvium.schema";
/// The key of the file's statistics, as a Delta `add` action has them.
pub const STATS_KEY: &str = "alluvium.stats";

const VERSION: u32 = 1;

/// A batch as each of its data files tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchFooter {
    version: u32,
    /// The batch.
    pub batch: BatchIdentity,
    /// The arrival time of its newest record.
    pub arrival: Micros,
    /// The records that it covers, one run per shard, by shard.
    pub covers: Vec<ShardRange>,
    /// The tables that have a data file of it, by name.
    pub files: Vec<String>,
    /// What became of the events, one entry per dataset that received any, by dataset.
    pub ledger: Vec<FooterEntry>,
}

/// A [`LedgerEntry`] without what all entries of a batch share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FooterEntry {
    dataset: String,
    received: u64,
    written: u64,
    filtered: u64,
    dead: u64,
    bytes: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dead_by_reason: BTreeMap<ReasonCode, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redriven: Option<u64>,
}

/// A text under [`BATCH_KEY`] out of which no commit message can be made.
#[derive(Debug, thiserror::Error)]
pub enum BatchFooterError {
    /// A release wrote it that only named the batch there.
    #[error("a release wrote it that put no ledger into data files")]
    Older,
    /// A newer release wrote it.
    #[error("version {0} is newer than this release reads ({VERSION})")]
    Version(u32),
    /// Not the JSON that it should be.
    #[error("not what a data file says of its batch: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl BatchFooter {
    /// What the files of a batch say, given the tables that have one, by name, and its ledger.
    pub fn new(batch: BatchIdentity, covers: Vec<ShardRange>, files: Vec<String>, ledger: &[LedgerEntry]) -> Self {
        let arrival = ledger.first().map_or(0, |entry| entry.arrival);
        debug_assert!(
            ledger.iter().all(|entry| entry.arrival == arrival && entry.covers == covers && entry.batch == batch)
        );
        Self { version: VERSION, batch, arrival, covers, files, ledger: ledger.iter().map(FooterEntry::of).collect() }
    }

    /// The events that the batch received.
    pub fn received(&self) -> u64 {
        self.ledger.iter().map(|entry| entry.received).sum()
    }

    /// The text for a footer. The same batch always gives the same.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("it holds only text, numbers and lists of them")
    }

    /// Reads it back.
    ///
    /// # Errors
    ///
    /// When an older or a newer release wrote it, or it is damaged.
    pub fn decode(text: &str) -> Result<Self, BatchFooterError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        if !text.trim_start().starts_with('{') {
            return Err(BatchFooterError::Older);
        }
        let Versioned { version } = serde_json::from_str(text)?;
        if version > VERSION {
            return Err(BatchFooterError::Version(version));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The batch's commit message, given its files, by dataset.
    pub fn message(&self, files: Vec<DataFileEntry>) -> CommitMessage {
        let ledger = self.ledger.iter().map(|entry| entry.whole(self)).collect();
        CommitMessage::new(self.batch.clone(), self.covers.clone(), files, ledger)
    }
}

impl FooterEntry {
    fn of(entry: &LedgerEntry) -> Self {
        Self {
            dataset: entry.dataset.clone(),
            received: entry.received,
            written: entry.written,
            filtered: entry.filtered,
            dead: entry.dead,
            bytes: entry.bytes,
            dead_by_reason: entry.dead_by_reason.clone(),
            redriven: entry.redriven,
        }
    }

    fn whole(&self, footer: &BatchFooter) -> LedgerEntry {
        LedgerEntry {
            batch: footer.batch.clone(),
            dataset: self.dataset.clone(),
            received: self.received,
            written: self.written,
            filtered: self.filtered,
            dead: self.dead,
            bytes: self.bytes,
            dead_by_reason: self.dead_by_reason.clone(),
            redriven: self.redriven,
            arrival: footer.arrival,
            covers: footer.covers.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
