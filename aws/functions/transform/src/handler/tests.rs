#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts};
use alluvium_core::ports::{Advice, Delivery, Put};
use alluvium_core::{Datasets, ManualClock};
use alluvium_transform::TransformSettings;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::*;

mod observed;

const ARRIVAL_MS: i64 = 1_769_860_800_000;

/// All stores in one: what was put, in order; the first calls fail, as many as it is told.
#[derive(Default)]
struct Stores {
    put: Mutex<Vec<String>>,
    /// The last object.
    object: Mutex<Bytes>,
    failing: AtomicUsize,
    advice: Option<Advice>,
}

impl Stores {
    fn note(&self, what: &str) -> Result<(), PortError> {
        if self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(PortError::new(self.advice.unwrap_or(Advice::Retry), "away"));
        }
        self.put.lock().unwrap().push(what.to_owned());
        Ok(())
    }

    fn put(&self) -> Vec<String> {
        self.put.lock().unwrap().clone()
    }
}

#[async_trait]
impl DataFiles for Stores {
    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<Put, PortError> {
        self.note(path)?;
        *self.object.lock().unwrap() = bytes;
        Ok(Put::Written)
    }

    async fn get(&self, _: &str) -> Result<Bytes, PortError> {
        unreachable!("the transform reads nothing, and has no right to")
    }

    async fn delete(&self, _: &str) -> Result<(), PortError> {
        unreachable!("the transform removes nothing, and has no right to")
    }
}

#[async_trait]
impl HotIndex for Stores {
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        chunks.iter().try_for_each(|chunk| self.note(&format!("chunk of {}", chunk.dataset)))
    }

    async fn flush(&self) -> Result<(), PortError> {
        unreachable!("a put is durable")
    }

    async fn newest(&self, _: HotQuery) -> Result<Newest, PortError> {
        unreachable!("the transform reads nothing, and has no right to")
    }

    async fn puts(&self, _: PutQuery) -> Result<Puts, PortError> {
        unreachable!("the transform reads nothing, and has no right to")
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        unreachable!("the transform reads nothing, and has no right to")
    }

    async fn complete_since(&self, _: &str) -> Result<Option<Micros>, PortError> {
        unreachable!("the transform reads nothing, and has no right to")
    }

    async fn set_complete_since(&self, _: &str, _: Micros) -> Result<(), PortError> {
        unreachable!("nothing was lost")
    }

    async fn expire(&self, _: Micros) -> Result<usize, PortError> {
        unreachable!("TTL does")
    }
}

#[async_trait]
impl CommitQueue for Stores {
    async fn enqueue(&self, path: &str) -> Result<(), PortError> {
        self.note(&format!("queue: {path}"))
    }

    async fn receive(&self, _: usize, _: Duration) -> Result<Vec<Delivery>, PortError> {
        unreachable!("the committer does")
    }

    async fn acknowledge(&self, _: &str) -> Result<(), PortError> {
        unreachable!("the committer does")
    }
}

fn handler(stores: &Arc<Stores>) -> Handler {
    let datasets = Arc::new(Datasets::load(None, Some("telemetry")).unwrap());
    Handler {
        transform: Transform::new(datasets, TransformSettings::default()).unwrap(),
        files: stores.clone(),
        hot: stores.clone(),
        queue: stores.clone(),
        retries: Retries::new(1),
        clock: Arc::new(ManualClock::at(ARRIVAL_MS * 1000 + 2_500_000)),
    }
}

fn event(records: &[&str]) -> Vec<u8> {
    keyed_event("a", records)
}

