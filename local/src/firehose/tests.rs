#![allow(clippy::unwrap_used)]

mod contract;
mod cutting;
mod end_to_end;

use std::sync::Mutex;
use std::time::Duration;

use alluvium_core::ports::{Advice, PutVerdict, ReadPage, ShardState};
use alluvium_core::{ManualClock, PutBatch, RecordIdentity, SequenceNumber, StreamRecord};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use md5::{Digest as _, Md5};
use object_store::ObjectStore as _;
use object_store::memory::InMemory;
use serde_json::{Value, json};

use super::*;
use crate::store::StoreFiles;

/// 2026-11-27T10:00:00.000007Z.
pub(super) const NOW: i64 = 1_795_773_600_000_007;

/// A stream that holds what it was given.
#[derive(Default)]
pub(super) struct MemoryStream(pub(super) Mutex<Vec<StreamRecord>>);

impl MemoryStream {
    pub(super) fn of(records: impl IntoIterator<Item = StreamRecord>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(records.into_iter().collect())))
    }

    fn of_shard(&self, shard: &ShardId) -> Vec<StreamRecord> {
        self.0.lock().unwrap().iter().filter(|record| record.identity.shard == *shard).cloned().collect()
    }
}

#[async_trait]
impl Stream for MemoryStream {
    async fn append(&self, _: PutBatch) -> Result<Vec<PutVerdict>, PortError> {
        Err(PortError::new(Advice::Stop, "this stream holds what it was made with"))
    }

    async fn read(
        &self,
        shard: &ShardId,
        after: Option<SequenceNumber>,
        max_bytes: usize,
        _: Duration,
    ) -> Result<ReadPage, PortError> {
        let mut left = self.of_shard(shard);
        left.retain(|record| after.is_none_or(|after| record.identity.sequence > after));
        let mut bytes = 0;
        let fits = |record: &&StreamRecord| {
            bytes += record.data.len();
            bytes <= max_bytes
        };
        let count = left.iter().take_while(fits).count().max(1).min(left.len());
        let more = count < left.len();
        left.truncate(count);
        Ok(ReadPage { records: left, more })
    }

    async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
        let mut names: Vec<_> = self.0.lock().unwrap().iter().map(|record| record.identity.shard.clone()).collect();
        names.push(ShardId::numbered(0));
        names.sort();
        names.dedup();
        let state = |shard: ShardId| {
            let held = self.of_shard(&shard);
            let at = |record: Option<&StreamRecord>| record.map(|record| record.identity.sequence);
            ShardState { oldest: at(held.first()), newest: at(held.last()), shard }
        };
        Ok(names.into_iter().map(state).collect())
    }
}

/// The `n`th record of a shard, with a sequence number as Kinesis gives it; one arrives every 10 ms.
pub(super) fn record_of(shard: u32, n: u64, data: impl Into<Bytes>) -> StreamRecord {
    let sequence = format!("4954698668313554428650745793632162567570019{n:013}").parse().unwrap();
    StreamRecord {
        identity: RecordIdentity { shard: ShardId::numbered(shard), sequence, subsequence: 0 },
        arrival: NOW + 10_000 * n as i64,
        partition_key: format!("key \"{n}\""),
        data: data.into(),
    }
}

pub(super) fn record(n: u64, data: impl Into<Bytes>) -> StreamRecord {
    record_of(0, n, data)
}

/// An aggregate as the producer library writes it.
pub(super) fn aggregate<D: AsRef<[u8]>>(user_records: &[D]) -> Bytes {
    fn field(tag: u8, content: &[u8], to: &mut Vec<u8>) {
        to.push(tag << 3 | 2);
        let mut length = content.len();
        while length > 0x7F {
            to.push(length as u8 | 0x80);
            length >>= 7;
        }
        to.push(length as u8);
        to.extend_from_slice(content);
    }
    let mut message = Vec::new();
    field(1, b"a", &mut message);
    for data in user_records {
        let mut user_record = vec![0x08, 0];
        field(3, data.as_ref(), &mut user_record);
        field(3, &user_record, &mut message);
    }
    let digest = Md5::digest(&message);
    [&[0xF3, 0x89, 0x9A, 0xC2], &message[..], &digest[..]].concat().into()
}

/// A function that answers as it is told, and remembers what it was asked.
pub(super) struct Scripted<F> {
    answer: F,
    pub(super) events: Mutex<Vec<Value>>,
    pub(super) largest: Mutex<usize>,
}

impl<F: Fn(usize, &Value) -> Result<Value, PortError> + Send + Sync> Scripted<F> {
    /// `answer` is given the number of the invocation, from 0, and its event.
    pub(super) fn new(answer: F) -> Arc<Self> {
        Arc::new(Self { answer, events: Mutex::default(), largest: Mutex::default() })
    }

    pub(super) fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap().clone()
    }
}

