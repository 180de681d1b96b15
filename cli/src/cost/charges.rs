//! What each part of the stack is charged for.

use super::batches::{Batches, Slowness};
use super::bill::{Bill, GB, HOURS, SECONDS, Service, up};
use super::figures::Figures;
use super::hot::Hot;
use super::model::Model;
use super::stream::Reader;
use super::workload::Ingest;

const MEGABYTE: f64 = 1024.0 * 1024.0;
const DAY_SECONDS: f64 = 24.0 * 3600.0;
/// What Firehose rounds a record up to: Amazon Data Firehose pricing, "5 KB increments".
pub const FIREHOSE_STEP: f64 = 5.0 * 1024.0;
/// The body that a request to an HTTP API is charged for once: Amazon API Gateway pricing.
const API_REQUEST_BYTES: f64 = 512.0 * 1024.0;
/// The body of which the gateway's computing was measured.
const GATEWAY_MEASURED_BYTES: f64 = 236_000.0;
/// What the least of a statement scans: Amazon Athena pricing.
const STATEMENT_TERABYTES: f64 = 10.0 / MEGABYTE;

/// Which of the stack's parts a bill has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts<'a> {
    /// How slow the transform computes.
    pub transform: Slowness,
    /// The hot index, if there is one.
    pub hot: Option<&'a Hot>,
    /// The API's reads.
    pub reads: Reads,
}

/// Whether pages of records are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// As asked for.
    Served,
    /// By nobody.
    Left,
}

impl Model {
    /// The bill of the stack.
    pub fn bill(&self) -> Bill {
        self.bill_of(Parts { transform: Slowness(1.0), hot: self.hot.as_ref(), reads: Reads::Served })
    }

    /// The bill of the stack with other parts.
    pub fn bill_of(&self, parts: Parts<'_>) -> Bill {
        let mut bill = Bill::default();
        let reads = if parts.reads == Reads::Served { self.requests.reads } else { 0.0 };
        self.stream_mode.charge(&mut bill, &self.records, Reader::Firehose, self.prices());
        let delivered = self.records.rounded_bytes(FIREHOSE_STEP) / GB;
        bill.charge(Service::Firehose, "from the stream", &self.prices().firehose_stream, delivered);
        let invocations = self.functions(&mut bill, parts.transform, reads);
        self.objects(&mut bill);
        self.queue(&mut bill);
        if let Some(hot) = parts.hot {
            self.hot_index(&mut bill, hot, parts.reads);
        }
        self.api(&mut bill, reads);
        let pages_from_lake = if parts.hot.is_none() { reads * SECONDS * STATEMENT_TERABYTES } else { 0.0 };
        self.sql(&mut bill, pages_from_lake);
        let reports = self.figures.report_statements.value * STATEMENT_TERABYTES;
        bill.charge(Service::Athena, "scanned: reports, at the least", &self.prices().athena_scanned, reports);
        self.observing(&mut bill, invocations, reads);
        self.tracing(&mut bill, reads);
        bill
    }

