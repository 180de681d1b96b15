//! The commit message: what the transform stored, and what a committer needs to add it to the tables.

use bytes::Bytes;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::identity::BatchIdentity;
use crate::ledger::{LedgerEntry, ShardRange};
use crate::trace::{BATCH_TRACES, TraceParent};

/// The folder, beside the tables, that holds commit messages.
pub const MESSAGES_FOLDER: &str = "_commits";

const VERSION: u32 = 1;

/// One data file that is stored and waits for its commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFileEntry {
    /// The dataset whose table it belongs to.
    pub dataset: String,
    /// Its path under the lake's root: `<dataset>/<identity>-<content>.parquet`.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Its statistics as the Delta protocol has them in an `add` action: a JSON object as text.
    pub stats: String,
    /// The fingerprint of the dataset's columns that it was written with.
    pub schema: String,
}

impl DataFileEntry {
    /// The first and the last date of its rows, by its statistics; `None`: they do not say.
    pub fn dates(&self) -> Option<(Date, Date)> {
        let stats: Value = serde_json::from_str(&self.stats).ok()?;
        let date = |end: &str| stats.get(end)?.get("event_date")?.as_str()?.parse().ok();
        Some((date("minValues")?, date("maxValues")?))
    }
}

/// Everything that one delivery batch left in the store: a small JSON object beside the data files. The queue carries its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitMessage {
    version: u32,
    /// The batch.
    pub batch: BatchIdentity,
    /// The records that the batch covers, one run per shard, by shard.
    pub covers: Vec<ShardRange>,
    /// The data files, at most one per dataset, by dataset.
    pub files: Vec<DataFileEntry>,
    /// What became of the events, one entry per dataset that received any, by dataset.
    pub ledger: Vec<LedgerEntry>,
    /// Sampled traces of requests whose records are in the batch, the first [`BATCH_TRACES`] of them; a release that does not know
    /// them passes them over, and nothing depends on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<TraceParent>,
}

/// Bytes that are no commit message.
#[derive(Debug, thiserror::Error)]
pub enum CommitMessageError {
    /// A newer release wrote it.
    #[error("commit message version {0} is newer than this release reads ({VERSION})")]
    Version(u32),
    /// Not the JSON that a commit message is.
    #[error("not a commit message: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl CommitMessage {
    /// A message for one batch.
    pub fn new(
        batch: BatchIdentity,
        covers: Vec<ShardRange>,
        files: Vec<DataFileEntry>,
        ledger: Vec<LedgerEntry>,
    ) -> Self {
        Self { version: VERSION, batch, covers, files, ledger, traces: Vec::new() }
    }

    /// The same message, of a batch that holds records of these requests; more than [`BATCH_TRACES`] are left out.
    #[must_use]
    pub fn with_traces(mut self, traces: impl IntoIterator<Item = TraceParent>) -> Self {
        self.traces = traces.into_iter().take(BATCH_TRACES).collect();
        self
    }

    /// Where it is stored, under the lake's root.
    pub fn path(&self) -> String {
        format!("{MESSAGES_FOLDER}/{}.json", self.batch)
    }

    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        serde_json::to_vec(self).expect("a commit message holds only text, numbers and lists of them").into()
    }

    /// Reads it back.
    ///
    /// # Errors
    ///
    /// When the bytes are no commit message, or one of a newer release.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommitMessageError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes)?;
        if version > VERSION {
            return Err(CommitMessageError::Version(version));
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

#[cfg(test)]
mod tests;
