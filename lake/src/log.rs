//! The log of one table: `_delta_log`, its entries and checkpoints, as objects in the store.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use deltalake_core::kernel::transaction::TransactionError;
use deltalake_core::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, default_logstore};
use deltalake_core::{DeltaTable, DeltaTableError, checkpoints};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use url::Url;
use uuid::Uuid;

use crate::commit::{Commit, TornCommit};
use crate::error::{LakeError, Result};
use crate::sorted::Sorted;

const LOG: &str = "_delta_log";
const TORN: &str = "_torn";
const LAST_CHECKPOINT: &str = "_last_checkpoint";

/// The largest log entry that is read. A commit of 256 batches has some 200 KB.
const MAX_COMMIT_BYTES: u64 = 256 * 1024 * 1024;
/// The largest other file (checkpoint, ledger file) that is read whole.
pub(crate) const MAX_FILE_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// An object larger than this is uploaded in parts of this size. S3 takes at least 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// How many log entries are read at a time while opening.
const READ_AHEAD: usize = 16;

/// What became of an attempt to write the next log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    Entry,
    /// Somebody else has written that version.
    VersionTaken,
}

/// What lies in `_delta_log`: sizes in bytes by version.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogFiles {
    pub(crate) commits: BTreeMap<u64, u64>,
    pub(crate) checkpoints: BTreeMap<u64, u64>,
}

impl LogFiles {
    /// The newest version that there is; `None`: there is no table.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.commits.keys().last().copied().max(self.checkpoints.keys().last().copied())
    }
}

/// The log of one table.
#[derive(Clone)]
pub(crate) struct TableLog {
    name: Arc<str>,
    /// Where the table lies, as a person would look for it.
    place: Arc<str>,
    // Rooted at the table.
    store: Arc<dyn ObjectStore>,
    delta: LogStoreRef,
}

impl std::fmt::Debug for TableLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TableLog").field(&self.name).finish()
    }
}

