#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex as Sync;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_core::identity::content_hash;
use alluvium_core::ports::Advice;
use alluvium_core::{
    BatchIdentity, CommitMessage, DataFileEntry, LedgerEntry, ManualClock, RecordIdentity, ShardId, ShardRange,
    TraceParent,
};
use alluvium_lake::LakeReader;
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::json;

use super::*;

mod observed;

const ARRIVAL: Micros = 1_769_860_800_000_000;

/// Marks; refuses to set any while it is told to.
#[derive(Default)]
struct TestMarks {
    set: Sync<BTreeSet<String>>,
    away: AtomicBool,
}

impl TestMarks {
    fn of(&self, dataset: &str) -> bool {
        self.set.lock().unwrap().contains(dataset)
    }
}

#[async_trait]
impl Marks for TestMarks {
    async fn complete_from_the_beginning(&self, dataset: &str) -> Result<(), PortError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(PortError::new(Advice::Retry, "the index is away"));
        }
        self.set.lock().unwrap().insert(dataset.to_owned());
        Ok(())
    }
}

/// Keeps what was announced; refuses while it is told to, or never answers.
#[derive(Default)]
struct Told {
    told: Sync<Vec<CommitAnnouncement>>,
    away: AtomicBool,
}

#[async_trait]
impl Announcer for Told {
    async fn announce(&self, announcement: &CommitAnnouncement) -> Result<(), PortError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(PortError::new(Advice::Retry, "the topic is away"));
        }
        self.told.lock().unwrap().push(announcement.clone());
        Ok(())
    }
}

impl Told {
    /// Dataset, version of its table and rows, of what was told since the last call.
    fn take(&self) -> Vec<(String, Option<u64>, u64)> {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        told.into_iter().map(|told| (told.dataset, told.table_version, told.rows)).collect()
    }
}

struct World {
    store: Arc<dyn ObjectStore>,
    hot: Arc<TestMarks>,
    /// Those of the requests whose records the messages are of.
    traces: Vec<TraceParent>,
    told: Arc<Told>,
}

impl World {
    fn new() -> Self {
        Self { store: Arc::new(InMemory::new()), hot: Arc::default(), traces: Vec::new(), told: Arc::default() }
    }

    fn handler(&self) -> Handler {
        Handler {
            store: self.store.clone(),
            root: root(),
            datasets: Arc::new(Datasets::load(None, None).unwrap()),
            hot: self.hot.clone(),
            announcer: Some(self.told.clone()),
            clock: Arc::new(ManualClock::at(ARRIVAL + 90_500_000)),
            settings: LakeSettings::default(),
            lake: Mutex::default(),
        }
    }

    /// Stores the message of a batch that is told from others by its number, and returns its path.
    async fn message(&self, number: u64) -> String {
        let shard = ShardId::numbered(0);
        let record = RecordIdentity { shard: shard.clone(), sequence: number.into(), subsequence: 0 };
        let batch = BatchIdentity::of([&record]);
        let covers = vec![ShardRange { shard, first: record.sequence, last: record.sequence }];
        let entry = LedgerEntry {
            batch: batch.clone(),
            dataset: "telemetry".to_owned(),
            received: 2,
            written: 2,
            filtered: 0,
            dead: 0,
            bytes: 100,
            dead_by_reason: BTreeMap::new(),
            redriven: Some(0),
            arrival: ARRIVAL,
            covers: covers.clone(),
        };
        let file = DataFileEntry {
            dataset: "telemetry".to_owned(),
            path: format!("telemetry/{batch}-{}.parquet", content_hash(b"two rows")),
            size_bytes: 8,
            rows: 2,
            stats: r#"{"numRecords":2}"#.to_owned(),
            schema: "0".to_owned(),
        };
        let message = CommitMessage::new(batch, covers, vec![file], vec![entry]).with_traces(self.traces.clone());
        self.put(&message.path(), message.encode().to_vec()).await;
        message.path()
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) {
        self.store.put(&Path::from(path), bytes.into()).await.unwrap();
    }

    async fn rows(&self) -> u64 {
        LakeReader::new(self.store.clone(), root()).snapshot("telemetry").await.unwrap().rows()
    }
}

fn root() -> Url {
    Url::parse("s3://bucket/lake").unwrap()
}

/// An event as Lambda hands it over: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS".
fn event(paths: &[&str]) -> SqsEvent {
    delivered(1, paths)
}

/// The same, delivered for the so manieth time.
fn delivered(time: u32, paths: &[&str]) -> SqsEvent {
    let records = paths.iter().enumerate().map(|(number, path)| {
        json!({
            "messageId": format!("message-{number}"), "receiptHandle": format!("receipt-{number}"), "body": path,
            "attributes": {"ApproximateReceiveCount": time.to_string(), "SentTimestamp": "1769860800000", "SenderId": "A",
                           "ApproximateFirstReceiveTimestamp": "1769860800001"},
            "messageAttributes": {}, "md5OfBody": "0", "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:alluvium-test-commits", "awsRegion": "eu-west-1",
        })
    });
    serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).unwrap()
}

