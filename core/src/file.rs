//! Rows as whole files, for people and their tools to download.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ports::{Advice, PortError, StatementId};

/// The formats of such files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// As [`csv`](crate::csv) writes it.
    Csv,
    /// One file that any engine reads.
    Parquet,
}

impl FileFormat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Csv, Self::Parquet];

    /// What a file's name ends in, without the dot.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            // IANA, "Media Types".
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// An open file, which stays what it was when it was opened.
#[async_trait]
pub trait OpenFile: Send + Sync {
    /// How many bytes it has.
    fn bytes(&self) -> u64;

    /// A text that no other file of its name has or had, of letters, digits and `-`.
    fn tag(&self) -> &str;

    /// Some bytes from `offset` on; none: that is its end.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    async fn read(&self, offset: u64) -> Result<Bytes, PortError>;
}

/// Where a whole file is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePlace {
    /// Here: it is opened and sent.
    Here,
    /// At this URL, which needs no token and is good for [`URL_LIFETIME`].
    At(String),
    /// It is made when it is first asked for ([`ResultFiles::made`]).
    OnDemand,
    /// Nowhere: why, and what to do instead.
    Nowhere(String),
}

/// A file that is made on demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeFile {
    /// It is being made: ask again.
    UnderWay,
    /// At these URLs, each of a file with some of the rows, none twice; they are good as that of [`FilePlace::At`]. None: there are no rows.
    At(Vec<String>),
}

/// For how long the URL of a file is good.
pub const URL_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Whole results of statements as files.
#[async_trait]
pub trait ResultFiles: std::fmt::Debug + Send + Sync {
    /// Where the result of a statement that has succeeded is to be had in a format.
    ///
    /// # Errors
    ///
    /// When there is no such statement, or it cannot be asked for.
    async fn place(&self, _statement: &StatementId, _format: FileFormat) -> Result<FilePlace, PortError> {
        Ok(FilePlace::Here)
    }

    /// Has the result of a statement that has succeeded made in a format, and says how far that is. To ask once more does not make it once more.
    ///
    /// # Errors
    ///
    /// When there is no such statement, the format cannot hold its result, or it cannot be made.
    async fn made(&self, statement: &StatementId, _format: FileFormat) -> Result<MadeFile, PortError> {
        Err(PortError::new(Advice::Stop, format!("no file of `{}` is made on demand", statement.0)))
    }

    /// The result of a statement that has succeeded, in a format.
    ///
    /// # Errors
    ///
    /// When there is no such statement or it has no result, when the format cannot hold the result, or it cannot be read or written.
    async fn open(&self, statement: &StatementId, format: FileFormat) -> Result<Box<dyn OpenFile>, PortError>;
}
