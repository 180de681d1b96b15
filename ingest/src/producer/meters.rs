//! What a producer tells of itself, by the metric names of the Kinesis Producer Library where it has them.
//!
//! The library's `UserRecordsPut` is `alluvium_producer_user_records_put_total` here, and so on; each description begins with the name
//! there. Its zeroes for what failed are counters of their own, and its statistics by stream are the label `producer`.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};

use super::outcome::GivenUp;

/// Why an entry has to be sent again, or never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCode {
    Throttled,
    Failed,
    Invalid,
    /// A call failed, and nothing of it is stored.
    CallFailed,
    /// A call failed, and something of it may be stored.
    Unanswered,
    WrongShard,
}

impl ErrorCode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::CallFailed => "call_failed",
            Self::Unanswered => "unanswered",
            Self::WrongShard => "wrong_shard",
        }
    }
}

/// The metrics of one producer.
#[derive(Debug)]
pub(super) struct Meters {
    producer: Arc<str>,
    pub(super) received: Counter,
    pub(super) pending: Gauge,
    pub(super) put: Counter,
    pub(super) data_put: Counter,
    pub(super) entries_put: Counter,
    pub(super) entry_data_put: Counter,
    retries: Histogram,
    buffering: Histogram,
    request: Histogram,
    records_per_entry: Histogram,
    entries_per_call: Histogram,
    records_per_call: Histogram,
}

impl Meters {
    pub(super) fn new(name: &str) -> Self {
        describe();
        let producer: Arc<str> = name.into();
        let label = || producer.clone();
        Self {
            received: counter!("alluvium_producer_user_records_received_total", "producer" => label()),
            pending: gauge!("alluvium_producer_user_records_pending", "producer" => label()),
            put: counter!("alluvium_producer_user_records_put_total", "producer" => label()),
            data_put: counter!("alluvium_producer_user_records_data_put_bytes_total", "producer" => label()),
            entries_put: counter!("alluvium_producer_records_put_total", "producer" => label()),
            entry_data_put: counter!("alluvium_producer_records_data_put_bytes_total", "producer" => label()),
            retries: histogram!("alluvium_producer_retries_per_record", "producer" => label()),
            buffering: histogram!("alluvium_producer_buffering_seconds", "producer" => label()),
            request: histogram!("alluvium_producer_request_seconds", "producer" => label()),
            records_per_entry: histogram!("alluvium_producer_user_records_per_record", "producer" => label()),
            entries_per_call: histogram!("alluvium_producer_records_per_call", "producer" => label()),
            records_per_call: histogram!("alluvium_producer_user_records_per_call", "producer" => label()),
            producer,
        }
    }

    /// A call begins with this many user records in each of its entries, of which the oldest have waited this long.
    pub(super) fn call(&self, entries: impl Iterator<Item = (usize, Duration)>) {
        let (mut count, mut records) = (0_u32, 0);
        for (of_entry, waited) in entries {
            count += 1;
            records += of_entry;
            self.records_per_entry.record(of_entry as f64);
            self.buffering.record(waited);
        }
        self.entries_per_call.record(count);
        self.records_per_call.record(records as f64);
    }

    pub(super) fn call_took(&self, time: Duration) {
        self.request.record(time);
    }

    pub(super) fn error(&self, code: ErrorCode) {
        let producer = self.producer.clone();
        counter!("alluvium_producer_errors_total", "producer" => producer, "code" => code.as_str()).increment(1);
    }

    pub(super) fn given_up(&self, why: GivenUp, records: usize) {
        let producer = self.producer.clone();
        let given_up = counter!(
            "alluvium_producer_user_records_undelivered_total",
            "producer" => producer,
            "why" => why.as_str()
        );
        given_up.increment(records as u64);
    }

    /// This many user records are settled after so many attempts.
    pub(super) fn settled(&self, attempts: u32, records: usize) {
        self.retries.record_many(f64::from(attempts.saturating_sub(1)), records);
    }
}

fn describe() {
    let counters = [
        ("alluvium_producer_user_records_received_total", Unit::Count, "UserRecordsReceived: user records taken in."),
        ("alluvium_producer_user_records_put_total", Unit::Count, "UserRecordsPut: user records delivered."),
        (
            "alluvium_producer_user_records_data_put_bytes_total",
            Unit::Bytes,
            "UserRecordsDataPut: bytes of their data.",
        ),
        (
            "alluvium_producer_user_records_undelivered_total",
            Unit::Count,
            "UserRecordExpired where why=expired: user records given up.",
        ),
        ("alluvium_producer_records_put_total", Unit::Count, "KinesisRecordsPut: records stored."),
        (
            "alluvium_producer_records_data_put_bytes_total",
            Unit::Bytes,
            "KinesisRecordsDataPut: bytes of the records stored, as the destination counts them.",
        ),
        (
            "alluvium_producer_errors_total",
            Unit::Count,
            "ErrorsByCode, and AllErrors in sum: records that were not stored, or not where they belong, by the reason.",
        ),
    ];
    for (name, unit, text) in counters {
        metrics::describe_counter!(name, unit, text);
    }
    let pending = "UserRecordsPending: user records that wait or are on their way.";
    metrics::describe_gauge!("alluvium_producer_user_records_pending", Unit::Count, pending);
    let histograms = [
        ("alluvium_producer_retries_per_record", Unit::Count, "RetriesPerRecord: attempts beyond the first."),
        (
            "alluvium_producer_buffering_seconds",
            Unit::Seconds,
            "BufferingTime: from the oldest user record of a record to the call that holds it.",
        ),
        ("alluvium_producer_request_seconds", Unit::Seconds, "RequestTime: one call."),
        ("alluvium_producer_user_records_per_record", Unit::Count, "UserRecordsPerKinesisRecord."),
        ("alluvium_producer_records_per_call", Unit::Count, "KinesisRecordsPerPutRecordsRequest."),
        ("alluvium_producer_user_records_per_call", Unit::Count, "UserRecordsPerPutRecordsRequest."),
    ];
    for (name, unit, text) in histograms {
        metrics::describe_histogram!(name, unit, text);
    }
}