    /// The functions, each by how often and how long it runs. Returns how many invocations there are.
    fn functions(&self, bill: &mut Bill, transform: Slowness, reads: f64) -> f64 {
        let figures = &self.figures;
        let mut invocations = 0.0;
        let mut function = |name: &str, times: f64, seconds: f64, megabytes: f64| {
            bill.charge(Service::Lambda, format!("{name}: invocations"), &self.prices().lambda_requests, times);
            let gb_seconds = times * seconds * megabytes / 1024.0;
            bill.charge(Service::Lambda, format!("{name}: time"), &self.prices().lambda_gb_seconds, gb_seconds);
            invocations += times;
        };
        let seconds = self.batches.seconds(&self.workload, &self.records, transform, figures);
        function("transform", self.batches.a_month(), seconds, figures.transform_megabytes.value);
        function("commit", self.commits.a_month(), self.commits.seconds, figures.commit_megabytes.value);
        let verdicts = self.verdicts(reads) * SECONDS;
        function("gateway", self.to_gateway() * SECONDS, self.gateway_seconds(), figures.gateway_megabytes.value);
        function("query", reads * SECONDS, self.query_seconds(), figures.query_megabytes.value);
        function("authorizer", verdicts, figures.authorizer_ms.value / 1e3, figures.authorizer_megabytes.value);
        // Two cores for as long as all rows of the month take, as often as they are written again.
        let events = self.workload.events_per_second as f64 * SECONDS;
        let rows = events * figures.compaction_rewrites.value * self.size();
        let core_seconds = rows * figures.compaction_core_us.value / 1e6;
        let rounds = self.compactions();
        function("maintain", rounds, core_seconds / rounds, figures.core_megabytes.value);
        // What its schedules call it for, mostly to find that there is nothing to do.
        let looks = self.looks_a_second() * SECONDS;
        function("maintain, looking", looks, figures.look_ms.value / 1e3, figures.maintain_megabytes.value);
        let reports = SECONDS / figures.report_seconds.value;
        function("report", reports, figures.report_ms.value / 1e3, figures.report_megabytes.value);
        invocations
    }

    /// Requests a second that the gateway's function takes.
    pub fn to_gateway(&self) -> f64 {
        if self.workload.ingest == Ingest::Http { self.requests.writes } else { 0.0 }
    }

    /// Invocations of maintenance a second, by its schedules.
    fn looks_a_second(&self) -> f64 {
        let Figures { maintenance_seconds, retention_seconds, daily_looks, .. } = &self.figures;
        1.0 / maintenance_seconds.value + 1.0 / retention_seconds.value + daily_looks.value / DAY_SECONDS
    }

    /// Seconds of an invocation of the gateway.
    pub fn gateway_seconds(&self) -> f64 {
        let core = self.figures.gateway_megabytes.value / self.figures.core_megabytes.value;
        let computing = self.figures.gateway_us.value * self.requests.body_bytes / GATEWAY_MEASURED_BYTES / core;
        self.figures.stream_ms.value / 1e3 + computing / 1e6
    }

    /// Seconds of an invocation of the query function.
    pub fn query_seconds(&self) -> f64 {
        let core = self.figures.query_megabytes.value / self.figures.core_megabytes.value;
        let waits = self.figures.read_questions.value * self.figures.dynamodb_ms.value;
        (waits + self.figures.read_ms.value / core) / 1e3
    }

    fn verdicts(&self, reads: f64) -> f64 {
        self.requests.verdicts - self.requests.reads + reads
    }

    /// Bytes of an event, by those of the events that were measured.
    pub fn size(&self) -> f64 {
        self.workload.bytes as f64 / self.figures.event_bytes.value
    }

    /// Rounds of compaction in a month: as often as one may begin, and as there are enough files for one.
    fn compactions(&self) -> f64 {
        let by_time = SECONDS / self.figures.maintenance_seconds.value;
        let by_files = self.batches.a_month() / self.figures.compact_files.value;
        by_time.min(by_files).max(1.0) * self.workload.datasets as f64
    }

