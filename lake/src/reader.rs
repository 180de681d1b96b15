//! The read side: snapshots of tables, in any process.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::clock::Micros;
use arrow::datatypes::SchemaRef;
use deltalake_core::kernel::Add;
use object_store::ObjectStore;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::columns::arrow_columns;
use crate::error::{LakeError, Result};
use crate::lease::{Lease, Leases};
use crate::log::TableLog;
use crate::state::{Files, Keep, TableState};

/// Reads the tables of a lake. Cheap to clone; clones share what they have read, and the leases of their snapshots.
///
/// It remembers each table as of the last look and reads only the entries that came since.
#[derive(Debug, Clone)]
pub struct LakeReader {
    store: Arc<dyn ObjectStore>,
    root: Url,
    seen: Arc<Mutex<BTreeMap<String, Arc<TableState<Files>>>>>,
    leases: Leases,
}

/// A table as of one version.
#[derive(Debug, Clone)]
pub struct TableSnapshot {
    /// The version.
    pub version: u64,
    /// The table's columns. A file that was written before a column was added lacks it: its rows have null there.
    pub columns: SchemaRef,
    /// The data files, by path.
    pub files: Vec<ActiveFile>,
    /// While it or a clone of it is there, an [`Upkeep`](crate::Upkeep) that was given a clone of the same reader deletes none of
    /// the files.
    pub lease: Lease,
}

/// One data file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveFile {
    /// Its path, relative to the table's folder.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Its statistics as Delta has them: JSON text with `numRecords`, `minValues`, `maxValues` and `nullCount`.
    pub stats: Option<String>,
    /// When it was committed.
    pub modification_time: Micros,
}

impl TableSnapshot {
    /// The rows of all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

impl LakeReader {
    /// A reader of the lake in `store`, which is rooted at the lake; `root` is the lake's URL, for
    /// messages that say where something lies. Reads nothing yet.
    pub fn new(store: Arc<dyn ObjectStore>, root: Url) -> Self {
        Self { store, root, seen: Arc::default(), leases: Leases::default() }
    }

    /// The newest version of a table: a dataset's, `dead_letters` or `ledger`.
    ///
    /// # Errors
    ///
    /// [`LakeError::NoTable`] when there is none of that name; else when the store fails or the table's log is damaged.
    pub async fn snapshot(&self, table: &str) -> Result<TableSnapshot> {
        let (state, lease) = self.leased(table).await?;
        Ok(TableSnapshot { lease, ..snapshot_of(&self.log(table), &state)? })
    }