impl TableLog {
    /// The log of the table `name` in a store that is rooted at the lake's root.
    pub(crate) fn new(lake: &Arc<dyn ObjectStore>, root: &Url, name: &str) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(lake.clone(), name));
        // To the library, which sees the lake through `Sorted`, a URL is a path in the store and nothing more.
        let url = Url::parse(&format!("memory:///{name}/")).expect("a table's name can stand in a URL");
        let delta = default_logstore(store.clone(), Arc::new(Sorted(lake.clone())), &url, &StorageConfig::default());
        let place = place_of(root, name);
        Self { name: name.into(), place: place.into(), store, delta }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What lies in the log folder. Multi-part and second-generation checkpoints of other writers are not looked at: the entries
    /// that they stand for are there too.
    pub(crate) async fn list(&self) -> Result<LogFiles> {
        Ok(log_files(self.list_objects(Some(LOG)).await?))
    }

    /// What lies in the log folder from the newest checkpoint on, if its writer's hint is right; else all. A log that nobody has
    /// cleaned up for long has more entries than can be listed in passing.
    pub(crate) async fn list_since_checkpoint(&self) -> Result<LogFiles> {
        if let Some(version) = self.hinted_checkpoint().await? {
            let offset = Path::from(format!("{LOG}/{version:020}"));
            let objects = self.store.list_with_offset(Some(&Path::from(LOG)), &offset).try_collect().await;
            let files = log_files(objects.map_err(self.failed("list", LOG))?);
            if files.checkpoints.contains_key(&version) {
                return Ok(files);
            }
        }
        self.list().await
    }

    /// Every object of the table, or of one folder in it; paths are relative to the table.
    pub(crate) async fn list_objects(&self, folder: Option<&str>) -> Result<Vec<ObjectMeta>> {
        let prefix = folder.map(Path::from);
        match self.store.list(prefix.as_ref()).try_collect().await {
            Ok(objects) => Ok(objects),
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(source) => Err(self.failed("list", folder.unwrap_or_default())(source)),
        }
    }

    /// Writes the entry of a version, if nobody has.
    pub(crate) async fn write(&self, version: u64, entry: Bytes) -> Result<Wrote> {
        let written = self.delta.write_commit_entry(version, CommitOrBytes::LogBytes(entry), Uuid::nil()).await;
        match written {
            Ok(()) => Ok(Wrote::Entry),
            Err(TransactionError::VersionAlreadyExists(_)) => Ok(Wrote::VersionTaken),
            Err(TransactionError::ObjectStore { source }) => Err(self.failed("write", &commit_path(version))(source)),
            Err(error) => Err(self.delta_failed("write the log", error)),
        }
    }

    /// The bytes of a version's entry; `None`: there is none.
    pub(crate) async fn read_bytes(&self, version: u64) -> Result<Option<Bytes>> {
        self.get(&commit_path(version), MAX_COMMIT_BYTES).await
    }

    /// A version's entry; `None`: there is none.
    pub(crate) async fn read(&self, version: u64) -> Result<Option<Commit>> {
        let Some(bytes) = self.read_bytes(version).await? else { return Ok(None) };
        Commit::decode(&bytes).map(Some).map_err(|torn| self.damaged_commit(version, &torn))
    }

    /// A version's entry that must be there.
    pub(crate) async fn read_present(&self, version: u64) -> Result<Commit> {
        let missing = || self.damaged(&commit_path(version), "it is missing, and later ones are there; restore it");
        self.read(version).await?.ok_or_else(missing)
    }

    /// The entries of these versions, which must be there, in order; some are read ahead.
    pub(crate) fn read_all(&self, versions: Range<u64>) -> impl Stream<Item = Result<(u64, Commit)>> {
        let read = move |version| async move { Ok((version, self.read_present(version).await?)) };
        futures::stream::iter(versions).map(read).buffered(READ_AHEAD)
    }

    /// The version of the newest checkpoint according to the hint that its writer left.
    pub(crate) async fn hinted_checkpoint(&self) -> Result<Option<u64>> {
        #[derive(serde::Deserialize)]
        struct Hint {
            version: u64,
        }
        let bytes = self.get(&format!("{LOG}/{LAST_CHECKPOINT}"), MAX_COMMIT_BYTES).await?;
        // A hint that cannot be read is no hint.
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).map(|Hint { version }| version))
    }

    /// The checkpoint of a version, as if nothing else lay in the log folder; `None`: it is not there.
    pub(crate) async fn checkpoint_alone(&self, version: u64) -> Result<Option<LogFiles>> {
        let is_there = self.has(&checkpoint_path(version)).await?;
        Ok(is_there.then(|| LogFiles { checkpoints: BTreeMap::from([(version, 0)]), ..LogFiles::default() }))
    }

    /// The bytes of a checkpoint that is there.
    pub(crate) async fn read_checkpoint(&self, version: u64) -> Result<Bytes> {
        self.get_present(&checkpoint_path(version)).await
    }

    /// Writes a checkpoint of this version. Older log entries stay: they are cleaned up in maintenance, never in the commit path.
    pub(crate) async fn write_checkpoint(&self, version: u64) -> Result<()> {
        let failed = |error| self.delta_failed("write a checkpoint", error);
        let mut table = DeltaTable::new(self.delta.clone());
        Box::pin(table.load_version(version)).await.map_err(failed)?;
        // The library blocks the thread that writes until the store has answered. That must not be the thread that drives the store's
        // connections, which on a runtime of one thread is the one that is here.
        let runtime = Handle::current();
        let written = spawn_blocking(move || runtime.block_on(checkpoints::create_checkpoint(&table, None)));
        let written = written.await.unwrap_or_else(|panicked| Err(DeltaTableError::Generic(panicked.to_string())));
        written.map_err(failed)
    }

    /// Moves a version's entry to where no reader takes it for one; says where to, under the lake's root.
    pub(crate) async fn set_aside_commit(&self, version: u64) -> Result<String> {
        self.set_aside(&commit_path(version), &format!("{version:020}"), "json").await
    }

    /// Moves a checkpoint to where no reader takes it for one, and the hint that may point to it; says where to.
    pub(crate) async fn set_aside_checkpoint(&self, version: u64) -> Result<String> {
        let hint = Path::from(format!("{LOG}/{LAST_CHECKPOINT}"));
        match self.store.delete(&hint).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(self.failed("remove", hint.as_ref())(source)),
        }
        self.set_aside(&checkpoint_path(version), &format!("{version:020}"), "checkpoint.parquet").await
    }

    async fn set_aside(&self, path: &str, stem: &str, ending: &str) -> Result<String> {
        let taken = self.list_objects(Some(&format!("{LOG}/{TORN}"))).await?;
        let free = (0..=taken.len()).map(|n| format!("{LOG}/{TORN}/{stem}-{n}.{ending}"));
        let mut free = free.filter(|candidate| taken.iter().all(|object| object.location.as_ref() != candidate));
        let to = free.next().expect("of n + 1 names, n are taken at the most");
        let moved = self.store.rename(&Path::from(path), &Path::from(to.as_str())).await;
        moved.map_err(self.failed("set aside", path))?;
        Ok(format!("{}/{to}", self.name))
    }

    /// Reads an object of the table whole.
    pub(crate) async fn get_present(&self, path: &str) -> Result<Bytes> {
        let missing = || self.damaged(path, "it is missing; restore it");
        self.get(path, MAX_FILE_BYTES).await?.ok_or_else(missing)
    }

    /// Reads an object of the table whole; `None`: it is not there.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Bytes>> {
        self.get(path, MAX_FILE_BYTES).await
    }

    async fn get(&self, path: &str, max_bytes: u64) -> Result<Option<Bytes>> {
        let found = match self.store.get(&Path::from(path)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(self.failed("read", path)(source)),
        };
        if found.meta.size > max_bytes {
            let size = found.meta.size;
            return Err(self.damaged(path, &format!("it has {size} bytes, more than the {max_bytes} that are read")));
        }
        found.bytes().await.map(Some).map_err(self.failed("read", path))
    }

    /// Whether there is an object of the table at this path.
    pub(crate) async fn has(&self, path: &str) -> Result<bool> {
        match self.store.head(&Path::from(path)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(self.failed("look for", path)(source)),
        }
    }

    /// Deletes an object of the table; one that is not there is deleted already.
    pub(crate) async fn delete(&self, path: &Path) -> Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(self.failed("delete", path.as_ref())(source)),
        }
    }

    /// Stores an object of the table unless one of that name is there.
    pub(crate) async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<()> {
        let mode = object_store::PutMode::Create.into();
        match self.store.put_opts(&Path::from(path), bytes.into(), mode).await {
            Ok(_) => Ok(()),
            // Another writer of it may still be at it, and end without: it is there only when it can be seen.
            Err(object_store::Error::AlreadyExists { .. }) => match self.store.head(&Path::from(path)).await {
                Ok(_) => Ok(()),
                Err(source) => Err(self.failed("write", path)(source)),
            },
            Err(source) => Err(self.failed("write", path)(source)),
        }
    }

    /// Begins an object of the table whose bytes come piece by piece. Its name must be one that nobody else gives.
    pub(crate) fn upload(&self, path: &str) -> Upload {
        let writer = BufWriter::with_capacity(self.store.clone(), Path::from(path), PART_BYTES);
        Upload { writer, failed: format!("{}/{path}", self.place) }
    }

    pub(crate) fn damaged(&self, path: &str, problem: &str) -> LakeError {
        LakeError::Damaged { path: format!("{}/{path}", self.place), problem: problem.to_owned() }
    }

    pub(crate) fn damaged_commit(&self, version: u64, torn: &TornCommit) -> LakeError {
        self.damaged(
            &commit_path(version),
            &format!(
                "{torn}. Where one committer writes the lake, opening it mends the newest entry; restore any other"
            ),
        )
    }

    pub(crate) fn damaged_checkpoint(&self, version: u64, problem: &str) -> LakeError {
        self.damaged(&checkpoint_path(version), problem)
    }

    fn failed(&self, doing: &'static str, path: &str) -> impl FnOnce(object_store::Error) -> LakeError + use<> {
        let path = format!("{}/{path}", self.place);
        move |source| LakeError::Store { doing, path, source }
    }

    fn delta_failed(&self, doing: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> LakeError {
        LakeError::Delta { doing, table: self.name.to_string(), source: Box::new(error) }
    }
}

