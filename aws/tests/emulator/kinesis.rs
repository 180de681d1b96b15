//! The stream.
//!
//! Where the emulators are not Kinesis: neither refuses for lack of room or takes time to show what it has stored; ministack
//! knows no closed shard, and writes sequence numbers with zeros before them and compares them as text; moto numbers each
//! shard's records from 1, and gives the highest hash key of a shard to none, with HTTP 500.

use std::time::Duration;

use alluvium_aws::{KinesisStream, Retries};
use alluvium_core::contract::stream as contract;
use alluvium_core::ports::{Advice, PutVerdict, Stream};
use alluvium_core::record::PutBatch;
use alluvium_core::{SequenceNumber, ShardId};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::StreamStatus;

use crate::endpoint;

/// A stream of one's own.
pub(crate) struct TestStream {
    client: Client,
    pub(crate) name: String,
    stream: KinesisStream,
}

impl TestStream {
    pub(crate) async fn create(shards: i32) -> Self {
        let client = Client::new(&endpoint::config().await);
        let name = endpoint::unique("stream");
        client.create_stream().stream_name(&name).shard_count(shards).send().await.unwrap();
        for _ in 0..100 {
            let summary = client.describe_stream_summary().stream_name(&name).send().await.unwrap();
            let summary = summary.stream_description_summary().unwrap();
            if summary.stream_status() == &StreamStatus::Active {
                let stream = KinesisStream::new(client.clone(), &name, Retries::new(1));
                return Self { client, name, stream };
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the stream {name} did not become active in 10 s");
    }

    pub(crate) async fn remove(self) {
        self.client.delete_stream().stream_name(&self.name).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_of_one_shard_keeps_the_contract() {
    let test = TestStream::create(1).await;
    contract::all(&test.stream).await;
    test.remove().await;
}

#[tokio::test]
async fn a_stream_of_three_shards_keeps_the_contract() {
    let test = TestStream::create(3).await;
    assert_eq!(test.stream.shards().await.unwrap().len(), 3);
    contract::all(&test.stream).await;
    test.remove().await;
}

#[tokio::test]
async fn a_batch_of_more_than_one_call_is_stored_and_read_back_whole() {
    let test = TestStream::create(2).await;
    // 1,300 records are three calls; the large ones at the end are two more.
    let mut records: Vec<_> = (0..1300).map(|n| contract::record(&format!("key {n}"), format!("data {n}"))).collect();
    records.extend((0..7).map(|n| contract::record(&format!("large {n}"), vec![b'x'; 1_000_000])));
    let verdicts = test.stream.append(PutBatch { records: records.clone() }).await.unwrap();
    let stored = |verdict: PutVerdict| match verdict {
        PutVerdict::Stored { shard, sequence } => (shard, sequence),
        refused => panic!("{refused:?}"),
    };
    let stored: Vec<_> = verdicts.into_iter().map(stored).collect();
    for state in test.stream.shards().await.unwrap() {
        let read = contract::read_all(&test.stream, &state.shard, None, 300_000).await;
        let read: Vec<_> = read.into_iter().map(|record| (record.identity.sequence, record.data)).collect();
        let here = stored.iter().zip(&records).filter(|((shard, _), _)| *shard == state.shard);
        let expected: Vec<_> = here.map(|((_, sequence), record)| (*sequence, record.data.clone())).collect();
        assert!(!expected.is_empty() && read == expected, "{}", state.shard);
    }
    test.remove().await;
}

#[tokio::test]
async fn a_reader_that_starts_anew_goes_on_where_it_is_told() {
    let test = TestStream::create(1).await;
    let records = (0..5).map(|n| contract::record("k", format!("data {n}"))).collect();
    let verdicts = test.stream.append(PutBatch { records }).await.unwrap();
    let PutVerdict::Stored { shard, sequence } = &verdicts[1] else { panic!("{verdicts:?}") };
    let other = KinesisStream::new(test.client.clone(), &test.name, Retries::new(2));
    other.shards().await.unwrap();
    let page = other.read(shard, Some(*sequence), 1000, Duration::from_secs(5)).await.unwrap();
    let data: Vec<_> = page.records.iter().map(|record| record.data.as_ref()).collect();
    assert_eq!(data, [b"data 2", b"data 3", b"data 4"]);
    test.remove().await;
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_an_error_that_stops() {
    let client = Client::new(&endpoint::config().await);
    let stream = KinesisStream::new(client, endpoint::unique("missing"), Retries::new(1));
    let batch = PutBatch { records: vec![contract::record("k", "x")] };
    let errors = [
        stream.append(batch).await.unwrap_err(),
        stream.shards().await.unwrap_err(),
        stream.read(&ShardId::numbered(0), None, 1000, Duration::ZERO).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.advice, Advice::Stop, "{error}");
        assert!(error.message.contains("alluvium-missing") && error.message.contains("ResourceNotFound"), "{error}");
    }
}

#[tokio::test]
async fn a_position_before_the_oldest_record_is_refused() {
    let test = TestStream::create(1).await;
    let shard = ShardId::numbered(0);
    let batch = |data: &'static str| PutBatch { records: vec![contract::record("k", data)] };
    test.stream.append(batch("first")).await.unwrap();
    // No emulator can be told to forget a record. A number below that of the first stands for one that was forgotten.
    let forgotten = SequenceNumber::from(0);
    let error = test.stream.read(&shard, Some(forgotten), 1000, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.advice, Advice::Stop, "{error}");
    assert!(error.message.contains("no longer holds"), "{error}");
    test.remove().await;
}
