//! Redrive when something goes wrong between a dead letter's way out of the table and its mark there.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_core::ports::{Advice, PortError, PutVerdict, ReadPage, Refusal, ShardState, Stream};
use alluvium_core::{Datasets, PutBatch, PutRecord, SequenceNumber, ShardId, SystemClock};
use alluvium_lake::LakeSettings;
use alluvium_local::committer::CommitterSettings;
use alluvium_local::delivery::DeliverySettings;
use alluvium_local::disk::RealDisk;
use alluvium_local::folder::{DataFolder, Missing};
use alluvium_local::log::{Log, LogSettings};
use alluvium_local::maintenance::MaintenanceSettings;
use alluvium_local::pipeline::{Pipeline, PipelineSettings};
use alluvium_local::redrive::{Redrive, RedriveError, preview, settings as few_rows};
use alluvium_local::sql::{Condition, DataFusionSql, SqlSettings};
use alluvium_transform::TransformSettings;
use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use tokio::sync::Notify;

/// More than two pages.
const LETTERS: i64 = 300;

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

/// What a stream does with one batch.
enum Turn {
    Takes,
    IsFull,
    Fails,
    /// Takes it, says so to nobody but this, and never answers.
    Hangs(Arc<Notify>),
}

/// The log, but for what it is told to do with the next batches.
struct Unreliable {
    log: Arc<Log>,
    turns: Mutex<VecDeque<Turn>>,
}

#[async_trait]
impl Stream for Unreliable {
    async fn append(&self, batch: PutBatch) -> Result<Vec<PutVerdict>, PortError> {
        let turn = self.turns.lock().unwrap().pop_front().unwrap_or(Turn::Takes);
        match turn {
            Turn::Takes => self.log.append(batch).await,
            Turn::IsFull => Ok(vec![PutVerdict::Refused(Refusal::Full); batch.records.len()]),
            Turn::Fails => Err(PortError::new(Advice::Stop, "the stream is gone")),
            Turn::Hangs(taken) => {
                self.log.append(batch).await?;
                taken.notify_one();
                std::future::pending().await
            }
        }
    }

    async fn read(
        &self,
        shard: &ShardId,
        after: Option<SequenceNumber>,
        max_bytes: usize,
        wait: Duration,
    ) -> Result<ReadPage, PortError> {
        self.log.read(shard, after, max_bytes, wait).await
    }

    async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
        self.log.shards().await
    }
}

/// A running pipeline with dead letters, and what redrives them.
struct Node {
    _temp: tempfile::TempDir,
    pipeline: Pipeline,
    sql: Arc<DataFusionSql>,
}

impl Node {
    async fn start() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&temp.path().join("node"), Missing::Create).unwrap();
        let datasets = Arc::new(Datasets::load(None, None).unwrap());
        let clock = Arc::new(SystemClock);
        let (pipeline, _) =
            Pipeline::start(folder, Arc::new(RealDisk), datasets.clone(), settings(), clock).await.unwrap();
        let record = |number| PutRecord {
            partition_key: "k".to_owned(),
            explicit_hash_key: None,
            data: format!("no event {number}").into(),
        };
        let records = (0..LETTERS).map(record).collect();
        pipeline.log.append(PutBatch { records }).await.unwrap();
        let reader = Arc::new(pipeline.lake_reader());
        let sql =
            DataFusionSql::new(pipeline.store.clone(), reader, datasets, few_rows(SqlSettings::default())).unwrap();
        let node = Self { _temp: temp, pipeline, sql: Arc::new(sql) };
        node.wait_for("true", LETTERS).await;
        node
    }

    fn redrive(&self, turns: impl IntoIterator<Item = Turn>) -> Redrive {
        let turns = Mutex::new(turns.into_iter().collect());
        Redrive {
            sql: self.sql.clone(),
            stream: Arc::new(Unreliable { log: self.pipeline.log.clone(), turns }),
            maintenance: self.pipeline.maintenance.clone(),
            clock: self.pipeline.clock(),
        }
    }

    /// How many rows of the table meet a condition; a letter that came twice is two.
    async fn count(&self, condition: &str) -> i64 {
        let counted =
            self.sql.query(&format!("select count(*) from dead_letters_raw where {condition}")).await.unwrap();
        counted[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn wait_for(&self, condition: &str, rows: i64) {
        let waited = async {
            while self.count(condition).await != rows {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waited).await.unwrap();
    }
}

fn firsts() -> Condition {
    "event_id not like '%-%'".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_and_not_marked_is_sent_once_more_and_shows_once() {
    let node = Node::start().await;
    let taken = Arc::new(Notify::new());
    let dying = node.redrive([Turn::Takes, Turn::Hangs(taken.clone())]);
    let condition = firsts();
    tokio::select! {
        _ = dying.run(&condition) => panic!("it hangs"),
        () = taken.notified() => {}
    }
    assert_eq!(node.count("redriven_at is not null").await, 0);
    assert_eq!(preview(&node.sql, &condition).await.unwrap().sent(), LETTERS as u64);
    assert_eq!(node.redrive([]).run(&condition).await.unwrap().sent(), LETTERS as u64);
    assert_eq!(node.count("redriven_at is not null").await, LETTERS);
    node.wait_for("event_id like '%-2'", LETTERS + 256).await;
    let shown = node.sql.query("select count(*) from dead_letters where event_id like '%-2'").await.unwrap();
    assert_eq!(shown[0].column(0).as_primitive::<Int64Type>().value(0), LETTERS);
    assert!(node.redrive([]).run(&condition).await.unwrap().groups.is_empty());
    let again = node.redrive([]).run(&"event_id like '%-2'".parse().unwrap()).await.unwrap();
    assert_eq!(again.sent(), LETTERS as u64, "those that came twice are sent once");
    assert_eq!(node.count("event_id like '%-2' and redriven_at is null").await, 0, "and marked twice");
    node.pipeline.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_full_is_waited_for() {
    let node = Node::start().await;
    let redrive = node.redrive([Turn::IsFull, Turn::Takes, Turn::IsFull, Turn::IsFull]);
    assert_eq!(redrive.run(&firsts()).await.unwrap().sent(), LETTERS as u64);
    node.wait_for("event_id like '%-2'", LETTERS).await;
    assert_eq!(node.count("redriven_at is not null").await, LETTERS);
    node.pipeline.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_the_stream_failed_is_marked() {
    let node = Node::start().await;
    let failed = node.redrive([Turn::Takes, Turn::Fails]).run(&firsts()).await.unwrap_err();
    let RedriveError::Send { sent, .. } = failed else { panic!("{failed}") };
    assert_eq!(node.count("redriven_at is not null").await, sent as i64);
    assert!(0 < sent && sent < LETTERS as u64, "{failed}");
    assert_eq!(node.redrive([]).run(&firsts()).await.unwrap().sent(), LETTERS as u64 - sent);
    node.wait_for("event_id like '%-2'", LETTERS).await;
    node.pipeline.drain().await.unwrap();
}
