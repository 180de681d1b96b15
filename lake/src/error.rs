//! What can go wrong with the tables, and what the caller can do about it.

use alluvium_core::dataset::ColumnChange;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::{SequenceNumber, ShardId};

/// A batch that lies partly below a mark and partly above it.
#[derive(Debug, thiserror::Error)]
#[error(
    "batch {batch} covers {shard} from {first} to {last}, and {what} stands at {mark}: \
     after a crash, batches must end at every mark"
)]
pub struct Straddle {
    /// The batch.
    pub batch: String,
    /// The shard.
    pub shard: ShardId,
    /// The first record that the batch covers.
    pub first: SequenceNumber,
    /// The last one.
    pub last: SequenceNumber,
    /// Whose mark it is.
    pub what: String,
    /// The mark.
    pub mark: SequenceNumber,
}

/// Why a lake operation failed.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The object store failed. [`advice`](Self::advice) tells a fault that may pass from one that stays.
    #[error("cannot {doing} `{path}`: {source}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// The object or folder.
        path: String,
        /// The store's own error.
        source: object_store::Error,
    },
    /// The Delta library failed on a table's log.
    #[error("cannot {doing} of table `{table}`: {source}")]
    Delta {
        /// What was being done.
        doing: &'static str,
        /// The table.
        table: String,
        /// The library's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored file is not what it should be, and it is none that recovery may set aside.
    #[error("`{path}` is damaged: {problem}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it, and what would mend it.
        problem: String,
    },
    /// A table is of a Delta protocol that this release does not handle.
    #[error(
        "table `{table}` needs Delta reader version {reader} and writer version {writer}; this release handles 1 and 2. \
         Another program has upgraded the table: downgrade it there, or restore it"
    )]
    Protocol {
        /// The table.
        table: String,
        /// Its reader version.
        reader: i64,
        /// Its writer version.
        writer: i64,
    },
    /// A schema's columns cannot become those of the table that is already there.
    #[error("dataset `{dataset}`, {}", told(conflicts))]
    Columns {
        /// The dataset.
        dataset: String,
        /// What does not fit, at least one, and the ways out.
        conflicts: Vec<ColumnChange>,
    },
    /// There is no such table.
    #[error("there is no table `{0}` in the lake")]
    NoTable(String),
    /// There is no such dataset.
    #[error("there is no dataset `{0}` in the lake (`dead_letters` stands for the events that belong to none)")]
    NoDataset(String),
    /// The lake has a table, and nothing says what its rows are.
    #[error(
        "the lake has a table `{0}`, and no dataset is named so: its rows cannot be written anew. Put its schema back into the folder of \
         datasets, or name one dataset"
    )]
    Undeclared(String),
    /// A commit message contradicts itself or the lake.
    #[error("the commit message of batch {batch} is refused: {problem}")]
    Message {
        /// The batch.
        batch: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// At a path that the queue carries lies no commit message of that name.
    #[error("the commit message `{path}` cannot be read: {problem}")]
    UnreadableMessage {
        /// The path, as it came.
        path: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A newer release wrote a commit message.
    #[error("the commit message `{path}` cannot be read: {problem}")]
    NewerMessage {
        /// The path, as it came.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A batch lies partly below a mark: what is in already cannot be told from what is not.
    #[error(transparent)]
    Straddles(Box<Straddle>),
    /// A batch does not begin where the one before it ended, so records would be missing (IN-1).
    #[error(
        "batch {batch} begins at {first} of {shard}, and the lake has its records up to {position}: what lies between is missing"
    )]
    Gap {
        /// The batch.
        batch: String,
        /// The shard.
        shard: ShardId,
        /// The first record that the batch covers.
        first: SequenceNumber,
        /// The newest record before it that the lake has.
        position: SequenceNumber,
    },
    /// A data file waited for its commit for so long that vacuum took it for an orphan.
    #[error(
        "the data file `{path}` of batch {batch} is gone: vacuum deletes what no table names for 31 days. Have the batch's records \
         delivered again while the stream holds them, which stores the file anew; a node that is started anew does so by itself"
    )]
    FileGone {
        /// The batch.
        batch: String,
        /// The file, under the lake's root.
        path: String,
    },
    /// A table's properties let something be forgotten or deleted that may still be asked for.
    #[error("table `{table}` has `{property}` = `{found}`: {problem}. Set it to `{right}`")]
    Retention {
        /// The table.
        table: String,
        /// The property.
        property: &'static str,
        /// What it says.
        found: String,
        /// What must hold, and why.
        problem: String,
        /// What our tables have.
        right: &'static str,
    },
    /// Other writers were faster, again and again.
    #[error(
        "table `{table}` was written by others during each of {attempts} attempts to commit; is a second committer running?"
    )]
    Contended {
        /// The table.
        table: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// Another process is at work on the same erasure. What it stored is to be read again.
    #[error("`{0}` was written by somebody else meanwhile")]
    Overtaken(String),
    /// Maintenance failed at what it does beside the store: sorting, encoding, the disk that it spills to.
    #[error("cannot {doing} of table `{table}`: {source}")]
    Upkeep {
        /// What was being done.
        doing: &'static str,
        /// The table.
        table: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The object index could not be asked or written.
    #[error("the object index: {0}")]
    Index(#[source] PortError),
    /// Rows could not be taken out of the hot index.
    #[error("the hot index: {0}")]
    Hot(#[source] PortError),
    /// The stream could not be asked during an audit.
    #[error("the stream cannot be asked: {0}")]
    Stream(#[from] PortError),
}

fn told(conflicts: &[ColumnChange]) -> String {
    let told = conflicts.iter().map(|ColumnChange { column, detail }| format!("column `{column}`: {detail}"));
    told.collect::<Vec<_>>().join("; ")
}

impl LakeError {
    /// What maintenance was doing to a table when something beside the store failed.
    pub(crate) fn upkeep<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        doing: &'static str,
        table: &str,
    ) -> impl FnOnce(E) -> Self {
        let table = table.to_owned();
        move |source| Self::Upkeep { doing, table, source: source.into() }
    }

    /// What the caller can do: a store's fault may pass, everything else stays until somebody acts.
    pub fn advice(&self) -> Advice {
        use object_store::Error as Store;
        match self {
            Self::Store { source, .. } => match source {
                Store::NotFound { .. }
                | Store::InvalidPath { .. }
                | Store::NotSupported { .. }
                | Store::NotImplemented { .. }
                | Store::PermissionDenied { .. }
                | Store::Unauthenticated { .. }
                | Store::UnknownConfigurationKey { .. } => Advice::Stop,
                _ => Advice::Retry,
            },
            Self::Delta { .. } | Self::Contended { .. } | Self::Overtaken(_) | Self::Upkeep { .. } => Advice::Retry,
            Self::Stream(error) | Self::Index(error) | Self::Hot(error) => error.advice,
            Self::Damaged { .. }
            | Self::Protocol { .. }
            | Self::Columns { .. }
            | Self::NoTable(_)
            | Self::NoDataset(_)
            | Self::Undeclared(_)
            | Self::Message { .. }
            | Self::UnreadableMessage { .. }
            | Self::NewerMessage { .. }
            | Self::Straddles(_)
            | Self::Gap { .. }
            | Self::FileGone { .. }
            | Self::Retention { .. } => Advice::Stop,
        }
    }
}

pub(crate) type Result<T> = std::result::Result<T, LakeError>;
