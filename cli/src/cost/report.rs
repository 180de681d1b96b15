//! What `alluvium cost` says, as JSON.

use serde_json::{Value, json};

use super::bill::{Bill, SECONDS, Service};
use super::compare::Way;
use super::model::Model;
use super::records::Aggregation;
use super::stream::StreamMode;

impl Model {
    /// All of it.
    pub fn report(&self, ways: &[(Way, Bill)]) -> Value {
        let mut report = json!({
            "workload": self.workload,
            "settings": self.settings(),
            "rates": self.rates(),
            "bill": self.bill_report(&self.bill()),
            "hot_table": self.hot_table_report(),
            "limits": self.limits(),
            "prices": {
                "date": self.table.date,
                "region": self.table.region,
                "currency": self.table.currency,
                "unchecked": self.table.unchecked().iter().map(|price| price.name).collect::<Vec<_>>(),
            },
            "assumed": self.figures.assumed(),
        });
        if !ways.is_empty() {
            let compared = ways.iter().map(|(way, bill)| {
                let mut compared = self.bill_report(bill);
                compared["way"] = json!(way);
                compared["name"] = json!(way.name());
                compared["serves_records"] = json!(way.serves_records());
                compared
            });
            report["ways"] = compared.collect();
        }
        report
    }

    /// The settings that the model would choose.
    pub fn settings(&self) -> Value {
        let producers = self.records.aggregation != Aggregation::Body;
        let provisioned = self.stream_mode == StreamMode::Provisioned;
        json!({
            "stream_mode": self.stream_mode,
            "stream_shards": if provisioned { whole(self.records.shards) } else { 0 },
            "aggregation": self.records.aggregation,
            "aggregation_max_bytes": producers.then_some(whole(self.figures.aggregate_bytes.value)),
            "linger_ms": producers.then_some(whole((self.fresh.linger_seconds * 1e3).round())),
            "buffer_seconds": whole(self.fresh.buffer_seconds),
            "buffer_megabytes": self.batches.buffer_megabytes,
            "commit_seconds": whole(self.fresh.commit_seconds),
        })
    }

    /// What the units of the hot index's table cost as the stack has it, and what they would if they were provisioned for the peak.
    fn hot_table_report(&self) -> Option<Value> {
        self.hot_table().map(|table| {
            json!({
                "on_demand_dollars": dollars(table.on_demand_cents),
                "provisioned_for_peak_dollars": dollars(table.for_peak_cents),
                "provisioned_following_dollars": dollars(table.following_cents),
                "provisioned": {
                    "writes": whole(table.units.writes),
                    "index_writes": whole(table.units.index_writes),
                    "reads": whole(table.units.reads),
                },
                "within_quotas": table.fits,
            })
        })
    }

    /// What the services have to do in a second, the mean.
    fn rates(&self) -> Value {
        json!({
            "records": self.records.per_second,
            "record_bytes": self.records.bytes,
            "events_of_a_record": self.records.events,
            "shards": self.records.shards,
            "stream_bytes": self.records.bytes_per_second(),
            "batches": self.batches.per_second,
            "events_of_a_batch": self.batches.events,
            "transform_seconds": self.batches.seconds,
            "commits": self.commits.per_second,
            "commit_seconds": self.commits.seconds,
            "hot": self.hot.as_ref().map(|hot| json!({
                "chunks": hot.items_per_second,
                "rows_of_a_chunk": hot.rows,
                "item_bytes": hot.item_bytes,
                "write_units": hot.writes_per_second,
                "index_write_units": hot.index_writes_per_second,
                "stored_gb": hot.stored_gb,
                "read_units_of_a_page": hot.page_reads,
            })),
            "functions_at_once_at_the_peak": self.concurrency(),
        })
    }

    fn bill_report(&self, bill: &Bill) -> Value {
        let services =
            Service::ALL.into_iter().map(|service| (service.name().to_owned(), json!(dollars(bill.cents_of(service)))));
        let lines = bill.lines.iter().map(|line| {
            json!({
                "service": line.service.name(),
                "item": line.item,
                "quantity": line.quantity,
                "unit": line.unit,
                "price": line.price,
                "dollars": dollars(line.cents),
            })
        });
        json!({
            "lines": lines.collect::<Value>(),
            "services": services.collect::<serde_json::Map<_, _>>(),
            "dollars": dollars(bill.cents()),
            "dollars_a_million_events": self.a_million(bill),
        })
    }

    /// Dollars for a million events.
    pub fn a_million(&self, bill: &Bill) -> f64 {
        let millions = self.workload.events_per_second as f64 * SECONDS / 1e6;
        bill.cents() as f64 / 100.0 / millions
    }
}

fn dollars(cents: u64) -> f64 {
    cents as f64 / 100.0
}

/// What the model has as a number and is none but whole.
fn whole(number: f64) -> u64 {
    number as u64
}
