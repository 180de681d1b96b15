#![allow(clippy::unwrap_used)]

mod counted;
mod erasures;

use alluvium_core::{DeliveryBatch, ManualClock, RecordIdentity, ShardId, StreamRecord, SystemClock};
use alluvium_lake::{AuditReport, LakeSettings, SharedLake};
use alluvium_transform::{Transform, TransformSettings};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use serde_json::json;

use super::audit::LAST;
use super::*;
use crate::settings::{Commit, Maintain};

const MINUTE: Micros = 60_000_000;

/// A stage's lake: batches as the transform makes them, committed as the commit function does.
struct World {
    store: Arc<dyn ObjectStore>,
    transform: Transform,
    lake: SharedLake,
    clock: Arc<ManualClock>,
    sent: u64,
    disk: tempfile::TempDir,
}

fn root() -> Url {
    Url::parse("s3://bucket/lake").unwrap()
}

fn datasets() -> Arc<Datasets> {
    Arc::new(Datasets::load(None, Some("telemetry")).unwrap())
}

impl World {
    async fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let datasets = datasets();
        // Objects in memory go by the machine's time.
        let clock = Arc::new(ManualClock::at(SystemClock.now_micros()));
        let format = Arc::new(DataFiles::new(datasets.clone()));
        let opened =
            SharedLake::open(store.clone(), root(), &datasets, format, clock.clone(), LakeSettings::default()).await;
        let (lake, _) = opened.unwrap();
        let transform = Transform::new(datasets, TransformSettings::default()).unwrap();
        Self { store, transform, lake, clock, sent: 0, disk: tempfile::tempdir().unwrap() }
    }

    /// Commits so many batches, each of ten events of which one was sent before.
    async fn fill(&mut self, batches: u64) {
        for _ in 0..batches {
            let arrival = self.clock.now_micros();
            let first = self.sent.saturating_sub(1);
            let records = (first..first + 10).map(|id| StreamRecord {
                identity: RecordIdentity {
                    shard: ShardId::numbered(0),
                    sequence: (self.sent * 20 + id - first + 1).into(),
                    subsequence: 0,
                },
                arrival,
                partition_key: "k".to_owned(),
                data: json!({"id": id.to_string(), "source": "s", "type": "reading", "value": 1.5}).to_string().into(),
            });
            let output = self.transform.run(&DeliveryBatch { records: records.collect() }).unwrap();
            for file in output.files {
                self.store.put(&Path::from(file.path), file.bytes.into()).await.unwrap();
            }
            self.store.put(&Path::from(output.message.path()), output.message.encode().into()).await.unwrap();
            let committed = self.lake.commit(std::slice::from_ref(&output.message)).await;
            assert!(committed.failure.is_none() && committed.outcomes[0].is_done(), "{committed:?}");
            self.sent = first + 10;
        }
    }

    /// Has the ledger copy what maintenance did.
    async fn copy(&mut self) {
        assert!(self.lake.keep_up().await.failure.is_none());
    }

    fn handler(&self) -> Handler {
        self.handler_over(self.store.clone())
    }

    fn handler_over(&self, store: Arc<dyn ObjectStore>) -> Handler {
        Handler {
            store,
            root: root(),
            datasets: datasets(),
            beside: None,
            counted: None,
            clock: self.clock.clone(),
            spill: self.disk.path().to_owned(),
            settings: Settings {
                verbosity: "info".to_owned(),
                stage: "test".to_owned(),
                lake: "s3://bucket/lake".parse().unwrap(),
                commit: Commit::default(),
                maintain: Maintain { compact_files: 2, ..Maintain::default() },
                erasures: None,
                counts: None,
            },
        }
    }

    /// Invokes the function with fifteen minutes of time.
    async fn ask(&self, event: Value) -> Result<Value, HandlerError> {
        self.handler().handle(event, self.clock.now_micros() + 15 * MINUTE).await
    }

    async fn files(&self) -> (usize, u64) {
        let snapshot = LakeReader::new(self.store.clone(), root()).snapshot("telemetry").await.unwrap();
        (snapshot.files.len(), snapshot.rows())
    }

    async fn stored(&self, path: &str) -> Value {
        let bytes = self.store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

#[tokio::test]
async fn a_life_of_a_lake_compacted_audited_and_vacuumed() {
    let mut world = World::new().await;
    world.fill(5).await;
    assert_eq!(world.files().await, (5, 50));

    let answer = world.ask(json!({"task": "compact"})).await.unwrap();
    assert_eq!((answer["task"].as_str(), &answer["left"]), (Some("compact"), &json!([])));
    let tables: Vec<_> = answer["done"].as_array().unwrap().iter().map(|round| round["table"].as_str()).collect();
    assert_eq!(tables, [Some("telemetry"), Some("ledger")]);
    assert_eq!(world.files().await, (1, 46), "four were sent again");
    let again = world.ask(json!({"task": "compact"})).await.unwrap();
    assert_eq!(again["done"], json!([]), "there is nothing more to gain");

    world.fill(1).await;
    let answer = world.ask(json!({"task": "audit"})).await.unwrap();
    assert_eq!((&answer["balances"], &answer["problems"]), (&json!(true), &json!([])));
    assert_eq!(answer["report"], "s3://bucket/lake/_audit/last.json");
    let kept = world.stored(LAST).await;
    assert_eq!((&kept["balances"], &kept["batches"]), (&json!(true), &json!(6)));
    let report: AuditReport = serde_json::from_value(kept.clone()).unwrap();
    assert_eq!(report.total().received, 60);
    assert!(kept["at"].as_str().unwrap().ends_with('Z'), "{}", kept["at"]);

    let answer = world.ask(json!({"task": "vacuum"})).await.unwrap();
    assert!(answer["done"].as_array().unwrap().iter().all(|table| table["removed"]["files"] == 0), "{answer}");
    world.clock.advance(32 * 24 * 60 * MINUTE);
    let answer = world.ask(json!({"task": "vacuum", "dataset": "telemetry"})).await.unwrap();
    assert_eq!(answer["done"][0]["removed"]["files"], 5, "{answer}");
    assert_eq!(world.files().await, (2, 56));
    let answer = world.ask(json!({"task": "audit"})).await.unwrap();
    assert_eq!(answer["problems"], json!([]));
}

#[tokio::test]
async fn retention_takes_out_what_is_older_than_its_dataset_keeps() {
    let mut world = World::new().await;
    world.fill(2).await;
    let answer = world.ask(json!({"task": "retain"})).await.unwrap();
    assert_eq!(answer, json!({"task": "retain", "done": [], "left": []}), "telemetry is kept for ever");
    let mut handler = world.handler();
    handler.settings.maintain.dead_letter_retention = Some(Duration::from_secs(3_600));
    let answer = handler.handle(json!({"task": "retain"}), world.clock.now_micros() + MINUTE).await.unwrap();
    assert_eq!(answer["done"], json!([]), "there are no dead letters");
}

#[tokio::test]
async fn what_there_is_no_time_for_is_left_for_the_next() {
    let mut world = World::new().await;
    world.fill(3).await;
    let late =
        world.handler().handle(json!({"task": "compact", "within": "0ms"}), world.clock.now_micros() + MINUTE).await;
    let late = late.unwrap();
    assert_eq!(late["done"], json!([]));
    let left: Vec<_> = late["left"].as_array().unwrap().iter().map(|left| left["waiting"]["files"].as_u64()).collect();
    assert_eq!(left, [Some(3), Some(3)], "the ledger's and telemetry's");
    for task in ["retain", "vacuum"] {
        let late = world.handler().handle(json!({"task": task}), world.clock.now_micros()).await;
        assert_eq!(late.unwrap()["left"].as_array().unwrap().len(), 4, "data, dead_letters, ledger and telemetry");
    }
    assert_eq!(world.ask(json!({"task": "compact"})).await.unwrap()["left"], json!([]));
    assert_eq!(world.files().await, (1, 28));
}

#[tokio::test]
async fn work_that_takes_longer_than_the_function_may_run_is_stopped_and_harms_nothing() {
    let mut world = World::new().await;
    world.fill(4).await;
    // Each read of the store takes so long that a round cannot end.
    let slow = ThrottleConfig { wait_get_per_call: Duration::from_millis(30), ..ThrottleConfig::default() };
    let slow: Arc<dyn ObjectStore> = Arc::new(ThrottledStore::new(world.store.clone(), slow));
    for task in ["compact", "audit"] {
        let stopped =
            world.handler_over(slow.clone()).handle(json!({"task": task}), world.clock.now_micros() + 40_000).await;
        let Err(HandlerError::Stopped { .. }) = stopped else { panic!("{stopped:?}") };
    }
    assert_eq!(world.files().await, (4, 40));
    assert!(world.store.head(&Path::from(LAST)).await.is_err(), "half an audit is none");
    world.ask(json!({"task": "compact"})).await.unwrap();
    world.copy().await;
    assert_eq!(world.files().await, (1, 37));
    assert_eq!(world.ask(json!({"task": "audit"})).await.unwrap()["problems"], json!([]));
}

#[tokio::test]
async fn two_invocations_at_a_time_beside_commits_lose_nothing() {
    let mut world = World::new().await;
    world.fill(3).await;
    let (one, two) = (world.handler(), world.handler());
    let deadline = world.clock.now_micros() + 15 * MINUTE;
    let maintain = async |handler: Handler| {
        let mut rounds = 0;
        for _ in 0..6 {
            let answer = handler.handle(json!({"task": "compact"}), deadline).await.unwrap();
            rounds += answer["done"].as_array().unwrap().len();
            handler.handle(json!({"task": "vacuum"}), deadline).await.unwrap();
            let audited = handler.handle(json!({"task": "audit"}), deadline).await.unwrap();
            assert_eq!(audited["problems"], json!([]));
        }
        rounds
    };
    let (rounds, also, ()) = tokio::join!(maintain(one), maintain(two), world.fill(12));
    assert!(rounds + also > 2, "{rounds} and {also}");
    world.ask(json!({"task": "compact"})).await.unwrap();
    world.copy().await;
    assert_eq!(world.files().await.1, 150 - 14, "of each event key one");
    assert_eq!(world.ask(json!({"task": "audit"})).await.unwrap()["problems"], json!([]));
}

#[tokio::test]
async fn a_fault_of_one_table_is_told_and_the_others_are_maintained() {
    let mut world = World::new().await;
    world.fill(3).await;
    let lost = LakeReader::new(world.store.clone(), root()).snapshot("telemetry").await.unwrap().files.remove(0).path;
    world.store.delete(&Path::from(format!("telemetry/{lost}"))).await.unwrap();
    let failed = world.ask(json!({"task": "compact"})).await.unwrap_err();
    assert!(matches!(&failed, HandlerError::Failed { task: "compact", why } if why.contains(&lost)), "{failed}");
    assert_eq!(LakeReader::new(world.store.clone(), root()).snapshot("ledger").await.unwrap().files.len(), 1);
    let audited = world.ask(json!({"task": "audit"})).await.unwrap();
    assert_eq!(audited["balances"], json!(false));
    assert!(audited["problems"][0].as_str().unwrap().contains(&lost), "{audited}");
    assert_eq!(world.stored(LAST).await["balances"], json!(false));
}

#[tokio::test]
async fn a_message_that_waits_longer_than_the_queue_keeps_it_is_a_problem() {
    let world = World::new().await;
    let message = format!("_commits/{}.json", "0".repeat(32));
    world.store.put(&Path::from(message.as_str()), "{}".into()).await.unwrap();
    assert_eq!(world.ask(json!({"task": "audit"})).await.unwrap()["problems"], json!([]), "it is on its way");
    world.clock.advance(11 * MINUTE);
    let audited = world.ask(json!({"task": "audit"})).await.unwrap();
    assert!(audited["problems"][0].as_str().unwrap().starts_with(&message), "{audited}");
}

#[tokio::test]
async fn a_lake_that_nobody_has_opened_is_in_order_and_one_without_its_ledger_is_not() {
    let mut world = World::new().await;
    world.fill(1).await;
    let empty: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for task in ["compact", "retain", "vacuum", "audit"] {
        let handler = world.handler_over(empty.clone());
        handler.handle(json!({"task": task}), world.clock.now_micros() + MINUTE).await.unwrap();
    }
    let reader = LakeReader::new(world.store.clone(), root());
    let newest = reader.snapshot("ledger").await.unwrap().version;
    for version in 0..=newest {
        world.store.delete(&Path::from(format!("ledger/_delta_log/{version:020}.json"))).await.unwrap();
    }
    let failed = world.ask(json!({"task": "audit"})).await.unwrap_err();
    assert!(failed.to_string().contains("ledger"), "{failed}");
}

#[tokio::test]
async fn a_wrong_event_is_refused() {
    let world = World::new().await;
    let refused = world.ask(json!({"task": "tidy"})).await.unwrap_err();
    assert_eq!(Diagnostic::from(refused).error_type, "Alluvium.Asked");
}
