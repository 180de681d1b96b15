//! What an audit found.

use std::collections::BTreeMap;

use alluvium_core::clock::Micros;
use alluvium_core::{ReasonCode, SequenceNumber, ShardId};
use serde::{Deserialize, Serialize};

use super::counted::CountedWindow;

/// The outcome of an audit. It balances when every check passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// The version of the ledger that was looked at.
    pub ledger_version: u64,
    /// Delivery batches in the ledger.
    pub batches: usize,
    /// Every table, the ledger first, then by name.
    pub tables: Vec<TableAudit>,
    /// The ledger's sums, by dataset.
    pub datasets: Vec<DatasetAudit>,
    /// The ledger's sums of what was asked for, where less than everything was.
    #[serde(default)]
    pub selected: Option<SelectedAudit>,
    /// What arrived each day of what was asked for, and what became of it, the oldest day first.
    #[serde(default)]
    pub days: Vec<DayAudit>,
    /// Events of which the ledger does not say what became, and rows that tables have too few or too many by it, of everything. An
    /// event that the ledger leaves out and a row that it does not know count as one.
    ///
    /// 0 does not mean that the audit balances: a record that is lost, a message that waits, a data file that is gone are not in it.
    /// Alarm on [`balances`](Self::balances), or on how many [`problems`](Self::problems) there are.
    #[serde(default)]
    pub ledger_difference: u64,
    /// How far each shard is, by shard.
    pub shards: Vec<ShardAudit>,
    /// Commit messages that are stored and whose batches are not in, by path.
    #[serde(default)]
    pub uncommitted: Vec<UncommittedMessage>,
    /// What services counted of the stream beside the ledger's own count, where they were asked and answered.
    #[serde(default)]
    pub counted: Option<CountedWindow>,
    /// What was checked, in a fixed order.
    pub checks: Vec<Check>,
}

impl AuditReport {
    /// Whether every check passed.
    pub fn balances(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    /// What does not balance, a sentence each.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().flat_map(|check| &check.problems).map(String::as_str)
    }

    /// The paths of the commit messages that wait for longer than they may: to enqueue them again does no harm (LK-1).
    pub fn overdue(&self) -> impl Iterator<Item = &str> {
        self.uncommitted.iter().filter(|message| message.is_overdue).map(|message| message.path.as_str())
    }

    /// The sums over all datasets, see [`DatasetAudit::sum_of`].
    pub fn total(&self) -> DatasetAudit {
        DatasetAudit::sum_of(&self.datasets)
    }
}

/// The ledger's sums of what arrived from some time on, or belongs to one dataset. No check is restricted so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectedAudit {
    /// What arrived before then is left out: the newest record of the batch, or the removal.
    pub since: Option<Micros>,
    /// Every other dataset is left out.
    pub dataset: Option<String>,
    /// The sums, by dataset.
    pub datasets: Vec<DatasetAudit>,
}

/// What arrived on one day, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayAudit {
    /// The day, in UTC: `2026-01-31`. A batch belongs to the day of its newest record.
    pub day: String,
    /// Events received.
    pub received: u64,
    /// Events that became rows.
    pub written: u64,
    /// Events dropped by a rule of their dataset.
    pub filtered: u64,
    /// Events that became dead letters.
    pub dead: u64,
    /// By how many events `received` differs from the sum of `written`, `filtered` and `dead`, added up over the batches so that too
    /// many of one do not make up for too few of another. It must be 0.
    pub missing: u64,
}

/// A commit message that is stored, and whose batch is not in, or only in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncommittedMessage {
    /// Its path under the lake's root, which is what the queue carries.
    pub path: String,
    /// When it was stored.
    pub stored_at: Micros,
    /// Whether it waits for longer than it may. Not where one committer writes the lake: no queue brings it there.
    pub is_overdue: bool,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What should be so.
    pub name: String,
    /// Whether it is so.
    pub passed: bool,
    /// What a reader of the report should know beside, a sentence each; none of it is wrong.
    pub notes: Vec<String>,
    /// What is not as it should be, a sentence each.
    pub problems: Vec<String>,
}

/// One table as of the ledger commit that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableAudit {
    /// The table.
    pub table: String,
    /// The version looked at; `None`: nothing was ever committed to it.
    pub version: Option<u64>,
    /// Commits after that version, which the ledger does not have yet.
    pub versions_ahead: u64,
    /// Rows, by the statistics in its log.
    pub rows: u64,
    /// Data files.
    pub files: usize,
    /// Bytes of the data files.
    pub size_bytes: u64,
    /// Data files in its folder that no version names: they wait for a commit, or are left over from a retry.
    pub orphans: usize,
    /// Data files in its folder that were taken out of it: vacuum deletes them once they are old enough.
    #[serde(default)]
    pub removed: usize,
}

/// The ledger's sums for one dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetAudit {
    /// The dataset; `dead_letters` stands for the events that belong to none.
    pub dataset: String,
    /// Events received.
    pub received: u64,
    /// Events that became rows. The table has so many rows, less `duplicates`, `expired` and `erased`.
    pub written: u64,
    /// Events dropped by a rule of the dataset.
    pub filtered: u64,
    /// Events that became dead letters.
    pub dead: u64,
    /// Bytes received.
    pub bytes: u64,
    /// `dead`, by reason.
    pub dead_by_reason: BTreeMap<ReasonCode, u64>,
    /// Events among those received that a redrive has sent again.
    #[serde(default)]
    pub redriven: u64,
    /// Rows of this table that compaction removed: not the first arrival of their event key.
    #[serde(default)]
    pub duplicates: u64,
    /// Rows of this table that were older than its retention.
    #[serde(default)]
    pub expired: u64,
    /// Rows of this table whose owner was to be erased.
    #[serde(default)]
    pub erased: u64,
}

impl DatasetAudit {
    /// The sums over several datasets. `written` are rows of the datasets' own tables: those of `dead_letters` count in `dead`.
    pub fn sum_of(datasets: &[Self]) -> Self {
        let mut total = Self::default();
        for one in datasets {
            total.received += one.received;
            total.written += one.written;
            total.filtered += one.filtered;
            total.dead += one.dead;
            total.bytes += one.bytes;
            total.redriven += one.redriven;
            total.duplicates += one.duplicates;
            total.expired += one.expired;
            total.erased += one.erased;
            for (reason, count) in &one.dead_by_reason {
                *total.dead_by_reason.entry(*reason).or_default() += count;
            }
        }
        total
    }
}

/// How far one shard is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardAudit {
    /// The shard.
    pub shard: ShardId,
    /// The first record that the ledger covers.
    pub first: SequenceNumber,
    /// The last one: the position.
    pub position: SequenceNumber,
    /// From which record on the events were counted in the stream; `None`: it holds none of them any more.
    pub proven_from: Option<SequenceNumber>,
    /// Records that the stream holds beyond the position: acknowledged and not yet committed. `None`: the stream does not tell.
    pub records_behind: Option<u64>,
}
