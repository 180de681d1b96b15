//! `PutRecord` and `PutRecords`.

mod entry;

use alluvium_core::{PutRecord, SequenceNumber, ShardId};
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Operation;
use super::exception::Exception;
use super::input::{self, Text, required};
use super::limits::{PUT_BYTES, PUT_RECORDS};
use super::seal::Seal;
use super::store::Outcome;
use super::{Call, KinesisEndpoint, work};
use entry::{Entries, Entry, Place};

/// Reads a body's records, and seals them.
type ReadRecords = fn(&KinesisEndpoint, &[u8], &Seal) -> Result<Vec<PutRecord>, Exception>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordInput<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(borrow, rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    partition_key: Option<Text<'a>>,
    #[serde(borrow)]
    explicit_hash_key: Option<Text<'a>>,
    #[serde(borrow)]
    sequence_number_for_ordering: Option<Text<'a>>,
    dry_run: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordsInput<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(borrow, rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    records: Option<Entries<'a>>,
    dry_run: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordOutput<'a> {
    shard_id: &'a ShardId,
    sequence_number: SequenceNumber,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordsOutput<'a> {
    failed_record_count: usize,
    records: Vec<PutRecordsResult<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PutRecordsResult<'a> {
    #[serde(rename_all = "PascalCase")]
    Stored { sequence_number: SequenceNumber, shard_id: &'a ShardId },
    #[serde(rename_all = "PascalCase")]
    Failed { error_code: &'static str, error_message: &'a str },
}

impl<'a> PutRecordsResult<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        match outcome {
            Ok((shard_id, sequence_number)) => Self::Stored { sequence_number: *sequence_number, shard_id },
            Err(why) => Self::Failed { error_code: why.code.as_str(), error_message: &why.message },
        }
    }
}

impl KinesisEndpoint {
    pub(super) async fn put_record(&self, mut call: Call) -> Result<Answer, Exception> {
        let records = self.read_records(&mut call, Self::read_put_record).await?;
        let outcome = self.store(records, &call.seal).await?.pop().ok_or_else(Exception::internal)?;
        let (shard, sequence) = outcome?;
        Ok(Answer::json(&PutRecordOutput { shard_id: &shard, sequence_number: sequence }))
    }

    pub(super) async fn put_records(&self, mut call: Call) -> Result<Answer, Exception> {
        let records = self.read_records(&mut call, Self::read_put_records).await?;
        let outcomes = self.store(records, &call.seal).await?;
        let failed_record_count = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        let records = outcomes.iter().map(PutRecordsResult::of).collect();
        Ok(Answer::json(&PutRecordsOutput { failed_record_count, records }))
    }

    /// Makes sealed records of a call's body, on the thread that its size asks for.
    async fn read_records(&self, call: &mut Call, read: ReadRecords) -> Result<Vec<PutRecord>, Exception> {
        // Of base64 comes less than itself, by a quarter: so much that in a large call the seals fit there too.
        let sealed_bytes = call.body.len() / 4 * 3 + PUT_RECORDS * call.seal.as_bytes().len();
        call.reservation.grow(call.body.len().max(sealed_bytes))?;
        let (endpoint, body, seal) = (self.clone(), call.body.clone(), call.seal.clone());
        work(body.len(), move || read(&endpoint, &body, &seal)).await?
    }

    fn read_put_record(&self, body: &[u8], seal: &Seal) -> Result<Vec<PutRecord>, Exception> {
        let input: PutRecordInput<'_> = input::read(Operation::PutRecord, body)?;
        self.check_stream(input.stream_name.as_ref().map(Text::as_str), input.stream_arn.as_ref().map(Text::as_str))?;
        // Numbers of a shard always increase here, so nothing is left to do about the order that is asked for.
        if let Some(sequence) = &input.sequence_number_for_ordering {
            let problem = |error| Exception::argument(format!("`SequenceNumberForOrdering`: {error}"));
            sequence.as_str().parse::<SequenceNumber>().map_err(problem)?;
        }
        let entry =
            Entry { data: input.data, partition_key: input.partition_key, explicit_hash_key: input.explicit_hash_key };
        let records = entry::records(&[entry], |_| Place::Call, seal)?;
        input::not_dry(Operation::PutRecord, input.dry_run)?;
        Ok(records)
    }

    fn read_put_records(&self, body: &[u8], seal: &Seal) -> Result<Vec<PutRecord>, Exception> {
        let input: PutRecordsInput<'_> = input::read(Operation::PutRecords, body)?;
        self.check_stream(input.stream_name.as_ref().map(Text::as_str), input.stream_arn.as_ref().map(Text::as_str))?;
        let entries = required("Records", input.records)?;
        let records = entry::records(entries.fitting()?, Place::Entry, seal)?;
        let bytes: usize = records.iter().map(|record| seal.size_bytes(record)).sum();
        if bytes > PUT_BYTES {
            let message =
                format!("the records have {bytes} bytes, data and partition keys; a call has at most {PUT_BYTES}");
            return Err(Exception::argument(message));
        }
        input::not_dry(Operation::PutRecords, input.dry_run)?;
        Ok(records)
    }
}
