//! What opening the lake mends: a newest log entry that a power cut tore, and a ledger that is ahead of a table because of it.
//!
//! Nothing is thrown away. A torn file is moved to `_delta_log/_torn/`, where no reader takes it for a part of the log, and the
//! records that it was about are still in the stream: the position goes back with the ledger, the stream delivers them again, and
//! the tables that have them skip them by their marks (IN-1, LK-1). Whatever is not the newest is refused, not mended.

use std::collections::BTreeMap;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use crate::app_id::AppId;
use crate::commit::Commit;
use crate::error::{LakeError, Result};
use crate::log::{LogFiles, TableLog};
use crate::state::{Keep, TableState};

/// How many ledger commits are taken back at the most. One torn entry is found at the next start, so it is a few.
const MAX_ROLLED_BACK: u64 = 1_000;

/// What opening the lake found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LakeRecovery {
    /// Tables that were made.
    pub created: Vec<String>,
    /// Tables that gained columns.
    pub evolved: Vec<String>,
    /// Files of a log that were moved out of the way, in the order in which that was done.
    pub set_aside: Vec<SetAside>,
    /// Tables that have commits which the ledger does not have yet: a crash fell between the commits of one cycle. They are
    /// copied, and the position moves, as soon as the other tables have caught up.
    pub ahead_of_ledger: Vec<String>,
}

/// A file of a table's log that was moved out of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// The table.
    pub table: String,
    /// The version that the file stood for.
    pub version: u64,
    /// Where it lies now, under the lake's root.
    pub moved_to: String,
    /// Why it was moved.
    pub reason: String,
}

impl LakeRecovery {
    fn moved(&mut self, log: &TableLog, version: u64, moved_to: String, reason: String) {
        tracing::warn!(table = log.name(), version, moved_to, reason, "a file of a table's log was set aside");
        self.set_aside.push(SetAside { table: log.name().to_owned(), version, moved_to, reason });
    }
}

/// Checks that the newest checkpoint and the newest entry of a log are whole, and sets aside what is not.
pub(crate) async fn mend_newest(log: &TableLog, recovery: &mut LakeRecovery) -> Result<LogFiles> {
    let mut files = log.list().await?;
    if let Some(version) = files.checkpoints.keys().last().copied() {
        let bytes = log.read_checkpoint(version).await?;
        if let Err(error) = ParquetRecordBatchReaderBuilder::try_new(bytes) {
            files.checkpoints.remove(&version);
            if !is_complete(&files) {
                let problem = format!("{error}. The entries that it stands for are no longer all there; restore it");
                return Err(log.damaged_checkpoint(version, &problem));
            }
            let moved_to = log.set_aside_checkpoint(version).await?;
            recovery.moved(log, version, moved_to, format!("the checkpoint is damaged: {error}"));
        }
    }
    let Some(version) = files.commits.keys().last().copied() else { return Ok(files) };
    let Some(bytes) = log.read_bytes(version).await? else { return Ok(files) };
    if let Err(torn) = Commit::decode(&bytes) {
        if files.checkpoints.range(version..).next().is_some() {
            // The checkpoint was made from the whole entry, which some reader may have seen. It cannot be undone.
            return Err(log.damaged_commit(version, &torn));
        }
        let moved_to = log.set_aside_commit(version).await?;
        files.commits.remove(&version);
        recovery.moved(log, version, moved_to, format!("the newest entry is torn: {torn}"));
    }
    Ok(files)
}

/// Takes ledger commits back until the ledger has copied no version that a table no longer has. Says whether it took any.
///
/// `tables` holds every table's newest version.
pub(crate) async fn roll_back_ledger<K: Keep>(
    log: &TableLog,
    files: &mut LogFiles,
    ledger: &TableState<K>,
    tables: &BTreeMap<&str, Option<u64>>,
    recovery: &mut LakeRecovery,
) -> Result<bool> {
    let mut first: Option<(u64, String)> = None;
    for (table, version) in tables {
        let Some(copied) = ledger.copied.get(*table) else { continue };
        let next = version.map_or(0, |version| version + 1);
        if *copied < next {
            continue;
        }
        if *copied > next {
            let problem = format!(
                "it has copied `{table}` up to version {copied}, and that table's log ends before {next}: more than its newest \
                 entry is gone. Restore the log of `{table}`"
            );
            return Err(log.damaged("_delta_log", &problem));
        }
        let at = commit_that_copied(log, ledger, table).await?;
        if first.as_ref().is_none_or(|(other, _)| at < *other) {
            first = Some((at, format!("it counts version {copied} of `{table}`, which that table no longer has")));
        }
    }
    let Some((first, reason)) = first else { return Ok(false) };
    let mut kept = files.clone();
    kept.commits.split_off(&first);
    kept.checkpoints.split_off(&first);
    if kept.newest().is_none_or(|newest| newest + 1 != first) || !is_complete(&kept) {
        return Err(log.damaged(
            "_delta_log",
            &format!("{reason}, and the entries before {first} are not all there; restore them"),
        ));
    }
    // Newest first, so that a crash in between leaves a shorter log and no hole.
    let last = ledger.version.unwrap_or(first);
    for version in (first..=last).rev() {
        if files.checkpoints.contains_key(&version) {
            let moved_to = log.set_aside_checkpoint(version).await?;
            recovery.moved(log, version, moved_to, reason.clone());
        }
        if files.commits.contains_key(&version) {
            let moved_to = log.set_aside_commit(version).await?;
            recovery.moved(log, version, moved_to, reason.clone());
        }
    }
    *files = kept;
    Ok(true)
}

/// The oldest version that opening the lake may take its ledger back to; `None`: it has not come so far that one could be told.
pub(crate) fn oldest_reachable<K: Keep>(ledger: &TableState<K>) -> Option<u64> {
    let newest = ledger.version?;
    // Where several committers share the lake there is no position, and nothing is ever taken back.
    if ledger.positions.is_empty() { Some(newest) } else { newest.checked_sub(MAX_ROLLED_BACK + 1) }
}

/// The ledger commit that says up to where `table` is copied.
async fn commit_that_copied<K: Keep>(log: &TableLog, ledger: &TableState<K>, table: &str) -> Result<u64> {
    let newest = ledger.version.unwrap_or_default();
    let wanted = AppId::Copied(table.to_owned());
    for version in (newest.saturating_sub(MAX_ROLLED_BACK)..=newest).rev() {
        if log.read_present(version).await?.transactions().any(|(id, _)| id == wanted) {
            return Ok(version);
        }
    }
    Err(LakeError::Damaged {
        path: format!("{table}/_delta_log"),
        problem: format!(
            "its newest entry is gone, and more than {MAX_ROLLED_BACK} ledger commits have followed it; restore it"
        ),
    })
}

/// Whether the entries after the newest checkpoint, or all, are there without a hole.
fn is_complete(files: &LogFiles) -> bool {
    let Some(newest) = files.newest() else { return false };
    let after = files.checkpoints.keys().last().map_or(0, |version| version + 1);
    (after..=newest).all(|version| files.commits.contains_key(&version))
}

#[cfg(test)]
mod tests;
