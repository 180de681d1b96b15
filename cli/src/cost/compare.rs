//! The same events by other means, with the same prices and figures.

use serde::Serialize;

use super::batches::Slowness;
use super::bill::{Bill, GB, SECONDS, Service, up};
use super::charges::{FIREHOSE_STEP, Parts, Reads};
use super::commits::Freshness;
use super::hot::Hot;
use super::model::Model;
use super::prices::Price;
use super::records::{Aggregation, Records};
use super::stream::{Reader, StreamMode};
use super::workload::{Ingest, Workload};

/// A way of getting events to where they can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The whole stack.
    Alluvium,
    /// The whole stack, whose requests with events go to the direct route instead of the gateway.
    AlluviumDirectRoute,
    /// The stack without hot index and reads: what the ways to a table that come next do.
    AlluviumLakeOnly,
    /// Kinesis, Firehose, its own conversion to Parquet, S3.
    FirehoseConversion,
    /// Kinesis, Firehose, Iceberg tables in S3 Tables.
    FirehoseIceberg,
    /// Kinesis on demand and its streaming tables, which are Iceberg tables in S3 Tables.
    StreamingTable,
    /// The whole stack, with a transform in Python.
    PythonTransform,
    /// The whole stack, with an item of the hot index for each event.
    ItemPerEvent,
}

impl Way {
    /// All of them: ours, those to a table alone, those with a hot index.
    pub const ALL: [Self; 8] = [
        Self::Alluvium,
        Self::AlluviumDirectRoute,
        Self::PythonTransform,
        Self::ItemPerEvent,
        Self::AlluviumLakeOnly,
        Self::FirehoseConversion,
        Self::FirehoseIceberg,
        Self::StreamingTable,
    ];

    /// Those that there are for this workload: the direct route only where requests bring events to the gateway, and would fit a record.
    pub fn of(workload: &Workload) -> impl Iterator<Item = Self> {
        let has_direct = workload.ingest == Ingest::Http && workload.fits_direct_route();
        Self::ALL.into_iter().filter(move |way| *way != Self::AlluviumDirectRoute || has_direct)
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alluvium => "Alluvium",
            Self::AlluviumDirectRoute => "Alluvium, direct route",
            Self::AlluviumLakeOnly => "Alluvium, lake only",
            Self::FirehoseConversion => "Firehose's own Parquet conversion",
            Self::FirehoseIceberg => "Firehose to Iceberg in S3 Tables",
            Self::StreamingTable => "Kinesis streaming table",
            Self::PythonTransform => "a transform in Python",
            Self::ItemPerEvent => "an item per event in DynamoDB",
        }
    }

    /// Whether pages of one source's newest records are served.
    pub fn serves_records(self) -> bool {
        matches!(self, Self::Alluvium | Self::AlluviumDirectRoute | Self::PythonTransform | Self::ItemPerEvent)
    }

    /// Its bill.
    pub fn bill(self, model: &Model) -> Bill {
        let slowness = |ratio: f64| Slowness(ratio);
        let hot = model.hot.as_ref();
        match self {
            Self::Alluvium => model.bill(),
            Self::AlluviumDirectRoute => {
                Model::of(Workload { ingest: Ingest::Direct, ..model.workload.clone() }).bill()
            }
            Self::AlluviumLakeOnly => model.bill_of(Parts { transform: slowness(1.0), hot: None, reads: Reads::Left }),
            Self::PythonTransform => {
                let transform = slowness(model.figures.python_ratio.value);
                model.bill_of(Parts { transform, hot, reads: Reads::Served })
            }
            Self::ItemPerEvent => {
                let items = Hot::item_per_event(&model.workload, &model.figures);
                let hot = hot.map(|_| &items);
                model.bill_of(Parts { transform: slowness(1.0), hot, reads: Reads::Served })
            }
            Self::FirehoseConversion => firehose_conversion(model),
            Self::FirehoseIceberg => firehose_iceberg(model),
            Self::StreamingTable => streaming_table(model),
        }
    }
}

const MEGABYTE: f64 = 1024.0 * 1024.0;
const DAY_SECONDS: f64 = 24.0 * 3600.0;
/// What Firehose gathers at most before it converts: Amazon Data Firehose Developer Guide, "Configure buffering hints".
const CONVERSION_BUFFER_BYTES: f64 = 128.0 * MEGABYTE;
const CONVERSION_BUFFER_SECONDS: f64 = 900.0;

