//! How much of each service an account may use by default, in US East (N. Virginia). Most are raised on request; [`Quota::adjustable`] says
//! which. What a single item, record or request may hold is in [`super`].

/// One quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// Whether AWS raises it on request.
    pub adjustable: bool,
    /// The public document that says so.
    pub source: &'static str,
}

const fn fixed(value: f64, unit: &'static str, source: &'static str) -> Quota {
    Quota { value, unit, adjustable: false, source }
}

const fn adjustable(value: f64, unit: &'static str, source: &'static str) -> Quota {
    Quota { value, unit, adjustable: true, source }
}

const KINESIS: &str = "Amazon Kinesis Data Streams Developer Guide, \"Quotas and limits\"";
const FIREHOSE: &str = "Amazon Data Firehose Developer Guide, \"Amazon Data Firehose quota\"";
const LAMBDA: &str = "AWS Lambda Developer Guide, \"Lambda quotas\"";
const DYNAMODB: &str = "Amazon DynamoDB Developer Guide, \"Quotas in Amazon DynamoDB\"";
const PARTITIONS: &str = "Amazon DynamoDB Developer Guide, \"Key range throughput exceeded (hot partitions)\"";
const S3: &str = "Amazon S3 User Guide, \"Best practices design patterns: optimizing Amazon S3 performance\"";

/// Bytes that a shard takes. The document says 1 MB; read as a million, the less of what it can mean.
pub const SHARD_BYTES: Quota = fixed(1e6, "bytes/s", KINESIS);

/// Records that a shard takes.
pub const SHARD_RECORDS: Quota = fixed(1_000.0, "records/s", KINESIS);

/// Shards of an account in the region.
pub const SHARDS: Quota = adjustable(20_000.0, "shards", KINESIS);

/// Bytes that a stream on demand scales up to.
pub const ON_DEMAND_BYTES: Quota = adjustable(10e9, "bytes/s", KINESIS);

/// Records of one `PutRecords`.
pub const PUT_RECORDS: Quota = fixed(500.0, "records", "Amazon Kinesis Data Streams API Reference, \"PutRecords\"");

/// Bytes of one `PutRecords`, keys included. Many texts still say 5 MiB.
pub const PUT_RECORDS_BYTES: Quota =
    fixed(10.0 * 1024.0 * 1024.0, "bytes", "Amazon Kinesis Data Streams API Reference, \"PutRecords\"");

/// Invocations of a transform that Firehose has under way for a shard at once.
pub const FIREHOSE_INVOCATIONS: Quota = fixed(5.0, "invocations a shard", FIREHOSE);

/// How long Firehose waits for an invocation, in seconds.
pub const FIREHOSE_INVOCATION_SECONDS: Quota =
    fixed(300.0, "s", "Amazon Data Firehose Developer Guide, \"Transform source data\"");

/// Invocations of all functions at once. A new account may have fewer.
pub const CONCURRENCY: Quota = adjustable(1_000.0, "invocations at once", LAMBDA);

/// Requests that write into one partitioned prefix of a bucket. S3 divides prefixes by itself, in minutes.
pub const S3_PUTS: Quota = fixed(3_500.0, "puts/s", S3);

/// Messages of a standard queue that were received and not deleted yet.
pub const IN_FLIGHT: Quota =
    adjustable(120_000.0, "messages", "Amazon SQS Developer Guide, \"Amazon SQS standard queue quotas\"");

/// Write units that a table takes, in either capacity mode; a global secondary index has as many of its own.
pub const TABLE_WRITES: Quota = adjustable(40_000.0, "write units/s", DYNAMODB);

/// Read units that a table serves, in either capacity mode.
pub const TABLE_READS: Quota = adjustable(40_000.0, "read units/s", DYNAMODB);

/// Write units that all tables and indexes of an account may have provisioned.
pub const PROVISIONED_WRITES: Quota = adjustable(80_000.0, "write units/s", DYNAMODB);

/// Write units that one partition takes. Items of one partition key whose sort keys ascend, as those of chunks do, are always written to
/// one.
pub const PARTITION_WRITES: Quota = fixed(1_000.0, "write units/s", PARTITIONS);

/// Read units that one partition serves.
pub const PARTITION_READS: Quota = fixed(3_000.0, "read units/s", PARTITIONS);

/// Requests to all APIs of an account.
pub const API_REQUESTS: Quota =
    adjustable(10_000.0, "requests/s", "Amazon API Gateway Developer Guide, \"Amazon API Gateway quotas\"");
