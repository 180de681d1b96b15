//! The writer side: one committer that appends the batches of a stream to the tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::dataset::ledger_columns;
use alluvium_core::{Clock, CommitMessage, DataFileFormat, DatasetName, Datasets, SequenceNumber, ShardId};
use arrow::datatypes::Schema;
use futures::future::try_join_all;
use object_store::ObjectStore;
use serde::Serialize;
use url::Url;

use crate::columns;
use crate::cycle::{Cycle, Marks, raise_all};
use crate::erase::{Erasures, Screener};
use crate::error::{LakeError, Result};
use crate::ledger::Ledger;
use crate::log::TableLog;
use crate::recovery::{LakeRecovery, mend_newest, roll_back_ledger};
use crate::settings::LakeSettings;
use crate::state::TableState;
use crate::table::{Prepared, Table, TableCommit};

/// The tables of a lake, opened for writing. One committer per lake: a second one is noticed and waited for, not planned for.
#[derive(Debug)]
pub struct Lake {
    /// Every dataset's and `dead_letters`, by name.
    tables: BTreeMap<String, Table>,
    ledger: Ledger,
    /// Up to where every table has its records: the position, or farther while that waits for tables that are ahead.
    reached: Marks,
    screener: Screener,
    clock: Arc<dyn Clock>,
    settings: LakeSettings,
}

/// What one commit cycle did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CommitReport {
    /// Batches that were new.
    pub batches: usize,
    /// Batches that were in already.
    pub already_in: usize,
    /// The commits of the datasets' tables and `dead_letters`, in the order in which they were made.
    pub tables: Vec<TableCommit>,
    /// The version of the ledger that ended the cycle; `None`: nothing had changed, or the position waits until every table has
    /// caught up with those that a crash left ahead.
    pub ledger_version: Option<u64>,
    /// The entries that were copied into the ledger.
    pub ledger_entries: usize,
}