    /// Requests to S3, and what lies there.
    fn objects(&self, bill: &mut Bill) {
        let (figures, prices) = (&self.figures, self.prices());
        let datasets = self.workload.datasets as f64;
        let events_per_second = self.workload.events_per_second as f64;
        let files = self.batches.a_month() * datasets;
        bill.charge(Service::S3, "puts: data files", &prices.s3_puts, files);
        bill.charge(Service::S3, "puts: commit messages", &prices.s3_puts, self.batches.a_month());
        // An entry in each table's log and in the ledger's, the ledger's file, a look at the log; of each table and the ledger now and
        // then a checkpoint and the hint to it.
        let tables = datasets + 1.0;
        let entries = tables + 2.0 + tables * 2.0 / figures.checkpoint_every.value;
        bill.charge(Service::S3, "puts: commits", &prices.s3_puts, self.commits.a_month() * entries);
        // A file and its key filter; an entry in the log and one in the ledger's.
        let rewritten = events_per_second
            * SECONDS
            * figures.compaction_rewrites.value
            * figures.compacted_bytes.value
            * self.size();
        let merged = up(rewritten / figures.target_file_bytes.value) * 2.0 + self.compactions() * 2.0;
        bill.charge(Service::S3, "puts: compaction", &prices.s3_puts, merged);
        let backup_second = self.records.bytes_per_second() * self.backup_ratio();
        let backups = (SECONDS / figures.backup_seconds.value)
            .max(self.records.bytes_per_second() * SECONDS / (figures.backup_megabytes.value * MEGABYTE));
        bill.charge(Service::S3, "puts: source backup", &prices.s3_puts, backups);
        // Each message once; two tables' next versions a commit; each file twice by compaction, footer and rows; what schedules look at.
        let looks = self.looks_a_second() * SECONDS + SECONDS / figures.report_seconds.value;
        let gets =
            self.batches.a_month() + self.commits.a_month() * 2.0 + files * 2.0 + looks * figures.look_gets.value;
        bill.charge(Service::S3, "gets", &prices.s3_gets, gets);

        let a_day = |bytes: f64| events_per_second * DAY_SECONDS * bytes / GB;
        let row = figures.compacted_bytes.value * self.size() + figures.key_filter_bytes.value;
        let days = self.workload.retention.as_secs_f64() / DAY_SECONDS;
        bill.charge(Service::S3, "stored: tables", &prices.s3_storage, a_day(row) * days);
        // What compaction and retention took out: the batches' files, all but the last of the compacted ones, and those.
        let replaced = figures.batch_file_bytes.value * self.size()
            + (figures.compaction_rewrites.value - 1.0) * figures.compacted_bytes.value * self.size()
            + row;
        bill.charge(
            Service::S3,
            "stored: taken out",
            &prices.s3_storage,
            a_day(replaced) * figures.undelete_days.value,
        );
        let backup = backup_second * DAY_SECONDS * figures.backup_days.value / GB;
        bill.charge(Service::S3, "stored: source backup", &prices.s3_storage, backup);
    }

    /// What gzip leaves of the stream's bytes: nothing more of what is compressed, and as much as zstd of what is not.
    fn backup_ratio(&self) -> f64 {
        if self.records.compressed { 1.0 } else { self.figures.zstd_ratio.value }
    }

    /// A send for each message; receives and deletes for ten; and the polls of idle queues.
    fn queue(&self, bill: &mut Bill) {
        let messages = self.batches.a_month();
        let polls = SECONDS / self.figures.poller_seconds.value * self.figures.polled_queues.value;
        let requests = messages + 2.0 * up(messages / self.figures.queue_batch.value) + polls;
        bill.charge(Service::Sqs, "requests", &self.prices().sqs_requests, requests);
    }

    /// The hot index: units, what lies there, and the way back to any second of the last 35 days.
    fn hot_index(&self, bill: &mut Bill, hot: &Hot, reads: Reads) {
        self.hot_units(bill, hot, reads);
        let prices = self.prices();
        let mut charge = |item: &str, price, quantity| bill.charge(Service::DynamoDb, item, price, quantity);
        charge("stored", &prices.dynamodb_storage, hot.stored_gb);
        charge("point-in-time recovery", &prices.dynamodb_recovery, hot.stored_gb);
    }

    /// The hot index's units, by request as the stack has it.
    pub fn hot_units(&self, bill: &mut Bill, hot: &Hot, reads: Reads) {
        let prices = self.prices();
        let mut charge = |item: &str, price, quantity| bill.charge(Service::DynamoDb, item, price, quantity);
        let read = if reads == Reads::Served { 1.0 } else { 0.0 };
        charge("writes", &prices.dynamodb_write_units, hot.writes_per_second * SECONDS);
        charge("writes: order of puts", &prices.dynamodb_write_units, hot.index_writes_per_second * SECONDS);
        charge("reads", &prices.dynamodb_read_units, hot.reads_per_second(&self.workload) * SECONDS * read);
    }

