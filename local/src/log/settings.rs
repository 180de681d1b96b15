//! What a log may take and keep.

use std::time::Duration;

use alluvium_core::envelope::MAX_SEAL_BYTES;
use alluvium_core::limits::STREAM_RECORD_BYTES;

use super::LogError;
use super::format::{MAX_DATA_BYTES, MAX_FRAME_OVERHEAD_BYTES, SEGMENT_HEADER_BYTES};

const MAX_SHARDS: u32 = 256;
const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// What a log may take and keep. Checked by [`Log::open`](super::Log::open).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// How many shards the log has, 1 to 256. Fixed when the log is created. Default 1.
    pub shards: u32,
    /// Where a shard starts a new segment file, up to 1 GiB. A file may hold less, and more only for one record that is
    /// larger by itself. Default 64 MiB.
    pub segment_bytes: u64,
    /// How many bytes all segments together may take; each shard has an even share. Past it records are refused as
    /// [`Refusal::Full`](alluvium_core::ports::Refusal::Full). At least two segments per shard. Default 10 GiB.
    pub max_bytes: u64,
    /// How long a segment stays that every reader has passed, measured from its newest record's arrival. Room for new records
    /// goes before it. Default 24 hours.
    pub retention: Duration,
    /// The most data that one record may have, up to 16 MiB. Default
    /// [`STREAM_RECORD_BYTES`](alluvium_core::limits::STREAM_RECORD_BYTES), and what a seal with its owner adds.
    pub record_bytes: usize,
    /// How many bytes may wait for a shard's writer, each record counted with 160 bytes more than its key and data, so that this
    /// bounds their number too. An append waits while there is no room. Default 32 MiB.
    pub queue_bytes: u32,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            shards: 1,
            segment_bytes: 64 << 20,
            max_bytes: 10 << 30,
            retention: Duration::from_secs(24 * 3600),
            record_bytes: STREAM_RECORD_BYTES + MAX_SEAL_BYTES,
            queue_bytes: 32 << 20,
        }
    }
}

impl LogSettings {
    pub(super) fn check(&self) -> Result<(), LogError> {
        let refuse = |message: String| Err(LogError::Settings(message));
        if !(1..=MAX_SHARDS).contains(&self.shards) {
            return refuse(format!("{} shards; a log has 1 to {MAX_SHARDS}", self.shards));
        }
        if self.segment_bytes == 0 || self.segment_bytes > MAX_SEGMENT_BYTES {
            return refuse(format!("segments of {} bytes; expected 1 to {MAX_SEGMENT_BYTES}", self.segment_bytes));
        }
        if self.record_bytes == 0 || self.record_bytes > MAX_DATA_BYTES {
            return refuse(format!("records of up to {} bytes; expected 1 to {MAX_DATA_BYTES}", self.record_bytes));
        }
        if self.queue_bytes == 0 {
            return refuse("a queue of 0 bytes; nothing could ever be appended".to_owned());
        }
        let largest = (SEGMENT_HEADER_BYTES + MAX_FRAME_OVERHEAD_BYTES + self.record_bytes) as u64;
        let least = u64::from(self.shards) * 2 * self.segment_bytes.max(largest);
        if self.max_bytes < least {
            return refuse(format!(
                "at most {} bytes in all; {} shards with two segments each need {least}",
                self.max_bytes, self.shards
            ));
        }
        Ok(())
    }

    /// What one shard may hold.
    pub(super) fn shard_bytes(&self) -> u64 {
        self.max_bytes / u64::from(self.shards)
    }
}
