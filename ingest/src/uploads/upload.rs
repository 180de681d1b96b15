//! One upload: what is kept of it, and what is told of it.

use alluvium_core::clock::{Micros, rfc3339};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::replay::FileFormat;

/// The version of the file that an upload is kept in.
const VERSION: u32 = 1;

/// How many of the lines that became no event are told of, the first ones.
pub(super) const ODD_LINES: usize = 10;

/// How the lines of a file are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadFormat {
    /// An event a line.
    Ndjson,
    /// A header line that names the fields, then an event a row.
    Csv,
}

impl UploadFormat {
    /// What the name of a file tells, an ending of its compression left out.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let plain = [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        match crate::replay::format_of_name(plain) {
            Some(FileFormat::Ndjson) => Some(Self::Ndjson),
            Some(FileFormat::Csv) => Some(Self::Csv),
            None => None,
        }
    }
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
    pub(super) fn has_ended(self) -> bool {
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
pub(super) struct Upload {
    version: u32,
    pub(super) id: String,
    /// Whose the events are (AU-1).
    pub(super) owner: String,
    pub(super) dataset: String,
    pub(super) format: UploadFormat,
    /// What its sender calls the file.
    pub(super) name: Option<String>,
    pub(super) state: UploadState,
    #[serde(with = "rfc3339")]
    pub(super) created: Micros,
    /// Until when it waits for its content.
    #[serde(with = "rfc3339")]
    pub(super) expires: Micros,
    /// When its content was here whole, and its place in the queue.
    #[serde(with = "rfc3339::optional")]
    pub(super) received: Option<Micros>,
    #[serde(with = "rfc3339::optional")]
    pub(super) ended: Option<Micros>,
    /// What its content has, as it was put.
    pub(super) bytes: u64,
    /// SHA-256 of the content as it was put, in hexadecimal digits: with a line's number what its event's id is derived from.
    pub(super) content: Option<String>,
    /// The last line, or in CSV the last row, that is dealt with: loading goes on behind it.
    pub(super) position: u64,
    /// The last line that is dealt with.
    pub(super) lines: u64,
    /// How many events are in the stream.
    pub(super) accepted: u64,
    /// How many lines became no event.
    pub(super) odd: u64,
    /// The first of them.
    pub(super) odd_lines: Vec<OddLine>,
    /// Why it failed.
    pub(super) error: Option<String>,
}

impl Upload {
    /// One that waits for its content.
    pub(super) fn new(
        owner: String,
        dataset: String,
        format: UploadFormat,
        name: Option<String>,
        created: Micros,
        expires: Micros,
    ) -> Self {
        Self {
            version: VERSION,
            // Nobody can guess it.
            id: uuid::Uuid::new_v4().simple().to_string(),
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
    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|upload: &Self| upload.version == VERSION)
    }

    /// Ends it.
    pub(super) fn end(&mut self, now: Micros, error: Option<String>) {
        self.state = if error.is_some() { UploadState::Failed } else { UploadState::Done };
        self.ended = Some(now);
        self.error = error;
    }

    /// The `source` of events that name none: the file's name without its endings.
    pub(super) fn source(&self) -> Option<&str> {
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
