//! The results of reports as they are kept and read, one for each window.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::window::WindowId;
use crate::clock::Micros;
use crate::file::{FileFormat, FilePlace, OpenFile};
use crate::ports::PortError;

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
    pub fn file(&self, format: FileFormat) -> &FileFacts {
        match format {
            FileFormat::Csv => &self.csv,
            FileFormat::Parquet => &self.parquet,
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

    /// Where a file of a window's result is to be had; `None`: there is no such report, or no result of that window.
    ///
    /// # Errors
    ///
    /// When it cannot be said.
    async fn place(
        &self,
        _report: &str,
        _window: WindowId,
        _format: FileFormat,
    ) -> Result<Option<FilePlace>, PortError> {
        Ok(Some(FilePlace::Here))
    }

    /// A file of a window's result; `None`: there is no such report, or no result of that window.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    async fn open(
        &self,
        report: &str,
        window: WindowId,
        format: FileFormat,
    ) -> Result<Option<Box<dyn OpenFile>>, PortError>;
}
