//! The ports: what the stages need from the outside, each implemented by every adapter and held to one contract suite.

mod dialect;
mod fault;

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Micros;
use crate::hot::{BUCKETS, HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts, Waiting};
use crate::identity::{SequenceNumber, ShardId, content_hash};
use crate::object_index::IndexEntry;
use crate::record::{PutBatch, StreamRecord};

pub use dialect::{Dialect, PostgresSession};
pub use fault::StatementFault;

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

/// A [`HotIndex`] as it was at a moment. Keep it for one read: what is forgotten meanwhile takes room.
#[async_trait]
pub trait HotSnapshot: Send + Sync {
    /// As [`HotIndex::newest`], of that moment.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError>;
}

/// The index of the newest rows.
#[async_trait]
pub trait HotIndex: Send + Sync {
    /// Stores chunks, each over one of the same key. Visible to reads when it returns, or told of by [`waiting`](Self::waiting) until it is; not
    /// necessarily durable, see [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// When not all of them were stored; storing them again is harmless.
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError>;

    /// Makes every chunk durable that was put before.
    ///
    /// # Errors
    ///
    /// When that failed.
    async fn flush(&self) -> Result<(), PortError>;

    /// Into how many buckets its chunks are to be spread: [`bucket_of`](crate::hot::bucket_of) is asked with it, by who writes and who reads.
    fn buckets(&self) -> u16 {
        BUCKETS
    }

    /// Chunks out of the buckets and the range asked for, by their newest row, the newest first: some, and where to go on.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError>;

    /// The index as it is now, for the questions of one read; `None`: the index itself may be asked each of them, for a row that is visible in it
    /// never comes to lie in a chunk with newer rows.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn snapshot(&self) -> Result<Option<Arc<dyn HotSnapshot>>, PortError> {
        Ok(None)
    }

    /// The chunks of a dataset from a position on, in the order in which they were put: the order in which they became visible, so that
    /// what is put after this returns lies at or after [`Puts::up_to`]. A chunk that is put again leaves its position for a later one.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError>;

    /// What waits of this dataset: chunks that a put has taken and that are not visible yet, but for those that have expired at `now`. Who asks
    /// before reading rows knows what may be missing from them: what is not told of here was visible when this was asked. An index that
    /// has every chunk when a put returns has nothing to tell.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn waiting(&self, _dataset: &str, _now: Micros) -> Result<Vec<Waiting>, PortError> {
        Ok(Vec::new())
    }

    /// Where what [`puts`](Self::puts) tells of ends now: nothing will be put before it any more. It is of about the time now, however long nothing
    /// was put.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn puts_end(&self) -> Result<PutPosition, PortError>;

    /// The event time since which the index holds every event of the dataset that it should; `None`: it never was complete.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn complete_since(&self, dataset: &str) -> Result<Option<Micros>, PortError>;

    /// Moves the mark that [`complete_since`](Self::complete_since) returns.
    ///
    /// # Errors
    ///
    /// When the mark could not be stored.
    async fn set_complete_since(&self, dataset: &str, since: Micros) -> Result<(), PortError>;

    /// Forgets chunks that have expired at `now`; says how many.
    ///
    /// # Errors
    ///
    /// When that failed; what is left is filtered on read.
    async fn expire(&self, now: Micros) -> Result<usize, PortError>;
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

/// The handle of a running or finished statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatementId(pub String);

/// A statement to start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// The SQL, with a `?` for each parameter. Where a `?` may stand is the engine's to say; every engine takes them in a `where`.
    pub sql: String,
    /// The parameters' values in the order of the `?`s. Each is a text, whatever it looks like: `cast(? as bigint)` makes it
    /// something else. A value is never read as SQL.
    pub parameters: Vec<String>,
    /// Starts with the same token, SQL, parameters and reader are one statement, as long as the engine remembers it; `None`: each is
    /// its own. Tokens of one reader are no other's.
    pub token: Option<String>,
    /// Whose rows it sees, and none of anybody else's (AU-1); `None`: everybody's. An engine that cannot leave the others out refuses
    /// a statement that has one.
    pub reader: Option<String>,
    /// Who starts it, where that is known: an engine that keeps results apart by owner puts its own there.
    pub owner: Option<String>,
    /// In whose words it is.
    pub dialect: Dialect,
}

