//! Erasure: the rows of one owner that arrived up to now leave the lake, and their last copies with them.
//!
//! 1. The erasure is stored (the module `stored`) and registered in each table's log. From then on whatever is committed is compared
//!    with it first (`screen`), until the longest life of any input has passed.
//! 2. Each table is swept: files that may hold such rows, as the object index says, are read; those that do are replaced by others
//!    without. A sweep goes by rewrites like compaction's, so no reader sees half of one, and of two that meet one starts over.
//! 3. The files that held the rows are deleted once the table's time travel has passed, or at once when that was asked for.
//! 4. The erasure is closed: the tables are told, and what is stored of it names nobody any more.
//!
//! Each step is stored before the next, so an erasure that is interrupted anywhere goes on where it was.

mod look_after;
mod report;
mod screen;
mod stored;
mod sweep;
mod target;

use std::collections::BTreeSet;
use std::time::Duration;

use alluvium_core::DatasetName;
use alluvium_core::clock::{Micros, micros};
use deltalake_core::kernel::{Action, Transaction};
use uuid::Uuid;

pub use look_after::{Beside, LookedAfter};
pub use report::{ErasureReport, HOT_INDEX, StoreErasure};
pub(crate) use screen::{FileScreening, FilesScreened, Screener};
pub(crate) use stored::Erasures;
pub use target::{Screened, Target, screen_chunk, screen_rows};

use crate::ages;
use crate::app_id::AppId;
use crate::commit::{Commit, Operation};
use crate::contention::Contention;
use crate::error::{LakeError, Result};
use crate::log::Wrote;
use crate::rewrite::Known;
use crate::upkeep::Upkeep;
use stored::{Erasure, Progress, registration};

/// How long an erasure stays open at the least: as long as a file that no table names may wait for its commit (31 days; queues,
/// streams and error prefixes keep what they hold for less), and a day for vacuum.
pub const OPEN_FOR: Duration = Duration::from_secs(32 * 24 * 3_600);
const _: () = assert!(OPEN_FOR.as_secs() > ages::ORPHAN.as_secs());

/// An erasure that is not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenErasure {
    /// Its name.
    pub id: Uuid,
    /// Whose rows go.
    pub target: Target,
    /// Whether the hot index was dealt with.
    pub is_hot_done: bool,
}

impl Upkeep {
    fn erasures(&self) -> Erasures {
        Erasures::new(self.reader.store().clone(), self.reader.root_url().clone())
    }

    /// Begins an erasure: from now on nothing of it is committed any more. [`erase`](Self::erase) does the rest.
    ///
    /// `at_once`: files that held the rows are deleted as soon as the rows are out of their table, so that its older versions cannot be
    /// read any more; otherwise when the table's time travel has passed.
    ///
    /// # Errors
    ///
    /// When the dataset is none, the lake has a table that no schema declares, or the store fails. It has not begun then, or is open,
    /// and goes on when it is asked to.
    pub async fn begin_erasure(&self, target: Target, at_once: bool) -> Result<Uuid> {
        let mut erasure = Erasure::new(target.clone(), at_once, self.tables_of(&target).await?);
        self.erasures().save(&mut erasure).await?;
        for table in erasure.tables.keys() {
            self.register(table, erasure.id, true).await?;
        }
        Ok(erasure.id)
    }

    /// Does what there is to do of an open erasure in the tables: takes the rows out, and deletes the files whose time has come.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, the store or the object index fails, or others keep winning. It goes on when it is called
    /// again.
    pub async fn erase(&self, id: Uuid) -> Result<()> {
        let mut contention = Contention::default();
        loop {
            match self.erase_once(id).await {
                Err(LakeError::Overtaken(path)) => contention.wait(&path).await?,
                done => return done,
            }
        }
    }

