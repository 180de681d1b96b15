//! The deep audit finds each event of the stream in the lake, and names those that are not there.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{PutVerdict, Stream as _};
use alluvium_core::{Clock as _, Datasets, PutBatch, PutRecord, SequenceNumber, ShardId, SystemClock};
use alluvium_lake::{Check, LakeReader, LakeSettings, Target};
use alluvium_local::committer::CommitterSettings;
use alluvium_local::deep::DeepAudit;
use alluvium_local::delivery::DeliverySettings;
use alluvium_local::disk::RealDisk;
use alluvium_local::folder::{DataFolder, Missing};
use alluvium_local::log::LogSettings;
use alluvium_local::maintenance::MaintenanceSettings;
use alluvium_local::pipeline::{Pipeline, PipelineSettings};
use alluvium_local::sql::{DataFusionSql, SqlSettings};
use alluvium_transform::{Transform, TransformSettings};
use object_store::ObjectStore;
use object_store::memory::InMemory;

const EVENTS: usize = 500;
const BAD: usize = 20;

fn settings() -> PipelineSettings {
    PipelineSettings {
        log: LogSettings::default(),
        transform: TransformSettings::default(),
        delivery: DeliverySettings { buffer_bytes: 20_000, buffer: Duration::from_millis(2), concurrency: 2 },
        committer: CommitterSettings { interval: Duration::from_millis(3), max_batches: 8 },
        lake: LakeSettings { checkpoint_every: 5.try_into().unwrap() },
        hot_cache_bytes: 1 << 20,
        hot_expire_every: Duration::from_secs(3600),
        maintenance: MaintenanceSettings::default(),
    }
}

fn record(data: String) -> PutRecord {
    PutRecord { partition_key: "k".to_owned(), explicit_hash_key: None, data: data.into() }
}

/// With ids of their own and without, and some that are dead.
fn records() -> Vec<PutRecord> {
    let event = |number: usize| {
        let id = if number.is_multiple_of(2) { format!(r#""id":"e{number}","#) } else { String::new() };
        record(format!(r#"{{{id}"source":"s{}","type":"telemetry","value":{number}.5}}"#, number % 7))
    };
    (0..EVENTS).map(event).chain((0..BAD).map(|number| record(format!("no event {number}")))).collect()
}

/// A lake that has what its log holds.
struct World {
    _temp: tempfile::TempDir,
    pipeline: Pipeline,
    datasets: Arc<Datasets>,
    last: SequenceNumber,
    shard: ShardId,
}

impl World {
    async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&temp.path().join("node"), Missing::Create).unwrap();
        let datasets = Arc::new(Datasets::load(None, Some("telemetry")).unwrap());
        let clock = Arc::new(SystemClock);
        let (pipeline, _) =
            Pipeline::start(folder, Arc::new(RealDisk), datasets.clone(), settings(), clock).await.unwrap();
        let verdicts = pipeline.log.append(PutBatch { records: records() }).await.unwrap();
        let Some(PutVerdict::Stored { shard, sequence }) = verdicts.last().cloned() else { panic!("{verdicts:?}") };
        let world = Self { _temp: temp, pipeline, datasets, last: sequence, shard };
        while !world.check(world.lake(), world.last, &[]).await.passed {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world
    }

    fn lake(&self) -> (Arc<dyn ObjectStore>, LakeReader) {
        (self.pipeline.store.clone(), self.pipeline.lake_reader())
    }

    async fn check(
        &self,
        (store, reader): (Arc<dyn ObjectStore>, LakeReader),
        position: SequenceNumber,
        erased: &[Target],
    ) -> Check {
        let sql = DataFusionSql::new(store, Arc::new(reader), self.datasets.clone(), SqlSettings::default());
        let deep = DeepAudit {
            stream: &*self.pipeline.log,
            transform: &Transform::new(self.datasets.clone(), TransformSettings::default()).unwrap(),
            sql: &sql.unwrap(),
            datasets: &self.datasets,
            erased,
            positions: BTreeMap::from([(self.shard.clone(), position)]),
            now: SystemClock.now_micros(),
        };
        deep.check().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_found_and_one_that_is_missing_is_named() {
    let world = tokio::time::timeout(Duration::from_secs(60), World::new()).await.unwrap();
    let found = world.check(world.lake(), world.last, &[]).await;
    assert!(found.passed, "{found:?}");
    let all = format!("{} events that the stream holds were made into rows again", EVENTS + BAD);
    assert!(found.notes[0].starts_with(&all), "{found:?}");

    let empty = || {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        (store.clone(), LakeReader::new(store, "memory:///".parse().unwrap()))
    };
    let missing = world.check(empty(), world.last, &[]).await;
    assert!(!missing.passed, "{missing:?}");
    assert!(missing.problems[0].starts_with("`telemetry`: the event `"), "{missing:?}");
    assert_eq!(missing.problems.len(), 21);
    assert_eq!(missing.problems[20], format!("And {} more.", EVENTS + BAD - 20));

    // What was erased need not be there, and what lies past the position is not looked for.
    let everybody = Target { owner: TransformSettings::default().stream_owner, until: Micros::MAX, dataset: None };
    let erased = world.check(empty(), world.last, &[everybody]).await;
    assert!(erased.passed && erased.notes[1].contains("need not be there"), "{erased:?}");
    let first = world.check(empty(), 1_u64.into(), &[]).await;
    assert_eq!(first.problems.len(), 1, "{first:?}");
    world.pipeline.drain().await.unwrap();
}