/// An event whose records have this partition key.
fn keyed_event(key: &str, records: &[&str]) -> Vec<u8> {
    let records = records.iter().enumerate().map(|(number, data)| {
        serde_json::json!({
            "recordId": format!("4960000000000000000000000000000000000000000000000000000{number}"),
            "approximateArrivalTimestamp": ARRIVAL_MS,
            "data": STANDARD.encode(data),
            "kinesisRecordMetadata": {
                "shardId": "shardId-000000000000", "partitionKey": key, "approximateArrivalTimestamp": ARRIVAL_MS,
                "sequenceNumber": format!("4960000000000000000000000000000000000000000000000000000{number}"),
                "subsequenceNumber": 0,
            },
        })
    });
    let event = serde_json::json!({
        "invocationId": "1", "deliveryStreamArn": "arn", "sourceKinesisStreamArn": "arn", "region": "eu-west-1",
        "records": records.collect::<Vec<_>>(),
    });
    serde_json::to_vec(&event).unwrap()
}

fn soon() -> Instant {
    Instant::now() + SPARE + Duration::from_secs(60)
}

#[tokio::test]
async fn every_record_is_dropped_once_all_is_stored_and_enqueued() {
    let stores = Arc::new(Stores::default());
    let answer = handler(&stores)
        .handle(event(&[r#"{"source":"a","value":1}"#, "not json"]), soon(), &mut Metrics::new("test"))
        .await
        .unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let results: Vec<_> = answer["records"].as_array().unwrap().iter().map(|record| &record["result"]).collect();
    assert_eq!(results, ["Dropped", "Dropped"], "a bad event is a dead letter, not a failed record");
    let put = stores.put();
    let first_words: Vec<_> = put.iter().map(|put| put.split(['/', ':']).next().unwrap()).collect();
    assert_eq!(first_words, ["dead_letters", "telemetry", "chunk of telemetry", "_commits", "queue"]);
    assert_eq!(put[4], format!("queue: {}", put[3]), "the queue carries the message's path");
}

#[tokio::test]
async fn a_repeated_invocation_leaves_the_same_objects() {
    let (first, second) = (Arc::new(Stores::default()), Arc::new(Stores::default()));
    let records = [r#"{"source":"a","value":1}"#, r#"{"value":"no source"}"#];
    handler(&first).handle(event(&records), soon(), &mut Metrics::new("test")).await.unwrap();
    handler(&second).handle(event(&records), soon(), &mut Metrics::new("test")).await.unwrap();
    assert_eq!(first.put(), second.put());
}

#[tokio::test]
async fn storage_that_comes_back_is_waited_for() {
    let stores = Arc::new(Stores { failing: AtomicUsize::new(2), ..Stores::default() });
    handler(&stores).handle(event(&[r#"{"source":"a","value":1}"#]), soon(), &mut Metrics::new("test")).await.unwrap();
    assert_eq!(stores.put().len(), 4);
}

#[tokio::test]
async fn what_cannot_be_stored_fails_the_invocation() {
    let stores = Arc::new(Stores { failing: AtomicUsize::new(1), advice: Some(Advice::Stop), ..Stores::default() });
    let error = handler(&stores)
        .handle(event(&[r#"{"source":"a","value":1}"#]), soon(), &mut Metrics::new("test"))
        .await
        .unwrap_err();
    assert_eq!(Diagnostic::from(error).error_type, "Alluvium.Storage");
    assert_eq!(stores.put(), [""; 0], "no message names what is not there");
    // No time left: given up at once, in time for an answer.
    let stores = Arc::new(Stores { failing: AtomicUsize::new(usize::MAX), ..Stores::default() });
    let error = handler(&stores)
        .handle(event(&[r#"{"source":"a","value":1}"#]), Instant::now() + SPARE, &mut Metrics::new("test"))
        .await;
    assert!(matches!(error, Err(HandlerError::Storage(_))), "{error:?}");
}

#[tokio::test]
async fn an_event_that_cannot_be_answered_fails_the_invocation() {
    let stores = Arc::new(Stores::default());
    let error =
        handler(&stores).handle(b"{\"records\":[{}]}".to_vec(), soon(), &mut Metrics::new("test")).await.unwrap_err();
    assert!(error.to_string().contains("no `recordId`"), "{error}");
    assert_eq!(Diagnostic::from(error).error_type, "Alluvium.Invocation");
}
