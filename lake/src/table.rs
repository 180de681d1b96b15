//! One table as the writer sees it: its log, how far it is, and what the ledger has yet to copy.

use alluvium_core::clock::Micros;
use alluvium_core::{BatchIdentity, DataFileEntry, SequenceNumber, ShardId};
use arrow::datatypes::Schema;
use deltalake_core::kernel::{Action, Add, Transaction};
use futures::TryStreamExt as _;

use crate::ages::Ages;
use crate::app_id::{AppId, transaction_version};
use crate::columns::{self, Fit};
use crate::commit::{BatchNote, Commit, Operation};
use crate::contention::Contention;
use crate::cycle::Marks;
use crate::erase::{Erasures, FileScreening, FilesScreened, Screener};
use crate::error::{LakeError, Result};
use crate::ledger_file::LedgerRows;
use crate::log::{LogFiles, TableLog, Wrote};
use crate::reader::ActiveFile;
use crate::state::{Identities, TableState};

/// A commit of a table that the ledger has not copied yet.
#[derive(Debug, Clone)]
pub(crate) struct Uncopied {
    pub(crate) version: u64,
    /// The skip marks that it set: the position must have come this far before it is copied.
    pub(crate) marks: Vec<(ShardId, SequenceNumber)>,
    pub(crate) rows: LedgerRows,
    /// The batches of which it is a part, where several committers share the lake: it is copied with their other parts.
    pub(crate) batches: Vec<BatchNote>,
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

/// What preparing a table came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prepared {
    Fits,
    Created,
    Evolved,
}

/// A commit that was appended to a table.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) version: u64,
    pub(crate) commit: Commit,
}

impl Appended {
    pub(crate) fn report(&self, table: &str) -> TableCommit {
        TableCommit {
            table: table.to_owned(),
            version: self.version,
            files: self.commit.adds().count(),
            rows: self.commit.adds().filter_map(ActiveFile::of).map(|file| file.rows).sum(),
        }
    }
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

    /// Loads it as of now, from its newest checkpoint on.
    pub(crate) async fn load_since_checkpoint(log: TableLog) -> Result<Self> {
        let files = log.list_since_checkpoint().await?;
        Self::load(log, &files).await
    }

    /// Loads it as of now, with what the ledger has yet to copy of the commits after a version.
    pub(crate) async fn load_with_uncopied(log: TableLog, copied: Option<u64>) -> Result<Self> {
        let mut table = Self::load_since_checkpoint(log).await?;
        table.load_uncopied(copied).await?;
        Ok(table)
    }

