//! Reports: statements that are run once for each window of time.
//!
//! A report is a file `NAME.sql`: comment lines that declare it, then one statement that reads.
//!
//! ```sql
//! -- title: Events and sources by hour
//! -- window: 1h
//! -- delay: 10m
//! select count(*) as events, count(distinct source) as sources
//! from telemetry
//! where event_time >= $from and event_time < $to
//! ```
//!
//! | line | |
//! |---|---|
//! | `title` | what it tells, in a few words |
//! | `window` | how long a window is: a part of a day, in whole minutes, or a number of whole days; see [`Windows`] |
//! | `delay` | how long after a window's end it is run, for what comes late; [`DELAY`] if left out |
//!
//! `$from` and `$to` stand for the window's start and its end, which is the next one's start. They become times as every engine of ours takes
//! them, rather than a `?` each: a `?` is text to an engine, and Athena compares no time with a text.

mod due;
mod file;
mod name;
mod results;
mod statement;
mod window;

use std::time::Duration;

pub use due::{Timing, pause_after};
pub use file::ReportError;
pub use name::{ReportName, ReportNameError};
pub use results::{FileFacts, ReportFailure, ReportResult, ReportResults, ReportStatus, ResultsPage};
pub use window::{Window, WindowError, WindowId, WindowIdError, Windows};

use statement::Template;

/// The delay of a report that declares none.
pub const DELAY: Duration = Duration::from_secs(10 * 60);

/// The longest delay. Our own: results that come later than a month late are somebody's by hand.
pub const MOST_DELAY: Duration = Duration::from_secs(31 * 86_400);

/// The longest file. Our own: an engine takes statements of 32 KiB.
pub const FILE_BYTES: u64 = 64 * 1024;

/// A report as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its name: the file's.
    pub name: ReportName,
    /// What it tells, in a few words.
    pub title: String,
    /// The windows that it is run for.
    pub windows: Windows,
    /// How long after a window's end it is run.
    pub delay: Duration,
    statement: Template,
}

impl Report {
    /// Reads a report's file.
    ///
    /// # Errors
    ///
    /// When a line declares what is not known or cannot be, or the text is not one statement that reads and names `$from` and `$to`.
    pub fn parse(name: ReportName, text: &str) -> Result<Self, ReportError> {
        let file::Declared { title, windows, delay } = file::declared(text)?;
        Ok(Self { name, title, windows, delay, statement: Template::parse(text)? })
    }

    /// The statement of one window.
    pub fn statement(&self, window: Window) -> String {
        self.statement.of(window)
    }

    /// When a window is due: at its end and the delay behind it, in µs since 1970.
    pub fn due(&self, window: Window) -> i64 {
        self.timing().due(window)
    }

    /// When it is run.
    pub fn timing(&self) -> Timing {
        Timing { windows: self.windows, delay: self.delay }
    }

    /// The newest window that is due at this time.
    pub fn newest_due(&self, now: i64) -> Window {
        self.timing().newest_due(now)
    }
}

#[cfg(test)]
mod tests;