impl Lake {
    /// Opens the lake for writing: mends what a crash left, makes the tables that are missing, and adds the columns that datasets
    /// have gained.
    ///
    /// `store` is rooted at the lake: `telemetry/_delta_log/…` is a path in it. It must not make an object visible before it is
    /// whole, and must refuse to create one that is there. `root` is the lake's URL,
    /// for messages that say where something lies. `format` writes the files of batches anew that hold rows of an owner who is erased.
    ///
    /// When a crash fell between the commits of one cycle, some tables are ahead of the position. Their ledger entries are not
    /// copied here but by the first cycles of [`commit`](Self::commit), when the other tables have caught up: the stream holds the
    /// records in between, so these cycles come.
    ///
    /// # Errors
    ///
    /// When the store fails, a log is damaged other than in its newest entry, a table was upgraded by another program, a table's
    /// properties let too much be forgotten, or a dataset's columns contradict those of its table.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        root: Url,
        datasets: &Datasets,
        format: Arc<dyn DataFileFormat>,
        clock: Arc<dyn Clock>,
        settings: LakeSettings,
    ) -> Result<(Self, LakeRecovery)> {
        let mut recovery = LakeRecovery::default();
        let mut tables = BTreeMap::new();
        for (name, _) in columns::of_tables(datasets) {
            let log = TableLog::new(&store, &root, &name);
            let files = mend_newest(&log, &mut recovery).await?;
            tables.insert(name, Table::load(log, &files).await?);
        }
        let ledger =
            open_ledger(TableLog::new(&store, &root, DatasetName::ledger().as_str()), &tables, &mut recovery).await?;
        let reached = ledger.state.positions.clone();
        let erasures = Erasures::new(store, root);
        let screener = Screener::new(erasures.clone(), datasets, format);
        let mut lake = Self { tables, ledger: Ledger { table: ledger }, reached, screener, clock, settings };
        for (name, table) in &mut lake.tables {
            table.load_uncopied(lake.ledger.table.state.copied.get(name).copied()).await?;
            // Maintenance sets no mark: what it has committed is copied in the first cycle.
            if table.uncopied.iter().any(|uncopied| !uncopied.marks.is_empty()) {
                recovery.ahead_of_ledger.push(name.clone());
            }
        }
        let now = lake.clock.now_micros();
        for (name, columns) in columns::of_tables(datasets) {
            let table = lake.tables.get_mut(&name).expect("every table was loaded above");
            prepare(table, &columns, &erasures, now, &mut recovery).await?;
        }
        prepare(&mut lake.ledger.table, &ledger_columns(), &erasures, now, &mut recovery).await?;
        Ok((lake, recovery))
    }

    /// Up to where every table has the records of a shard: where the stream is read from, after it. `None`: from its beginning.
    pub fn position(&self, shard: &ShardId) -> Option<SequenceNumber> {
        self.ledger.table.state.positions.get(shard).copied()
    }

    /// The position of every shard, by shard.
    pub fn positions(&self) -> Vec<(ShardId, SequenceNumber)> {
        self.ledger.table.state.positions.iter().map(|(shard, at)| (shard.clone(), *at)).collect()
    }

    /// Up to where one table has the records of a shard. It may lie after the position when a crash fell between two tables'
    /// commits, and before it when the newest batches had nothing for this table.
    pub fn mark(&self, dataset: &str, shard: &ShardId) -> Option<SequenceNumber> {
        self.tables.get(dataset)?.state.marks.get(shard).copied()
    }

    /// Every table's mark of every shard, in no order of meaning and with repetitions: the places at which batches must end until
    /// the position has passed them.
    pub fn marks(&self) -> Vec<(ShardId, SequenceNumber)> {
        let marks = self.tables.values().flat_map(|table| &table.state.marks);
        marks.map(|(shard, mark)| (shard.clone(), *mark)).collect()
    }

    /// One cycle: appends the files of these batches to their tables, then ends it with the ledger's commit.
    ///
    /// The messages are those of whole batches, in stream order and without a gap within each shard; the first begins after the
    /// [`position`](Self::position) at opening. Batches that are in are skipped, and so is, for each table, a batch at or below
    /// its mark or with an identity that it has (LK-1). After an error with the advice to retry, calling it again with the same
    /// messages goes on where it stopped. While tables are ahead of the others after a crash, the position does not move.
    ///
    /// # Errors
    ///
    /// When a message contradicts itself (TR-2), leaves a gap (IN-1), lies partly below a mark, or names a file that is gone; when the
    /// store fails; when another writer keeps winning.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave some tables ahead of others; the lake must then be opened anew.
    pub async fn commit(&mut self, messages: &[CommitMessage]) -> Result<CommitReport> {
        raise_all(&mut self.reached, &self.ledger.table.state.positions);
        let cycle = Cycle::new(messages, &self.reached)?;
        let mut report = CommitReport { batches: cycle.batches.len(), ..CommitReport::default() };
        report.already_in = messages.len() - report.batches;
        if let Some(unknown) = cycle.tables().into_iter().find(|table| !self.tables.contains_key(*table)) {
            return Err(LakeError::NoTable(unknown.to_owned()));
        }
        let now = self.clock.now_micros();
        // So that what maintenance has committed is copied in every cycle, however busy.
        self.catch_up().await?;
        for name in cycle.tables() {
            let table = self.tables.get_mut(name).expect("it was looked for above");
            cycle.check_there(table, now).await?;
            let files = cycle.files_of(name);
            let appended = table.append(&mut self.screener, &files, |table| cycle.plan(table, now), now).await?;
            report.tables.extend(appended.map(|appended| appended.report(name)));
        }
        self.reached = cycle.reached;
        let reached = self.reached.clone();
        self.end_cycle(&reached, report, now).await
    }

    /// Copies into the ledger what maintenance has committed since, for the times when no batch comes with which that would be done.
    ///
    /// While a crash has left tables ahead of the others it does nothing, and the position never moves.
    ///
    /// # Errors
    ///
    /// When the store fails, a table was changed by another program, or another writer keeps winning.
    ///
    /// # Cancel safety
    ///
    /// As for [`commit`](Self::commit).
    pub async fn keep_up(&mut self) -> Result<CommitReport> {
        let now = self.clock.now_micros();
        self.catch_up().await?;
        self.end_cycle(&Marks::new(), CommitReport::default(), now).await
    }

    /// Takes in what maintenance has committed since.
    async fn catch_up(&mut self) -> Result<()> {
        try_join_all(self.tables.values_mut().map(Table::catch_up)).await.map(drop)
    }

    /// Commits the ledger up to where every table has its records, unless a table is ahead, and writes the checkpoints that are due.
    async fn end_cycle(&mut self, reached: &Marks, report: CommitReport, now: Micros) -> Result<CommitReport> {
        let plan = |ledger: &Ledger, tables: &_| ledger.plan_up_to(reached, tables);
        let ledger = self.ledger.append(plan, &mut self.tables, now).await?;
        for table in self.tables.values_mut().chain([&mut self.ledger.table]) {
            table.checkpoint_if_due(self.settings.checkpoint_every.get()).await;
        }
        Ok(CommitReport {
            ledger_version: ledger.map(|commit| commit.version),
            ledger_entries: ledger.map_or(0, |commit| commit.entries),
            ..report
        })
    }
}

async fn open_ledger(log: TableLog, tables: &BTreeMap<String, Table>, recovery: &mut LakeRecovery) -> Result<Table> {
    let mut files = mend_newest(&log, recovery).await?;
    let mut table = Table::load(log, &files).await?;
    let versions = tables.iter().map(|(name, table)| (name.as_str(), table.state.version)).collect();
    if roll_back_ledger(&table.log, &mut files, &table.state, &versions, recovery).await? {
        table.state = TableState::load(&table.log, &files, None).await?;
    }
    Ok(table)
}

async fn prepare(
    table: &mut Table,
    columns: &Schema,
    erasures: &Erasures,
    now: Micros,
    recovery: &mut LakeRecovery,
) -> Result<()> {
    match table.prepare(columns, &[], erasures, now).await? {
        Prepared::Fits => {}
        Prepared::Created => recovery.created.push(table.log.name().to_owned()),
        Prepared::Evolved => recovery.evolved.push(table.log.name().to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
