//! Uploads: files of events that are asked for, put, and loaded into the stream. What is kept of one, what is told of it, and the port to
//! where that lies.
//!
//! **UP-1.** Content that was put whole is loaded or its upload says why not, however often loading breaks off; and an event without an id gets
//! one from the content's SHA-256 and its line, so that the same bytes make the same events, in this upload or another, here or on AWS.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::clock::{Micros, rfc3339};
use crate::ports::PortError;

/// The version of what is kept of an upload.
const VERSION: u32 = 1;

/// How many of the lines that became no event are told of, the first ones.
pub const ODD_LINES: usize = 10;

/// How the lines of a file are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadFormat {
    /// An event a line.
    Ndjson,
    /// A header line that names the fields, then an event a row.
    Csv,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadState {
    /// Its content is not here yet.
    Waiting,
    /// Its content is here, and others are loaded before it.
    Queued,
    /// Its events are being put into the stream.
    Loading,
    /// All of its events are in the stream.
    Done,
    /// It ended before its end, and `error` says why. What came before is loaded.
    Failed,
}

impl UploadState {
    /// Whether nothing more happens to it.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// A line that became no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OddLine {
    /// Which, from 1.
    pub line: u64,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

/// What is kept of an upload, beside its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    version: u32,
    /// What to ask for it by. Nobody can guess it.
    pub id: String,
    /// Whose the events are (AU-1).
    pub owner: String,
    /// Where they go.
    pub dataset: String,
    /// How its lines are read.
    pub format: UploadFormat,
    /// What its sender calls the file.
    pub name: Option<String>,
    /// How far it is.
    pub state: UploadState,
    /// When it was asked for.
    #[serde(with = "rfc3339")]
    pub created: Micros,
    /// Until when it waits for its content.
    #[serde(with = "rfc3339")]
    pub expires: Micros,
    /// When its content was here whole, and its place in the queue.
    #[serde(with = "rfc3339::optional")]
    pub received: Option<Micros>,
    /// When it was done or failed.
    #[serde(with = "rfc3339::optional")]
    pub ended: Option<Micros>,
    /// What its content has, as it was put.
    pub bytes: u64,
    /// SHA-256 of the content as it was put, in hexadecimal digits: with a line's number what its event's id is derived from (UP-1).
    pub content: Option<String>,
    /// The last line, or in CSV the last row, that is dealt with: loading goes on behind it.
    pub position: u64,
    /// The last line that is dealt with.
    pub lines: u64,
    /// How many events are in the stream.
    pub accepted: u64,
    /// How many lines became no event.
    pub odd: u64,
    /// The first of them.
    pub odd_lines: Vec<OddLine>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Upload {
    /// One that waits for its content from `created` to `expires`.
    pub fn new(
        id: String,
        owner: String,
        dataset: String,
        format: UploadFormat,
        name: Option<String>,
        (created, expires): (Micros, Micros),
    ) -> Self {
        Self {
            version: VERSION,
            id,
            owner,
            dataset,
            format,
            name,
            state: UploadState::Waiting,
            created,
            expires,
            received: None,
            ended: None,
            bytes: 0,
            content: None,
            position: 0,
            lines: 0,
            accepted: 0,
            odd: 0,
            odd_lines: Vec::new(),
            error: None,
        }
    }

    /// Reads what was kept; `None`: it is of another version, or none at all.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|upload: &Self| upload.version == VERSION)
    }

    /// What is kept.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an upload is text and numbers")
    }

    /// Its content is here whole.
    pub fn receive(&mut self, bytes: u64, now: Micros) {
        self.state = UploadState::Queued;
        self.bytes = bytes;
        self.received = Some(now);
    }

    /// Ends it.
    pub fn end(&mut self, now: Micros, error: Option<String>) {
        self.state = if error.is_some() { UploadState::Failed } else { UploadState::Done };
        self.ended = Some(now);
        self.error = error;
    }

    /// The `source` of events that name none: the file's name without its endings.
    pub fn source(&self) -> Option<&str> {
        let name = self.name.as_deref()?;
        let name = name.rsplit(['/', '\\']).next()?;
        let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
        Some(stem).filter(|stem| !stem.is_empty())
    }
}