impl Statement {
    /// A statement without parameters and without a token, which sees everybody's rows.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ..Self::default() }
    }
}

/// Stands for an owner where the name itself shall not be written: a hash of it, as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnerKey(String);

impl OwnerKey {
    /// The key of this owner.
    pub fn of(owner: &str) -> Self {
        Self(content_hash(owner.as_bytes()))
    }

    /// Reads one back; any text is one, if of nobody.
    pub fn read(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How far a statement is, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementStatus {
    /// How far it is.
    pub state: StatementState,
    /// The statement's reader.
    pub reader: Option<String>,
    /// The [`OwnerKey`] of who started it, and nobody else may know of it; `None`: the engine does not keep statements of several owners
    /// apart.
    pub owner: Option<OwnerKey>,
    /// How many bytes of the lake it has read; `None`: the engine does not count them.
    pub scanned_bytes: Option<u64>,
    /// How long it has run; `None`: not known, or not yet.
    pub elapsed: Option<Duration>,
}

/// How far a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementState {
    /// It runs, or waits to.
    Running,
    /// Its results can be read.
    Succeeded,
    /// It failed; the message is for the person who wrote it.
    Failed(String),
    /// It was cancelled.
    Cancelled,
}

/// A page of a statement's results.
#[derive(Debug, Clone)]
pub struct ResultPage {
    /// The rows; one empty RecordBatch when there are none, so that the columns are known.
    pub batches: Vec<RecordBatch>,
    /// What the next call takes as `page`; `None`: this was the last.
    pub next: Option<String>,
}

/// An engine that answers read-only SQL over the lake's tables and views.
#[async_trait]
pub trait SqlEngine: Send + Sync {
    /// Starts a statement, or answers with the one that its token already started.
    ///
    /// # Errors
    ///
    /// When the engine does not take it, or its token was given with another statement. A statement that is wrong may be found
    /// out here or by its status.
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError>;

    /// How far it is.
    ///
    /// # Errors
    ///
    /// When the engine does not know it (any more).
    async fn status(&self, statement: &StatementId) -> Result<StatementStatus, PortError>;

    /// Waits for the statement to end, then reads a page of results; `None`: the first.
    ///
    /// # Errors
    ///
    /// When the statement failed, was cancelled, or is unknown.
    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError>;

    /// A time before which no committed row of a dataset's table has its `event_time`, if that is known without a statement: of a table
    /// without rows it is after all times.
    ///
    /// # Errors
    ///
    /// When the engine cannot be asked.
    async fn oldest(&self, _dataset: &str) -> Result<Option<Micros>, PortError> {
        Ok(None)
    }

    /// Stops a statement that runs: its results are never read. One that has ended may be forgotten.
    ///
    /// # Errors
    ///
    /// When the engine cannot be asked.
    async fn cancel(&self, statement: &StatementId) -> Result<(), PortError>;
}

/// What a statement would answer, as far as that can be told without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementShape {
    /// The columns of its rows.
    pub columns: SchemaRef,
    /// For each `?`, in the order of the text, the type that its place asks for; `None`: the place takes any.
    pub parameters: Vec<Option<DataType>>,
}

/// Tells what statements would answer, for clients that want to know beforehand.
#[async_trait]
pub trait SqlPlanner: Send + Sync {
    /// The shape of a statement for its reader; its parameters have no values yet. It says nothing of any row.
    ///
    /// # Errors
    ///
    /// When the statement is refused; a wrong one may pass, and fail when it is started.
    async fn shape(&self, statement: &Statement) -> Result<StatementShape, PortError>;
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
