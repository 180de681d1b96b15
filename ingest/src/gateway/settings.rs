//! The gateway's settings: every limit, with its default.

use std::time::Duration;

use alluvium_core::envelope::MAX_TEXT_BYTES;
use alluvium_core::limits;
use serde::{Deserialize, Serialize};

use crate::IngestError;

/// The limits of the gateway, and whose the events are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewaySettings {
    /// The most bytes of a request's body as sent. Default: 10 MiB.
    pub body_bytes: usize,
    /// The most bytes of a request's body after decompression. Default: 64 MiB.
    pub body_expanded_bytes: usize,
    /// The most bytes of one event, at most [`limits::EVENT_BYTES`]. Default: 1 MiB less 4 KiB.
    pub event_bytes: usize,
    /// The most events of one request. Default: 100,000.
    pub events: usize,
    /// The deepest nesting of brackets in an element of a JSON array. Default: 64. In other bodies, where brackets are not
    /// counted, a deeper event becomes a dead letter.
    pub json_depth: usize,
    /// The most requests at work at one time; one more is answered 429. Default: 256.
    pub concurrent_requests: usize,
    /// The most bytes that requests at work hold together: bodies as sent, expanded, and wrapped for the stream. A request
    /// that would go past it is answered 429. Default: 256 MiB.
    pub buffered_bytes: usize,
    /// How long a request's body may take to arrive, and then how long the stream may take to store it. Default: 30 s.
    #[serde(with = "alluvium_core::duration::text")]
    pub request_time: Duration,
    /// Whose the events are when nobody is named, 1 to 1,024 bytes. Default: `anonymous`.
    pub owner: String,
    /// A stream record is closed when the next event would take it past this many bytes, its envelope included; an event that
    /// is larger by itself gets a record of its own. At most [`limits::STREAM_RECORD_BYTES`]. Default: 512 KiB.
    pub record_bytes: usize,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            body_bytes: limits::BODY_BYTES,
            body_expanded_bytes: limits::BODY_EXPANDED_BYTES,
            event_bytes: limits::EVENT_BYTES,
            events: 100_000,
            json_depth: limits::JSON_DEPTH,
            concurrent_requests: 256,
            buffered_bytes: 256 * 1024 * 1024,
            request_time: Duration::from_secs(30),
            owner: "anonymous".to_owned(),
            record_bytes: 512 * 1024,
        }
    }
}

impl GatewaySettings {
    /// Checks that the settings can be used together.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used, and what would be right.
    pub fn check(&self) -> Result<(), IngestError> {
        let within = |setting, value: usize, most: usize| {
            let fits = (1..=most).contains(&value);
            fits.then_some(())
                .ok_or_else(|| IngestError::setting(setting, format!("{value} is out of range: expected 1 to {most}")))
        };
        // What the counts and positions of an envelope, a semaphore and a reservation hold.
        const MOST_BYTES: usize = 1 << 30;
        within("body_bytes", self.body_bytes, MOST_BYTES)?;
        within("body_expanded_bytes", self.body_expanded_bytes, MOST_BYTES)?;
        within("event_bytes", self.event_bytes, limits::EVENT_BYTES)?;
        within("events", self.events, 10_000_000)?;
        within("json_depth", self.json_depth, 100_000)?;
        within("concurrent_requests", self.concurrent_requests, 1_000_000)?;
        within("buffered_bytes", self.buffered_bytes, 1 << 40)?;
        within("owner", self.owner.len(), MAX_TEXT_BYTES)
            .map_err(|_| IngestError::setting("owner", format!("expected 1 to {MAX_TEXT_BYTES} bytes of text")))?;
        within("record_bytes", self.record_bytes, limits::STREAM_RECORD_BYTES)?;
        if self.request_time.is_zero() {
            return Err(IngestError::setting("request_time", "expected more than 0, such as `30s`"));
        }
        // The body as sent, expanded, and wrapped: one request of the largest size must go through on an idle gateway.
        let largest = self.body_bytes + 2 * self.body_expanded_bytes.max(self.body_bytes);
        if self.buffered_bytes < largest {
            return Err(IngestError::setting(
                "buffered_bytes",
                format!(
                    "{} is too little for one request of the largest size: expected at least {largest}",
                    self.buffered_bytes
                ),
            ));
        }
        Ok(())
    }
}
