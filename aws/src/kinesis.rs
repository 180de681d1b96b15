//! The stream in Kinesis.
//!
//! Appending is `PutRecords` (`append.rs`), reading `GetRecords` at its pace (`read.rs`, `position.rs`). Aggregated records are
//! handed on as they are: taking them apart is the transform's.

mod append;
mod position;
mod read;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alluvium_core::identity::{RecordIdentity, SequenceNumber, ShardId};
use alluvium_core::ports::{Advice, PortError, PutVerdict, ReadPage, Refusal, ShardState, Stream};
use alluvium_core::record::{PutBatch, PutRecord, StreamRecord};
use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::GetRecordsError;
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry, Record, ShardIteratorType};

use crate::Retries;
use crate::error::{advice, port_error};
use crate::timer::RealTime;
use position::Positions;
use read::{FetchError, Fetched};

/// The pauses between tries of one append: 3 s of them at most, for somebody waits for the answer.
const APPEND_TRIES: usize = 5;
const APPEND_FIRST_PAUSE: Duration = Duration::from_millis(100);
const APPEND_LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One Kinesis stream. It keeps to its shards' pace by itself and knows of no other: have one for each stream and process.
#[derive(Debug)]
pub struct KinesisStream {
    client: Client,
    name: String,
    retries: Retries,
    positions: Positions,
    /// How many digits a sequence number has that came with zeros before it: it is handed back with as many. Kinesis writes none;
    /// ministack does, and compares numbers as text.
    padded_digits: AtomicUsize,
}

impl KinesisStream {
    /// The stream of this name.
    pub fn new(client: Client, name: impl Into<String>, retries: Retries) -> Self {
        let (positions, padded_digits) = Default::default();
        Self { client, name: name.into(), retries, positions, padded_digits }
    }

    fn what(&self, doing: &str) -> String {
        format!("cannot {doing} the stream {}", self.name)
    }
}

#[async_trait]
impl Stream for KinesisStream {
    /// Records go in as few calls as the service's limits allow, one after the other. What a call refuses is sent again, a few
    /// times with pauses, before the next call: what comes later in the batch never overtakes it. Kinesis itself may still
    /// store a record of a key while it refuses an earlier one of the same call; the earlier one then comes after it. A key
    /// that stays refused is not sent again in later calls of the batch: its records are refused alike.
    ///
    /// A call whose answer was lost is made again by the SDK; its records may then be there twice.
    async fn append(&self, batch: PutBatch) -> Result<Vec<PutVerdict>, PortError> {
        let pauses = self.retries.pauses(APPEND_FIRST_PAUSE, APPEND_LONGEST_PAUSE).take(APPEND_TRIES - 1);
        append::append(self, &RealTime, pauses, batch).await
    }

    /// Polls four times a second at most, and no faster than a shard gives its data; waits for that even with no `wait`.
    ///
    /// Kinesis does not say that what came after `after` is gone: a read that continues nowhere begins with that record, and
    /// fails when the shard begins after it. That holds too when nothing came in between. A shard that holds nothing
    /// is just empty.
    async fn read(
        &self,
        shard: &ShardId,
        after: Option<SequenceNumber>,
        max_bytes: usize,
        wait: Duration,
    ) -> Result<ReadPage, PortError> {
        read::read(self, &RealTime, &self.positions, shard, after, max_bytes, wait).await
    }

    /// Kinesis tells neither the oldest record that a shard holds nor the newest of one that is open: `None`. Of a closed one
    /// `newest` is the number at which it ended. Asks the service each time; it may be asked a thousand times a second.
    async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
        let mut states = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let list = self.client.list_shards();
            // The name may not stand beside a token, which knows the stream.
            let list = match token {
                Some(token) => list.next_token(token),
                None => list.stream_name(&self.name),
            };
            let page = list.send().await.map_err(|error| port_error(self.what("list the shards of"), error))?;
            for shard in page.shards() {
                let range = shard.sequence_number_range();
                // Only how it is written is of use: a shard need not hold the number with which it began.
                range.map(|range| self.sequence(range.starting_sequence_number())).transpose()?;
                let newest = range.and_then(|range| range.ending_sequence_number());
                let newest = newest.map(|ending| self.sequence(ending)).transpose()?;
                states.push(ShardState { shard: ShardId::new(shard.shard_id()), oldest: None, newest });
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                states.sort_by(|one, other| one.shard.cmp(&other.shard));
                return Ok(states);
            }
        }
    }
}

impl append::PutRecords for KinesisStream {
    async fn put(&self, records: Vec<PutRecord>) -> Result<Vec<PutVerdict>, PortError> {
        let entries = records.into_iter().map(entry).collect();
        let put = self.client.put_records().stream_name(&self.name).set_records(Some(entries));
        let answer = put.send().await.map_err(|error| port_error(self.what("append to"), error))?;
        answer.records().iter().map(|answer| self.verdict(answer)).collect()
    }
}

