//! The settings of uploads: every limit, with its default.

use std::time::Duration;

use alluvium_core::limits;

use crate::IngestError;

/// The limits of uploads, and whose the events are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadSettings {
    /// The most bytes of a file as it is put. Default: 1 GiB.
    pub max_bytes: u64,
    /// The most bytes of a file after decompression. Default: 16 GiB.
    pub expanded_bytes: u64,
    /// The most bytes of all files that are not loaded yet. Default: 8 GiB.
    pub stored_bytes: u64,
    /// The most uploads that wait for their content or are not loaded yet. Default: 256.
    pub unfinished: usize,
    /// The most of those of one owner. Default: 16.
    pub unfinished_of_owner: usize,
    /// The most uploads that are remembered once they have ended; the oldest are forgotten first. Default: 1,000.
    pub ended: usize,
    /// How long they are remembered. Default: 7 days.
    pub kept: Duration,
    /// How long a file may take to arrive. Default: 1 h.
    pub receive_time: Duration,
    /// How long nothing may come of a file that is arriving. Default: 30 s.
    pub idle_time: Duration,
    /// How many files may arrive at a time. Default: 16.
    pub concurrent_puts: usize,
    /// How long an upload waits for its content: as long as its link is good. Default: 15 min.
    pub link_lifetime: Duration,
    /// Loading waits while the oldest event that is not yet committed has waited longer than this, so that a large file does not hold up
    /// what comes in otherwise. Default: 10 s.
    pub most_lag: Duration,
    /// Whose the events are when nobody is named. Default: `anonymous`.
    pub owner: String,
    /// The most bytes of one event. Default: as much as there may be.
    pub event_bytes: usize,
    /// The most bytes of a stream record, unless it holds one event alone. Default: 512 KiB.
    pub record_bytes: usize,
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            expanded_bytes: 16 << 30,
            stored_bytes: 8 << 30,
            unfinished: 256,
            unfinished_of_owner: 16,
            ended: 1_000,
            kept: Duration::from_secs(7 * 24 * 3600),
            receive_time: Duration::from_secs(3600),
            idle_time: Duration::from_secs(30),
            concurrent_puts: 16,
            link_lifetime: Duration::from_secs(15 * 60),
            most_lag: Duration::from_secs(10),
            owner: "anonymous".to_owned(),
            event_bytes: limits::EVENT_BYTES,
            record_bytes: 512 * 1024,
        }
    }
}

impl UploadSettings {
    /// The most bytes of the files of one owner that are not loaded yet: half of all, and one of the largest size at least.
    pub fn stored_bytes_of_owner(&self) -> u64 {
        (self.stored_bytes / 2).max(self.max_bytes)
    }

    /// How many files of one owner may arrive at a time: a quarter of all.
    pub(super) fn puts_of_owner(&self) -> usize {
        self.concurrent_puts.div_ceil(4)
    }

    /// Checks that the settings can be used together.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used, and what would be right.
    pub fn check(&self) -> Result<(), IngestError> {
        let counts = [
            ("uploads.unfinished", self.unfinished, 10_000),
            ("uploads.unfinished_of_owner", self.unfinished_of_owner, 10_000),
            ("uploads.ended", self.ended, 100_000),
            ("uploads.concurrent_puts", self.concurrent_puts, 10_000),
            ("limits.event_bytes", self.event_bytes, limits::EVENT_BYTES),
        ];
        for (setting, value, most) in counts {
            if !(1..=most).contains(&value) {
                return Err(IngestError::setting(setting, format!("{value} is out of range: expected 1 to {most}")));
            }
        }
        let sizes = [
            ("uploads.max_bytes", self.max_bytes),
            ("uploads.expanded_bytes", self.expanded_bytes),
            ("uploads.stored_bytes", self.stored_bytes),
        ];
        for (setting, value) in sizes {
            if value == 0 || value > 1 << 50 {
                return Err(IngestError::setting(
                    setting,
                    format!("{value} is out of range: expected 1 to {}", 1_u64 << 50),
                ));
            }
        }
        if self.stored_bytes < self.max_bytes {
            let problem = format!(
                "{} is less than uploads.max_bytes ({}): no file of that size would fit",
                self.stored_bytes, self.max_bytes
            );
            return Err(IngestError::setting("uploads.stored_bytes", problem));
        }
        for (setting, value) in [("uploads.receive_time", self.receive_time), ("uploads.kept", self.kept)] {
            if value.is_zero() {
                return Err(IngestError::setting(setting, "expected more than 0, such as `1h`"));
            }
        }
        Ok(())
    }
}
