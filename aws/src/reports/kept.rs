//! What is known of a report: `kept.json`.

use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::file::FileFormat;
use alluvium_core::report::{ReportFailure, ReportResult, ReportStatus, Timing, WindowId, Windows, pause_after};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// The newest windows that are made afterwards when they were missed, at most. Our own: as a node has it.
pub const CATCH_UP: usize = 100;

/// What the report's file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What it tells.
    pub title: String,
    /// How long its windows are, in seconds; `None`: it is broken.
    pub window_s: Option<u64>,
    /// How long after a window's end it is run, in seconds; `None`: it is broken.
    pub delay_s: Option<u64>,
    /// What is wrong with the file; `None`: nothing.
    pub broken: Option<String>,
}

/// One result, and the versions of its objects; `None`: the bucket keeps no versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptResult {
    /// The result.
    #[serde(flatten)]
    pub result: ReportResult,
    /// The version of the CSV.
    pub csv_version: Option<String>,
    /// The version of the Parquet.
    pub parquet_version: Option<String>,
}

/// What is known of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReport {
    version: u32,
    /// What its file says.
    pub about: About,
    /// When it was first seen.
    #[serde(with = "alluvium_core::clock::rfc3339")]
    pub seen_at: Micros,
    /// Its last failure, if it has not succeeded since.
    pub failure: Option<ReportFailure>,
    /// How often it has failed, whatever succeeded since.
    #[serde(default)]
    pub failures: u64,
    /// The columns of its table, as they were declared; `None`: it has none yet.
    pub table: Option<String>,
    /// Its results, newest window first.
    pub results: Vec<KeptResult>,
}

/// Bytes that are no `kept.json`.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// A newer release wrote it.
    #[error("its version {0} is newer than this release reads ({VERSION})")]
    Version(u32),
    /// It is something else.
    #[error("it is not what is known of a report: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl KeptResult {
    pub(super) fn version(&self, format: FileFormat) -> Option<&str> {
        match format {
            FileFormat::Csv => self.csv_version.as_deref(),
            FileFormat::Parquet => self.parquet_version.as_deref(),
        }
    }
}

impl KeptReport {
    /// Of a report that is seen now for the first time.
    pub fn new(now: Micros) -> Self {
        let (about, failure) = (About::default(), None);
        Self { version: VERSION, about, seen_at: now, failure, failures: 0, table: None, results: Vec::new() }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, KeptError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        match serde_json::from_slice(bytes)? {
            Versioned { version } if version > VERSION => Err(KeptError::Version(version)),
            Versioned { .. } => Ok(serde_json::from_slice(bytes)?),
        }
    }

    /// The result of a window.
    pub fn result(&self, window: WindowId) -> Option<&KeptResult> {
        self.results.iter().find(|kept| kept.result.window() == window)
    }

    /// Makes a result that of its window.
    pub fn put(&mut self, result: KeptResult) {
        self.results.retain(|kept| kept.result.window() != result.result.window());
        self.results.push(result);
        self.results.sort_by_key(|kept| std::cmp::Reverse(kept.result.from));
    }

    /// Notes a failure.
    pub fn failed(&mut self, window: WindowId, at: Micros, error: &str) {
        let times = self.failure.as_ref().map_or(0, |failure| failure.times).saturating_add(1);
        self.failure = Some(ReportFailure { from: window.0, at, times, error: error.to_owned() });
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn forget_before(&mut self, made: Micros) {
        self.results.retain(|kept| kept.result.made_at >= made);
    }

    /// When it is tried again after a failure; `None`: it has not failed.
    pub fn again(&self) -> Option<Micros> {
        self.failure.as_ref().map(|failure| failure.at.saturating_add(pause_after(failure.times)))
    }

    fn timing(&self) -> Option<Timing> {
        let windows = Windows::every(Duration::from_secs(self.about.window_s?)).ok()?;
        Some(Timing { windows, delay: Duration::from_secs(self.about.delay_s?) })
    }

    pub(super) fn status(self, name: String, now: Micros) -> ReportStatus {
        let timing = self.timing();
        let is_made = |start, end| self.result(WindowId(start)).is_some_and(|kept| kept.result.to == end);
        let missing = timing
            .map(|timing| timing.missing(self.seen_at, now, CATCH_UP, |window| is_made(window.start, window.end)));
        let missing = missing.unwrap_or_default();
        let next = timing.map(|timing| {
            let next = missing.iter().map(|window| timing.due(*window)).min();
            let next = next.unwrap_or_else(|| timing.due(timing.windows.after(timing.newest_due(now))));
            self.again().map_or(next, |again| next.max(again))
        });
        let title = if self.about.title.is_empty() { name.clone() } else { self.about.title };
        ReportStatus {
            name,
            title,
            window: timing.map(|timing| timing.windows.length()),
            delay: timing.map(|timing| timing.delay),
            broken: self.about.broken,
            next_run: next,
            waiting: missing.len(),
            failure: self.failure,
            kept: self.results.len(),
        }
    }
}
