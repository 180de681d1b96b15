//! The model: from the workload to what the services have to do, and to the settings with which they do it for the least.

use serde::Serialize;

use alluvium_core::limits::quotas;

use super::batches::Batches;
use super::bill::{HOURS, SECONDS, up};
use super::commits::{Commits, Freshness};
use super::figures::Figures;
use super::hot::Hot;
use super::prices::{PriceTable, Prices};
use super::records::Records;
use super::stream::StreamMode;
use super::workload::{Ingest, Workload};

/// How the hot index's table is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableMode {
    /// By request.
    OnDemand,
    /// By what is provisioned for the peak.
    Provisioned,
}

/// Requests a second, the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Requests {
    /// That bring events.
    pub writes: f64,
    /// Bytes of the body of one.
    pub body_bytes: f64,
    /// That ask for records.
    pub reads: f64,
    /// Verdicts on tokens that are not remembered.
    pub verdicts: f64,
}

/// What a workload makes of the stack.
#[derive(Debug)]
pub struct Model {
    pub workload: Workload,
    pub figures: Figures,
    pub table: PriceTable,
    pub fresh: Freshness,
    pub records: Records,
    pub stream_mode: StreamMode,
    pub batches: Batches,
    pub commits: Commits,
    /// None: no event is put into the hot index.
    pub hot: Option<Hot>,
    pub requests: Requests,
}

impl Model {
    /// With the prices and figures that the program was built with.
    pub fn of(workload: Workload) -> Self {
        let (figures, table) = (Figures::built_in(), PriceTable::built_in());
        let fresh = Freshness::of(&workload);
        let records = Records::of(&workload, fresh, &figures);
        let most_messages = Commits::most_messages_per_second(&workload, &figures);
        let batches = Batches::of(&workload, &records, fresh, most_messages, &figures);
        Self {
            fresh,
            records,
            stream_mode: StreamMode::cheapest(&workload, &records, &table.prices),
            batches,
            commits: Commits::of(&workload, &batches, fresh, &figures),
            hot: (!workload.hot_retention.is_zero()).then(|| Hot::chunks(&workload, &batches, &figures)),
            requests: Requests::of(&workload, &figures),
            workload,
            figures,
            table,
        }
    }

    /// The prices.
    pub fn prices(&self) -> &Prices {
        &self.table.prices
    }

    /// How the table of this hot index is paid for with the least. What is provisioned is for the peak, and not used up even then.
    pub fn table_mode(&self, hot: &Hot) -> TableMode {
        let prices = self.prices();
        let by_request =
            prices.dynamodb_write_units.dollars(0.0, (hot.writes_per_second + hot.index_writes_per_second) * SECONDS)
                + prices.dynamodb_read_units.dollars(0.0, hot.reads_per_second(&self.workload) * SECONDS);
        let provisioned = self.provisioned(hot);
        let by_hour =
            prices.dynamodb_write_capacity_hour.dollars(0.0, (provisioned.writes + provisioned.index_writes) * HOURS)
                + prices.dynamodb_read_capacity_hour.dollars(0.0, provisioned.reads * HOURS);
        let possible = provisioned.writes + provisioned.index_writes <= quotas::PROVISIONED_WRITES.value;
        if by_hour < by_request && possible { TableMode::Provisioned } else { TableMode::OnDemand }
    }

    /// The units to provision for this hot index.
    pub fn provisioned(&self, hot: &Hot) -> Provisioned {
        let for_peak = |mean: f64| up(mean * self.workload.peak / self.figures.provisioned_use.value).max(1.0);
        Provisioned {
            writes: for_peak(hot.writes_per_second),
            index_writes: if hot.index_writes_per_second > 0.0 { for_peak(hot.index_writes_per_second) } else { 0.0 },
            reads: for_peak(hot.reads_per_second(&self.workload)),
        }
    }
}

/// Units of DynamoDB that are provisioned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Provisioned {
    /// To write into the table.
    pub writes: f64,
    /// To write into its index.
    pub index_writes: f64,
    /// To read the table.
    pub reads: f64,
}

impl Requests {
    fn of(workload: &Workload, figures: &Figures) -> Self {
        let events = workload.events_per_request as f64;
        let (writes, body_bytes) = match workload.ingest {
            Ingest::Producers => (0.0, 0.0),
            Ingest::Http => (workload.events_per_second as f64 / events, events * (workload.bytes + 1) as f64),
        };
        // A token for each source, remembered for a minute; of readers nothing is known.
        let tokens = workload.sources as f64 / figures.authorizer_cache_seconds.value;
        let reads = workload.reads_per_second;
        Self { writes, body_bytes, reads, verdicts: writes.min(tokens) + reads }
    }
}
