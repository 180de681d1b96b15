//! The limits that a workload comes near, by default quotas: what is needed at the peak, and what to raise.

use alluvium_core::limits::quotas::{self, Quota};
use alluvium_core::limits::{BATCH_EXPANDED_BYTES, INVOCATION_BYTES, STREAM_RECORD_BYTES};
use serde::Serialize;

use super::charges::COMMITTERS;
use super::model::Model;
use super::stream::StreamMode;
use super::workload::Ingest;

/// One limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limit {
    /// What has it.
    pub service: &'static str,
    /// What is limited.
    pub what: &'static str,
    /// How much of it is needed at the peak.
    pub needed: f64,
    /// How much there is; none: there is no limit.
    pub quota: Option<f64>,
    /// Of what.
    pub unit: &'static str,
    /// Whether AWS raises it on request.
    pub adjustable: bool,
    /// Whether what is needed is there.
    pub holds: bool,
    /// Whether the program keeps to it, however much there is to do.
    pub kept: bool,
    /// What to do when it does not.
    pub raise: String,
    /// Who says so.
    pub source: &'static str,
}

impl Limit {
    fn of(service: &'static str, what: &'static str, needed: f64, quota: Quota, raise: impl Into<String>) -> Self {
        let Quota { value, unit, adjustable, source } = quota;
        Self {
            service,
            what,
            needed,
            quota: Some(value),
            unit,
            adjustable,
            holds: needed <= value,
            kept: false,
            raise: raise.into(),
            source,
        }
    }

    fn kept(self) -> Self {
        Self { kept: true, ..self }
    }

    /// The share that is in use.
    pub fn used(&self) -> Option<f64> {
        self.quota.map(|quota| self.needed / quota)
    }
}

const STACK: &str = "the stack";
/// infra/variables.tf: `stream_shards` is at most this.
const STACK_SHARDS: f64 = 200.0;
/// infra/variables.tf: `requests_per_second` is this unless set.
const STACK_REQUESTS: f64 = 100.0;

fn ours(value: f64, unit: &'static str, source: &'static str) -> Quota {
    Quota { value, unit, adjustable: false, source }
}

impl Model {
    /// All limits, in the order of an event's path.
    pub fn limits(&self) -> Vec<Limit> {
        let mut limits = self.limits_of_the_stream();
        limits.extend(self.limits_of_delivery());
        limits.extend(self.limits_of_the_lake());
        limits.extend(self.limits_of_the_hot_index());
        limits.extend(self.limits_of_the_api());
        limits
    }

    fn limits_of_the_stream(&self) -> Vec<Limit> {
        let (records, peak) = (&self.records, self.workload.peak);
        let provisioned = self.stream_mode == StreamMode::Provisioned;
        let of_shard = |needed: f64| needed * peak / records.shards;
        let call = self.records_of_a_call();
        let record = ours(STREAM_RECORD_BYTES as f64, "bytes", quotas::SHARD_BYTES.source);
        let mut limits = vec![
            Limit::of("Kinesis", "bytes of a record", records.bytes, record, "smaller aggregates"),
            Limit::of("Kinesis", "records of a PutRecords", call, quotas::PUT_RECORDS, "nothing").kept(),
            Limit::of("Kinesis", "bytes of a PutRecords", call * records.bytes, quotas::PUT_RECORDS_BYTES, "nothing")
                .kept(),
        ];
        if provisioned {
            let stack = ours(STACK_SHARDS, "shards", "infra/variables.tf, stream_shards");
            let raise = "raise the shard quota, or use several streams";
            limits.extend([
                Limit::of(
                    "Kinesis",
                    "bytes of a shard",
                    of_shard(records.bytes_per_second()),
                    quotas::SHARD_BYTES,
                    "more shards",
                ),
                Limit::of(
                    "Kinesis",
                    "records of a shard",
                    of_shard(records.per_second),
                    quotas::SHARD_RECORDS,
                    "more shards",
                ),
                Limit::of("Kinesis", "shards of an account", records.shards, quotas::SHARDS, raise),
                Limit::of(
                    STACK,
                    "shards of a stage",
                    records.shards,
                    stack,
                    "widen the variable's validation, or use several stages",
                ),
            ]);
        } else {
            let needed = records.bytes_per_second() * peak;
            let raise = "ask for more, or use several streams";
            limits.push(Limit::of("Kinesis", "bytes of a stream on demand", needed, quotas::ON_DEMAND_BYTES, raise));
        }
        limits
    }

    /// A producer's call holds what the shards have ready, up to both limits of one.
    fn records_of_a_call(&self) -> f64 {
        let by_bytes = (quotas::PUT_RECORDS_BYTES.value / self.records.bytes).floor();
        quotas::PUT_RECORDS.value.min(by_bytes).min((self.records.per_second * self.workload.peak).ceil()).max(1.0)
    }

