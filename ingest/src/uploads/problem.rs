//! Every way in which a call about uploads is turned away, and the problem document that says so.

use std::time::Duration;

use alluvium_core::Problem;
use alluvium_core::dataset::HOW_TO_ADD;
use alluvium_core::upload::{Share, UploadStoreError};

/// Why a call was refused. Its text is the problem's detail.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadProblem {
    #[error("the server is shutting down; send the request again")]
    Stopping,
    #[error(
        "the body is not what is expected here: {0}; expected such as {{\"dataset\": \"telemetry\", \"format\": \"csv\"}}"
    )]
    BadRequest(String),
    #[error("there is no dataset {name:?}; the datasets here are: {known}. To add one: {HOW_TO_ADD}")]
    UnknownDataset { name: String, known: String },
    #[error(
        "there is no upload `{0}`: it never was, expired before its content came, ended long ago, or was taken back"
    )]
    Unknown(String),
    #[error(
        "the content of this upload is here already; for another file ask for another upload with POST /v1/uploads"
    )]
    HasContent,
    #[error(
        "the content of this upload is arriving in another request; wait for that, or put it again when that breaks off"
    )]
    Arriving,
    #[error("the content encoding {0:?} is not known; expected gzip, zstd or none")]
    UnknownEncoding(String),
    #[error(
        "the file is longer than {limit} bytes, the most that an upload may have as sent; compress it with gzip or zstd, or split it"
    )]
    TooLarge { limit: u64 },
    #[error("the file is empty; expected events, one a line")]
    Empty,
    #[error("the file broke off: {0}; nothing of it is kept, put it again")]
    BrokenOff(String),
    #[error("the file was not here whole after {0:?}, and nothing of it is kept; send it faster, or in smaller parts")]
    TooSlow(Duration),
    #[error("nothing came of the file for {0:?}, and nothing of it is kept; put it again")]
    Idle(Duration),
    #[error("{limit} files{} are arriving, the most at a time; send the request again", of(*share))]
    TooManyPuts { limit: usize, share: Share },
    #[error(
        "{limit} uploads{} wait for their content or are not loaded yet, the most that there may be; try again when one has ended",
        of(*share)
    )]
    TooMany { limit: usize, share: Share },
    #[error(
        "the files{} that are not loaded yet may hold {limit} bytes, and this one would go past it; try again later",
        of(*share)
    )]
    Full { limit: u64, share: Share },
    #[error(
        "what is kept of uploads took nothing more, and the server's own log says why; nothing of the request is kept. Try again later"
    )]
    NotStored,
    #[error("what is kept of uploads cannot be read, and the server's own log says why; try again later")]
    NotRead,
    #[error("the link cannot be made: {0}")]
    NotSigned(String),
    #[error(
        "here the content of an upload is put to the `url` that POST /v1/uploads answers with, and by no other way"
    )]
    ElsewhereContent,
}

/// Whose, in words.
fn of(share: Share) -> &'static str {
    if share == Share::OfOwner { " of this owner" } else { "" }
}

impl UploadProblem {
    /// Why an upload could not be kept or removed.
    pub(super) fn of_store(doing: &'static str, error: UploadStoreError) -> Self {
        match error {
            UploadStoreError::TooMany { limit, share } => Self::TooMany { limit, share },
            UploadStoreError::Full { limit, share } => Self::Full { limit, share },
            UploadStoreError::Stopping => Self::Stopping,
            UploadStoreError::Failed(error) => Self::not_stored(doing, &error),
        }
    }

    /// What is kept could not be read: said once here, in the server's own log.
    pub(super) fn not_read(error: &UploadStoreError) -> Self {
        tracing::error!(%error, "what is kept of uploads cannot be read");
        Self::NotRead
    }

    /// The store failed: said once here, in the server's own log.
    pub(super) fn not_stored(doing: &'static str, error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, doing, "an upload could not be stored");
        Self::NotStored
    }

    /// Its problem document.
    pub(super) fn problem(&self) -> Problem {
        let (status, slug, retry_after) = match self {
            Self::Stopping => (503, "shutting-down", Some(5)),
            Self::BadRequest(_) => (400, "bad-request", None),
            Self::UnknownDataset { .. } => (404, "unknown-dataset", None),
            Self::Unknown(_) => (404, "unknown-upload", None),
            Self::HasContent => (409, "upload-has-content", None),
            Self::Arriving => (409, "upload-arriving", Some(5)),
            Self::UnknownEncoding(_) => (415, "unknown-encoding", None),
            Self::TooLarge { .. } => (413, "file-too-large", None),
            Self::Empty => (400, "no-event", None),
            Self::BrokenOff(_) => (400, "body-broken", None),
            Self::TooSlow(_) | Self::Idle(_) => (408, "body-too-slow", None),
            Self::TooManyPuts { .. } => (429, "too-many-requests", Some(5)),
            Self::TooMany { .. } => (429, "too-many-uploads", Some(30)),
            Self::Full { .. } => (503, "uploads-full", Some(60)),
            Self::NotStored => (503, "not-stored", Some(30)),
            Self::NotRead => (503, "storage-unavailable", Some(5)),
            Self::NotSigned(_) => (500, "not-signed", None),
            Self::ElsewhereContent => (501, "content-elsewhere", None),
        };
        let problem = Problem::new(status, slug, self.to_string());
        match retry_after {
            Some(seconds) => problem.retry_after(seconds),
            None => problem,
        }
    }

    /// Whether the client may still be sending its body, so that it would miss the answer if the connection were closed.
    pub(super) fn leaves_body_unread(&self) -> bool {
        !matches!(self, Self::BrokenOff(_) | Self::TooSlow(_) | Self::Idle(_))
    }
}
