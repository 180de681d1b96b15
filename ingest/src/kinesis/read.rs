//! `GetShardIterator` and `GetRecords`.

mod page;
mod start;

use alluvium_core::{SequenceNumber, StreamRecord};
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};

use super::answer::Answer;
use super::describe::seconds;
use super::exception::Exception;
use super::input::{self, Text, count, required};
use super::limits::GET_RECORDS;
use super::pace::Passage;
use super::token::ShardIterator;
use super::{Call, KinesisEndpoint, work};
use page::{Page, memory_bytes};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetShardIteratorInput<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(borrow, rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    shard_id: Option<Text<'a>>,
    #[serde(borrow)]
    shard_iterator_type: Option<Text<'a>>,
    #[serde(borrow)]
    starting_sequence_number: Option<Text<'a>>,
    timestamp: Option<f64>,
    dry_run: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecordsInput<'a> {
    #[serde(borrow)]
    shard_iterator: Option<Text<'a>>,
    #[serde(borrow, rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    limit: Option<i64>,
    dry_run: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetShardIteratorOutput {
    shard_iterator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecordsOutput<'a> {
    records: Vec<RecordOutput<'a>>,
    next_shard_iterator: String,
    millis_behind_latest: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RecordOutput<'a> {
    sequence_number: SequenceNumber,
    approximate_arrival_timestamp: f64,
    #[serde(serialize_with = "base64_text")]
    data: &'a [u8],
    partition_key: &'a str,
}

fn base64_text<S: Serializer>(data: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(data, &STANDARD))
}

impl<'a> RecordOutput<'a> {
    fn of(record: &'a StreamRecord) -> Self {
        Self {
            sequence_number: record.identity.sequence,
            approximate_arrival_timestamp: seconds(record.arrival),
            data: &record.data,
            partition_key: &record.partition_key,
        }
    }
}

impl KinesisEndpoint {
    pub(super) async fn get_shard_iterator(&self, call: &Call) -> Result<Answer, Exception> {
        let input: GetShardIteratorInput<'_> = input::read(call.operation, &call.body)?;
        self.check_stream(input.stream_name.as_ref().map(Text::as_str), input.stream_arn.as_ref().map(Text::as_str))?;
        let state = self.shard(required("ShardId", input.shard_id)?.as_str()).await?;
        let kind = required("ShardIteratorType", input.shard_iterator_type)?;
        let sequence = input.starting_sequence_number.as_ref().map(Text::as_str);
        let after = self.start(&state, kind.as_str(), sequence, input.timestamp).await?;
        input::not_dry(call.operation, input.dry_run)?;
        let iterator = ShardIterator { shard: state.shard, after };
        let shard_iterator = iterator.seal(&self.shared.settings.stream, self.now());
        Ok(Answer::json(&GetShardIteratorOutput { shard_iterator }))
    }

    /// Gives what the shard holds after the iterator, at once: who has read to the end asks again.
    pub(super) async fn get_records(&self, call: &Call) -> Result<Answer, Exception> {
        let input: GetRecordsInput<'_> = input::read(call.operation, &call.body)?;
        let stream = &self.shared.settings.stream;
        if let Some(arn) = &input.stream_arn {
            self.check_stream(None, Some(arn.as_str()))?;
        }
        let most = count("Limit", input.limit, GET_RECORDS, 1..=GET_RECORDS)?;
        let iterator = required("ShardIterator", input.shard_iterator)?;
        let iterator = ShardIterator::open(iterator.as_str(), stream, self.now())?;
        let state = self.shard(iterator.shard.as_str()).await?;
        input::not_dry(call.operation, input.dry_run)?;
        if let Some(pace) = &self.shared.pace
            && pace.read(&state.shard, self.now()) == Passage::Refused
        {
            return Err(self.rate_exceeded(&state.shard, "gives 2 MiB a second and is read five times a second"));
        }
        let (mut reservation, most_bytes) = self.room_for_records(&state, iterator.after)?;
        let page = self.page(state, iterator.after, most, most_bytes).await?;
        if let Some(pace) = &self.shared.pace {
            pace.gave(&iterator.shard, page.bytes, self.now());
        }
        reservation.shrink_to(memory_bytes(page.bytes));
        let next = ShardIterator { shard: iterator.shard, after: page.after }.seal(stream, self.now());
        let behind = self.millis_behind(&page);
        work(page.bytes, move || {
            let records = page.records.iter().map(RecordOutput::of).collect();
            let output = GetRecordsOutput { records, next_shard_iterator: next, millis_behind_latest: behind };
            Answer::large_json(&output, reservation)
        })
        .await
    }

    /// How old the last record read is, while the shard holds more.
    fn millis_behind(&self, page: &Page) -> u64 {
        let last = page.records.last().filter(|_| page.more);
        last.map_or(0, |last| u64::try_from((self.now() - last.arrival) / 1000).unwrap_or(0).max(1))
    }
}
