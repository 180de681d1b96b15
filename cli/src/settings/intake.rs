//! How much may come in at a time, and where else than by the gateway.

use std::num::NonZeroU32;
use std::time::Duration;

use alluvium_core::limits;
use alluvium_ingest::{KinesisSettings, ShardLimits, UploadSettings};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub body_bytes: usize,
    pub body_expanded_bytes: usize,
    pub event_bytes: usize,
    pub json_depth: usize,
    pub events_per_request: usize,
    pub concurrent_requests: usize,
    pub requests_per_second: NonZeroU32,
    pub requests_per_second_of_owner: NonZeroU32,
    #[serde(with = "alluvium_core::duration::text")]
    pub request_time: Duration,
    pub record_expanded_bytes: usize,
    pub dead_letter_original_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uploads {
    pub max_bytes: u64,
    pub expanded_bytes: u64,
    pub stored_bytes: u64,
    pub unfinished: usize,
    pub unfinished_of_owner: usize,
    #[serde(with = "alluvium_core::duration::text")]
    pub receive_time: Duration,
    #[serde(with = "alluvium_core::duration::text")]
    pub kept: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kinesis {
    pub stream: String,
    pub shard_limits: ShardLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: limits::BODY_BYTES,
            body_expanded_bytes: limits::BODY_EXPANDED_BYTES,
            event_bytes: limits::EVENT_BYTES,
            json_depth: limits::JSON_DEPTH,
            events_per_request: 100_000,
            concurrent_requests: 256,
            requests_per_second: NonZeroU32::new(20_000).expect("20,000 is not 0"),
            requests_per_second_of_owner: NonZeroU32::new(5_000).expect("5,000 is not 0"),
            request_time: Duration::from_secs(30),
            record_expanded_bytes: limits::RECORD_EXPANDED_BYTES,
            dead_letter_original_bytes: limits::DEAD_LETTER_ORIGINAL_BYTES,
        }
    }
}

impl Default for Uploads {
    fn default() -> Self {
        let UploadSettings { max_bytes, expanded_bytes, stored_bytes, unfinished, .. } = UploadSettings::default();
        let UploadSettings { unfinished_of_owner, receive_time, kept, .. } = UploadSettings::default();
        Self { max_bytes, expanded_bytes, stored_bytes, unfinished, unfinished_of_owner, receive_time, kept }
    }
}

impl Default for Kinesis {
    fn default() -> Self {
        let KinesisSettings { stream, shard_limits, .. } = KinesisSettings::default();
        Self { stream, shard_limits }
    }
}
