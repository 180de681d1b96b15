//! The records of one shard that wait for an invocation, and when it is due.

use std::collections::VecDeque;
use std::time::Duration;

use alluvium_core::StreamRecord;
use tokio::time::Instant;

/// The most records that are gathered for one invocation, however small: about what fills an event with nothing but their names.
const MOST_RECORDS: usize = 10_000;

/// Records in the order of their shard. It reads no clock: it is told the time.
#[derive(Debug)]
pub(super) struct Buffer {
    records: VecDeque<StreamRecord>,
    bytes: usize,
    /// When the first of them came.
    since: Option<Instant>,
    most_bytes: usize,
    longest: Duration,
}

impl Buffer {
    pub(super) fn new(most_bytes: usize, longest: Duration) -> Self {
        Self { records: VecDeque::new(), bytes: 0, since: None, most_bytes, longest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn add(&mut self, records: Vec<StreamRecord>, now: Instant) {
        if !records.is_empty() {
            self.since.get_or_insert(now);
        }
        self.bytes += records.iter().map(|record| record.data.len()).sum::<usize>();
        self.records.extend(records);
    }

    /// Whether it holds as much as an invocation is to have.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.most_bytes || self.records.len() >= MOST_RECORDS
    }

    /// When what it holds is due, full or not; `None`: it holds nothing.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + self.longest)
    }

    /// Takes the records of one invocation: as many as make it full, or all. The age of what is left counts from now.
    pub(super) fn take(&mut self, now: Instant) -> Vec<StreamRecord> {
        let mut bytes = 0;
        let enough = |record: &StreamRecord| {
            bytes += record.data.len();
            bytes >= self.most_bytes
        };
        let count = self.records.iter().position(enough).map_or(self.records.len(), |last| last + 1).min(MOST_RECORDS);
        let taken: Vec<_> = self.records.drain(..count).collect();
        self.bytes -= taken.iter().map(|record| record.data.len()).sum::<usize>();
        self.since = (!self.records.is_empty()).then_some(now);
        taken
    }
}
