//! What can be wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

use alluvium_core::ports::{Advice, PortError};

/// What can be wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused. Whether trying again helps depends on its reason.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Change the settings.
    #[error("the log's settings cannot be: {0}")]
    Settings(String),
    /// Open the log with the number of shards that it was created with.
    #[error(
        "the log in {} was created with {found} shards and cannot be opened with {asked}: set the number of shards to {found}, \
         or start a new log in an empty folder",
        path.display()
    )]
    Shards {
        /// The log's folder.
        path: PathBuf,
        /// The number it was created with.
        found: u32,
        /// The number in the settings.
        asked: u32,
    },
    /// A newer release wrote it: use that release.
    #[error("{} is of log format {found}, which is newer than this release reads ({known})", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that this release reads.
        known: u32,
    },
    /// Acknowledged records are damaged or missing. A person must decide; nothing was changed.
    #[error(
        "{} is damaged at byte {offset}: {what}. It holds acknowledged records, so nothing was changed. Put back an intact \
         copy of the file, or move the log's folder away to start an empty log without the records that the lake does not have",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The byte at which it stops making sense.
        offset: u64,
        /// What was found there.
        what: String,
    },
    /// The position is older than what the log still holds.
    #[error("{shard} no longer holds record {wanted}: its oldest is {oldest}")]
    TrimmedAway {
        /// The shard.
        shard: String,
        /// The first record that was wanted.
        wanted: u64,
        /// The oldest record there.
        oldest: u64,
    },
    /// The position is not of this log.
    #[error(
        "position {position} lies beyond the newest record of {shard}, {newest}: this log is not the one that the position comes \
         from, or has lost records"
    )]
    Beyond {
        /// The shard.
        shard: String,
        /// The position.
        position: String,
        /// The newest record there.
        newest: u64,
    },
    /// There is no such shard.
    #[error("no shard is called `{name}`; this log has {shards}, from shardId-000000000000 on")]
    NoShard {
        /// The name that was asked for.
        name: String,
        /// How many there are.
        shards: usize,
    },
    /// The log was closed, or its writer ended.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(super) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), offset, what: what.into() }
    }
}

impl From<LogError> for PortError {
    fn from(error: LogError) -> Self {
        let advice = match error {
            LogError::Io { .. } => Advice::Retry,
            _ => Advice::Stop,
        };
        Self { advice, message: error.to_string(), source: Some(Box::new(error)) }
    }
}