/// An object that is being written; dropped before it is finished, it never is there.
pub(crate) struct Upload {
    writer: BufWriter,
    failed: String,
}

impl Upload {
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let written = self.writer.put(bytes).await;
        written.map_err(|source| LakeError::Store { doing: "write", path: self.failed.clone(), source })
    }

    pub(crate) async fn finish(mut self) -> Result<()> {
        let written = self.writer.shutdown().await;
        written.map_err(|error| LakeError::Store {
            doing: "write",
            path: self.failed,
            source: object_store::Error::Generic { store: "upload", source: error.into() },
        })
    }
}

/// What an object in the log folder is, with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFile {
    Commit(u64),
    Checkpoint(u64),
}

impl LogFile {
    /// `None`: neither, or one of a kind that we do not write.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.as_ref().strip_prefix(LOG)?.strip_prefix('/')?;
        let (version, kind) = name.split_at_checked(20)?;
        let version = version.parse().ok()?;
        match kind {
            ".json" => Some(Self::Commit(version)),
            ".checkpoint.parquet" => Some(Self::Checkpoint(version)),
            _ => None,
        }
    }

    pub(crate) fn version(self) -> u64 {
        let (Self::Commit(version) | Self::Checkpoint(version)) = self;
        version
    }
}

fn log_files(objects: Vec<ObjectMeta>) -> LogFiles {
    let mut files = LogFiles::default();
    for object in objects {
        match LogFile::of(&object.location) {
            Some(LogFile::Commit(version)) => files.commits.insert(version, object.size),
            Some(LogFile::Checkpoint(version)) => files.checkpoints.insert(version, object.size),
            None => None,
        };
    }
    files
}

/// A table's folder as a path on this machine's disk where it is one, else as a URL; without a slash at its end.
fn place_of(root: &Url, name: &str) -> String {
    match root.to_file_path() {
        Ok(folder) => folder.join(name).display().to_string(),
        Err(()) => format!("{}/{name}", root.as_str().trim_end_matches('/')),
    }
}

fn commit_path(version: u64) -> String {
    format!("{LOG}/{version:020}.json")
}

fn checkpoint_path(version: u64) -> String {
    format!("{LOG}/{version:020}.checkpoint.parquet")
}

#[cfg(test)]
mod tests;
