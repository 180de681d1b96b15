//! Vacuum: what nothing needs any more is deleted.
//!
//! - *Files that were taken out* of a table long enough ago, by its own retention or a shorter one that was asked for. The ledger must
//!   have copied the commit that took them out, since the audit looks at each table as of what is copied; and no snapshot that this
//!   process holds may have them.
//! - *Orphans*: files that no entry of the log names, older than any commit message that could name them (ADR 15).
//! - *Key filters* with their files, and those without one.
//! - *Log entries and checkpoints* for which a later checkpoint has stood for long enough (the module `log_entries`).
//! - *Commit messages* that are so old that nothing names them (`messages`).
//!
//! Others may commit, rewrite and vacuum meanwhile. Everything goes file by file, so a vacuum that dies leaves the rest for the next.

mod log_entries;
mod messages;
mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::ages::{self, Ages};
use crate::error::Result;
use crate::filter::path_of as key_filter_of;
use crate::log::TableLog;
use crate::upkeep::Upkeep;
use named::{Copied, Named, Standing};

/// How many files that were taken out are deleted at a time.
const AT_ONCE: usize = 8;

/// Whether anything is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VacuumMode {
    /// Only the report is made.
    DryRun,
    /// What the report counts is deleted.
    Delete,
}

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Counted {
    fn add(&mut self, object: &ObjectMeta) {
        self.files += 1;
        self.bytes += object.size;
    }
}

/// What vacuum deleted of one table, or would have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacuumed {
    /// The table.
    pub table: String,
    /// Data files that were taken out of the table.
    pub removed: Counted,
    /// Data files that nothing names.
    pub orphans: Counted,
    /// Key filters, which compaction puts beside its files.
    pub key_filters: Counted,
    /// Log entries and checkpoints.
    pub log_entries: Counted,
    /// Data files that were taken out long enough ago and are kept all the same, because the ledger has not copied the commit that
    /// did it, or a snapshot is held that has them. None of these was deleted.
    pub waiting: Counted,
}

impl Upkeep {
    /// Deletes what nobody needs any more of one table, the ledger included; see the [module](self).
    ///
    /// `removed_for` says how long ago a file must have been taken out: zero is at once, `None` as long as the table's property
    /// `delta.deletedFileRetentionDuration` says. With less than that, readers in other processes may find files of older versions
    /// gone that they are reading. The memory of those files stays in the log for as long as ever, so no batch comes in twice (LK-1).
    ///
    /// # Errors
    ///
    /// When there is no such table, a property of it lets too much be forgotten, or the store fails. What is not deleted by then is
    /// left for the next time.
    pub async fn vacuum(&self, table: &str, mode: VacuumMode, removed_for: Option<Duration>) -> Result<Vacuumed> {
        let now = self.clock.now_micros();
        let log = self.reader.log(table);
        let copied = Copied::of(&self.reader, table).await?;
        let mut named = Named::load(&log, copied.removals).await?;
        let ages = Ages::of(&log, &named.metadata)?;
        let held = self.reader.leases().on(table).await;
        let objects = log.list_objects(None).await?;

        let data: Vec<&ObjectMeta> = objects.iter().filter(|object| is_data_file(object)).collect();
        let filters: BTreeMap<&str, &ObjectMeta> = in_folder(&objects, "_keys/").collect();
        let removed_for = removed_for.unwrap_or(ages.tombstones);
        let is_due = |at| removed_for.is_zero() || at <= now.saturating_sub(micros(removed_for));
        let is_orphaned = |object: &ObjectMeta| written_at(object) <= now - micros(ages::ORPHAN);
        let mut report = Vacuumed { table: table.to_owned(), ..Vacuumed::default() };
        let (mut removed, mut unnamed) = (Vec::new(), Vec::new());
        for object in data.iter().copied() {
            let path = object.location.as_ref();
            match named.standing(path) {
                Standing::Removed { at, is_copied } if is_due(at) => {
                    if is_copied && !held.iter().any(|held| held.keeps(path)) {
                        removed.push(object);
                    } else {
                        report.waiting.add(object);
                    }
                }
                Standing::Unnamed if is_orphaned(object) => unnamed.push(object),
                Standing::Active | Standing::Removed { .. } | Standing::Unnamed => {}
            }
        }
        let filter_of = |object: &ObjectMeta| filters.get(key_filter_of(object.location.as_ref()).as_str()).copied();

        let delete = Delete { log: &log, mode };
        // Collected, so that whoever vacuums may do so on another thread.
        let deletes: Vec<_> = removed.iter().map(|object| delete.data_file(object, filter_of(object))).collect();
        futures::stream::iter(deletes).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let mut deleted = Vec::new();
        for object in removed {
            deleted.push(object.location.to_string());
            report.removed.add(object);
            filter_of(object).iter().for_each(|filter| report.key_filters.add(filter));
        }
        for object in unnamed {
            let path = object.location.as_ref();
            // In this order: a committer removes a message only after the log names its files.
            if self.has_message(path).await? || named.names_by_now(&log, path).await? {
                continue;
            }
            delete.data_file(object, filter_of(object)).await?;
            deleted.push(path.to_owned());
            report.orphans.add(object);
            filter_of(object).iter().for_each(|filter| report.key_filters.add(filter));
        }
        let used: BTreeSet<String> = data.iter().map(|object| key_filter_of(object.location.as_ref())).collect();
        for (_, filter) in filters.iter().filter(|(path, filter)| !used.contains(**path) && is_orphaned(filter)) {
            delete.object(filter).await?;
            report.key_filters.add(filter);
        }
        if mode == VacuumMode::Delete {
            let there: BTreeSet<&str> = data.iter().map(|object| object.location.as_ref()).collect();
            let deleted: BTreeSet<&str> = deleted.iter().map(String::as_str).collect();
            self.forget_entries(table, |path| there.contains(path) && !deleted.contains(path)).await?;
        }
        // Readers begin at the checkpoint that the hint names, and go on entry by entry.
        let up_to = copied.entries.min(log.hinted_checkpoint().await?);
        for entry in log_entries::expired(&log, &objects, up_to, now - micros(ages.log)).await? {
            delete.object(entry).await?;
            report.log_entries.add(entry);
        }
        Ok(report)
    }
}