    /// The newest version of a table, whose files vacuum leaves alone while the lease is there.
    pub(crate) async fn leased(&self, table: &str) -> Result<(Arc<TableState<Files>>, Lease)> {
        let _look = self.leases.look().await;
        let state = self.newest(table).await?;
        let lease = self.leases.give(table, state.clone());
        Ok((state, lease))
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The lake's URL.
    pub(crate) fn root_url(&self) -> &Url {
        &self.root
    }

    /// The tables that lie in the lake, whether a schema declares them or not.
    pub(crate) async fn tables(&self) -> Result<Vec<String>> {
        let mut tables = Vec::new();
        for name in self.folders().await? {
            if self.log(&name).list_since_checkpoint().await?.newest().is_some() {
                tables.push(name);
            }
        }
        Ok(tables)
    }

    /// The folders of the lake that may be tables, by name: those with a log, and those whose log is lost or not begun.
    pub(crate) async fn folders(&self) -> Result<Vec<String>> {
        let listed = match self.store.list_with_delimiter(None).await {
            Ok(listed) => listed.common_prefixes,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(source) => return Err(LakeError::Store { doing: "list", path: self.root().to_owned(), source }),
        };
        let names = listed.iter().filter_map(|folder| folder.filename()).filter(|name| !name.starts_with('_'));
        Ok(names.map(str::to_owned).collect())
    }

    /// The lake's URL without a slash at its end.
    pub(crate) fn root(&self) -> &str {
        self.root.as_str().trim_end_matches('/')
    }

    /// The store, which is rooted at the lake.
    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(crate) fn log(&self, table: &str) -> TableLog {
        TableLog::new(&self.store, &self.root, table)
    }

    /// The newest version of a table: what was seen before, and the entries that came since.
    pub(crate) async fn newest(&self, table: &str) -> Result<Arc<TableState<Files>>> {
        let log = self.log(table);
        let known = self.seen.lock().await.get(table).cloned();
        let state = match known {
            Some(known) => advance(&log, known).await?,
            None => Arc::new(load_newest(&log).await?),
        };
        self.seen.lock().await.insert(table.to_owned(), state.clone());
        Ok(state)
    }

    /// A table as of a version that it had.
    pub(crate) async fn at(&self, table: &str, version: u64) -> Result<TableState<Files>> {
        let log = self.log(table);
        let files = log.list().await?;
        TableState::load(&log, &files, Some(version)).await
    }
}

/// The newest version of a table, from its newest checkpoint on.
pub(crate) async fn load_newest<K: Keep>(log: &TableLog) -> Result<TableState<K>> {
    let state: TableState<K> = match load_hinted(log).await? {
        Some(state) => state,
        None => TableState::load(log, &log.list().await?, None).await?,
    };
    if state.metadata.is_none() {
        return Err(LakeError::NoTable(log.name().to_owned()));
    }
    Ok(state)
}

/// From the checkpoint that the hint names, entry by entry: no look at the folder, which has more entries the more is committed. No
/// entry after that checkpoint is missing, since vacuum deletes none. `None`: there is no hint, or no such checkpoint.
async fn load_hinted<K: Keep>(log: &TableLog) -> Result<Option<TableState<K>>> {
    let Some(version) = log.hinted_checkpoint().await? else { return Ok(None) };
    let Some(files) = log.checkpoint_alone(version).await? else { return Ok(None) };
    let mut state = TableState::load(log, &files, Some(version)).await?;
    state.follow(log).await?;
    Ok(Some(state))
}

async fn advance(log: &TableLog, known: Arc<TableState<Files>>) -> Result<Arc<TableState<Files>>> {
    let mut state = known;
    if let Some(commit) = log.read(state.next_version()).await? {
        let mut next = Arc::unwrap_or_clone(state);
        next.apply(log, next.next_version(), &commit)?;
        next.follow(log).await?;
        state = Arc::new(next);
    }
    // Maintenance may have removed the entries after a version seen long ago; a newer checkpoint tells.
    match log.hinted_checkpoint().await? {
        Some(checkpoint) if Some(checkpoint) > state.version => Ok(Arc::new(load_newest(log).await?)),
        _ => Ok(state),
    }
}

pub(crate) fn snapshot_of(log: &TableLog, state: &TableState<Files>) -> Result<TableSnapshot> {
    let (Some(version), Some(metadata)) = (state.version, &state.metadata) else {
        return Err(LakeError::NoTable(log.name().to_owned()));
    };
    if let Some(path) = &state.kept.unreadable {
        return Err(log.damaged(path, "the log gives it no size or no `numRecords`, which every file of ours has"));
    }
    let columns = arrow_columns(log, metadata)?;
    let files = state.kept.active.values().cloned().collect();
    Ok(TableSnapshot { version, columns, files, lease: Lease::default() })
}

impl ActiveFile {
    /// The file that an action adds; `None`: it lacks its size or its number of rows.
    pub(crate) fn of(add: &Add) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Stats {
            num_records: u64,
        }
        let Stats { num_records } = serde_json::from_str(add.stats.as_deref()?).ok()?;
        Some(Self {
            path: add.path.clone(),
            size_bytes: u64::try_from(add.size).ok()?,
            rows: num_records,
            stats: add.stats.clone(),
            modification_time: add.modification_time * 1_000,
        })
    }
}

#[cfg(test)]
mod tests;
