//! What can go wrong in the hot index.

use alluvium_core::hot_block::HotBlockError;
use alluvium_core::ports::Advice;

use super::layout::VERSION;

/// A hot index that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum HotIndexError {
    /// The folder or a file in it cannot be made, read or moved.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process has the file open.
    #[error("{0} is open in another process; stop that one first")]
    InUse(String),
    /// Something in the file is not what this release writes.
    #[error("{0} is damaged; stop the node and delete the folder `hot`, it is rebuilt")]
    Damaged(&'static str),
    /// A release before wrote the file.
    #[error("it has the layout of a release before, which this one does not read")]
    Before,
    /// A newer release wrote it.
    #[error(
        "a chunk has version {0}, newer than this release reads ({VERSION}); use that release, or delete the folder `hot`"
    )]
    Version(u8),
    /// A chunk's rows cannot be read or written.
    #[error(transparent)]
    Block(#[from] HotBlockError),
    /// redb refused.
    #[error(transparent)]
    Redb(#[from] redb::Error),
    /// The work was cut off: the program ends, or redb hit a broken invariant.
    #[error("the work was cut off: {0}")]
    Stopped(String),
}

impl HotIndexError {
    /// What a caller can do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Io { .. } | Self::Redb(redb::Error::Io(_)) => Advice::Retry,
            _ => Advice::Stop,
        }
    }
}

macro_rules! from_redb {
    ($($kind:ident),*) => {
        $(impl From<redb::$kind> for HotIndexError {
            fn from(error: redb::$kind) -> Self {
                Self::Redb(error.into())
            }
        })*
    };
}

from_redb!(CommitError, DatabaseError, SetDurabilityError, StorageError, TableError, TransactionError);