fn answer(handled: &Handled) -> Vec<&str> {
    handled.response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect()
}

#[tokio::test]
async fn a_message_is_dealt_with_however_often_it_comes() {
    let world = World::new();
    let handler = world.handler();
    let (one, two) = (world.message(1).await, world.message(2).await);
    assert_eq!(answer(&handler.handle(event(&[&one, &two, &one]), &mut Metrics::new("test")).await), [""; 0]);
    assert_eq!(answer(&handler.handle(event(&[&two]), &mut Metrics::new("test")).await), [""; 0]);
    assert_eq!(
        answer(&world.handler().handle(event(&[&one, &two]), &mut Metrics::new("test")).await),
        [""; 0],
        "a new instance knows as much"
    );
    assert_eq!(world.rows().await, 4);
}

#[tokio::test]
async fn a_poison_message_holds_up_no_other() {
    let world = World::new();
    let good = world.message(1).await;
    world.put("_commits/torn.json", b"{\"version\":1,".to_vec()).await;
    let paths = ["_commits/none.json", &good, "_commits/torn.json", "", "../../etc/passwd"];
    let handled = world.handler().handle(event(&paths), &mut Metrics::new("test")).await;
    assert_eq!(answer(&handled), ["message-0", "message-2", "message-3", "message-4"]);
    assert_eq!(handled.refused, ["receipt-0", "receipt-2", "receipt-3", "receipt-4"]);
    assert_eq!(world.rows().await, 2);
    assert_eq!(
        serde_json::to_value(&handled.response).unwrap()["batchItemFailures"][0],
        json!({"itemIdentifier": "message-0"})
    );
}

#[tokio::test]
async fn the_hot_index_is_complete_for_datasets_that_are_new_and_for_no_other() {
    let world = World::new();
    let one = world.message(1).await;
    world.handler().handle(event(&[&one]), &mut Metrics::new("test")).await;
    assert!(world.hot.of("telemetry") && world.hot.of("data"));
    assert!(!world.hot.of("dead_letters"), "it has no dead letter, and reads would not look further");
    // A table of chunks that was lost: the lake has rows that the new one never had.
    world.hot.set.lock().unwrap().clear();
    world.handler().handle(event(&[&one]), &mut Metrics::new("test")).await;
    assert!(!world.hot.of("telemetry") && world.hot.of("data"));
}

#[tokio::test]
async fn nothing_is_committed_before_the_hot_index_knows_of_a_new_dataset() {
    let world = World::new();
    let handler = world.handler();
    let one = world.message(1).await;
    world.hot.away.store(true, Ordering::SeqCst);
    let handled = handler.handle(event(&[&one]), &mut Metrics::new("test")).await;
    assert_eq!(answer(&handled), ["message-0"]);
    assert_eq!(handled.refused, [""; 0], "it comes again in the queue's own time");
    assert_eq!(world.rows().await, 0);
    world.hot.away.store(false, Ordering::SeqCst);
    assert_eq!(answer(&handler.handle(event(&[&one]), &mut Metrics::new("test")).await), [""; 0]);
    assert_eq!((world.rows().await, world.hot.of("telemetry")), (2, true));
}

#[tokio::test]
async fn what_was_committed_is_told_once_for_each_commit() {
    let world = World::new();
    let handler = world.handler();
    let (one, two, three) = (world.message(1).await, world.message(2).await, world.message(3).await);
    let handled = handler.handle(event(&[&one, &two, "_commits/none.json", &one]), &mut Metrics::new("test")).await;
    assert_eq!((handled.untold, handled.response.batch_item_failures.len()), (0, 1));
    assert_eq!(world.told.take(), [("telemetry".to_owned(), Some(1), 4)]);
    // The queue delivers a message once more without any fault: then it was told before.
    handler.handle(event(&[&one]), &mut Metrics::new("test")).await;
    assert_eq!(world.told.take(), []);
    handler.handle(event(&[&one, &three]), &mut Metrics::new("test")).await;
    assert_eq!(world.told.take(), [("telemetry".to_owned(), Some(2), 2)]);
}

#[tokio::test]
async fn what_an_earlier_delivery_may_not_have_told_is_told_again() {
    let world = World::new();
    let one = world.message(1).await;
    // An invocation that ended between the commit and the telling.
    let cut_off = Handler { announcer: None, ..world.handler() };
    cut_off.handle(event(&[&one]), &mut Metrics::new("test")).await;
    world.handler().handle(delivered(2, &[&one]), &mut Metrics::new("test")).await;
    assert_eq!(world.told.take(), [("telemetry".to_owned(), None, 2)]);
    assert_eq!(world.rows().await, 2);
}

#[tokio::test]
async fn a_topic_that_is_away_fails_no_commit() {
    let world = World::new();
    world.told.away.store(true, Ordering::SeqCst);
    let one = world.message(1).await;
    let handled = world.handler().handle(event(&[&one]), &mut Metrics::new("test")).await;
    assert_eq!((answer(&handled), handled.untold), (vec![], 1));
    assert_eq!(world.rows().await, 2);
}
