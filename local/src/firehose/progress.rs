//! What a loop has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What a loop has done since it started, for others to watch.
#[derive(Debug, Default)]
pub struct FirehoseProgress {
    pub(super) stream_records: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) invocations: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) failed_batches: AtomicU64,
    pub(super) failed_records: AtomicU64,
    pub(super) unexpected: AtomicU64,
}

/// What a loop has done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FirehoseReport {
    /// Records read from the stream.
    pub stream_records: u64,
    /// Records dealt with, those of aggregates counted one by one: `delivered + failed_records + unexpected`.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events that the function was asked to take.
    pub batches: u64,
    /// How often it was asked.
    pub invocations: u64,
    /// How often it was asked again.
    pub retries: u64,
    /// Records of which it said that nothing is left to do.
    pub delivered: u64,
    /// Events that were given up whole.
    pub failed_batches: u64,
    /// Records that are under the error prefix, those of failed batches included.
    pub failed_records: u64,
    /// Records for which it returned something to write, which the transform never does.
    pub unexpected: u64,
}

impl FirehoseProgress {
    /// What was done so far.
    pub fn report(&self) -> FirehoseReport {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        FirehoseReport {
            stream_records: read(&self.stream_records),
            records: read(&self.records),
            bytes: read(&self.bytes),
            batches: read(&self.batches),
            invocations: read(&self.invocations),
            retries: read(&self.retries),
            delivered: read(&self.delivered),
            failed_batches: read(&self.failed_batches),
            failed_records: read(&self.failed_records),
            unexpected: read(&self.unexpected),
        }
    }
}
