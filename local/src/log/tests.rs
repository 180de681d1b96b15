#![allow(clippy::unwrap_used)]

mod model;
mod recovery;

use std::collections::HashSet;
use std::path::PathBuf;

use alluvium_core::ManualClock;
use alluvium_core::contract::stream::{self as contract, read_all, record};
use alluvium_core::ports::Advice;
use tempfile::TempDir;

use super::*;
use crate::disk::RealDisk;
use crate::disk::lossy::{Loss, LossyDisk};

/// A log on a lossy disk, with limits that small tests reach.
struct Bench {
    folder: TempDir,
    disk: LossyDisk,
    clock: Arc<ManualClock>,
    settings: LogSettings,
}

fn small() -> LogSettings {
    LogSettings { segment_bytes: 2000, max_bytes: 100_000, record_bytes: 1500, ..LogSettings::default() }
}

impl Bench {
    fn new(settings: LogSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = LossyDisk::over(folder.path()).unwrap();
        Self { folder, disk, clock: Arc::new(ManualClock::at(1_000_000)), settings }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn shard_path(&self) -> PathBuf {
        self.path().join(ShardId::numbered(0).as_str())
    }

    fn try_open(&self) -> Result<(Log, RecoveryReport), LogError> {
        Log::open(Arc::new(self.disk.clone()), &self.path(), self.settings.clone(), self.clock.clone())
    }

    fn open(&self) -> Log {
        self.try_open().unwrap().0
    }

    fn lose_power(&mut self, loss: Loss) {
        self.disk = self.disk.power_loss(loss).unwrap();
    }

    /// Takes what other tools did to the folder for synced.
    fn rescan(&mut self) {
        self.disk = LossyDisk::over(self.folder.path()).unwrap();
    }

    /// The segment files of the first shard, by name.
    fn segments(&self) -> Vec<PathBuf> {
        let entries = RealDisk.list(&self.shard_path()).unwrap().into_iter();
        entries.map(|entry| entry.path).filter(|path| path.extension().is_some_and(|suffix| suffix == "seg")).collect()
    }
}

fn shard() -> ShardId {
    ShardId::numbered(0)
}

/// Appends one record and says what became of it.
async fn put(log: &Log, data: impl Into<Vec<u8>>) -> PutVerdict {
    let records = vec![record("key", data.into())];
    log.append(PutBatch { records }).await.unwrap().remove(0)
}

async fn put_stored(log: &Log, data: impl Into<Vec<u8>>) -> u64 {
    match put(log, data).await {
        PutVerdict::Stored { sequence, .. } => sequence.as_u64().unwrap(),
        refused => panic!("{refused:?}"),
    }
}

async fn held(log: &Log) -> Vec<Vec<u8>> {
    read_all(log, &shard(), None, 700).await.into_iter().map(|record| record.data.to_vec()).collect()
}

async fn failure(log: &Log, data: &str) -> String {
    match put(log, data).await {
        PutVerdict::Refused(Refusal::Failed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    for shards in [1, 4] {
        let settings = LogSettings { shards, ..LogSettings::default() };
        let bench = Bench::new(settings);
        let log = bench.open();
        contract::all(&log).await;
    }
}

#[tokio::test]
async fn it_keeps_the_contract_on_the_real_disk_and_in_small_segments() {
    let folder = tempfile::tempdir().unwrap();
    let settings = LogSettings { segment_bytes: 1, ..LogSettings::default() };
    let clock = Arc::new(ManualClock::at(0));
    let (log, _) = Log::open(Arc::new(RealDisk), &folder.path().join("log"), settings, clock).unwrap();
    contract::all(&log).await;
}

#[tokio::test]
async fn what_is_acknowledged_outlives_a_power_cut_and_the_count_goes_on() {
    let mut bench = Bench::new(small());
    let log = bench.open();
    for n in 0..100 {
        assert_eq!(put_stored(&log, format!("record {n}")).await, n + 1);
    }
    bench.lose_power(Loss::Everything);
    drop(log);
    let (log, report) = bench.try_open().unwrap();
    assert_eq!(report.shards[0].records, 100);
    assert_eq!(report.shards[0].torn, None);
    assert_eq!(held(&log).await, (0..100).map(|n| format!("record {n}").into_bytes()).collect::<Vec<_>>());
    assert_eq!(put_stored(&log, "next").await, 101);
    assert!(bench.segments().len() > 2, "the test should span segments");
}

#[tokio::test]
async fn arrival_never_goes_backwards_even_when_the_clock_does() {
    let bench = Bench::new(small());
    let log = bench.open();
    put_stored(&log, "one").await;
    bench.clock.set(5);
    put_stored(&log, "two").await;
    log.close().await;
    let log = bench.open();
    put_stored(&log, "three").await;
    bench.clock.set(2_000_000);
    put_stored(&log, "four").await;
    let records = read_all(&log, &shard(), None, 1000).await;
    let arrivals: Vec<_> = records.iter().map(|record| record.arrival).collect();
    assert_eq!(arrivals, [1_000_000, 1_000_000, 1_000_000, 2_000_000]);
}

#[tokio::test]
async fn many_writers_at_once_lose_nothing_and_share_syncs() {
    let bench = Bench::new(LogSettings { shards: 3, queue_bytes: 4000, max_bytes: 10 << 20, ..small() });
    let log = Arc::new(bench.open());
    let before = bench.disk.changes();
    let writers: Vec<_> = (0..64)
        .map(|writer| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let records: Vec<_> = (0..20).map(|n| record(&format!("{writer}"), format!("{writer} {n}"))).collect();
                let verdicts = log.append(PutBatch { records }).await.unwrap();
                assert!(verdicts.iter().all(|verdict| matches!(verdict, PutVerdict::Stored { .. })));
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(bench.disk.changes() - before < 1280, "there are fewer changes than records");
    let mut seen = HashSet::new();
    for state in log.shards().await.unwrap() {
        for record in read_all(log.as_ref(), &state.shard, None, 500).await {
            assert!(seen.insert(record.data), "a record is there twice");
        }
    }
    assert_eq!(seen.len(), 1280);
}

#[tokio::test]
async fn a_full_log_refuses_until_its_reader_has_passed() {
    let bench = Bench::new(LogSettings { max_bytes: 6000, ..small() });
    let log = bench.open();
    let mut stored = 0;
    while let PutVerdict::Stored { .. } = put(&log, vec![b'x'; 500]).await {
        stored += 1;
        assert!(stored < 20, "it never is full");
    }
    assert_eq!(put(&log, vec![b'x'; 500]).await, PutVerdict::Refused(Refusal::Full));
    assert!(log.stats().bytes() <= 6000);
    assert_eq!(held(&log).await.len(), stored);
    log.trim(&shard(), 4.into()).await.unwrap();
    assert_eq!(put_stored(&log, vec![b'y'; 500]).await, stored as u64 + 1);
    let state = log.shards().await.unwrap().remove(0);
    assert!(state.oldest <= Some(5.into()), "it dropped what no reader had passed: {state:?}");
    assert!(log.stats().bytes() <= 6000);
}

#[tokio::test]
async fn retention_keeps_what_was_passed_and_nothing_that_was_not_is_dropped() {
    let bench = Bench::new(small());
    let log = bench.open();
    for _ in 0..20 {
        put_stored(&log, vec![b'x'; 500]).await;
    }
    let segments = bench.segments().len();
    log.trim(&shard(), 10.into()).await.unwrap();
    assert_eq!(bench.segments().len(), segments, "it is too young to go");
    bench.clock.advance(25 * 3600 * 1_000_000);
    log.trim(&shard(), 10.into()).await.unwrap();
    assert!(bench.segments().len() < segments);
    let oldest = log.shards().await.unwrap()[0].oldest.unwrap();
    assert!(oldest > 1.into() && oldest <= 11.into(), "{oldest}");
    let error = log.read(&shard(), Some(1.into()), 1000, Duration::ZERO).await.unwrap_err();
    assert!(error.advice == Advice::Stop && error.message.contains("no longer holds record 2"), "{error}");
    log.trim(&shard(), 1000.into()).await.unwrap();
    assert_eq!(bench.segments().len(), 1, "the segment that is written to stays");
    log.close().await;
    drop(log);
    let log = bench.open();
    assert_eq!(put_stored(&log, "next").await, 21);
}

#[tokio::test]
async fn a_full_disk_refuses_and_later_appends_work_again() {
    let mut bench = Bench::new(small());
    let log = bench.open();
    put_stored(&log, "before").await;
    // Once within a segment and, further on, where the next segment cannot be started.
    for room in [10, 300, 700] {
        bench.disk.set_room_bytes(Some(room));
        let mut reason = String::new();
        for _ in 0..4 {
            if let PutVerdict::Refused(refusal) = put(&log, vec![b'f'; 900]).await {
                reason = format!("{refusal:?}");
            }
        }
        assert!(reason.contains("Failed") && reason.contains(".seg"), "{reason}");
        bench.disk.set_room_bytes(None);
        put_stored(&log, format!("after {room}")).await;
    }
    let before: Vec<_> = held(&log).await;
    assert!(before.ends_with(&[b"after 700".to_vec()]));
    bench.lose_power(Loss::Everything);
    drop(log);
    assert_eq!(held(&bench.open()).await, before);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_taken_until_the_log_is_opened_anew() {
    let mut bench = Bench::new(small());
    let log = bench.open();
    put_stored(&log, "before").await;
    bench.disk.fail_syncs(1);
    assert!(failure(&log, "lost").await.contains("restart"));
    assert!(failure(&log, "refused").await.contains("restart"));
    assert_eq!(held(&log).await, [b"before"], "what was durable can still be read");
    bench.lose_power(Loss::Everything);
    drop(log);
    let log = bench.open();
    assert_eq!(held(&log).await, [b"before"]);
    assert_eq!(put_stored(&log, "after").await, 2);
}

#[tokio::test]
async fn a_closed_log_takes_nothing_and_can_still_be_read() {
    let bench = Bench::new(small());
    let log = bench.open();
    put_stored(&log, "one").await;
    log.close().await;
    let error = log.append(PutBatch { records: vec![record("key", "two")] }).await.unwrap_err();
    assert_eq!(error.advice, Advice::Stop);
    assert_eq!(held(&log).await, [b"one"]);
}

#[tokio::test]
async fn a_position_beyond_the_newest_record_is_refused() {
    let bench = Bench::new(small());
    let log = bench.open();
    put_stored(&log, "one").await;
    for beyond in [2.into(), u64::MAX.into(), "9".repeat(56).parse().unwrap()] {
        let error = log.read(&shard(), Some(beyond), 1000, Duration::ZERO).await.unwrap_err();
        assert!(error.advice == Advice::Stop && error.message.contains("beyond the newest record"), "{error}");
    }
}

#[tokio::test]
async fn a_reader_far_from_an_index_entry_and_a_record_larger_than_the_page_are_served() {
    let settings = LogSettings { record_bytes: 1 << 20, ..LogSettings::default() };
    let bench = Bench::new(settings);
    let log = bench.open();
    let sizes: Vec<usize> = (0..60).map(|n| if n % 7 == 0 { 400_000 } else { 3000 + n }).collect();
    let records = sizes.iter().map(|size| record("key", vec![b'x'; *size])).collect();
    log.append(PutBatch { records }).await.unwrap();
    for after in 0..60 {
        let page = log.read(&shard(), Some(after.into()), 10, Duration::ZERO).await.unwrap();
        assert_eq!(page.records.len(), 1);
        assert_eq!(page.records[0].identity.sequence, (after + 1).into());
        assert_eq!(page.records[0].data.len(), sizes[after as usize]);
        assert_eq!(page.more, after < 59);
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let bench = |settings| Bench::new(settings).try_open().map(|_| ()).unwrap_err().to_string();
    let default = LogSettings::default;
    assert!(bench(LogSettings { shards: 0, ..default() }).contains("0 shards"));
    assert!(bench(LogSettings { segment_bytes: 0, ..default() }).contains("segments of 0 bytes"));
    assert!(bench(LogSettings { max_bytes: 100, ..default() }).contains("with two segments each need"));
    assert!(bench(LogSettings { record_bytes: 1 << 30, ..default() }).contains("records of up to"));
    assert!(bench(LogSettings { queue_bytes: 0, ..default() }).contains("queue"));
}

#[tokio::test]
async fn a_sealed_segment_goes_by_its_retention_though_nothing_comes_after() {
    let bench = Bench::new(small());
    let log = bench.open();
    let now = bench.clock.now_micros();
    put_stored(&log, "a").await;
    log.seal(now - 1).await.unwrap();
    assert_eq!(bench.segments().len(), 1, "it has nothing so old");
    assert!(log.holds_arrivals(now) && !log.holds_arrivals(now - 1));
    log.seal(now).await.unwrap();
    log.seal(now).await.unwrap();
    assert_eq!(bench.segments().len(), 2, "the new one is empty, and need not be sealed");
    bench.clock.advance(25 * 3600 * 1_000_000);
    log.trim(&shard(), 1.into()).await.unwrap();
    assert!(!log.holds_arrivals(now));
    assert_eq!(bench.segments().len(), 1);
    assert_eq!(put_stored(&log, "b").await, 2);
    log.close().await;
    log.seal(Micros::MAX).await.unwrap_err();
}
