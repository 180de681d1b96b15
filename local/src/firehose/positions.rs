//! How far each shard is dealt with, in a small file.
//!
//! ```text
//! {"version": 1, "stream": "arn:…", "shards": {"shardId-000000000000": "4959…"}}
//! ```
//!
//! It is replaced whole by a rename, and synced. A position is noted after the records up to it are delivered or set aside, so
//! after a crash some are delivered once more: at least once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_core::{SequenceNumber, ShardId};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::disk::Disk;

const VERSION: u32 = 1;
/// More than any such file has: ten thousand shards.
const MOST_BYTES: u64 = 1024 * 1024;

/// Why positions cannot be read or noted.
#[derive(Debug, thiserror::Error)]
pub enum PositionsError {
    /// A file operation failed.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is not one of positions in this stream.
    #[error(
        "{path} holds no positions in {stream}: {why}; name another file, or remove it to deliver the stream from its start"
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// The stream.
        stream: String,
        /// What it is instead.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct PositionsFile {
    version: u32,
    stream: String,
    shards: BTreeMap<ShardId, SequenceNumber>,
}

/// How far each shard is dealt with.
#[derive(Debug)]
pub struct Positions {
    stream: String,
    file: Option<(Arc<dyn Disk>, PathBuf)>,
    shards: Mutex<BTreeMap<ShardId, SequenceNumber>>,
}

impl Positions {
    /// Positions that are forgotten with the loop: it reads the stream from its start.
    pub fn forgotten() -> Self {
        Self { stream: String::new(), file: None, shards: Mutex::default() }
    }

    /// Positions in the stream of this ARN, kept in a file; where there is none, of a stream that was never read.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is another.
    pub fn open(disk: Arc<dyn Disk>, path: &Path, stream: &str) -> Result<Self, PositionsError> {
        let shards = match read(&*disk, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(PositionsError::Io { doing: "read", path: path.to_owned(), source }),
            Ok(bytes) => {
                let other = |why| PositionsError::Other { path: path.to_owned(), stream: stream.to_owned(), why };
                let found: PositionsFile = serde_json::from_slice(&bytes).map_err(|error| other(error.to_string()))?;
                if found.version > VERSION {
                    return Err(other(format!("a newer release wrote it (version {})", found.version)));
                }
                if found.stream != stream {
                    return Err(other(format!("it is of {}", found.stream)));
                }
                found.shards
            }
        };
        Ok(Self { stream: stream.to_owned(), file: Some((disk, path.to_owned())), shards: Mutex::new(shards) })
    }

    pub(super) async fn of(&self, shard: &ShardId) -> Option<SequenceNumber> {
        self.shards.lock().await.get(shard).copied()
    }

    /// Notes that a shard's records up to this one are dealt with. Durable when it returns.
    pub(super) async fn advance(&self, shard: &ShardId, to: SequenceNumber) -> Result<(), PositionsError> {
        let mut shards = self.shards.lock().await;
        shards.insert(shard.clone(), to);
        let Some((disk, path)) = &self.file else { return Ok(()) };
        let file = PositionsFile { version: VERSION, stream: self.stream.clone(), shards: shards.clone() };
        let bytes = serde_json::to_vec(&file).expect("names and numbers are JSON");
        let (disk, to) = (disk.clone(), path.clone());
        let written = tokio::task::spawn_blocking(move || replace(&*disk, &to, &bytes)).await;
        written.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|source| PositionsError::Io {
            doing: "write",
            path: path.clone(),
            source,
        })
    }
}

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; file.len_bytes()?.min(MOST_BYTES) as usize];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_added_extension("new");
    match disk.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&unfinished)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(&unfinished, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => disk.sync_folder(folder),
        _ => disk.sync_folder(Path::new(".")),
    }
}
