//! How the stream is paid for: by shards, or by what goes through it.

use alluvium_core::limits::quotas;
use serde::Serialize;

use super::bill::{Bill, GB, HOURS, SECONDS, Service, up};
use super::prices::Prices;
use super::records::Records;
use super::workload::Workload;

/// The capacity mode of a Kinesis stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamMode {
    /// Shards by the hour, and put payload units.
    Provisioned,
    /// By the GB, and by the hour.
    OnDemand,
    /// By the GB for less, with a least that an account pays for.
    OnDemandAdvantage,
}

/// On-demand Advantage is charged for at least so many bytes a second, in and out, of the whole account: AWS What's New, 2025-11-04.
const ADVANTAGE_BYTES_PER_SECOND: f64 = 25.0 * 1024.0 * 1024.0;
/// What a put payload unit holds: Amazon Kinesis Data Streams pricing.
const PUT_UNIT_BYTES: f64 = 25.0 * 1024.0;

/// Who reads a stream, and is charged for what is read on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Firehose.
    Firehose,
    /// A delivery to a streaming table, which does not count as one.
    Delivery,
}

impl StreamMode {
    /// The mode that costs least of those that bear the peak within the default quotas; by shards, where none does.
    pub fn cheapest(workload: &Workload, records: &Records, prices: &Prices) -> Self {
        Self::cheapest_of(
            &[Self::Provisioned, Self::OnDemand, Self::OnDemandAdvantage],
            workload,
            records,
            Reader::Firehose,
            prices,
        )
    }

    /// The cheapest of these, the first where none bears the peak.
    pub fn cheapest_of(
        modes: &[Self],
        workload: &Workload,
        records: &Records,
        reader: Reader,
        prices: &Prices,
    ) -> Self {
        let possible = modes.iter().filter(|mode| mode.bears(workload, records));
        let cents = |mode: &&Self| {
            let mut bill = Bill::default();
            mode.charge(&mut bill, records, reader, prices);
            bill.cents()
        };
        possible.min_by_key(cents).copied().unwrap_or(modes[0])
    }

    fn bears(self, workload: &Workload, records: &Records) -> bool {
        match self {
            Self::Provisioned => records.shards <= quotas::SHARDS.value,
            Self::OnDemand | Self::OnDemandAdvantage => {
                records.bytes_per_second() * workload.peak <= quotas::ON_DEMAND_BYTES.value
            }
        }
    }

    /// Puts the stream's lines on the bill.
    pub fn charge(self, bill: &mut Bill, records: &Records, reader: Reader, prices: &Prices) {
        let written = records.rounded_bytes(1024.0) / GB;
        let read = match reader {
            Reader::Firehose => records.bytes_per_second() * SECONDS / GB,
            Reader::Delivery => 0.0,
        };
        let mut charge = |item: &str, price, quantity| bill.charge(Service::Kinesis, item, price, quantity);
        match self {
            Self::Provisioned => {
                charge("shards", &prices.kinesis_shard_hour, records.shards * HOURS);
                let units = records.a_month() * up(records.bytes / PUT_UNIT_BYTES);
                charge("puts", &prices.kinesis_put_unit, units);
            }
            Self::OnDemand => {
                charge("stream", &prices.kinesis_on_demand_hour, HOURS);
                charge("written", &prices.kinesis_on_demand_in, written);
                charge("read", &prices.kinesis_on_demand_out, read);
            }
            Self::OnDemandAdvantage => {
                let least = ADVANTAGE_BYTES_PER_SECOND * SECONDS / GB;
                charge("written", &prices.kinesis_advantage_in, written.max(least));
                charge("read", &prices.kinesis_advantage_out, read.max(least));
            }
        }
    }
}
