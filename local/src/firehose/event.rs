//! The event of an invocation, made record by record so that its size is known before the function is asked.
//!
//! Source: Amazon Data Firehose Developer Guide, "Transform source data in Amazon Data Firehose"; AWS Lambda Developer Guide,
//! "Lambda quotas".

use alluvium_core::clock::Micros;
use alluvium_core::{SequenceNumber, StreamRecord};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use super::settings::Names;

/// The length of every invocation's id: a UUID as text.
const INVOCATION_ID_BYTES: usize = 36;
const END: &[u8] = b"]}";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordJson<'a> {
    record_id: &'a str,
    approximate_arrival_timestamp: i64,
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kinesis_record_metadata: Option<MetadataJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetadataJson<'a> {
    shard_id: &'a str,
    partition_key: &'a str,
    approximate_arrival_timestamp: i64,
    sequence_number: SequenceNumber,
    subsequence_number: u64,
}

/// Milliseconds, as the service tells times.
pub(super) fn millis(time: Micros) -> i64 {
    time.div_euclid(1000)
}

impl Mark {
    /// Whether it had no records.
    pub(super) fn is_start(self) -> bool {
        self.records == 0
    }
}

/// The records of one invocation and their JSON.
#[derive(Debug)]
pub(super) struct Event {
    head: [Vec<u8>; 2],
    body: Vec<u8>,
    most_bytes: usize,
    /// The records, as they are handed over.
    pub(super) records: Vec<StreamRecord>,
    /// Their ids.
    pub(super) ids: Vec<String>,
}

/// How far an event was, to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    bytes: usize,
    records: usize,
}

impl Event {
    /// An event without records that may become this large.
    pub(super) fn new(names: &Names, most_bytes: usize) -> Self {
        let text = |text: &str| serde_json::to_string(text).expect("a text is JSON");
        let before_id = br#"{"invocationId":""#.to_vec();
        let after_id = format!(
            r#"","deliveryStreamArn":{},"sourceKinesisStreamArn":{},"region":{},"records":["#,
            text(&names.delivery_stream_arn),
            text(&names.stream_arn),
            text(&names.region)
        );
        let head = [before_id, after_id.into_bytes()];
        Self { head, body: Vec::new(), most_bytes, records: Vec::new(), ids: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn bytes(&self) -> usize {
        self.head.iter().map(Vec::len).sum::<usize>() + INVOCATION_ID_BYTES + self.body.len() + END.len()
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { bytes: self.body.len(), records: self.records.len() }
    }

    pub(super) fn go_back_to(&mut self, mark: Mark) {
        self.body.truncate(mark.bytes);
        self.records.truncate(mark.records);
        self.ids.truncate(mark.records);
    }

    /// Adds a record; `false`: the event would be too large with it, and is as it was.
    ///
    /// The record is said to come from its shard, unless it is known by its sender's id alone.
    #[must_use]
    pub(super) fn push(&mut self, id: String, record: &StreamRecord) -> bool {
        let mark = self.mark();
        if !self.is_empty() {
            self.body.push(b',');
        }
        let arrival = millis(record.arrival);
        let metadata = MetadataJson {
            shard_id: record.identity.shard.as_str(),
            partition_key: &record.partition_key,
            approximate_arrival_timestamp: arrival,
            sequence_number: record.identity.sequence,
            subsequence_number: record.identity.subsequence,
        };
        let json = RecordJson {
            record_id: &id,
            approximate_arrival_timestamp: arrival,
            data: STANDARD.encode(&record.data),
            kinesis_record_metadata: (!record.identity.shard.is_direct_put()).then_some(metadata),
        };
        serde_json::to_writer(&mut self.body, &json).expect("texts and numbers are JSON, and memory takes them");
        if self.bytes() > self.most_bytes {
            self.go_back_to(mark);
            return false;
        }
        self.records.push(record.clone());
        self.ids.push(id);
        true
    }

    /// Its bytes, under the id of an invocation.
    pub(super) fn payload(&self, invocation: uuid::Uuid) -> Bytes {
        let mut payload = Vec::with_capacity(self.bytes());
        payload.extend_from_slice(&self.head[0]);
        payload.extend_from_slice(invocation.hyphenated().to_string().as_bytes());
        payload.extend_from_slice(&self.head[1]);
        payload.extend_from_slice(&self.body);
        payload.extend_from_slice(END);
        debug_assert_eq!(payload.len(), self.bytes(), "the size was known before");
        payload.into()
    }
}
