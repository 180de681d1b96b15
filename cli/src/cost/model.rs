//! The model: from the workload to what the services have to do, and to the settings with which they do it for the least.

use alluvium_core::limits::quotas;

use super::batches::Batches;
use super::bill::{Bill, HOURS, Service, up};
use super::charges::Reads;
use super::commits::{Commits, Freshness};
use super::figures::Figures;
use super::hot::Hot;
use super::prices::{PriceTable, Prices};
use super::records::Records;
use super::stream::StreamMode;
use super::workload::{Ingest, Workload};

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

    /// What the units of the hot index's table cost, as the stack has it and provisioned; `None`: there is no hot index.
    pub fn hot_table(&self) -> Option<HotTable> {
        let hot = self.hot.as_ref()?;
        let (units, mean) = (self.provisioned(hot, self.workload.peak), self.provisioned(hot, 1.0));
        let mut on_demand = Bill::default();
        self.hot_units(&mut on_demand, hot, Reads::Served);
        Some(HotTable {
            on_demand_cents: on_demand.cents(),
            for_peak_cents: self.provisioned_cents(units),
            following_cents: self.provisioned_cents(mean),
            fits: units.writes + units.index_writes <= quotas::PROVISIONED_WRITES.value,
            units,
        })
    }

    /// The units to provision for this hot index at so many times the mean.
    fn provisioned(&self, hot: &Hot, times: f64) -> Provisioned {
        let units = |mean: f64| up(mean * times / self.figures.provisioned_use.value).max(1.0);
        Provisioned {
            writes: units(hot.writes_per_second),
            index_writes: units(hot.index_writes_per_second),
            reads: units(hot.reads_per_second(&self.workload)),
        }
    }

    fn provisioned_cents(&self, units: Provisioned) -> u64 {
        let prices = self.prices();
        let mut bill = Bill::default();
        let mut charge = |price, units: f64| bill.charge(Service::DynamoDb, "units", price, units * HOURS);
        charge(&prices.dynamodb_write_capacity_hour, units.writes);
        charge(&prices.dynamodb_write_capacity_hour, units.index_writes);
        charge(&prices.dynamodb_read_capacity_hour, units.reads);
        bill.cents()
    }
}

/// The ways to pay for the hot index's table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HotTable {
    /// By request, as the stack has it.
    pub on_demand_cents: u64,
    /// By the hour, with units for the peak all the time.
    pub for_peak_cents: u64,
    /// By the hour, with units that follow the load.
    pub following_cents: u64,
    /// What would be provisioned for the peak.
    pub units: Provisioned,
    /// Whether an account has so many by default.
    pub fits: bool,
}

/// Units of DynamoDB for the peak.
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
            Ingest::Http | Ingest::Direct => {
                (workload.events_per_second as f64 / events, events * (workload.bytes + 1) as f64)
            }
        };
        // A token for each source, remembered for a minute; of readers nothing is known.
        let tokens = workload.sources as f64 / figures.authorizer_cache_seconds.value;
        let reads = workload.reads_per_second;
        Self { writes, body_bytes, reads, verdicts: writes.min(tokens) + reads }
    }
}