impl read::GetRecords for KinesisStream {
    async fn iterator(&self, shard: &ShardId, at: Option<SequenceNumber>) -> Result<String, PortError> {
        let get = self.client.get_shard_iterator().stream_name(&self.name).shard_id(shard.as_str());
        let get = match at {
            None => get.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Some(at) => {
                let digits = format!("{:0>1$}", at.to_string(), self.padded_digits.load(Ordering::Relaxed));
                get.shard_iterator_type(ShardIteratorType::AtSequenceNumber).starting_sequence_number(digits)
            }
        };
        let got = get.send().await.map_err(|error| port_error(self.what(&format!("read {shard} of")), error))?;
        let message = || PortError::new(Advice::Retry, format!("{}: no iterator came", self.what("read")));
        got.shard_iterator.ok_or_else(message)
    }

    async fn records(&self, shard: &ShardId, iterator: &str) -> Result<Fetched, FetchError> {
        let got = self.client.get_records().shard_iterator(iterator).send().await.map_err(|error| {
            if matches!(error.as_service_error(), Some(GetRecordsError::ExpiredIteratorException(_))) {
                return FetchError::Expired;
            }
            let throttled = advice(&error) == Advice::BackOff;
            let error = port_error(self.what(&format!("read {shard} of")), error);
            if throttled { FetchError::Throttled(error) } else { FetchError::Failed(error) }
        })?;
        let behind = got.millis_behind_latest().is_some_and(|behind| behind > 0);
        let records = got.records.into_iter().map(|record| self.record(shard, record));
        let records = records.collect::<Result<_, _>>().map_err(FetchError::Failed)?;
        Ok(Fetched { records, next: got.next_shard_iterator, behind })
    }
}

impl KinesisStream {
    fn sequence(&self, digits: &str) -> Result<SequenceNumber, PortError> {
        if digits.starts_with('0') {
            self.padded_digits.fetch_max(digits.len(), Ordering::Relaxed);
        }
        digits.parse().map_err(|error| PortError::because(Advice::Stop, self.what("understand"), error))
    }

    /// What an entry of an answer says became of its record.
    fn verdict(&self, answer: &PutRecordsResultEntry) -> Result<PutVerdict, PortError> {
        if let (Some(shard), Some(sequence)) = (answer.shard_id(), answer.sequence_number()) {
            return Ok(PutVerdict::Stored { shard: ShardId::new(shard), sequence: self.sequence(sequence)? });
        }
        Ok(PutVerdict::Refused(refusal(answer)))
    }

    fn record(&self, shard: &ShardId, record: Record) -> Result<StreamRecord, PortError> {
        let sequence = self.sequence(record.sequence_number())?;
        Ok(StreamRecord {
            identity: RecordIdentity { shard: shard.clone(), sequence, subsequence: 0 },
            arrival: record.approximate_arrival_timestamp.map(micros).unwrap_or_default(),
            partition_key: record.partition_key.unwrap_or_default(),
            data: record.data.into_inner().into(),
        })
    }
}

pub(crate) fn entry(record: PutRecord) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry::builder()
        .partition_key(record.partition_key)
        .set_explicit_hash_key(record.explicit_hash_key.map(|key| key.to_string()))
        .data(Blob::new(record.data))
        .build()
        .expect("key and data are all that an entry needs")
}

/// Amazon Kinesis Data Streams API Reference, `PutRecordsResultEntry`: a refused entry has one of two codes.
pub(crate) fn refusal(answer: &PutRecordsResultEntry) -> Refusal {
    match answer.error_code() {
        Some("ProvisionedThroughputExceededException") => Refusal::Full,
        code => {
            let code = code.unwrap_or("no code");
            Refusal::Failed(format!("{code}: {}", answer.error_message().unwrap_or("the service gives no reason")))
        }
    }
}

/// Microseconds, rounded: the time travels as seconds with a fraction in floating point, and Kinesis gives milliseconds.
fn micros(time: DateTime) -> i64 {
    i64::try_from((time.as_nanos() + 500).div_euclid(1000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_entry_says_whether_there_was_room() {
        let answer = |code: &str| PutRecordsResultEntry::builder().error_code(code).error_message("why").build();
        assert_eq!(refusal(&answer("ProvisionedThroughputExceededException")), Refusal::Full);
        assert_eq!(refusal(&answer("InternalFailure")), Refusal::Failed("InternalFailure: why".to_owned()));
    }

    #[test]
    fn times_of_whole_milliseconds_stay_whole() {
        for millis in [1_764_240_000_123_i64, 1_764_240_000_999, 1_764_240_000_001, 0, -1] {
            assert_eq!(micros(DateTime::from_secs_f64(millis as f64 / 1000.0)), millis * 1000);
        }
    }

    #[test]
    fn an_entry_has_its_hash_key_in_decimal() {
        let record = PutRecord { partition_key: "k".to_owned(), explicit_hash_key: Some(u128::MAX), data: "x".into() };
        let entry = entry(record);
        assert_eq!(entry.explicit_hash_key(), Some("340282366920938463463374607431768211455"));
        assert_eq!((entry.partition_key(), entry.data().as_ref()), (Some("k"), b"x".as_slice()));
    }
}
