//! The whole pipeline on a disk that loses what was not synced (IN-1, LK-1).
//!
//! Killing a process loses nothing that it has written, so power is cut here instead: after a seeded number of changes every call
//! to the disk fails, then the folder is put into a state that a power cut could leave, and the pipeline starts again on it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::envelope::{EnvelopeHeader, EnvelopeWriter};
use alluvium_core::ports::{PutVerdict, Stream as _};
use alluvium_core::record::hash_key;
use alluvium_core::{Datasets, ManualClock, PutBatch, PutRecord};
use alluvium_lake::{LakeReader, LakeSettings};
use alluvium_local::committer::CommitterSettings;
use alluvium_local::delivery::DeliverySettings;
use alluvium_local::disk::lossy::{Loss, LossyDisk};
use alluvium_local::folder::{DataFolder, Missing};
use alluvium_local::log::LogSettings;
use alluvium_local::maintenance::MaintenanceSettings;
use alluvium_local::pipeline::{Pipeline, PipelineSettings};
use alluvium_transform::TransformSettings;
use arrow::array::AsArray as _;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const EVENTS_PER_RECORD: u64 = 5;
const NOW: i64 = 1_767_225_600_000_000;

fn settings() -> PipelineSettings {
    PipelineSettings {
        log: LogSettings { shards: 2, ..LogSettings::default() },
        transform: TransformSettings::default(),
        delivery: DeliverySettings { buffer_bytes: 2_000, buffer: Duration::from_millis(2), concurrency: 2 },
        committer: CommitterSettings { interval: Duration::from_millis(3), max_batches: 8 },
        lake: LakeSettings { checkpoint_every: 5.try_into().unwrap() },
        hot_cache_bytes: 1 << 20,
        maintenance: MaintenanceSettings::default(),
        hot_expire_every: Duration::from_secs(3600),
    }
}