    fn api(&self, bill: &mut Bill, reads: f64) {
        let requests = self.requests.writes * SECONDS;
        let prices = self.prices();
        let (item, price, writes) = match self.workload.ingest {
            // By the request, however large.
            Ingest::Direct => ("requests: the direct route", &prices.rest_api_requests, requests),
            Ingest::Http | Ingest::Producers => {
                let steps = up(self.requests.body_bytes / API_REQUEST_BYTES);
                ("requests: events", &prices.http_api_requests, requests * steps)
            }
        };
        bill.charge(Service::ApiGateway, item, price, writes);
        bill.charge(Service::ApiGateway, "requests: records", &prices.http_api_requests, reads * SECONDS);
        bill.charge(Service::SecretsManager, "signing secret", &prices.secrets, 1.0);
        bill.charge(Service::Kms, "alarms' mails", &prices.kms_keys, self.figures.keys.value);
    }

    /// Statements, and the pages that the hot index does not have.
    pub fn sql(&self, bill: &mut Bill, pages_terabytes: f64) {
        let price = &self.prices().athena_scanned;
        bill.charge(Service::Athena, "scanned", price, self.workload.scanned_terabytes);
        bill.charge(Service::Athena, "scanned: pages of records", price, pages_terabytes);
    }

    fn observing(&self, bill: &mut Bill, invocations: f64, reads: f64) {
        let (figures, prices) = (&self.figures, self.prices());
        let mut charge = |item: &str, price, quantity| bill.charge(Service::CloudWatch, item, price, quantity);
        let logs = invocations * figures.log_bytes.value / GB;
        // The direct route logs nothing unless told to.
        let requests = (self.to_gateway() + reads) * SECONDS * figures.access_log_bytes.value / GB;
        charge("logs", &prices.logs_ingested, logs);
        charge("logs: requests", &prices.access_logs_ingested, requests);
        charge("logs: kept", &prices.logs_stored, (logs + requests) * figures.log_days.value * 24.0 / HOURS);
        let metrics = figures.metrics.value + figures.metrics_a_dataset.value * self.workload.datasets as f64;
        charge("metrics", &prices.custom_metrics, metrics);
        charge("alarms", &prices.alarms, figures.alarms.value);
        charge("dashboards", &prices.dashboards, figures.dashboards.value);
    }

    /// What X-Ray records: of each function so many invocations of a second, and a share of the others.
    fn tracing(&self, bill: &mut Bill, reads: f64) {
        let figures = &self.figures;
        let sampled = |rate: f64| {
            let each = figures.traced_a_second.value;
            rate.min(each) + (rate - each).max(0.0) * figures.traced_share.value
        };
        let rates = [
            self.batches.per_second,
            self.commits.per_second,
            self.to_gateway(),
            reads,
            self.verdicts(reads),
            self.looks_a_second(),
            1.0 / figures.report_seconds.value,
        ];
        let traces: f64 = rates.into_iter().map(sampled).sum();
        bill.charge(Service::XRay, "traces", &self.prices().xray_traces, traces * SECONDS);
    }

    /// Invocations of all functions at once, at the peak.
    pub fn concurrency(&self) -> f64 {
        let Batches { per_second, seconds, .. } = self.batches;
        let steady = per_second * seconds
            + self.to_gateway() * self.gateway_seconds()
            + self.requests.reads * self.query_seconds()
            + self.requests.verdicts * self.figures.authorizer_ms.value / 1e3;
        steady * self.workload.peak + COMMITTERS + 1.0
    }
}

/// The commit functions that may run at once: infra/modules/lake/commit.tf, maximum_concurrency.
pub const COMMITTERS: f64 = 2.0;
