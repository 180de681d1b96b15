//! What can go wrong on the sending side and when a gateway is set up. What goes wrong with one request is a problem document.

use std::path::PathBuf;

/// An error of this room; its variants say what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A setting cannot be used: change it.
    #[error("{setting}: {problem}")]
    Setting {
        /// The setting's key.
        setting: &'static str,
        /// What is wrong with its value, and what would be right.
        problem: String,
    },
    /// A file cannot be opened or read: check that it is there and readable.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something that cannot be replayed: change the input.
    #[error("{}:{line}:{column}: {problem}", file.display())]
    Input {
        /// The file.
        file: PathBuf,
        /// The line, from 1. In CSV that of the blank lines before a row, if there are any.
        line: u64,
        /// The column, from 1: in CSV the cell's, else the byte's within its line.
        column: u64,
        /// What is wrong there, and what would be right.
        problem: String,
    },
    /// The HTTP client cannot be set up: stop.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[source] reqwest::Error),
}

impl IngestError {
    pub(crate) fn setting(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting { setting, problem: problem.into() }
    }
}
