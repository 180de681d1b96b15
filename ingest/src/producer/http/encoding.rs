//! How bodies are compressed on their way to a gateway.

use std::io::Write;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How bodies are compressed on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyEncoding {
    /// Not at all: the fastest on one machine and in a fast network.
    #[default]
    Plain,
    /// gzip.
    Gzip,
    /// zstd: smaller and faster than gzip, where the receiver takes it.
    Zstd,
}

impl BodyEncoding {
    /// The value of `Content-Encoding`; `None`: no such header.
    pub(super) fn header(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    pub(super) fn encode(self, body: &Bytes) -> Bytes {
        match self {
            Self::Plain => body.clone(),
            Self::Gzip => {
                let capacity = Vec::with_capacity(body.len() / 4);
                let mut encoder = flate2::write::GzEncoder::new(capacity, flate2::Compression::fast());
                encoder.write_all(body).expect("writing to memory does not fail");
                encoder.finish().expect("writing to memory does not fail").into()
            }
            Self::Zstd => zstd::bulk::compress(body, 1).expect("compressing in memory does not fail").into(),
        }
    }
}
