//! How events travel in the stream: what a stream record holds, how many there are, how many shards they need.

use alluvium_core::limits::{self, quotas};
use serde::Serialize;

use super::bill::{SECONDS, down, up};
use super::commits::Freshness;
use super::figures::Figures;
use super::workload::{Ingest, Workload};

/// How events are put together to a stream record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Lines, compressed: what only Alluvium reads.
    NdjsonZstd,
    /// Lines: what Firehose's own conversion reads too.
    Ndjson,
    /// A record for each event.
    None,
    /// The body of a request to the gateway, in as many records as it needs.
    Body,
}

/// The records of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Records {
    /// How they are made.
    pub aggregation: Aggregation,
    /// Events in each.
    pub events: f64,
    /// Bytes of each.
    pub bytes: f64,
    /// How many come a second, the mean.
    pub per_second: f64,
    /// Shards that bear the peak.
    pub shards: f64,
    /// Whether their bytes are compressed.
    pub compressed: bool,
}

impl Records {
    /// As the producers or the gateway of this workload make them.
    pub fn of(workload: &Workload, fresh: Freshness, figures: &Figures) -> Self {
        match workload.ingest {
            Ingest::Producers => Self::aggregated(workload, fresh, figures, Aggregation::NdjsonZstd),
            Ingest::Http | Ingest::Direct => Self::bodies(workload),
        }
    }

    /// A record for each event.
    pub fn single(workload: &Workload) -> Self {
        Self::made(workload, Aggregation::None, 1.0, workload.bytes as f64, false)
    }

    /// Events that producers gather, each for each shard, for the `linger` or until the aggregate is full.
    pub fn aggregated(workload: &Workload, fresh: Freshness, figures: &Figures, asked: Aggregation) -> Self {
        let line = (workload.bytes + 1) as f64;
        let rate = workload.events_per_second as f64;
        let ratio = if asked == Aggregation::NdjsonZstd { figures.zstd_ratio.value } else { 1.0 };
        let lanes = up(rate * workload.peak * line * ratio / quotas::SHARD_BYTES.value).max(1.0);
        let gathered = down(rate / workload.producers as f64 / lanes * fresh.linger_seconds);
        let events = gathered.min(down(figures.aggregate_bytes.value / line)).max(1.0);
        if events == 1.0 {
            return Self::single(workload);
        }
        let compressed = asked == Aggregation::NdjsonZstd && events >= figures.least_aggregate.value;
        let aggregation = if compressed { Aggregation::NdjsonZstd } else { Aggregation::Ndjson };
        let bytes = up(events * line * if compressed { ratio } else { 1.0 });
        Self::made(workload, aggregation, events, bytes, compressed)
    }

    /// What the gateway makes of requests: a body is not compressed by it, and cut where a record ends. One of the direct route is a record.
    fn bodies(workload: &Workload) -> Self {
        let (events, line) = (workload.events_per_request as f64, (workload.bytes + 1) as f64);
        let records = up(events * line / limits::EVENT_BYTES as f64);
        Self::made(workload, Aggregation::Body, events / records, up(events * line / records), false)
    }

    fn made(workload: &Workload, aggregation: Aggregation, events: f64, bytes: f64, compressed: bool) -> Self {
        let per_second = workload.events_per_second as f64 / events;
        let peak = per_second * workload.peak;
        let by_bytes = up(peak * bytes / quotas::SHARD_BYTES.value);
        let by_records = up(peak / quotas::SHARD_RECORDS.value);
        Self { aggregation, events, bytes, per_second, shards: by_bytes.max(by_records).max(1.0), compressed }
    }

    /// Records in a month.
    pub fn a_month(&self) -> f64 {
        self.per_second * SECONDS
    }

    /// Bytes a second, the mean.
    pub fn bytes_per_second(&self) -> f64 {
        self.per_second * self.bytes
    }

    /// Bytes of a month when each record is rounded up to a multiple of `step`.
    pub fn rounded_bytes(&self, step: f64) -> f64 {
        self.a_month() * up(self.bytes / step) * step
    }
}