    /// Reads what the ledger has yet to copy of the commits after a version.
    pub(crate) async fn load_uncopied(&mut self, copied: Option<u64>) -> Result<()> {
        let log = self.log.clone();
        let mut commits =
            std::pin::pin!(log.read_all(copied.map_or(0, |copied| copied + 1)..self.state.next_version()));
        while let Some((version, commit)) = commits.try_next().await? {
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

    /// Makes the table if it is missing, with these properties beside those of every table, and adds the columns that it has not.
    ///
    /// # Errors
    ///
    /// When the columns cannot become those, or the properties of a table that is there let too much be forgotten; when the store
    /// fails.
    pub(crate) async fn prepare(
        &mut self,
        columns: &Schema,
        properties: &[(&str, &str)],
        erasures: &Erasures,
        now: Micros,
    ) -> Result<Prepared> {
        let mut contention = Contention::default();
        loop {
            let (commit, operation, prepared) = match &self.state.metadata {
                None => {
                    let mut commit = columns::create(self.log.name(), columns, properties, now);
                    commit.actions.extend(erasures.registrations(self.log.name()).await?);
                    (commit, Operation::Create, Prepared::Created)
                }
                Some(metadata) => {
                    Ages::of(&self.log, metadata)?;
                    match columns::fit(&self.log, metadata, columns)? {
                        Fit::Fits => return Ok(Prepared::Fits),
                        Fit::Evolve(commit) => (commit, Operation::ChangeColumns, Prepared::Evolved),
                    }
                }
            };
            if self.write(&commit, operation, now).await? == Wrote::Entry {
                return Ok(prepared);
            }
            self.catch_up().await?;
            contention.wait(self.log.name()).await?;
        }
    }

    /// Refuses a data file of a batch that is gone. One that the table has, or had, may be.
    pub(crate) async fn check_there(&self, batch: &str, file: &DataFileEntry) -> Result<()> {
        let is_in = self.state.kept.contain(&file.path);
        if is_in || self.log.has(path_in(self.log.name(), file)).await? || self.has_come_in(&file.path).await? {
            return Ok(());
        }
        Err(LakeError::FileGone { batch: batch.to_owned(), path: file.path.clone() })
    }

    /// Whether another committer has added a file of this name's batch since the table was looked at.
    async fn has_come_in(&self, path: &str) -> Result<bool> {
        let mut version = self.state.next_version();
        while let Some(commit) = self.log.read(version).await? {
            let mut since = TableState::<Identities>::default();
            since.apply(&self.log, version, &commit)?;
            if since.kept.contain(path) {
                return Ok(true);
            }
            version += 1;
        }
        Ok(false)
    }

    /// Compares files with the open erasures. One that is gone was added by another committer, which is caught up with; else it is an
    /// error.
    async fn screen(&mut self, screener: &mut Screener, files: &[&DataFileEntry]) -> Result<FileScreening> {
        loop {
            match screener.screen(self, files).await? {
                FilesScreened::Done(screening) => return Ok(screening),
                FilesScreened::Gone(path) => {
                    self.catch_up().await?;
                    if !self.state.kept.contain(&path) {
                        let batch = BatchIdentity::from_data_file_name(&path).map(|batch| batch.to_string());
                        return Err(LakeError::FileGone { batch: batch.unwrap_or_default(), path });
                    }
                }
            }
        }
    }

    /// Appends what `plan` finds that the table does not have of these files, less the rows that open erasures leave out, and plans anew
    /// whenever another committer was faster; `None`: there was nothing.
    pub(crate) async fn append(
        &mut self,
        screener: &mut Screener,
        files: &[&DataFileEntry],
        plan: impl Fn(&Self) -> Result<Option<Commit>>,
        now: Micros,
    ) -> Result<Option<Appended>> {
        let mut contention = Contention::default();
        let mut screening = self.screen(screener, files).await?;
        loop {
            let Some(mut commit) = plan(self)? else { return Ok(None) };
            screening.apply(&mut commit, self.log.name(), now);
            let version = self.state.next_version();
            if self.write(&commit, Operation::Append, now).await? == Wrote::Entry {
                screening.delete_originals(self).await;
                return Ok(Some(Appended { version, commit }));
            }
            self.catch_up().await?;
            contention.wait(self.log.name()).await?;
            if !screening.is_of(self) {
                screening = self.screen(screener, files).await?;
            }
        }
    }

    /// As [`checkpoint_if_due`](Self::checkpoint_if_due), where another committer may have written it.
    pub(crate) async fn checkpoint_if_due_to_all(&mut self, every: u64) {
        let Some(version) = self.is_checkpoint_due(every) else { return };
        // A hint that cannot be had is none: a checkpoint is written that may be there.
        let hinted = self.log.hinted_checkpoint().await.ok().flatten();
        self.state.checkpoint = self.state.checkpoint.max(hinted.map(|hinted| hinted.min(version)));
        self.checkpoint_if_due(every).await;
    }

    fn is_checkpoint_due(&self, every: u64) -> Option<u64> {
        let is_due = |version: &u64| self.state.since_checkpoint() >= every && *version >= self.checkpoint_due;
        self.state.version.filter(is_due)
    }

    /// Writes a checkpoint if one is due. That it failed is no failure of the commit: the log is whole without it.
    pub(crate) async fn checkpoint_if_due(&mut self, every: u64) {
        let Some(version) = self.is_checkpoint_due(every) else { return };
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
        // The commits that make a table or change its columns leave nothing to copy. One that rewrites files may not either, but
        // must be passed: the files of the version before it are going to be gone.
        let leaves_something = !marks.is_empty() || !commit.ledger.is_empty() || !commit.batches.is_empty();
        if leaves_something || commit.removes().next().is_some() {
            let rows = LedgerRows { entries: commit.ledger.clone(), removals: commit.removals.clone() };
            self.uncopied.push(Uncopied { version, marks, rows, batches: commit.batches.clone() });
        }
    }
}

/// The action that adds a message's data file to its table.
pub(crate) fn add(table: &str, file: &DataFileEntry, now: Micros) -> Action {
    add_action(path_in(table, file), file.size_bytes, file.stats.clone(), now)
}

/// The path of a message's data file, relative to its table.
pub(crate) fn path_in<'a>(table: &str, file: &'a DataFileEntry) -> &'a str {
    file.path.trim_start_matches(table).trim_start_matches('/')
}

pub(crate) fn add_action(path: &str, size_bytes: u64, stats: String, now: Micros) -> Action {
    Action::Add(added(path, size_bytes, stats, now))
}

/// A file of the table, with rows that are new.
pub(crate) fn added(path: &str, size_bytes: u64, stats: String, now: Micros) -> Add {
    Add {
        path: path.to_owned(),
        size: i64::try_from(size_bytes).expect("no store holds an object of 2^63 bytes"),
        modification_time: now / 1_000,
        data_change: true,
        stats: Some(stats),
        ..Add::default()
    }
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
