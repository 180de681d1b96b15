//! What can go wrong when somebody reads.

use alluvium_core::address::NotUtf8;
use alluvium_core::dataset::HOW_TO_ADD;
use alluvium_core::hot_block::HotBlockError;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::{OtherOwner, Problem};
use arrow::error::ArrowError;

use crate::records::Reading;

/// A read that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// There is no such dataset.
    #[error("there is no dataset `{name}`; known: {known}. To add one: {HOW_TO_ADD}")]
    UnknownDataset {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A parameter of the request cannot be used. The message says what would be right.
    #[error("`{parameter}`: {message}")]
    Parameter {
        /// Which.
        parameter: String,
        /// What is wrong with it, and what would be right.
        message: String,
    },
    /// The query of the request's address is no text.
    #[error(transparent)]
    Query(#[from] NotUtf8),
    /// The request names an owner whose records its caller may not read (AU-1).
    #[error(transparent)]
    OtherOwner(#[from] OtherOwner),
    /// The hot index or the SQL engine failed.
    #[error("{0}")]
    Port(#[from] PortError),
    /// A chunk of the hot index cannot be read.
    #[error("a chunk of the hot index cannot be read: {0}")]
    Chunk(#[from] HotBlockError),
    /// Rows do not have the columns that they should.
    #[error("rows cannot be put together: {0}")]
    Rows(#[from] ArrowError),
    /// The page takes longer than a request may wait. Its statements go on: the same request with this reading has what they found.
    #[error("the read is under way; ask again")]
    UnderWay(Reading),
    /// The page needs more rows read than one request may.
    #[error("one page needs more than {0} rows read; name a `source`, or a shorter range with `from` and `to`")]
    TooMuch(usize),
}

impl QueryError {
    pub(crate) fn parameter(parameter: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Parameter { parameter: parameter.into(), message: message.into() }
    }

    /// The problem document that a client gets.
    pub fn problem(&self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::UnknownDataset { .. } => Problem::new(404, "unknown-dataset", detail),
            Self::Parameter { .. } | Self::Query(_) => Problem::new(400, "bad-parameter", detail),
            Self::OtherOwner(_) => Problem::new(403, "other-owner", detail),
            Self::UnderWay(_) => Problem::new(503, "read-under-way", detail).retry_after(1),
            Self::TooMuch(_) => Problem::new(422, "query-too-large", detail),
            Self::Port(error) => match error.advice {
                Advice::Stop => Problem::new(500, "query-failed", detail),
                Advice::BackOff => Problem::new(429, "too-many-queries", detail).retry_after(1),
                Advice::Retry => Problem::new(503, "storage-unavailable", detail).retry_after(5),
            },
            Self::Chunk(_) | Self::Rows(_) => Problem::new(500, "query-failed", detail),
        }
    }
}
