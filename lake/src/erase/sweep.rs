//! The sweep of one table: the rows leave it, and the files that held them are noted and deleted in their time.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Removal;
use uuid::Uuid;

use super::stored::{Attempt, Erasure};
use super::target::{self, Target};
use crate::anew::{Anew, Written};
use crate::contention::Contention;
use crate::contents::may_hold_owner;
use crate::error::{LakeError, Result};
use crate::reader::ActiveFile;
use crate::rewrite::{Known, Rewrite};
use crate::upkeep::{Upkeep, blocking};

const DOING: &str = "write the rows that stay";
/// How many bytes of files one commit takes out at the most, or one file.
const COMMIT_BYTES: u64 = 1 << 30;
/// How many entries of the object index are read at a time; each may have some hundred KB.
const ENTRIES: usize = 64;

/// What one commit of a sweep came to.
enum Swept {
    /// There was nothing left to take out.
    Clean,
    Some,
    /// Another rewrite came between.
    Overtaken,
}

impl Upkeep {
    /// Takes the rows out of a table: no file that is in it holds any when this returns.
    pub(super) async fn sweep(&self, erasure: &mut Erasure, target: &Target, table: &str) -> Result<()> {
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
    pub(super) async fn settle(&self, erasure: &mut Erasure, table: &str) -> Result<()> {
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
    pub(super) async fn hold_earlier(&self, erasure: &mut Erasure, target: &Target, table: &str) -> Result<()> {
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
    pub(super) async fn purge(&self, erasure: &mut Erasure, table: &str) -> Result<()> {
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
    pub(super) async fn files_that_may_hold(&self, known: &Known, target: &Target) -> Result<Vec<ActiveFile>> {
        let without = self.files_without(known.log().name(), target).await?;
        let mut files = known.files()?;
        files.retain(|file| !without.contains(&file.path));
        Ok(files)
    }

    /// The files of a table that hold no row of the owner, by the object index.
    pub(super) async fn files_without(&self, table: &str, target: &Target) -> Result<HashSet<String>> {
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
    pub(super) async fn count(&self, known: &Known, path: &str, bytes: &bytes::Bytes, target: &Target) -> Result<u64> {
        let (targets, table, bytes) = ([target.clone()], known.log().name().to_owned(), bytes.clone());
        let counted = blocking(known.log().name(), move || target::count(&targets, &table, bytes)).await?;
        counted.map_err(|error| known.log().damaged(path, &format!("{error}; restore it")))
    }
}
