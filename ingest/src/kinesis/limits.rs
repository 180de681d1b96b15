//! The service's limits, each with its source, and what follows from them here.

use std::time::Duration;

/// The most records of one `PutRecords`. Amazon Kinesis Data Streams API Reference, `PutRecords`.
pub(super) const PUT_RECORDS: usize = 500;

/// The most bytes of one `PutRecords`, data and partition keys. Amazon Kinesis Data Streams API Reference, `PutRecords`: 10 MiB
/// since the service takes records of more than 1 MiB; it was 5 MiB before.
pub(super) const PUT_BYTES: usize = 10 * 1024 * 1024;

/// The most bytes of a request's body: [`PUT_BYTES`] in base64, and room for the JSON around 500 records.
pub(super) const BODY_BYTES: usize = 16 * 1024 * 1024;

/// The most records of one `GetRecords`. Amazon Kinesis Data Streams API Reference, `GetRecords`.
pub(super) const GET_RECORDS: usize = 10_000;

/// The most bytes of data of one `GetRecords`. Amazon Kinesis Data Streams API Reference, `GetRecords`.
pub(super) const GET_BYTES: usize = 10 * 1024 * 1024;

/// How long an iterator, or a token of `ListShards`, can be used. Amazon Kinesis Data Streams API Reference,
/// `GetShardIterator`, `ListShards`.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// The most shards of one `ListShards`. Amazon Kinesis Data Streams API Reference, `ListShards`.
pub(super) const LISTED_SHARDS: usize = 1000;

/// The most shards of one `DescribeStream`. Amazon Kinesis Data Streams API Reference, `DescribeStream`.
pub(super) const DESCRIBED_SHARDS: usize = 100;

/// What a shard takes in a second, in bytes of data and partition keys. Amazon Kinesis Data Streams Developer Guide, "Quotas and
/// limits".
pub(super) const SHARD_BYTES_IN: u32 = 1024 * 1024;

/// What a shard takes in a second, in records. The same source.
pub(super) const SHARD_RECORDS_IN: u32 = 1000;

/// What a shard gives in a second, in bytes of data. The same source.
pub(super) const SHARD_BYTES_OUT: u32 = 2 * 1024 * 1024;

/// How often a shard is read in a second. The same source.
pub(super) const SHARD_READS: u32 = 5;
