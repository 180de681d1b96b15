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

mod screen;
mod stored;
mod target;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::{DatasetName, Removal};
use deltalake_core::kernel::{Action, Transaction};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use screen::Screener;
pub(crate) use screen::{Screened as FilesScreened, Screening as FileScreening};
pub use target::{Screened, Target, screen_chunk};

use crate::ages::{self, Ages, micros};
use crate::anew::{Anew, Written};
use crate::app_id::AppId;
use crate::commit::{Commit, Operation};
use crate::contention::Contention;
use crate::contents::may_hold_owner;
use crate::error::{LakeError, Result};
use crate::log::Wrote;
use crate::reader::ActiveFile;
use crate::rewrite::{Known, Rewrite};
use crate::upkeep::{Upkeep, blocking};
pub(crate) use stored::Erasures;
use stored::{Attempt, Erasure, Progress, registration};

const DOING: &str = "write the rows that stay";
/// How many bytes of files one commit takes out at the most, or one file.
const COMMIT_BYTES: u64 = 1 << 30;
/// How many entries of the object index are read at a time; each may have some hundred KB.
const ENTRIES: usize = 64;
/// The stores that are no tables, as a report names them.
pub const HOT_INDEX: &str = "hot index";
const UNNAMED: &str = "files that no table names";

/// How long an erasure stays open at the least: as long as a file that no table names may wait for its commit (31 days; queues,
/// streams and error prefixes keep what they hold for less), and a day for vacuum.
pub const OPEN_FOR: Duration = Duration::from_secs(32 * 24 * 3_600);
const _: () = assert!(OPEN_FOR.as_secs() > ages::ORPHAN.as_secs());

/// What an erasure did, and when the last copies end. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReport {
    /// Its name; `None`: it was only tried.
    pub id: Option<String>,
    /// The one dataset that it is of; `None`: all.
    pub dataset: Option<String>,
    /// When it was asked for: what arrived later stays.
    #[serde(with = "alluvium_core::clock::rfc3339")]
    pub requested_at: Micros,
    /// By when it is closed at the earliest. Until then rows that arrived before it are left out wherever they come in again.
    #[serde(with = "alluvium_core::clock::rfc3339")]
    pub open_until: Micros,
    /// When it was closed; `None`: it is open.
    #[serde(with = "alluvium_core::clock::rfc3339::optional")]
    pub closed_at: Option<Micros>,
    /// What it did in each store.
    pub stores: Vec<StoreErasure>,
}

