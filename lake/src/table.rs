//! One table as the writer sees it: its log, how far it is, and what the ledger has yet to copy.

use alluvium_core::clock::Micros;
use alluvium_core::{LedgerEntry, SequenceNumber, ShardId};
use deltalake_core::kernel::{Action, Add, Transaction};

use crate::app_id::{AppId, transaction_version};
use crate::commit::{Commit, Operation};
use crate::contention::Contention;
use crate::cycle::{Cycle, Marks, Standing, raise, standing};
use crate::error::Result;
use crate::log::{LogFiles, TableLog, Wrote};
use crate::state::{Identities, TableState};

/// A commit of a table that the ledger has not copied yet.
#[derive(Debug, Clone)]
pub(crate) struct Uncopied {
    pub(crate) version: u64,
    /// The skip marks that it set: the position must have come this far before it is copied.
    pub(crate) marks: Vec<(ShardId, SequenceNumber)>,
    pub(crate) entries: Vec<LedgerEntry>,
}

/// What one cycle added to one table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TableCommit {
    /// The table.
    pub table: String,
    /// The version that the commit made.
    pub version: u64,
    /// Data files added.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
}

/// One table that is written to.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) log: TableLog,
    pub(crate) state: TableState<Identities>,
    pub(crate) uncopied: Vec<Uncopied>,
    /// From which version on a checkpoint is due.
    checkpoint_due: u64,
}

impl Table {
    pub(crate) async fn load(log: TableLog, files: &LogFiles) -> Result<Self> {
        let state = TableState::load(&log, files, None).await?;
        Ok(Self { log, state, uncopied: Vec::new(), checkpoint_due: 0 })
    }

    /// Reads what the ledger has yet to copy of the commits after a version.
    pub(crate) async fn load_uncopied(&mut self, copied: Option<u64>) -> Result<()> {
        for version in copied.map_or(0, |copied| copied + 1)..self.state.next_version() {
            let commit = self.log.read_present(version).await?;
            self.remember(version, &commit);
        }
        Ok(())
    }

    /// Writes the entry of the next version and takes it into the state.
    pub(crate) async fn write(&mut self, commit: &Commit, operation: Operation, now: Micros) -> Result<Wrote> {
        let version = self.state.next_version();
        let wrote = self.log.write(version, commit.encode(operation, now)).await?;
        if wrote == Wrote::Entry {
            self.take(version, commit)?;
        }
        Ok(wrote)
    }

    /// Takes in every entry that others have written since.
    pub(crate) async fn catch_up(&mut self) -> Result<()> {
        while let Some(commit) = self.log.read(self.state.next_version()).await? {
            self.take(self.state.next_version(), &commit)?;
        }
        Ok(())
    }

    /// Adds the cycle's files for this table and moves its marks; `None`: there is nothing that it does not have.
    pub(crate) async fn append(&mut self, cycle: &Cycle<'_>, now: Micros) -> Result<Option<TableCommit>> {
        let mut contention = Contention::default();
        loop {
            let Some(commit) = self.plan(cycle, now)? else { return Ok(None) };
            let version = self.state.next_version();
            if self.write(&commit, Operation::Append, now).await? == Wrote::Entry {
                let rows = |entry: &LedgerEntry| entry.written;
                let rows = if commit.ledger.is_empty() { 0 } else { commit.ledger.iter().map(rows).sum() };
                return Ok(Some(TableCommit {
                    table: self.log.name().to_owned(),
                    version,
                    files: commit.adds().count(),
                    rows,
                }));
            }
            self.catch_up().await?;
            contention.wait(self.log.name()).await?;
        }
    }

    fn plan(&self, cycle: &Cycle<'_>, now: Micros) -> Result<Option<Commit>> {
        let table = self.log.name();
        let mut commit = Commit { actions: Vec::new(), ledger: Vec::new() };
        let mut marks = self.state.marks.clone();
        for batch in &cycle.batches {
            let (entry, file) = (batch.entry(table), batch.file(table));
            if entry.is_none() && file.is_none() {
                continue;
            }
            if standing(batch.message, &marks, &format!("the mark of `{table}`"))? == Standing::Below {
                continue;
            }
            raise(&mut marks, batch.message);
            if file.is_some_and(|file| self.state.kept.contain(&file.path)) {
                // These records are in under this very identity (LK-1), and so is their entry.
                continue;
            }
            commit.ledger.extend(entry.cloned());
            commit.actions.extend(file.map(|file| add(file.path.trim_start_matches(table), file, now)));
        }
        commit.actions.extend(transactions(&self.state.marks, &marks, AppId::Mark));
        Ok((!commit.actions.is_empty()).then_some(commit))
    }

    /// Writes a checkpoint if one is due. That it failed is no failure of the commit: the log is whole without it.
    pub(crate) async fn checkpoint_if_due(&mut self, every: u64) {
        let Some(version) = self.state.version else { return };
        if self.state.since_checkpoint() < every || version < self.checkpoint_due {
            return;
        }
        self.checkpoint_due = version + every;
        match self.log.write_checkpoint(version).await {
            Ok(()) => self.state.checkpoint = Some(version),
            Err(error) => {
                tracing::warn!(table = self.log.name(), version, %error, "no checkpoint was written; the next is tried later")
            }
        }
    }

    fn take(&mut self, version: u64, commit: &Commit) -> Result<()> {
        self.state.apply(&self.log, version, commit)?;
        self.remember(version, commit);
        Ok(())
    }

    fn remember(&mut self, version: u64, commit: &Commit) {
        let marks: Vec<_> = commit.marks().collect();
        // The commits that make a table or change its columns leave nothing to copy.
        if !marks.is_empty() || !commit.ledger.is_empty() {
            self.uncopied.push(Uncopied { version, marks, entries: commit.ledger.clone() });
        }
    }
}

/// The action that adds a data file whose path relative to the table is `path`, with or without a slash before it.
fn add(path: &str, file: &alluvium_core::DataFileEntry, now: Micros) -> Action {
    add_action(path.trim_start_matches('/'), file.size_bytes, file.stats.clone(), now)
}

pub(crate) fn add_action(path: &str, size_bytes: u64, stats: String, now: Micros) -> Action {
    Action::Add(Add {
        path: path.to_owned(),
        size: i64::try_from(size_bytes).expect("no store holds an object of 2^63 bytes"),
        modification_time: now / 1_000,
        data_change: true,
        stats: Some(stats),
        ..Add::default()
    })
}

/// The transactions that take marks from where they were to where they are.
pub(crate) fn transactions<'a>(
    before: &'a Marks,
    after: &'a Marks,
    id: impl Fn(ShardId) -> AppId + 'a,
) -> impl Iterator<Item = Action> + 'a {
    after.iter().filter(|(shard, mark)| before.get(*shard) != Some(*mark)).map(move |(shard, mark)| {
        let version = transaction_version(*mark).expect("the cycle was checked to have numbers that fit");
        Action::Txn(Transaction::new(id(shard.clone()), version))
    })
}
