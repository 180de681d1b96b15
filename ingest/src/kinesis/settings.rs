//! The endpoint's settings.

use std::time::Duration;

use alluvium_core::clock::Micros;
use serde::{Deserialize, Serialize};

use super::limits;
use crate::IngestError;

/// The most characters of a stream's name. Amazon Kinesis Data Streams API Reference, `CreateStream`.
const NAME_CHARS: usize = 128;

/// Whether a shard takes and gives no more than one of the service does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShardLimits {
    /// A shard takes and gives what the machine can.
    #[default]
    Off,
    /// A shard takes 1 MiB and 1,000 records a second, gives 2 MiB a second, and is read five times a second. What goes past that is
    /// answered `ProvisionedThroughputExceededException`.
    Service,
}

/// What the stream is called and how much the endpoint takes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KinesisSettings {
    /// What the stream is called: 1 to 128 letters, digits, `_`, `.` and `-`. Default: `alluvium`.
    pub stream: String,
    /// Default: off.
    pub shard_limits: ShardLimits,
    /// The most requests at work at one time; one more is answered `ThrottlingException`. Default: 256.
    pub concurrent_requests: usize,
    /// The most bytes that requests and answers hold together: bodies as sent and decoded, records read, and answers until they are
    /// sent. A request that would go past it is answered `ThrottlingException`. Default: 256 MiB.
    pub buffered_bytes: usize,
    /// How long a request's body may take to arrive, and then how long the stream may take to store it. Default: 30 s.
    pub request_time: Duration,
    /// How long the stream keeps records, as far as callers are told. Default: 24 h.
    pub retention: Duration,
    /// When the stream was created, as far as callers are told. Default: 1970.
    pub created: Micros,
}

impl Default for KinesisSettings {
    fn default() -> Self {
        Self {
            stream: "alluvium".to_owned(),
            shard_limits: ShardLimits::Off,
            concurrent_requests: 256,
            buffered_bytes: 256 * 1024 * 1024,
            request_time: Duration::from_secs(30),
            retention: Duration::from_secs(24 * 3600),
            created: 0,
        }
    }
}

impl KinesisSettings {
    /// Checks that the settings can be used.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used, and what would be right.
    pub fn check(&self) -> Result<(), IngestError> {
        if !is_stream_name(&self.stream) {
            let problem = format!(
                "{:?} names no stream: expected 1 to {NAME_CHARS} letters, digits, `_`, `.` and `-`",
                self.stream
            );
            return Err(IngestError::setting("kinesis.stream", problem));
        }
        if !(1..=1_000_000).contains(&self.concurrent_requests) {
            let problem = format!("{} is out of range: expected 1 to 1000000", self.concurrent_requests);
            return Err(IngestError::setting("concurrent_requests", problem));
        }
        // One request of the largest size, as sent and decoded, goes through on an idle endpoint.
        let largest = 2 * limits::BODY_BYTES;
        if self.buffered_bytes < largest {
            let problem = format!("{} is too little: expected at least {largest}", self.buffered_bytes);
            return Err(IngestError::setting("buffered_bytes", problem));
        }
        if self.request_time.is_zero() {
            return Err(IngestError::setting("request_time", "expected more than 0, such as `30s`"));
        }
        Ok(())
    }
}

fn is_stream_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=NAME_CHARS).contains(&name.len()) && name.bytes().all(fits)
}
