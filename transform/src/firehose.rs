//! The contract of an Amazon Data Firehose transformation function: the bytes of an event in, the bytes of a response out.
//!
//! ```text
//! {"invocationId", "deliveryStreamArn", "sourceKinesisStreamArn"?, "region", "records": [{
//!     "recordId", "approximateArrivalTimestamp", "data" (base64), "kinesisRecordMetadata"?: {
//!         "shardId", "partitionKey", "approximateArrivalTimestamp", "sequenceNumber", "subsequenceNumber"}}]}
//! ```
//!
//! An event is read leniently: members come in any order, unknown ones are skipped, a subsequence number may be a number, a
//! text, empty or absent, and a time milliseconds or an ISO text. What does not let itself be answered is an
//! [`InvocationError`]; a record whose `data` is no base64 is one dead letter, as every bad record is.
//!
//! The response has exactly one entry per record id, in order, with the result `Dropped`: to Firehose that is success, and
//! leaves nothing for it to write. It says that everything is stored, so it is made after storing.
//!
//! Nothing is copied twice: base64 is decoded in the event's own buffer, and the records are slices of it.
//!
//! **Identity.** With a Kinesis stream as the source a record is known by shard, sequence and subsequence number. Without one
//! it is known by its record id, which Firehose keeps over its retries, under a shard of its own name; such a batch *covers*
//! no run of a stream. Firehose takes aggregates apart before it invokes a function. One that is found nevertheless stood in
//! another, and its user records get subsequence numbers that no record beside it has.
//!
//! Sources: Amazon Data Firehose Developer Guide, "Transform source data in Amazon Data Firehose"; AWS Lambda Developer Guide,
//! "Lambda quotas".

mod event;
mod json;
mod pattern;
mod response;

use std::ops::Range;

use alluvium_core::{DeliveryBatch, RecordIdentity, StreamRecord, limits};

use event::Reading;

/// The most bytes of an event that is read. Lambda hands over no more than [`limits::INVOCATION_BYTES`]; whoever invokes the
/// transform by other ways may hand over twice that.
pub const EVENT_BYTES: usize = 2 * limits::INVOCATION_BYTES;

/// One invocation: its records as a batch, and what its response needs.
#[derive(Debug)]
pub struct Invocation {
    batch: DeliveryBatch,
    unreadable: Vec<Unreadable>,
    /// The response, made when the event was read, so that one that cannot be given is known before anything is stored.
    response: Vec<u8>,
}

/// A record of the batch whose bytes could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Its place in the batch; its data there is what was sent instead.
    pub(crate) at: usize,
    /// What is wrong.
    pub(crate) detail: String,
}

/// An event that cannot be answered. Firehose retries the invocation, then puts its records under the error prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvocationError {
    /// It is too large to be read.
    #[error("the event has {bytes} bytes; at most {EVENT_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is not JSON, or no object.
    #[error("the event is not the JSON of a Firehose invocation: at byte {at} expected {expected}")]
    NotJson {
        /// Where.
        at: usize,
        /// What would be right.
        expected: &'static str,
    },
    /// It has no list of records.
    #[error("the event has no `records`; expected an array of records")]
    NoRecords,
    /// A record does not say its id, so that it cannot be answered.
    #[error("record {index} (from 0) has no `recordId`; expected a text that is not empty")]
    MissingRecordId {
        /// The record's place.
        index: usize,
    },
    /// A record has an id that is no JSON text, so that no answer could hold it.
    #[error("record {index} (from 0) has a `recordId` with {wrong}; expected the JSON of a text")]
    InvalidRecordId {
        /// The record's place.
        index: usize,
        /// What is not allowed in a text.
        wrong: &'static str,
    },
    /// Two records have the same id, so that they cannot be answered one by one.
    #[error("records {first} and {second} (from 0) have the same `recordId`; expected each id once")]
    DoubledRecordId {
        /// The place of the first.
        first: usize,
        /// The place of the second.
        second: usize,
    },
    /// No record says when it arrived.
    #[error("no record has a readable `approximateArrivalTimestamp`; expected milliseconds since 1970 or an ISO text")]
    NoArrival,
    /// Its records have so many or so long ids that the response would be too large.
    #[error(
        "the response to {records} records would have {bytes} bytes; at most {} are allowed",
        limits::INVOCATION_BYTES
    )]
    ResponseTooLarge {
        /// How many records.
        records: usize,
        /// The size that the response would have.
        bytes: usize,
    },
}

/// A stretch of the event.
type Place = Range<u32>;

impl Invocation {
    /// Reads an event and decodes its records in place.
    ///
    /// # Errors
    ///
    /// When it is no event, or cannot be answered record by record; never for what a record holds.
    pub fn read(mut event: Vec<u8>) -> Result<Self, InvocationError> {
        if event.len() > EVENT_BYTES {
            return Err(InvocationError::TooLarge { bytes: event.len() });
        }
        let Reading { mut records, ids, data, kinesis } = event::read(&event)?;
        event::check_ids(&event, &ids)?;
        let response = response::dropped(&event, &ids)?;
        let mut unreadable = Vec::new();
        let decoded: Vec<Place> = data
            .into_iter()
            .enumerate()
            .map(|(at, place)| {
                let decoded = event::decode(&mut event, place);
                decoded.unwrap_or_else(|(place, detail)| {
                    unreadable.push(Unreadable { at, detail });
                    place
                })
            })
            .collect();
        let event = bytes::Bytes::from(event);
        for (record, place) in records.iter_mut().zip(decoded) {
            record.data = event.slice(place.start as usize..place.end as usize);
            if kinesis && crate::aggregate::looks_like_one(&record.data) {
                record.identity = identity_in_batch(record);
            }
        }
        Ok(Self { batch: DeliveryBatch { records }, unreadable, response })
    }

    /// The records, in the order of the event, without their partition keys but for those that are traces. One that has no bytes holds what was sent instead:
    /// [`Transform::run_invocation`](crate::Transform::run_invocation) knows, [`Transform::run`](crate::Transform::run) does
    /// not.
    pub fn batch(&self) -> &DeliveryBatch {
        &self.batch
    }

    pub(crate) fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// The response that says of every record that it is stored (TR-1). To be sent when all of the batch's output is.
    pub fn stored(self) -> Vec<u8> {
        self.response
    }
}

/// What Firehose hands over of one of the source stream's records: the user records of an aggregate, numbered from 0; any other
/// record as it is.
///
/// One level is taken apart, as consumers of the format do, and nothing of an aggregate with more user records than the transform
/// takes. A user record keeps the aggregate's partition key.
pub fn user_records(record: StreamRecord) -> Vec<StreamRecord> {
    let Ok(Some(user_records)) = crate::aggregate::take_apart(&record.data) else { return vec![record] };
    let user_record = |(index, data)| StreamRecord {
        identity: record.identity.user_record(index as u64),
        arrival: record.arrival,
        partition_key: record.partition_key.clone(),
        data,
    };
    user_records.into_iter().enumerate().map(user_record).collect()
}

/// The identity by which a batch knows a record that Firehose handed over from a stream: its own, but for one that begins as an
/// aggregate does, whose user records must not take those of the records beside it.
pub fn identity_in_batch(record: &StreamRecord) -> RecordIdentity {
    let mut identity = record.identity.clone();
    if crate::aggregate::looks_like_one(&record.data) {
        identity.subsequence = identity.subsequence.saturating_add(1) << 32;
    }
    identity
}

#[cfg(test)]
mod tests;