/// What is stored of rows that nobody sorts: GB after the retention.
fn stored_gb(model: &Model) -> f64 {
    let bytes = model.figures.unsorted_bytes.value * model.size();
    let days = model.workload.retention.as_secs_f64() / DAY_SECONDS;
    model.workload.events_per_second as f64 * DAY_SECONDS * days * bytes / GB
}

/// Plain lines, aggregated so that Firehose's 5 KB do not bite: the best that its conversion, which reads JSON only, can be given.
fn lines(model: &Model) -> Records {
    let producing = Workload { ingest: Ingest::Producers, ..model.workload.clone() };
    Records::aggregated(&producing, Freshness::of(&producing), &model.figures, Aggregation::Ndjson)
}

fn firehose_conversion(model: &Model) -> Bill {
    let (prices, figures, records) = (model.prices(), &model.figures, lines(model));
    let mut bill = Bill::default();
    let mode = StreamMode::cheapest(&model.workload, &records, prices);
    mode.charge(&mut bill, &records, Reader::Firehose, prices);
    let delivered = records.rounded_bytes(FIREHOSE_STEP) / GB;
    bill.charge(Service::Firehose, "from the stream", &prices.firehose_stream, delivered);
    bill.charge(Service::Firehose, "conversion", &prices.firehose_conversion, delivered);
    let bytes = records.bytes_per_second() * SECONDS;
    let files = (SECONDS / CONVERSION_BUFFER_SECONDS).max(bytes / CONVERSION_BUFFER_BYTES);
    bill.charge(Service::S3, "puts: files", &prices.s3_puts, files);
    bill.charge(Service::S3, "stored: files", &prices.s3_storage, stored_gb(model));
    let backup = records.bytes_per_second() * DAY_SECONDS * figures.backup_days.value * figures.zstd_ratio.value / GB;
    bill.charge(Service::S3, "stored: source backup", &prices.s3_storage, backup);
    model.sql(&mut bill, 0.0);
    bill
}

fn firehose_iceberg(model: &Model) -> Bill {
    let (prices, records) = (model.prices(), lines(model));
    let mut bill = Bill::default();
    let mode = StreamMode::cheapest(&model.workload, &records, prices);
    mode.charge(&mut bill, &records, Reader::Firehose, prices);
    let delivered = records.bytes_per_second() * SECONDS / GB;
    bill.charge(Service::Firehose, "to Iceberg tables", &prices.firehose_iceberg, delivered);
    let written = model.workload.events_per_second as f64 * SECONDS * model.figures.unsorted_bytes.value * model.size();
    bill.charge(Service::S3, "compacted", &prices.s3_tables_compacted, written / GB);
    let files = (SECONDS / CONVERSION_BUFFER_SECONDS).max(written / CONVERSION_BUFFER_BYTES);
    bill.charge(Service::S3, "compacted files", &prices.s3_tables_compacted_objects, files);
    table_in_s3_tables(model, &mut bill);
    bill
}

/// One JSON record for each event, for that is what a streaming table reads, in a stream on demand.
fn streaming_table(model: &Model) -> Bill {
    let (prices, records) = (model.prices(), Records::single(&model.workload));
    let mut bill = Bill::default();
    let modes = [StreamMode::OnDemand, StreamMode::OnDemandAdvantage];
    let mode = StreamMode::cheapest_of(&modes, &model.workload, &records, Reader::Delivery, prices);
    mode.charge(&mut bill, &records, Reader::Delivery, prices);
    let delivered = records.bytes_per_second() * SECONDS / GB;
    bill.charge(Service::Kinesis, "delivered to the table", &prices.streaming_table, delivered);
    table_in_s3_tables(model, &mut bill);
    bill
}

fn table_in_s3_tables(model: &Model, bill: &mut Bill) {
    let prices = model.prices();
    let stored = stored_gb(model);
    let monitored: &Price = &prices.s3_tables_objects;
    bill.charge(Service::S3, "stored: table", &prices.s3_tables_storage, stored);
    bill.charge(Service::S3, "monitored files", monitored, up(stored * GB / model.figures.target_file_bytes.value));
    model.sql(bill, 0.0);
}