    fn limits_of_delivery(&self) -> Vec<Limit> {
        let (batches, records, peak) = (&self.batches, &self.records, self.workload.peak);
        let unlimited = Limit {
            service: "Firehose",
            what: "bytes from a stream",
            needed: records.bytes_per_second() * peak,
            quota: None,
            unit: "bytes/s",
            adjustable: false,
            holds: true,
            kept: false,
            raise: "nothing: with Kinesis as its source it scales with no limit".to_owned(),
            source: quotas::FIREHOSE_INVOCATIONS.source,
        };
        let invocation = ours(INVOCATION_BYTES as f64, "bytes", "AWS Lambda Developer Guide, \"Lambda quotas\"");
        let expanded = ours(BATCH_EXPANDED_BYTES as f64, "bytes", "core/src/limits.rs, BATCH_EXPANDED_BYTES");
        let at_once = batches.per_second * peak / records.shards * batches.seconds;
        let bytes_of_events = batches.events * (self.workload.bytes + 1) as f64;
        vec![
            unlimited,
            Limit::of(
                "Lambda",
                "bytes of an invocation",
                batches.full_payload_bytes,
                invocation,
                "aggregate events in producers",
            ),
            Limit::of(STACK, "bytes of a batch, decompressed", bytes_of_events, expanded, "a smaller buffer_megabytes"),
            Limit::of(
                "Firehose",
                "transforms of a shard at once",
                at_once,
                quotas::FIREHOSE_INVOCATIONS,
                "more memory for the transform, or more shards",
            ),
            Limit::of(
                "Firehose",
                "seconds of a transform",
                batches.seconds,
                quotas::FIREHOSE_INVOCATION_SECONDS,
                "more memory for the transform",
            ),
            Limit::of(
                "Lambda",
                "functions at once",
                self.concurrency(),
                quotas::CONCURRENCY,
                "raise \"Concurrent executions\" (a new account may have 10)",
            ),
        ]
    }

    fn limits_of_the_lake(&self) -> Vec<Limit> {
        let (figures, peak) = (&self.figures, self.workload.peak);
        let messages = self.batches.per_second * peak;
        let in_flight = figures.commit_messages.value * COMMITTERS;
        let commits =
            ours(self.commits.most_messages_per_second, "messages/s", "one commit after another; docs/cost.md");
        let compacted = ours(
            2e6 / figures.compaction_core_us.value / self.size(),
            "events/s",
            "docs/performance.md, \"Compaction, beside DuckDB\"",
        );
        let rewritten =
            self.workload.events_per_second as f64 * figures.compaction_rewrites.value / self.workload.datasets as f64;
        vec![
            Limit::of(
                "S3",
                "puts into a dataset's folder",
                messages,
                quotas::S3_PUTS,
                "a larger buffer_megabytes; S3 also divides a prefix by itself",
            ),
            Limit::of(
                "SQS",
                "messages in flight",
                in_flight.min(messages.ceil()),
                quotas::IN_FLIGHT,
                "the mapping's batch_size",
            ),
            Limit::of(
                STACK,
                "commit messages of a table's log",
                messages,
                commits,
                "batch_size in infra/modules/lake/commit.tf (Lambda allows 10,000), or several stages",
            ),
            Limit::of(
                STACK,
                "events compacted by one function",
                rewritten,
                compacted,
                "compact less often, spread events over datasets, or compact outside of Lambda",
            ),
        ]
    }

    fn limits_of_the_hot_index(&self) -> Vec<Limit> {
        let Some(hot) = &self.hot else { return Vec::new() };
        let (peak, datasets) = (self.workload.peak, self.workload.datasets as f64);
        let raise =
            "raise \"Table-level write throughput\", a shorter hot retention for some datasets, or several stages";
        let writes = hot.writes_per_second * peak;
        let of_bucket = writes / (hot.buckets * datasets);
        let reads = hot.reads_per_second(&self.workload) * peak;
        vec![
            Limit::of("DynamoDB", "writes to the table", writes, quotas::TABLE_WRITES, raise),
            Limit::of(
                "DynamoDB",
                "writes to a partition key",
                of_bucket,
                quotas::PARTITION_WRITES,
                "more buckets (core/src/hot.rs), or spread events over datasets",
            ),
            Limit::of(
                "DynamoDB",
                "reads of the table",
                reads,
                quotas::TABLE_READS,
                "raise \"Table-level read throughput\"",
            ),
            Limit::of(
                "DynamoDB",
                "reads of a partition key",
                reads / (hot.buckets * datasets),
                quotas::PARTITION_READS,
                "more buckets (core/src/hot.rs)",
            ),
        ]
    }

    fn limits_of_the_api(&self) -> Vec<Limit> {
        let (writes, reads) = (self.requests.writes * self.workload.peak, self.requests.reads * self.workload.peak);
        let needed = writes + reads;
        // The direct route has as many of its own.
        let of_one = if self.workload.ingest == Ingest::Direct { writes.max(reads) } else { needed };
        let stack = ours(STACK_REQUESTS, "requests/s", "infra/variables.tf, requests_per_second");
        let set = format!("requests_per_second = {} in the stage's file", of_one.ceil());
        vec![
            Limit::of(
                "API Gateway",
                "requests of an account",
                needed,
                quotas::API_REQUESTS,
                "raise \"Throttle rate\", larger bodies, or producers of the Kinesis API",
            ),
            Limit::of(STACK, "requests of a stage", of_one, stack, set),
        ]
    }
}
