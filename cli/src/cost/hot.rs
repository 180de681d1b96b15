//! The hot index: what chunks weigh, what is written, kept and read.

use alluvium_core::hot::BUCKETS;
use alluvium_core::limits;

use super::batches::Batches;
use super::bill::{GB, up};
use super::figures::Figures;
use super::workload::Workload;

/// What the hot index is asked to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hot {
    /// Buckets that sources are spread over.
    pub buckets: f64,
    /// Rows of a chunk.
    pub rows: f64,
    /// Bytes of a chunk's item.
    pub item_bytes: f64,
    /// Chunks a second, the mean.
    pub items_per_second: f64,
    /// Write units a second of the table, the mean.
    pub writes_per_second: f64,
    /// Write units a second of its index, the mean.
    pub index_writes_per_second: f64,
    /// GB that lie in it.
    pub stored_gb: f64,
    /// Read units of a page of records.
    pub page_reads: f64,
}

const WRITE_UNIT_BYTES: f64 = 1024.0;
const READ_UNIT_BYTES: f64 = 4096.0;

impl Hot {
    /// Chunks, as the transform makes them of these batches.
    pub fn chunks(workload: &Workload, batches: &Batches, figures: &Figures) -> Self {
        let datasets = workload.datasets as f64;
        let buckets = f64::from(BUCKETS).min(workload.sources as f64);
        let rows_of_dataset = batches.events / datasets;
        let spread = buckets.min(rows_of_dataset.max(1.0));
        let size = workload.bytes as f64 / figures.event_bytes.value;
        let weigh = |rows: f64| figures.chunk_bytes.at(rows) * size;
        let cut = up(weigh(rows_of_dataset / spread) / limits::HOT_CHUNK_BYTES as f64);
        let rows = rows_of_dataset / spread / cut;
        let item_bytes = weigh(rows) + figures.item_overhead_bytes.value;
        let items_per_second = batches.per_second * datasets * spread * cut;
        let overhead = figures.item_overhead_bytes.value;
        let looked_through = rows_of_a_page(workload, buckets, figures);
        Self {
            buckets,
            rows,
            item_bytes,
            items_per_second,
            writes_per_second: items_per_second * up(item_bytes / WRITE_UNIT_BYTES),
            index_writes_per_second: items_per_second,
            stored_gb: items_per_second * kept_seconds(workload, figures) * (item_bytes + overhead) / GB,
            page_reads: up(looked_through * item_bytes / rows.max(1.0) / READ_UNIT_BYTES),
        }
    }

    /// An item for each event instead: what others would do.
    pub fn item_per_event(workload: &Workload, figures: &Figures) -> Self {
        let item_bytes = workload.bytes as f64 + figures.item_overhead_bytes.value;
        let items_per_second = workload.events_per_second as f64;
        Self {
            buckets: workload.sources as f64,
            rows: 1.0,
            item_bytes,
            items_per_second,
            writes_per_second: items_per_second * up(item_bytes / WRITE_UNIT_BYTES),
            index_writes_per_second: 0.0,
            stored_gb: items_per_second * kept_seconds(workload, figures) * item_bytes / GB,
            page_reads: up(figures.page_rows.value * item_bytes / READ_UNIT_BYTES),
        }
    }

    /// Read units a second, the mean.
    pub fn reads_per_second(&self, workload: &Workload) -> f64 {
        self.page_reads * workload.reads_per_second
    }
}

/// How long an item lies there: its retention, the margin, and until it is deleted.
fn kept_seconds(workload: &Workload, figures: &Figures) -> f64 {
    let after = figures.hot_margin_hours.value + figures.ttl_hours.value;
    workload.hot_retention.as_secs_f64() + after * 3600.0
}

/// The rows that a page of one source's records looks through: those of all sources in its bucket for as long as the page reaches back,
/// and the minute below; never more than are there.
fn rows_of_a_page(workload: &Workload, buckets: f64, figures: &Figures) -> f64 {
    let sources_of_bucket = workload.sources as f64 / buckets;
    let rate = workload.events_per_second as f64 / workload.datasets as f64 / buckets;
    let minute = figures.read_minute_rows.value.min(rate * 60.0);
    let there = rate * workload.hot_retention.as_secs_f64();
    (figures.page_rows.value * sources_of_bucket + minute).min(there)
}