    async fn erase_once(&self, id: Uuid) -> Result<()> {
        let mut erasure = self.erasures().load(id).await?;
        let Some(target) = erasure.target() else {
            // Who was at work on it while somebody else closed it may have told tables that it is open.
            for table in erasure.tables.keys() {
                self.register(table, id, false).await?;
            }
            return Ok(());
        };
        let mut tables: BTreeSet<String> = erasure.tables.keys().cloned().collect();
        // A dataset may have been declared since.
        let declared = self.tables_of(&target).await;
        tables.extend(declared.iter().flatten().cloned());
        let mut failure = declared.err();
        for table in tables {
            // What fails in one table holds up no other.
            if let Err(error) = self.erase_table(&mut erasure, &target, &table).await {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn erase_table(&self, erasure: &mut Erasure, target: &Target, table: &str) -> Result<()> {
        // A table that is made later is looked into when it is there.
        if self.known(table).await?.is_none() {
            erasure.progress(table);
            return Ok(());
        }
        // Where it was interrupted before, or the table's log was taken back behind it: what was committed meanwhile was not compared.
        if self.register(table, erasure.id, true).await? {
            erasure.progress(table).is_swept = false;
        }
        if !erasure.progress(table).is_swept {
            self.sweep(erasure, target, table).await?;
        }
        self.purge(erasure, table).await
    }

    /// Notes how many rows left the hot index.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn note_hot_erasure(&self, id: Uuid, rows: u64) -> Result<()> {
        let mut contention = Contention::default();
        loop {
            let mut erasure = self.erasures().load(id).await?;
            erasure.hot_rows = Some(erasure.hot_rows.unwrap_or_default() + rows);
            match self.erasures().save(&mut erasure).await {
                Err(LakeError::Overtaken(path)) => contention.wait(&path).await?,
                done => return done,
            }
        }
    }

    /// Closes an erasure whose time has come, with nothing left to do; says whether it is closed. Who calls it sees to it that no other
    /// input holds anything that arrived before the erasure was asked for.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn close_erasure(&self, id: Uuid) -> Result<bool> {
        let mut erasure = self.erasures().load(id).await?;
        let now = self.clock.now_micros();
        if erasure.closed_at.is_some() {
            return Ok(true);
        }
        let Some(target) = erasure.target().filter(|_| now >= open_until(&erasure)) else { return Ok(false) };
        if !self.is_done(&erasure).await? || self.waits_for_a_commit(&erasure, &target).await? {
            return Ok(false);
        }
        for table in erasure.tables.keys() {
            self.register(table, id, false).await?;
        }
        erasure.close(now);
        match self.erasures().save(&mut erasure).await {
            // Whoever else is at work on it may have found something to do; its tables are told again that it is open.
            Err(LakeError::Overtaken(_)) => Ok(false),
            saved => saved.map(|()| true),
        }
    }

    /// The erasures that are not closed, the oldest first.
    ///
    /// # Errors
    ///
    /// When the store fails, or what is stored of one is damaged.
    pub async fn open_erasures(&self) -> Result<Vec<OpenErasure>> {
        let all = self.erasures().all().await?;
        let open = all.iter().filter_map(|erasure| {
            Some(OpenErasure { id: erasure.id, target: erasure.target()?, is_hot_done: erasure.hot_rows.is_some() })
        });
        Ok(open.collect())
    }

    /// What has become of every erasure so far, the oldest first.
    ///
    /// # Errors
    ///
    /// As [`open_erasures`](Self::open_erasures).
    pub async fn erasure_reports(&self) -> Result<Vec<ErasureReport>> {
        let mut reports = Vec::new();
        for erasure in self.erasures().all().await? {
            reports.push(self.report(&erasure).await?);
        }
        Ok(reports)
    }

    /// What an erasure would do to the tables.
    ///
    /// # Errors
    ///
    /// As [`begin_erasure`](Self::begin_erasure).
    pub async fn preview_erasure(&self, target: Target) -> Result<ErasureReport> {
        let mut erasure = Erasure::new(target.clone(), false, self.tables_of(&target).await?);
        for table in erasure.tables.keys().cloned().collect::<Vec<_>>() {
            let Some(known) = self.known(&table).await? else { continue };
            for file in self.files_that_may_hold(&known, &target).await? {
                let bytes = known.log().get_present(&file.path).await?;
                let rows = self.count(&known, &file.path, &bytes, &target).await?;
                let progress = erasure.progress(&table);
                progress.rows += rows;
                progress.files += u64::from(rows > 0);
            }
        }
        Ok(ErasureReport { id: None, ..self.report(&erasure).await? })
    }

    /// Whether nothing is left to do.
    async fn is_done(&self, erasure: &Erasure) -> Result<bool> {
        for (table, progress) in &erasure.tables {
            if !progress.held.is_empty() || !self.is_swept(table, progress).await? {
                return Ok(false);
            }
        }
        Ok(erasure.hot_rows.is_some())
    }

    async fn is_swept(&self, table: &str, progress: &Progress) -> Result<bool> {
        Ok(progress.is_swept || self.known(table).await?.is_none())
    }

    /// The tables that an erasure is to look through, by name.
    async fn tables_of(&self, target: &Target) -> Result<Vec<String>> {
        let dead_letters = String::from(DatasetName::dead_letters());
        if let Some(dataset) = &target.dataset {
            self.datasets.get(dataset).ok_or_else(|| LakeError::NoTable(dataset.clone()))?;
            return Ok(vec![dataset.clone(), dead_letters]);
        }
        let tables: BTreeSet<String> =
            self.datasets.iter().map(|dataset| dataset.name.to_string()).chain([dead_letters]).collect();
        for table in self.reader.tables().await? {
            if !tables.contains(&table) && table != DatasetName::ledger().as_str() {
                return Err(LakeError::Undeclared(table));
            }
        }
        Ok(tables.into_iter().collect())
    }

    /// Whether a file that no table names holds any of the rows: it may still be committed, and vacuum deletes it if it is not.
    async fn waits_for_a_commit(&self, erasure: &Erasure, target: &Target) -> Result<bool> {
        for table in erasure.tables.keys() {
            let Some(known) = self.known(table).await? else { continue };
            for path in self.unnamed_files(table).await? {
                let Some(bytes) = known.log().find(&path).await? else { continue };
                if self.count(&known, &path, &bytes, target).await? > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Tells a table's log that an erasure is open, or closed; says whether it had to be told. A table that was never made need not be.
    async fn register(&self, table: &str, id: Uuid, is_open: bool) -> Result<bool> {
        let mut contention = Contention::default();
        loop {
            let Some(known) = self.known(table).await? else { return Ok(false) };
            if known.erasures().contains(&id) == is_open {
                return Ok(false);
            }
            let now = self.clock.now_micros();
            let closed = || Transaction::new_with_last_update(AppId::Erasure(id), 1, Some(now / 1_000));
            let actions = vec![if is_open { registration(id) } else { Action::Txn(closed()) }];
            let entry = Commit { actions, ..Commit::default() };
            let entry = entry.encode(Operation::SetTransaction, now);
            if known.log().write(known.next_version(), entry).await? == Wrote::Entry {
                return Ok(true);
            }
            contention.wait(table).await?;
        }
    }

    /// The newest version of a table; `None`: it was never made.
    async fn known(&self, table: &str) -> Result<Option<Known>> {
        match self.newest(table).await {
            Ok(known) => Ok(Some(known)),
            Err(LakeError::NoTable(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn open_until(erasure: &Erasure) -> Micros {
    erasure.requested_at + micros(OPEN_FOR)
}

#[cfg(test)]
mod tests;
