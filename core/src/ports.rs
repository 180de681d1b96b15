//! The ports: what the stages need from the outside, each implemented by every adapter and held to one contract suite.

mod dialect;
mod fault;
mod hot;
mod sql;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::identity::{SequenceNumber, ShardId};
use crate::object_index::IndexEntry;
use crate::record::{PutBatch, StreamRecord};

pub use dialect::{Dialect, PostgresSession};
pub use fault::StatementFault;
pub use hot::{HotIndex, HotSnapshot};
pub use sql::{
    OwnerKey, ResultPage, SqlEngine, SqlPlanner, Statement, StatementId, StatementShape, StatementState,
    StatementStatus,
};

/// What a caller can do about a failed port call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Try again after a pause: the fault may pass.
    Retry,
    /// Try again when there is room: a limit was met.
    BackOff,
    /// Trying again does not help.
    Stop,
}

/// A port call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What the caller can do.
    pub advice: Advice,
    /// What went wrong, where, and what would mend it.
    pub message: String,
    /// The adapter's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PortError {
    /// A failure without a cause of its own.
    pub fn new(advice: Advice, message: impl Into<String>) -> Self {
        Self { advice, message: message.into(), source: None }
    }

    /// A failure with the error that caused it. `what` names what was being done to what; the cause is added to the message.
    pub fn because(
        advice: Advice,
        what: impl std::fmt::Display,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        Self { advice, message: format!("{what}: {source}"), source: Some(source) }
    }
}

/// What became of one record of a [`PutBatch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutVerdict {
    /// The stream holds it durably (IN-1).
    Stored {
        /// Its shard.
        shard: ShardId,
        /// Its place there.
        sequence: SequenceNumber,
    },
    /// The stream does not hold it. Only these are sent again.
    Refused(Refusal),
}

/// Why a stream refused a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The stream holds as much as it may; room comes when its reader catches up.
    Full,
    /// A record of this size or key is never taken.
    Invalid(String),
    /// The stream could not store it.
    Failed(String),
}

/// A page of one shard's records.
#[derive(Debug, Clone, Default)]
pub struct ReadPage {
    /// The records, in order of their sequence numbers.
    pub records: Vec<StreamRecord>,
    /// Whether the shard held more when the page was read.
    pub more: bool,
}

/// Where a shard begins and ends at the moment, as far as the stream can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardState {
    /// The shard.
    pub shard: ShardId,
    /// The oldest record that it still holds; `None`: it holds none, or the stream cannot tell.
    pub oldest: Option<SequenceNumber>,
    /// The newest record that it has durably stored, whether it still holds it or not, or a number behind it that no record will
    /// have; `None`: there never was one, or the stream cannot tell.
    pub newest: Option<SequenceNumber>,
}

/// A sharded, ordered, durable log of records.
#[async_trait]
pub trait Stream: Send + Sync {
    /// Appends records, each to the shard of its key. Answers one verdict per record, in order; every `Stored` one is durable.
    ///
    /// # Errors
    ///
    /// When nothing of the batch was stored.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open which records were stored.
    async fn append(&self, batch: PutBatch) -> Result<Vec<PutVerdict>, PortError>;

    /// Reads durable records of one shard that come after `after` (`None`: from the oldest held), up to `max_bytes` of data but
    /// at least one if there is any. With none there, waits up to `wait` for one.
    ///
    /// # Errors
    ///
    /// When the shard is unknown, `after` is older than what it still holds, or its storage is damaged.
    async fn read(
        &self,
        shard: &ShardId,
        after: Option<SequenceNumber>,
        max_bytes: usize,
        wait: Duration,
    ) -> Result<ReadPage, PortError>;

    /// The stream's shards, by name.
    ///
    /// # Errors
    ///
    /// When the stream cannot be asked.
    async fn shards(&self) -> Result<Vec<ShardState>, PortError>;
}

/// What putting a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was written.
    Written,
    /// One of that name was there; it was left as it is.
    AlreadyThere,
}

/// Where data files and commit messages are stored.
#[async_trait]
pub trait DataFiles: Send + Sync {
    /// Stores an object under the lake's root if there is none of that name. Durable when it returns.
    ///
    /// # Errors
    ///
    /// When it could not be stored; nothing of that name is visible then that was not there before.
    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<Put, PortError>;

    /// Reads an object.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or it cannot be read.
    async fn get(&self, path: &str) -> Result<Bytes, PortError>;

    /// Removes an object; none of that name is no error.
    ///
    /// # Errors
    ///
    /// When it could not be removed.
    async fn delete(&self, path: &str) -> Result<(), PortError>;
}

/// One commit message, taken from the queue and not yet acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message object's path under the lake's root.
    pub path: String,
    /// What [`CommitQueue::acknowledge`] takes.
    pub receipt: String,
}

/// The queue between the transform and the committer. It may deliver late, out of order, and more than once.
#[async_trait]
pub trait CommitQueue: Send + Sync {
    /// Enqueues the path of a stored commit message; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// When the queue did not take it.
    async fn enqueue(&self, path: &str) -> Result<(), PortError>;

    /// Takes up to `max` messages, waiting up to `wait` for the first.
    ///
    /// # Errors
    ///
    /// When the queue cannot be asked.
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, PortError>;

    /// Says that a message is dealt with, so that it is not delivered again.
    ///
    /// # Errors
    ///
    /// When the queue did not take it; the message comes again.
    async fn acknowledge(&self, receipt: &str) -> Result<(), PortError>;
}

/// What is known of the data files without reading them, one entry for each. It is made anew from the lake when it is lost, and one
/// that is missing says that the file may hold anything.
#[async_trait]
pub trait ObjectIndex: std::fmt::Debug + Send + Sync {
    /// Stores entries, each over one of the same table and path.
    ///
    /// # Errors
    ///
    /// When not all of them were stored; storing them again is harmless.
    async fn put(&self, entries: Vec<IndexEntry>) -> Result<(), PortError>;

    /// The entries of a table whose paths come after `after` (`None`: from the first), by path, up to `max` of them. One that cannot be
    /// read is left out.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn entries(&self, table: &str, after: Option<&str>, max: usize) -> Result<Vec<IndexEntry>, PortError>;

    /// The paths of all entries of a table, in no order; those of entries that cannot be read may be among them.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn paths(&self, table: &str) -> Result<Vec<String>, PortError>;

    /// Forgets the entries of a table at these paths; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// When not all of them were removed.
    async fn remove(&self, table: &str, paths: Vec<String>) -> Result<(), PortError>;
}

/// A deployed function that answers a payload with one of its own.
#[async_trait]
pub trait Function: Send + Sync {
    /// Invokes the function and waits for its answer. The function may be invoked once more than it is asked to.
    ///
    /// # Errors
    ///
    /// [`Advice::Retry`] when it failed, crashed, ran out of time or could not be reached; [`Advice::BackOff`] when it was not
    /// run because a limit was met; [`Advice::Stop`] when there is no such function, or it never takes this payload.
    async fn invoke(&self, payload: Bytes) -> Result<Bytes, PortError>;
}