/// What an erasure did in one store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreErasure {
    /// The store, such as ``table `telemetry` ``.
    pub store: String,
    /// The rows that left it; `None`: they are not counted there.
    pub rows: Option<u64>,
    /// The files that held them; `None`: it has none, or they are not counted.
    pub files: Option<u64>,
    /// When the last copy in it ends, at the latest; what is asked to go at once goes as soon as nothing needs it. `None`: none is left,
    /// or none was there.
    #[serde(with = "alluvium_core::clock::rfc3339::optional")]
    pub ends: Option<Micros>,
    /// Whether there is more to do before that.
    pub is_done: bool,
}

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
        let erasure = Erasure::new(target.clone(), at_once, self.tables_of(&target).await?);
        self.erasures().save(&erasure).await?;
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
        let mut erasure = self.erasures().load(id).await?;
        let Some(target) = erasure.target() else { return Ok(()) };
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
        let mut erasure = self.erasures().load(id).await?;
        erasure.hot_rows = Some(erasure.hot_rows.unwrap_or_default() + rows);
        self.erasures().save(&erasure).await
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
        self.erasures().save(&erasure).await?;
        Ok(true)
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

    /// Takes the rows out of a table: no file that is in it holds any when this returns.
    async fn sweep(&self, erasure: &mut Erasure, target: &Target, table: &str) -> Result<()> {
        self.settle(erasure, table).await?;
        self.index_table(table).await?;
        self.hold_earlier(erasure, target, table).await?;
        let mut contention = Contention::default();
        loop {
            let known = self.newest(table).await?;
            match self.sweep_once(erasure, target, known.clone()).await {
                Ok(Swept::Clean) => {
                    erasure.progress(table).is_swept = true;
                    return self.erasures().save(erasure).await;
                }
                Ok(Swept::Some) => contention = Contention::default(),
                Ok(Swept::Overtaken) => contention.wait(table).await?,
                // What another rewrite took out, vacuum in another process may have deleted before it was read here.
                Err(LakeError::Damaged { .. }) if known.is_overtaken().await? => contention.wait(table).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// One commit of a sweep.
    async fn sweep_once(&self, erasure: &mut Erasure, target: &Target, known: Known) -> Result<Swept> {
        let table = known.log().name().to_owned();
        let (of, name) = ([target.clone()], table.clone());
        let anew = Anew {
            log: known.log().clone(),
            format: self.format.clone(),
            columns: self.columns(&table)?,
            change: Arc::new(move |rows| target::without(&of, &name, rows)),
            doing: DOING,
        };
        let work = Uuid::new_v4().simple().to_string();
        let (mut removes, mut adds, mut entries, mut erased, mut bytes_read) =
            (Vec::new(), Vec::new(), Vec::new(), 0, 0);
        for file in self.files_that_may_hold(&known, target).await? {
            let bytes = known.log().get_present(&file.path).await?;
            let rows = self.count(&known, &file.path, &bytes, target).await?;
            if rows == 0 {
                continue;
            }
            if let Some(Written { file: new, entry, .. }) = anew.rewrite(&file, bytes, &work, adds.len()).await? {
                adds.push(new);
                entries.push(entry);
            }
            erased += rows;
            bytes_read += file.size_bytes;
            removes.push(file);
            if bytes_read >= COMMIT_BYTES {
                break;
            }
        }
        if removes.is_empty() {
            return Ok(Swept::Clean);
        }
        self.index(entries).await?;
        let at = self.clock.now_micros();
        let files: BTreeSet<String> = removes.iter().map(|file| file.path.clone()).collect();
        let attempt = Attempt { work: work.clone(), from: known.next_version(), rows: erased, files };
        let progress = erasure.progress(&table);
        progress.held.extend(attempt.files.iter().map(|path| (path.clone(), at)));
        progress.unsure = Some(attempt.clone());
        self.erasures().save(erasure).await?;
        let removal = Removal { work, table: table.clone(), erased, at, ..Removal::default() };
        let committed = self.commit(known, Rewrite::erase(removes, adds, removal)).await?;
        let progress = erasure.progress(&table);
        progress.unsure = None;
        if committed.is_some() {
            progress.count(&attempt);
        }
        self.erasures().save(erasure).await?;
        Ok(if committed.is_some() { Swept::Some } else { Swept::Overtaken })
    }

    /// Finds out whether the commit was made that was under way when the erasure was interrupted.
    async fn settle(&self, erasure: &mut Erasure, table: &str) -> Result<()> {
        let Some(attempt) = erasure.progress(table).unsure.take() else { return Ok(()) };
        let known = self.newest(table).await?;
        let mut is_made = None;
        for version in attempt.from..known.next_version() {
            match known.log().read(version).await? {
                Some(commit) if commit.removals.iter().any(|removal| removal.work == attempt.work) => {
                    is_made = Some(true);
                    break;
                }
                Some(_) => is_made = is_made.or(Some(false)),
                // Vacuum has deleted the entry, and with it perhaps the answer.
                None => is_made = None,
            }
        }
        let are_out = || Ok::<_, LakeError>(!known.files()?.iter().any(|file| attempt.files.contains(&file.path)));
        if is_made.map_or_else(are_out, Ok)? {
            erasure.progress(table).count(&attempt);
        }
        self.erasures().save(erasure).await
    }

    /// Notes the files that were taken out of a table earlier and hold the rows, so that they are deleted too.
    async fn hold_earlier(&self, erasure: &mut Erasure, target: &Target, table: &str) -> Result<()> {
        let known = self.newest(table).await?;
        let without = self.files_without(table, target).await?;
        for (path, at) in self.removed_files(table).await? {
            if without.contains(&path) || erasure.progress(table).held.contains_key(&path) {
                continue;
            }
            // One that has no entry was replaced before it got any. Vacuum may have deleted it since it was listed.
            let Some(bytes) = known.log().find(&path).await? else { continue };
            if self.count(&known, &path, &bytes, target).await? > 0 {
                erasure.progress(table).held.insert(path, at);
            }
        }
        self.erasures().save(erasure).await
    }

    /// Deletes the files that held the rows, if it is time.
    async fn purge(&self, erasure: &mut Erasure, table: &str) -> Result<()> {
        let kept_for = if erasure.at_once { 0 } else { self.time_travel(table).await? };
        let now = self.clock.now_micros();
        let held = &erasure.progress(table).held;
        let due: BTreeSet<String> =
            held.iter().filter(|(_, at)| **at <= now.saturating_sub(kept_for)).map(|(path, _)| path.clone()).collect();
        if due.is_empty() {
            return Ok(());
        }
        let left = self.vacuum_files(table, &due, erasure.at_once.then_some(Duration::ZERO)).await?;
        if left == due {
            return Ok(());
        }
        erasure.progress(table).held.retain(|path, _| !due.contains(path) || left.contains(path));
        self.erasures().save(erasure).await
    }

    /// The files of a table that may hold rows of the owner, by the object index. One that has no entry may.
    async fn files_that_may_hold(&self, known: &Known, target: &Target) -> Result<Vec<ActiveFile>> {
        let without = self.files_without(known.log().name(), target).await?;
        let mut files = known.files()?;
        files.retain(|file| !without.contains(&file.path));
        Ok(files)
    }

    /// The files of a table that hold no row of the owner, by the object index.
    async fn files_without(&self, table: &str, target: &Target) -> Result<HashSet<String>> {
        let mut without = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let entries = self.index.entries(table, after.as_deref(), ENTRIES).await.map_err(LakeError::Index)?;
            let Some(last) = entries.last() else { return Ok(without) };
            after = Some(last.path.clone());
            let of_others = entries.into_iter().filter(|entry| !may_hold_owner(entry, &target.owner));
            without.extend(of_others.map(|entry| entry.path));
        }
    }

    /// How many rows of a file go.
    async fn count(&self, known: &Known, path: &str, bytes: &bytes::Bytes, target: &Target) -> Result<u64> {
        let (targets, table, bytes) = ([target.clone()], known.log().name().to_owned(), bytes.clone());
        let counted = blocking(known.log().name(), move || target::count(&targets, &table, bytes)).await?;
        counted.map_err(|error| known.log().damaged(path, &format!("{error}; restore it")))
    }

    /// The newest version of a table; `None`: it was never made.
    async fn known(&self, table: &str) -> Result<Option<Known>> {
        match self.newest(table).await {
            Ok(known) => Ok(Some(known)),
            Err(LakeError::NoTable(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn report(&self, erasure: &Erasure) -> Result<ErasureReport> {
        let mut stores = Vec::new();
        for (table, progress) in &erasure.tables {
            let ends = match progress.held.values().max() {
                Some(removed) if !erasure.at_once => Some(removed + self.time_travel(table).await?),
                Some(_) => Some(self.clock.now_micros()),
                None => None,
            };
            stores.push(StoreErasure {
                store: format!("table `{table}`"),
                rows: Some(progress.rows),
                files: Some(progress.files),
                ends,
                is_done: self.is_swept(table, progress).await?,
            });
        }
        let hot = StoreErasure {
            store: HOT_INDEX.to_owned(),
            rows: erasure.hot_rows,
            is_done: erasure.hot_rows.is_some(),
            ..StoreErasure::default()
        };
        let uncommitted = StoreErasure {
            store: UNNAMED.to_owned(),
            ends: erasure.closed_at.is_none().then(|| erasure.requested_at + micros(ages::ORPHAN)),
            is_done: true,
            ..StoreErasure::default()
        };
        stores.extend([hot, uncommitted]);
        Ok(ErasureReport {
            id: Some(erasure.id.simple().to_string()),
            dataset: erasure.dataset.clone(),
            requested_at: erasure.requested_at,
            open_until: open_until(erasure),
            closed_at: erasure.closed_at,
            stores,
        })
    }

    /// How long a table keeps files that were taken out of it.
    async fn time_travel(&self, table: &str) -> Result<Micros> {
        let Some(known) = self.known(table).await? else { return Ok(0) };
        let metadata = known.metadata().ok_or_else(|| LakeError::NoTable(table.to_owned()))?;
        Ok(micros(Ages::of(known.log(), metadata)?.tombstones))
    }
}

/// What one commit of a sweep came to.
enum Swept {
    /// There was nothing left to take out.
    Clean,
    Some,
    /// Another rewrite came between.
    Overtaken,
}

fn open_until(erasure: &Erasure) -> Micros {
    erasure.requested_at + micros(OPEN_FOR)
}

#[cfg(test)]
mod tests;
