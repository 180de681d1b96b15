//! Every way in which a request is turned away, and the problem document that says so.

use std::time::Duration;

use alluvium_core::Problem;
use alluvium_core::address::NotUtf8;
use alluvium_core::dataset::HOW_TO_ADD;

use crate::delimit::DelimitError;

/// Why a request was not acknowledged. Its text is the problem's detail.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("the server is shutting down and takes nothing in any more; send the request again")]
    Stopping,
    #[error(
        "{limit} requests are being worked on, the most that this server takes on at a time; send the request again"
    )]
    TooManyRequests { limit: usize },
    #[error(
        "the requests being worked on hold {limit} bytes, the most that this server buffers; send the request again"
    )]
    TooManyBytes { limit: usize },
    #[error("there is no dataset {name:?}; the datasets here are: {known}. To add one: {HOW_TO_ADD}")]
    UnknownDataset { name: String, known: String },
    #[error("{method} is not allowed here; events are sent with POST")]
    Method { method: String },
    #[error("there is no parameter {name:?} where events are sent; known: owner")]
    UnknownParameter { name: String },
    #[error("the parameters of the address cannot be read: {0}")]
    Parameters(#[from] NotUtf8),
    #[error("the header `{header}` {problem}")]
    Header { header: String, problem: String },
    #[error("the content encoding {0:?} is not known; expected gzip, zstd or none")]
    UnknownEncoding(String),
    #[error("the body is longer than {limit} bytes, the most that a request may have as sent; split it")]
    BodyTooLarge { limit: usize },
    #[error(
        "the body expands to more than {limit} bytes, the most that a request may have after decompression; split it"
    )]
    ExpandsTooFar { limit: usize },
    #[error("the body was not here whole after {0:?}; send it faster, or in smaller requests")]
    BodyTooSlow(Duration),
    #[error("the body broke off: {0}")]
    BodyBroken(String),
    #[error("the body cannot be decompressed as {encoding}: {problem}; expected whole {encoding} data")]
    Encoding { encoding: &'static str, problem: String },
    #[error("{0}")]
    Delimit(#[from] DelimitError),
    #[error("the body holds no event; expected one event, a JSON array of events, or one event per line")]
    NoEvent,
    #[error(
        "event {index} is {bytes} bytes long; the most that one event may have is {limit}. Nothing of the request was taken in"
    )]
    EventTooLarge { index: usize, bytes: usize, limit: usize },
    #[error("the body holds more than {limit} events, the most that a request may have; split it")]
    TooManyEvents { limit: usize },
    #[error("the log holds as much as it may until its reader catches up; {}", Stored(*.stored, *.events))]
    Full { stored: u64, events: u64 },
    #[error("the stream could not store the events, and the server's own log says why; {}", Stored(*.stored, *.events))]
    NotStored { stored: u64, events: u64 },
    #[error("the stream did not answer within {0:?}, so it is not known what it stored; {SAFE}")]
    StreamTooSlow(Duration),
}

const SAFE: &str = "sending the same request again is safe when its events carry an `id`, \
                    or the request an `Idempotency-Key`";

/// How much of a request is in the stream although it was not acknowledged.
struct Stored(u64, u64);

impl std::fmt::Display for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self(0, _) => f.write_str("nothing of the request was taken in. Send it again"),
            Self(stored, events) => write!(f, "{stored} of its {events} events were stored. {SAFE}"),
        }
    }
}

impl Rejection {
    /// Its problem document.
    pub(crate) fn problem(&self) -> Problem {
        let (status, slug, retry_after) = match self {
            Self::Stopping => (503, "shutting-down", Some(5)),
            Self::TooManyRequests { .. } | Self::TooManyBytes { .. } => (429, "too-many-requests", Some(1)),
            Self::UnknownDataset { .. } => (404, "unknown-dataset", None),
            Self::Method { .. } => (405, "method-not-allowed", None),
            Self::UnknownParameter { .. } | Self::Parameters(_) => (400, "bad-parameter", None),
            Self::Header { .. } => (400, "bad-header", None),
            Self::UnknownEncoding(_) => (415, "unknown-encoding", None),
            Self::BodyTooLarge { .. } => (413, "body-too-large", None),
            Self::ExpandsTooFar { .. } => (413, "body-expands-too-far", None),
            Self::BodyTooSlow(_) => (408, "body-too-slow", None),
            Self::BodyBroken(_) => (400, "body-broken", None),
            Self::Encoding { .. } => (400, "unreadable-encoding", None),
            Self::Delimit(DelimitError::TooDeep { .. }) => (400, "json-too-deep", None),
            Self::Delimit(_) => (400, "not-delimitable", None),
            Self::NoEvent => (400, "no-event", None),
            Self::EventTooLarge { .. } => (413, "event-too-large", None),
            Self::TooManyEvents { .. } => (413, "too-many-events", None),
            Self::Full { .. } => (503, "log-full", Some(2)),
            Self::NotStored { .. } => (503, "not-stored", Some(2)),
            Self::StreamTooSlow(_) => (503, "stream-too-slow", Some(2)),
        };
        let problem = Problem::new(status, slug, self.to_string());
        match retry_after {
            Some(seconds) => problem.retry_after(seconds),
            None => problem,
        }
    }

    /// Whether the client may still be sending its body, so that it would miss the answer if the connection were closed.
    pub(crate) fn leaves_body_unread(&self) -> bool {
        !matches!(self, Self::BodyTooSlow(_) | Self::BodyBroken(_) | Self::StreamTooSlow(_))
    }
}
