//! The commits of maintenance: files go, and others may take their place.
//!
//! A rewrite is made from a version of the table and holds only as long as no other rewrite came after that version: the other may
//! have taken one of its files away, or have brought rows that this one has not compared with its own. Appends may come between,
//! for they take nothing away. So of two rewrites that are made at the same time one is committed, and the other starts over.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_core::Removal;
use alluvium_core::clock::Micros;
use arrow::datatypes::SchemaRef;
use deltalake_core::kernel::{Action, Add, Metadata, Remove};
use uuid::Uuid;

use crate::commit::{Commit, Operation};
use crate::contention::Contention;
use crate::error::Result;
use crate::lease::Lease;
use crate::log::{TableLog, Wrote};
use crate::reader::{ActiveFile, snapshot_of};
use crate::state::{Files, TableState};
use crate::table::added;
use crate::upkeep::Upkeep;

/// A table as of the version that a rewrite is made from.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    log: TableLog,
    state: Arc<TableState<Files>>,
    _lease: Lease,
}

impl Known {
    pub(crate) fn new(log: TableLog, state: Arc<TableState<Files>>, lease: Lease) -> Self {
        Self { log, state, _lease: lease }
    }

    pub(crate) fn log(&self) -> &TableLog {
        &self.log
    }

    /// The version after it.
    pub(crate) fn next_version(&self) -> u64 {
        self.state.next_version()
    }

    /// The erasures that are open.
    pub(crate) fn erasures(&self) -> &BTreeSet<Uuid> {
        &self.state.erasures
    }

    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        self.state.metadata.as_ref()
    }

    /// The table's columns.
    pub(crate) fn columns(&self) -> Result<SchemaRef> {
        Ok(snapshot_of(&self.log, &self.state)?.columns)
    }

    /// The active files, by path.
    pub(crate) fn files(&self) -> Result<Vec<ActiveFile>> {
        Ok(snapshot_of(&self.log, &self.state)?.files)
    }

    /// Whether another rewrite has come after it, so that none that is made from it can be committed.
    pub(crate) async fn is_overtaken(&self) -> Result<bool> {
        Ok(after_appends(&self.log, self.state.next_version()).await?.is_none())
    }
}

/// The next version after the appends from `version` on; `None`: a rewrite is among what follows.
async fn after_appends(log: &TableLog, mut version: u64) -> Result<Option<u64>> {
    while let Some(commit) = log.read(version).await? {
        if commit.removes().next().is_some() {
            return Ok(None);
        }
        version += 1;
    }
    Ok(Some(version))
}

/// A file that maintenance has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewFile {
    /// Its path, relative to the table.
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    pub(crate) stats: String,
}

/// What is to be committed.
#[derive(Debug, Clone)]
pub(crate) struct Rewrite {
    operation: Operation,
    removes: Vec<ActiveFile>,
    adds: Vec<NewFile>,
    removal: Option<Removal>,
}

impl Rewrite {
    /// Files take the place of others; rows that are gone are in `removal`.
    pub(crate) fn replace(removes: Vec<ActiveFile>, adds: Vec<NewFile>, removal: Option<Removal>) -> Self {
        Self { operation: Operation::Optimize, removes, adds, removal }
    }

    /// Files take the place of others with the same rows, in which some values are new.
    pub(crate) fn update(removes: Vec<ActiveFile>, adds: Vec<NewFile>) -> Self {
        Self { operation: Operation::Update, removes, adds, removal: None }
    }

    /// Files take the place of others without some of their rows, which are in `removal`.
    pub(crate) fn erase(removes: Vec<ActiveFile>, adds: Vec<NewFile>, removal: Removal) -> Self {
        Self { operation: Operation::Delete, removes, adds, removal: Some(removal) }
    }

    /// Files go with their rows, which are in `removal`.
    pub(crate) fn delete(removes: Vec<ActiveFile>, removal: Removal) -> Self {
        Self { operation: Operation::Delete, removes, adds: Vec::new(), removal: Some(removal) }
    }

    fn commit(&self, now: Micros) -> Commit {
        // A reader that follows the log need not look at rows that only moved.
        let data_change = [Operation::Update, Operation::Delete].contains(&self.operation);
        let removes = self.removes.iter().map(|file| {
            Action::Remove(Remove {
                path: file.path.clone(),
                data_change,
                deletion_timestamp: Some(now / 1_000),
                extended_file_metadata: Some(true),
                partition_values: Some(Default::default()),
                size: i64::try_from(file.size_bytes).ok(),
                tags: None,
                deletion_vector: None,
                base_row_id: None,
                default_row_commit_version: None,
            })
        });
        let adds = self.adds.iter().map(|file| {
            Action::Add(Add { data_change, ..added(&file.path, file.size_bytes, file.stats.clone(), now) })
        });
        Commit {
            actions: removes.chain(adds).collect(),
            removals: self.removal.iter().cloned().collect(),
            ..Commit::default()
        }
    }
}

impl Upkeep {
    /// Commits a rewrite that was made from a version of its table; says which version it is. `None`: another rewrite came between,
    /// and it must be made anew.
    pub(crate) async fn commit(&self, known: Known, rewrite: Rewrite) -> Result<Option<u64>> {
        let Known { log, state, .. } = known;
        let mut next = state.next_version();
        let mut contention = Contention::default();
        loop {
            let now = self.clock.now_micros();
            if log.write(next, rewrite.commit(now).encode(rewrite.operation, now)).await? == Wrote::Entry {
                return Ok(Some(next));
            }
            let Some(after) = after_appends(&log, next).await? else { return Ok(None) };
            next = after;
            contention.wait(log.name()).await?;
        }
    }
}