/// One record of good events of one dataset and a broken one, so that every cycle commits to several tables.
fn record(first: u64) -> PutRecord {
    let data = match first / EVENTS_PER_RECORD % 4 {
        0 => enveloped(first, "data", r#"{"informationOne":"a","informationTwo":"b"}"#),
        1 => aggregate(first),
        _ => enveloped(first, "telemetry", r#"{"value":1}"#),
    };
    PutRecord { partition_key: first.to_string(), explicit_hash_key: None, data }
}

/// As the gateway writes it.
fn enveloped(first: u64, dataset: &str, data: &str) -> Bytes {
    let header = EnvelopeHeader { owner: "o".to_owned(), dataset: dataset.to_owned(), ..EnvelopeHeader::default() };
    let mut envelope = EnvelopeWriter::new(&header, 0);
    for id in first..first + EVENTS_PER_RECORD {
        envelope.push(format!(r#"{{"id":"{id}","source":"s{}","data":{data}}}"#, id % 3).as_bytes());
    }
    envelope.push(b"broken");
    envelope.finish()
}

/// As the Kinesis Producer Library puts it straight into a stream: one user record for each event.
///
/// Source: amazon-kinesis-producer, "KPL Aggregated Record Format".
fn aggregate(first: u64) -> Bytes {
    let events = (first..first + EVENTS_PER_RECORD)
        .map(|id| format!(r#"{{"id":"{id}","source":"s{}","type":"reading","value":1}}"#, id % 3))
        .chain(["broken".to_owned()]);
    let mut message = "\n\u{1}k".to_owned();
    for event in events {
        // Lengths below 128 are one byte, and the whole message is text.
        let field =
            |tag: char, content: &str| format!("{tag}{}{content}", char::from(u8::try_from(content.len()).unwrap()));
        message.push_str(&field('\u{1a}', &format!("\u{8}\0{}", field('\u{1a}', &event))));
    }
    assert!(message.is_ascii());
    let md5 = hash_key(&message).to_be_bytes();
    [&[0xF3, 0x89, 0x9A, 0xC2], message.as_bytes(), &md5].concat().into()
}

/// How often each event is in the two tables, and how many dead letters there are.
async fn stored(lake: &Path) -> (BTreeMap<u64, u64>, u64) {
    let store = Arc::new(LocalFileSystem::new_with_prefix(lake).unwrap());
    let reader = LakeReader::new(store, url::Url::from_directory_path(lake).unwrap());
    let mut ids = BTreeMap::new();
    for table in ["telemetry", "data"] {
        for file in reader.snapshot(table).await.unwrap().files {
            let file = std::fs::File::open(lake.join(table).join(&file.path)).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                for id in batch.column_by_name("event_id").unwrap().as_string::<i32>() {
                    *ids.entry(id.unwrap().parse().unwrap()).or_default() += 1;
                }
            }
        }
    }
    (ids, reader.snapshot("dead_letters").await.unwrap().rows())
}

async fn start(root: &Path, disk: &LossyDisk) -> anyhow::Result<Pipeline> {
    let folder = DataFolder::open(root, Missing::Create)?;
    let datasets = Arc::new(Datasets::load(None, None)?);
    let clock = Arc::new(ManualClock::at(NOW));
    let (pipeline, _) = Pipeline::start(folder, Arc::new(disk.clone()), datasets, settings(), clock).await?;
    Ok(pipeline)
}

/// Appends records until the power is gone; returns the first ids of those that were acknowledged.
async fn load(pipeline: &Pipeline, next: &mut u64) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    loop {
        let firsts: Vec<u64> = (0..3).map(|n| *next + n * EVENTS_PER_RECORD).collect();
        *next += 3 * EVENTS_PER_RECORD;
        let batch = PutBatch { records: firsts.iter().map(|first| record(*first)).collect() };
        let Ok(verdicts) = pipeline.log.append(batch).await else { return acknowledged };
        let mut refused = false;
        for (first, verdict) in firsts.iter().zip(verdicts) {
            match verdict {
                PutVerdict::Stored { .. } => acknowledged.push(*first),
                PutVerdict::Refused(_) => refused = true,
            }
        }
        if refused {
            return acknowledged;
        }
        // Lets batches and commits happen between appends.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Returns how many records were acknowledged.
async fn survive(seed: u64) -> usize {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("node");
    drop(DataFolder::open(&root, Missing::Create).unwrap());
    let mut disk = LossyDisk::over(&root).unwrap();
    let mut acknowledged = Vec::new();
    let mut next = 0;
    for round in 0..4_u64 {
        // From within the start to some hundred changes later; the numbers only have to differ.
        disk.cut_power_after(15 + (seed * 37 + round * 101) % 400);
        if let Ok(pipeline) = start(&root, &disk).await {
            acknowledged.extend(load(&pipeline, &mut next).await);
            pipeline.halt().await;
        }
        let loss =
            if (seed + round).is_multiple_of(2) { Loss::Everything } else { Loss::Some { seed: seed * 10 + round } };
        disk = disk.power_loss(loss).unwrap();
    }
    let pipeline = start(&root, &disk).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    pipeline.drain().await.unwrap();

    let (ids, dead) = stored(&root.join("lake")).await;
    for first in &acknowledged {
        for id in *first..first + EVENTS_PER_RECORD {
            assert_eq!(ids.get(&id), Some(&1), "seed {seed}: event {id} was acknowledged and sent once");
        }
    }
    assert!(ids.values().all(|times| *times == 1), "seed {seed}: a row is there twice");
    assert_eq!(dead * EVENTS_PER_RECORD, ids.len() as u64, "seed {seed}: one dead letter for each record");
    acknowledged.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_power_cut_at_any_moment() {
    let seeds = std::env::var("ALLUVIUM_POWER_SEEDS").map_or(12, |seeds| seeds.parse().unwrap());
    let mut acknowledged = 0;
    for seed in 0..seeds {
        acknowledged += survive(seed).await;
    }
    println!("{acknowledged} records were acknowledged before {seeds} times 4 power cuts");
    assert!(acknowledged > 10 * seeds as usize, "the power went before there was anything to lose");
}
