//! The ports of an engine for statements.

use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use super::{Dialect, PortError};
use crate::clock::Micros;
use crate::identity::content_hash;

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
    /// Starts with the same token, SQL, parameters, reader and owner are one statement, as long as the engine remembers it; `None`: each is
    /// its own. Tokens of one reader or owner are no other's.
    pub token: Option<String>,
    /// Whose rows it sees, and none of anybody else's (AU-1); `None`: everybody's. An engine that cannot leave the others out refuses
    /// a statement that has one.
    pub reader: Option<String>,
    /// Who starts it, where that is known: an engine that keeps results apart by owner puts its own there, and one that has statements wait
    /// lets owners take turns.
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
    /// How long it has run, without what it waited before; `None`: not known, or not yet.
    pub elapsed: Option<Duration>,
}

/// How far a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementState {
    /// It has not begun, because others run.
    Waiting,
    /// It runs. An engine that cannot tell says so of one that waits, too.
    Running,
    /// Its results can be read.
    Succeeded,
    /// It failed; the message is for the person who wrote it.
    Failed(String),
    /// It was cancelled.
    Cancelled,
}

impl StatementState {
    /// Whether it will be another one by itself: the statement has neither ended nor been stopped.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
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
