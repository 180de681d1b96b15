//! What Firehose hands to the transform: how often, how much, and how long that takes.

use alluvium_core::limits;

use super::bill::SECONDS;
use super::commits::Freshness;
use super::figures::Figures;
use super::records::{Aggregation, Records};
use super::workload::Workload;

/// What Firehose may be told to gather, in MB, the most first.
const BUFFERS: [f64; 5] = [3.0, 2.0, 1.0, 0.5, 0.2];
const MEGABYTE: f64 = 1024.0 * 1024.0;

/// The invocations of the transform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Batches {
    /// MB that Firehose gathers at most.
    pub buffer_megabytes: f64,
    /// Invocations a second, the mean.
    pub per_second: f64,
    /// Events of each.
    pub events: f64,
    /// Bytes of the invocation's event, when the buffer is full.
    pub full_payload_bytes: f64,
    /// Seconds that one takes.
    pub seconds: f64,
}

/// How much slower than ours a transform computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slowness(pub f64);

impl Batches {
    /// With the default buffer, or with the largest that an invocation holds where more batches than `most_per_second` could not be
    /// committed.
    pub fn of(
        workload: &Workload,
        records: &Records,
        fresh: Freshness,
        most_per_second: f64,
        figures: &Figures,
    ) -> Self {
        let with = |megabytes: f64| Self::with_buffer(workload, records, fresh, megabytes, figures);
        let largest = |wanted: f64| {
            let fits = |buffer: &f64| {
                *buffer <= wanted && payload(records, *buffer, figures) <= limits::INVOCATION_BYTES as f64
            };
            BUFFERS.into_iter().find(fits).unwrap_or(BUFFERS[BUFFERS.len() - 1])
        };
        let usual = with(largest(1.0));
        if usual.per_second * workload.peak <= most_per_second { usual } else { with(largest(3.0)) }
    }

    fn with_buffer(
        workload: &Workload,
        records: &Records,
        fresh: Freshness,
        megabytes: f64,
        figures: &Figures,
    ) -> Self {
        let by_size = records.bytes_per_second() / records.shards / (megabytes * MEGABYTE);
        let by_shard = (1.0 / fresh.buffer_seconds).max(by_size);
        let per_second = (records.shards * by_shard).min(records.per_second);
        let events = workload.events_per_second as f64 / per_second;
        let batches = Self {
            buffer_megabytes: megabytes,
            per_second,
            events,
            full_payload_bytes: payload(records, megabytes, figures),
            seconds: 0.0,
        };
        Self { seconds: batches.seconds(workload, records, Slowness(1.0), figures), ..batches }
    }

    /// How long an invocation takes: data file and commit message after one another, the hot index beside the first, the queue; and
    /// the computing on the share of a core that its memory buys.
    pub fn seconds(&self, workload: &Workload, records: &Records, slower: Slowness, figures: &Figures) -> f64 {
        let waits = 2.0 * figures.s3_ms.value + figures.queue_ms.value;
        let single = records.aggregation == Aggregation::None;
        let measured = if single { &figures.transform_single_us } else { &figures.transform_aggregated_us };
        let size = workload.bytes as f64 / figures.event_bytes.value;
        let core = figures.transform_megabytes.value / figures.core_megabytes.value;
        waits / 1e3 + self.events * measured.value * slower.0 * size / core / 1e6
    }

    /// Invocations in a month.
    pub fn a_month(&self) -> f64 {
        self.per_second * SECONDS
    }
}

/// Firehose's event: the records in base64, and what it says of each.
fn payload(records: &Records, megabytes: f64, figures: &Figures) -> f64 {
    let bytes = (megabytes * MEGABYTE).max(records.bytes);
    bytes * 4.0 / 3.0 + bytes / records.bytes * figures.invocation_overhead_bytes.value
}