impl Upkeep {
    /// Deletes those of these data files, all of which were in the table, that were taken out long enough ago and that nothing holds; see
    /// [`vacuum`](Self::vacuum). Returns those that are still there.
    pub(crate) async fn vacuum_files(
        &self,
        table: &str,
        paths: &BTreeSet<String>,
        removed_for: Option<Duration>,
    ) -> Result<BTreeSet<String>> {
        let now = self.clock.now_micros();
        let log = self.reader.log(table);
        let named = Named::load(&log, Copied::of(&self.reader, table).await?.removals).await?;
        let removed_for = micros(removed_for.unwrap_or(Ages::of(&log, &named.metadata)?.tombstones));
        let held = self.reader.leases().on(table).await;
        let mut left = BTreeSet::new();
        for path in paths {
            let may_go = match named.standing(path) {
                Standing::Removed { at, is_copied } => {
                    is_copied && at <= now.saturating_sub(removed_for) && !held.iter().any(|held| held.keeps(path))
                }
                // It was in the table once, and the log has forgotten by now that it was taken out.
                Standing::Unnamed => true,
                Standing::Active => false,
            };
            if may_go {
                log.delete(&Path::from(key_filter_of(path))).await?;
                log.delete(&Path::from(path.as_str())).await?;
                self.forget_entry(table, path).await?;
            } else if log.has(path).await? {
                left.insert(path.clone());
            }
        }
        Ok(left)
    }

    /// The data files of a table that were taken out of it and are still there, with when they were.
    pub(crate) async fn removed_files(&self, table: &str) -> Result<Vec<(String, Micros)>> {
        let (named, files) = self.files_there(table).await?;
        let removed = files.into_iter().filter_map(|path| match named.standing(&path) {
            Standing::Removed { at, .. } => Some((path, at)),
            Standing::Active | Standing::Unnamed => None,
        });
        Ok(removed.collect())
    }

    /// The data files in a table's folder that its log does not name.
    pub(crate) async fn unnamed_files(&self, table: &str) -> Result<Vec<String>> {
        let (named, mut files) = self.files_there(table).await?;
        files.retain(|path| named.standing(path) == Standing::Unnamed);
        Ok(files)
    }

    /// The data files in a table's folder, and what its log says of them, which is read after they were listed.
    async fn files_there(&self, table: &str) -> Result<(Named, Vec<String>)> {
        let log = self.reader.log(table);
        let objects = log.list_objects(None).await?;
        let named = Named::load(&log, Copied::of(&self.reader, table).await?.removals).await?;
        let files = objects.iter().filter(|object| is_data_file(object)).map(|object| object.location.to_string());
        Ok((named, files.collect()))
    }
}

/// Deletes, or only says so.
struct Delete<'a> {
    log: &'a TableLog,
    mode: VacuumMode,
}

impl Delete<'_> {
    /// The key filter first: a file without one is only read more often, a filter without a file is not found for long.
    async fn data_file(&self, file: &ObjectMeta, filter: Option<&ObjectMeta>) -> Result<()> {
        if let Some(filter) = filter {
            self.object(filter).await?;
        }
        self.object(file).await
    }

    async fn object(&self, object: &ObjectMeta) -> Result<()> {
        match self.mode {
            VacuumMode::DryRun => Ok(()),
            VacuumMode::Delete => self.log.delete(&object.location).await,
        }
    }
}

/// Data files lie in the table's folder itself.
fn is_data_file(object: &ObjectMeta) -> bool {
    let path = object.location.as_ref();
    path.ends_with(".parquet") && !path.contains('/')
}

fn in_folder<'a>(objects: &'a [ObjectMeta], folder: &str) -> impl Iterator<Item = (&'a str, &'a ObjectMeta)> {
    let objects = objects.iter().map(|object| (object.location.as_ref(), object));
    objects.filter(move |(path, _)| path.starts_with(folder))
}

fn written_at(object: &ObjectMeta) -> Micros {
    object.last_modified.timestamp_micros()
}

#[cfg(test)]
mod tests;