#[async_trait]
impl<F: Fn(usize, &Value) -> Result<Value, PortError> + Send + Sync> Function for Scripted<F> {
    async fn invoke(&self, payload: Bytes) -> Result<Bytes, PortError> {
        let event: Value = serde_json::from_slice(&payload).unwrap();
        let number = {
            let mut largest = self.largest.lock().unwrap();
            *largest = payload.len().max(*largest);
            let mut events = self.events.lock().unwrap();
            events.push(event.clone());
            events.len() - 1
        };
        let answer = (self.answer)(number, &event)?;
        Ok(serde_json::to_vec(&answer).unwrap().into())
    }
}

/// The response that gives every record this result.
pub(super) fn all(event: &Value, result: &str) -> Value {
    let of_record = |record: &Value| json!({"recordId": record["recordId"], "result": result});
    json!({"records": event["records"].as_array().unwrap().iter().map(of_record).collect::<Vec<_>>()})
}

pub(super) fn dropping(_: usize, event: &Value) -> Result<Value, PortError> {
    Ok(all(event, "Dropped"))
}

pub(super) fn settings() -> FirehoseSettings {
    let names = Names {
        delivery_stream_arn: "arn:aws:firehose:eu-west-1:000000000000:deliverystream/alluvium".to_owned(),
        stream_arn: "arn:aws:kinesis:eu-west-1:000000000000:stream/alluvium".to_owned(),
        region: "eu-west-1".to_owned(),
        function_arn: "arn:aws:lambda:eu-west-1:000000000000:function:transform".to_owned(),
    };
    FirehoseSettings {
        buffer_bytes: 200_000,
        retry_pause: Duration::from_millis(1),
        poll: Duration::from_millis(1),
        until_idle: Some(Duration::from_millis(5)),
        ..FirehoseSettings::new(names, 1)
    }
}

/// A loop on doubles, and its landing store.
pub(super) struct Bench {
    pub(super) landing: Arc<InMemory>,
    pub(super) settings: FirehoseSettings,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { landing: Arc::new(InMemory::new()), settings: settings() }
    }

    pub(super) fn files(&self) -> Arc<dyn DataFiles> {
        Arc::new(StoreFiles::new(self.landing.clone()))
    }

    pub(super) fn firehose(&self, stream: Arc<dyn Stream>, function: Arc<dyn Function>) -> Firehose {
        Firehose {
            stream,
            function,
            landing: self.files(),
            positions: Positions::forgotten(),
            settings: self.settings.clone(),
            clock: Arc::new(ManualClock::at(NOW)),
            progress: Arc::default(),
        }
    }

    pub(super) async fn run(&self, stream: Arc<dyn Stream>, function: Arc<dyn Function>) -> FirehoseReport {
        self.firehose(stream, function).run(CancellationToken::new()).await.unwrap()
    }

    pub(super) async fn paths(&self) -> Vec<String> {
        let listed: Vec<_> = self.landing.list(None).try_collect().await.unwrap();
        let mut paths: Vec<_> = listed.into_iter().map(|object| object.location.to_string()).collect();
        paths.sort();
        paths
    }

    /// The lines of the one object there is under the error prefix.
    pub(super) async fn error_lines(&self) -> Vec<Value> {
        let paths = self.paths().await;
        let [path] = &paths[..] else { panic!("one object, not {paths:?}") };
        assert!(path.starts_with("processing-failed/2026/11/27/10/alluvium-1-2026-11-27-10-00-00-"), "{path}");
        let object = self.files().get(path).await.unwrap();
        object.trim_ascii().split(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

#[test]
fn settings_out_of_what_firehose_takes_are_refused() {
    let good = settings;
    assert_eq!(good().check(), Ok(()));
    assert_eq!(FirehoseSettings::new(good().names, 1).check(), Ok(()));
    for (wrong, says) in [
        (FirehoseSettings { buffer_bytes: 100_000, ..good() }, "200000 to 3145728"),
        (FirehoseSettings { buffer: Duration::from_secs(901), ..good() }, "900s"),
        (FirehoseSettings { outstanding: 6, ..good() }, "1 to 5"),
        (FirehoseSettings { event_bytes: 7 << 20, ..good() }, "6291456"),
        (FirehoseSettings { invocation_time: Duration::ZERO, ..good() }, "more than 0 s"),
    ] {
        let said = wrong.check().unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn positions_are_kept_and_of_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("positions.json");
    let open = |stream: &str| Positions::open(Arc::new(crate::disk::RealDisk), &path, stream);
    let (shard, seven) = (ShardId::numbered(0), SequenceNumber::from(7));
    let positions = open("arn:one").unwrap();
    assert_eq!(positions.of(&shard).await, None);
    positions.advance(&shard, SequenceNumber::from(5)).await.unwrap();
    positions.advance(&shard, seven).await.unwrap();
    assert_eq!(open("arn:one").unwrap().of(&shard).await, Some(seven));
    assert_eq!(open("arn:one").unwrap().of(&ShardId::numbered(1)).await, None);
    let said = open("arn:two").unwrap_err().to_string();
    assert!(said.contains("arn:one") && said.contains("arn:two"), "{said}");
    std::fs::write(&path, "{").unwrap();
    assert!(open("arn:one").is_err(), "a damaged file is not taken for none");
}
