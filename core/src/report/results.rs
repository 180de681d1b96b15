//! The results of reports as they are kept and read, one for each window.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::window::WindowId;
use crate::clock::Micros;
use crate::ports::PortError;

/// The formats that each result is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportFormat {
    /// As [`csv`](crate::csv) writes it.
    Csv,
    /// One file that any engine reads.
    Parquet,
}

impl ReportFormat {
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

/// What is known of one file of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// The result of one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportResult {
    /// The window's start.
    #[serde(with = "crate::clock::rfc3339")]
    pub from: Micros,
    /// The window's end, which does not belong to it.
    #[serde(with = "crate::clock::rfc3339")]
    pub to: Micros,
    /// When the statement was started that made it.
    #[serde(with = "crate::clock::rfc3339")]
    pub made_at: Micros,
    /// How many rows it has.
    pub rows: u64,
    /// The file of rows as CSV.
    pub csv: FileFacts,
    /// The same rows as Parquet.
    pub parquet: FileFacts,
}

impl ReportResult {
    /// What its window is called.
    pub fn window(&self) -> WindowId {
        WindowId(self.from)
    }

    /// What is known of its file of a format.
    pub fn file(&self, format: ReportFormat) -> &FileFacts {
        match format {
            ReportFormat::Csv => &self.csv,
            ReportFormat::Parquet => &self.parquet,
        }
    }
}

/// The last failure of a report that has not succeeded since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFailure {
    /// The start of the window that it was run for.
    #[serde(with = "crate::clock::rfc3339")]
    pub from: Micros,
    /// When.
    #[serde(with = "crate::clock::rfc3339")]
    pub at: Micros,
    /// How often in a row it has failed.
    pub times: u32,
    /// Why.
    pub error: String,
}

/// What there is to say of one report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportStatus {
    /// Its name.
    pub name: String,
    /// What it tells; its name where that is not known.
    pub title: String,
    /// How long its windows are; `None`: it is broken.
    pub window: Option<Duration>,
    /// How long after a window's end it is run; `None`: it is broken.
    pub delay: Option<Duration>,
    /// Why it is not run: what is wrong with its file, and where. `None`: it is run.
    pub broken: Option<String>,
    /// When it is run next, at the earliest; `None`: it is broken.
    pub next_run: Option<Micros>,
    /// How many windows are due and not made.
    pub waiting: usize,
    /// Its last failure, if it has not succeeded since.
    pub failure: Option<ReportFailure>,
    /// How many results are kept.
    pub kept: usize,
}

/// Results, newest window first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResultsPage {
    /// The results.
    pub results: Vec<ReportResult>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Where reports and their results are looked at.
#[async_trait]
pub trait ReportResults: Send + Sync {
    /// Every report, by name: broken ones too, and those whose results are there though their file is gone.
    ///
    /// # Errors
    ///
    /// When the results cannot be listed.
    async fn reports(&self) -> Result<Vec<ReportStatus>, PortError>;

    /// Up to so many results of a report, newest window first, whose windows begin before `before` (`None`: all); `None`: there is no such
    /// report.
    ///
    /// # Errors
    ///
    /// When the results cannot be listed.
    async fn results(
        &self,
        report: &str,
        before: Option<WindowId>,
        most: usize,
    ) -> Result<Option<ResultsPage>, PortError>;

    /// A file of a window's result; `None`: there is no such report, or no result of that window.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    async fn open(
        &self,
        report: &str,
        window: WindowId,
        format: ReportFormat,
    ) -> Result<Option<Box<dyn ReportFile>>, PortError>;
}

/// An open file, which stays what it was when it was opened.
#[async_trait]
pub trait ReportFile: Send + Sync {
    /// What is known of it.
    fn facts(&self) -> &FileFacts;

    /// Some bytes from `offset` on; none: that is its end.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    async fn read(&self, offset: u64) -> Result<Bytes, PortError>;
}