/// What is told of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadStatus {
    /// What to ask for it by.
    pub id: String,
    #[schema(inline)]
    /// How far it is.
    pub state: UploadState,
    /// Whose the events are.
    pub owner: String,
    /// Where they go.
    pub dataset: String,
    #[schema(inline)]
    /// How its lines are read.
    pub format: UploadFormat,
    /// What its sender calls the file.
    #[schema(required)]
    pub name: Option<String>,
    /// When it was asked for.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created: Micros,
    /// Until when it waits for its content.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires: Micros,
    /// When it was done or failed; null: it has not ended.
    #[serde(with = "rfc3339::optional")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub ended: Option<Micros>,
    /// What its content has, as it was put.
    pub bytes: u64,
    /// The last line that was dealt with.
    pub lines: u64,
    /// How many events are in the stream.
    pub accepted: u64,
    /// How many lines became no event: each is a dead letter, but for lines that are too long.
    pub odd: u64,
    /// The first of these.
    pub odd_lines: Vec<OddLine>,
    /// Why it failed; null unless it did.
    #[schema(required)]
    pub error: Option<String>,
}

impl From<Upload> for UploadStatus {
    fn from(upload: Upload) -> Self {
        let Upload { id, owner, dataset, format, name, state, created, expires, ended, bytes, .. } = upload;
        let Upload { lines, accepted, odd, odd_lines, error, .. } = upload;
        Self {
            id,
            state,
            owner,
            dataset,
            format,
            name,
            created,
            expires,
            ended,
            bytes,
            lines,
            accepted,
            odd,
            odd_lines,
            error,
        }
    }
}

/// Whose share of what there may be is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// That of everybody together.
    OfAll,
    /// That of the owner.
    OfOwner,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum UploadStoreError {
    /// So many uploads wait for their content or are not loaded yet: wait until one has ended.
    #[error("{limit} uploads wait for their content or are not loaded yet, the most that there may be")]
    TooMany {
        /// The most that there may be.
        limit: usize,
        /// Of whom.
        share: Share,
    },
    /// What is not loaded yet holds as many bytes as it may: wait until some is.
    #[error("the files that are not loaded yet hold {limit} bytes, the most that they may")]
    Full {
        /// The most that they may hold.
        limit: u64,
        /// Of whom.
        share: Share,
    },
    /// It takes nothing any more: ask another one.
    #[error("it is shutting down")]
    Stopping,
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] PortError),
}

/// Where uploads are kept, and their content until it is loaded.
///
/// An upload that waits for content that can come no more, and one that ended long ago, is not there.
#[async_trait]
pub trait UploadStore: Send + Sync + std::fmt::Debug {
    /// Keeps a new upload, durably, if there may be one more.
    ///
    /// # Errors
    ///
    /// When there may not, or it cannot be kept.
    async fn add(&self, upload: &Upload) -> Result<(), UploadStoreError>;

    /// Where the content of an upload that waits for it is to be put: what whoever has it needs beside the content, and nothing else. `caller`
    /// is who asks; `None`: nobody is asked for a token.
    ///
    /// # Errors
    ///
    /// When there is nothing to sign it with.
    async fn target(&self, upload: &Upload, caller: Option<&Caller>) -> Result<String, UploadStoreError>;

    /// The upload of this id, whosever it is.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    async fn get(&self, id: &str) -> Result<Option<Upload>, UploadStoreError>;

    /// The newest uploads of this owner, or of everybody, newest first.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    async fn newest(&self, owner: Option<&str>, most: usize) -> Result<Vec<Upload>, UploadStoreError>;

    /// Forgets an upload and its content. Whoever loads it finds that out, and soon stops.
    ///
    /// # Errors
    ///
    /// When it cannot be removed; it may be gone all the same.
    async fn remove(&self, upload: &Upload) -> Result<(), UploadStoreError>;
}
