//! The port of a producer: a place that takes records call by call, with a verdict for each.
//!
//! [`Stream`](crate::ports::Stream) is the whole of a stream as the gateway and the delivery loop need it, and its adapters try
//! again by themselves. A destination is one call and nothing else: a producer decides what is sent again, when, and how fast, and
//! for that it has to know which answers are certain.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::identity::{SequenceNumber, ShardId};
use crate::ports::{Advice, PortError};
use crate::record::PutRecord;

/// What an entry is known by, the same however often it is sent: a destination that can tell an entry that it has already stored
/// from a new one tells it by this. Written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub u128);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One record of a call, which may hold many user records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutEntry {
    /// What it is known by.
    pub id: EntryId,
    /// What is stored.
    pub record: PutRecord,
}

/// What became of one entry of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryVerdict {
    /// It is stored durably (IN-1).
    Stored {
        /// Its shard.
        shard: ShardId,
        /// Its place there.
        sequence: SequenceNumber,
    },
    /// It is not stored: its shard has as much to do as it can. Slower, and it may be stored.
    Throttled,
    /// It is not stored: something went wrong that may pass. The text says what.
    Failed(String),
    /// It is not stored and never will be. The text says why.
    Invalid(String),
}

/// What is known of the entries of a call that failed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEffect {
    /// None of them is stored: the service said so, or it was never reached.
    NothingStored,
    /// Some or all of them may be stored: no answer came after the request had been on its way.
    Unknown,
}

/// A call that failed as a whole.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PutError {
    /// What is known of its entries.
    pub effect: CallEffect,
    /// What the caller can do: [`Advice::Stop`] says that none of these entries will ever be stored.
    pub advice: Advice,
    /// How long the service asks not to be called again; `None`: it does not say.
    pub retry_after: Option<Duration>,
    /// What went wrong, in one line.
    pub message: String,
    /// The adapter's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PutError {
    /// A failure without a cause of its own.
    pub fn new(effect: CallEffect, advice: Advice, message: impl Into<String>) -> Self {
        Self { effect, advice, retry_after: None, message: message.into(), source: None }
    }
}

/// The hash keys of an open shard, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashKeyRange {
    /// The shard.
    pub shard: ShardId,
    /// The first hash key that belongs to it.
    pub first: u128,
    /// The last one.
    pub last: u128,
}

/// What one shard takes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardRates {
    /// Bytes, counted as [`DestinationLimits::counted_bytes`] does.
    pub bytes_per_second: u64,
    /// Records.
    pub records_per_second: u64,
}

/// Which bytes of a record a service counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedBytes {
    /// Its data and its partition key, as Kinesis does.
    DataAndKey,
    /// Its data alone.
    Data,
}

/// What a destination takes in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestinationLimits {
    /// The most entries of a call.
    pub entries_per_call: usize,
    /// The most counted bytes of a call.
    pub bytes_per_call: usize,
    /// The most counted bytes of an entry.
    pub bytes_per_entry: usize,
    /// What each shard takes in a second; `None`: there are no shards, or no such limit.
    pub shard_rates: Option<ShardRates>,
    /// Which bytes count.
    pub counted: CountedBytes,
}

impl DestinationLimits {
    /// Kinesis. Amazon Kinesis Data Streams API Reference, `PutRecords`, and Developer Guide, "Quotas and limits": 500 records; 10 MiB
    /// a call since records of more than 1 MiB are taken, 5 MiB before, so that 5 MiB is right wherever it is; 1 MiB a record unless
    /// a stream opts for more; 1 MiB and 1,000 records a second and shard.
    pub const KINESIS: Self = Self {
        entries_per_call: 500,
        bytes_per_call: 5 * 1024 * 1024,
        bytes_per_entry: 1024 * 1024,
        shard_rates: Some(ShardRates { bytes_per_second: 1024 * 1024, records_per_second: 1_000 }),
        counted: CountedBytes::DataAndKey,
    };

    /// Firehose. Amazon Data Firehose API Reference, `PutRecordBatch`: 500 records, 4 MiB a call, 1,000 KiB a record, all before
    /// base64. Its limits a second are the delivery stream's and not known here.
    pub const FIREHOSE: Self = Self {
        entries_per_call: 500,
        bytes_per_call: 4 * 1024 * 1024,
        bytes_per_entry: 1_000 * 1024,
        shard_rates: None,
        counted: CountedBytes::Data,
    };

    /// The bytes of a record that count.
    pub fn counted_bytes(&self, record: &PutRecord) -> usize {
        self.counted(record.partition_key.len(), record.data.len())
    }

    /// The same of a record of which only the sizes are known.
    pub fn counted(&self, key_bytes: usize, data_bytes: usize) -> usize {
        match self.counted {
            CountedBytes::DataAndKey => key_bytes + data_bytes,
            CountedBytes::Data => data_bytes,
        }
    }
}

/// A place that takes records call by call.
#[async_trait]
pub trait Destination: fmt::Debug + Send + Sync {
    /// Makes one call. Answers one verdict per entry, in order; nothing is sent twice by it.
    ///
    /// # Errors
    ///
    /// When there are no verdicts; the error says whether something may be stored all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open which entries were stored.
    async fn put(&self, entries: Vec<PutEntry>) -> Result<Vec<EntryVerdict>, PutError>;

    /// The open shards and their hash keys, in any order; `None`: this destination has no shards that a producer could know.
    ///
    /// # Errors
    ///
    /// When the destination cannot be asked. A producer goes on without a shard map and asks again later.
    async fn shard_map(&self) -> Result<Option<Vec<HashKeyRange>>, PortError>;

    /// What it takes in one call.
    fn limits(&self) -> DestinationLimits;
}
