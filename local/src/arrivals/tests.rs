#![allow(clippy::unwrap_used)]

use alluvium_core::record::PutBatch;
use alluvium_core::{Datasets, ManualClock, PutRecord};
use alluvium_lake::Target;
use alluvium_transform::TransformSettings;
use arrow::array::AsArray as _;
use tempfile::TempDir;

use super::*;
use crate::disk::RealDisk;
use crate::log::LogSettings;

struct Bench {
    arrivals: LogArrivals,
    log: Arc<Log>,
    clock: Arc<ManualClock>,
    erased: Erased,
    ending: CancellationToken,
    _folder: TempDir,
}

impl Bench {
    fn new(settings: LogSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(1_000_000_000_000_000));
        let (log, _) = Log::open(Arc::new(RealDisk), folder.path(), settings, clock.clone()).unwrap();
        let datasets = Arc::new(Datasets::load(None, Some("telemetry")).unwrap());
        let transform = Arc::new(
            Transform::new(
                datasets,
                TransformSettings { batch_expanded_bytes: EXPANDED_BYTES, ..TransformSettings::default() },
            )
            .unwrap(),
        );
        let (log, erased, ending) = (Arc::new(log), Erased::default(), CancellationToken::new());
        let arrivals = LogArrivals::new(log.clone(), transform, erased.clone(), ending.clone());
        Self { arrivals, log, clock, erased, ending, _folder: folder }
    }

    async fn put(&self, ids: &[&str]) {
        let record = |id: &&str| PutRecord {
            partition_key: (*id).to_owned(),
            explicit_hash_key: None,
            data: format!(r#"{{"id":"{id}","source":"s","value":1}}"#).into(),
        };
        self.log.append(PutBatch { records: ids.iter().map(record).collect() }).await.unwrap();
        self.clock.advance(1_000);
    }

    /// The ids that come after these positions, until nothing more does.
    async fn all(&self, mut positions: Positions) -> (Vec<String>, Positions) {
        let mut ids = Vec::new();
        while let Next::Arrived(piece) = self.arrivals.after(&positions, Duration::ZERO).await.unwrap() {
            positions = piece.positions.clone();
            for (table, rows) in &piece.rows {
                assert_eq!(table, "telemetry");
                ids.extend(rows["event_id"].as_string::<i32>().iter().map(|id| id.unwrap().to_owned()));
            }
        }
        (ids, positions)
    }
}

#[tokio::test]
async fn what_comes_in_is_given_once_in_order_from_any_positions_on() {
    let bench = Bench::new(LogSettings::default());
    bench.put(&["1", "2"]).await;
    let end = bench.arrivals.newest().await.unwrap();
    bench.put(&["3"]).await;
    bench.put(&["4"]).await;
    assert_eq!(bench.all(Positions::default()).await.0, ["1", "2", "3", "4"]);
    let (ids, positions) = bench.all(end.clone()).await;
    assert_eq!((ids, &positions), (vec!["3".to_owned(), "4".into()], &bench.arrivals.newest().await.unwrap()));
    assert_eq!(bench.all(positions).await.0, [""; 0]);
    // Followers at the same positions share one decoding.
    let pieces = [
        bench.arrivals.after(&end, Duration::ZERO).await.unwrap(),
        bench.arrivals.after(&end, Duration::ZERO).await.unwrap(),
    ];
    let [Next::Arrived(first), Next::Arrived(second)] = pieces else { panic!("there is something") };
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_waits_for_what_comes_next_in_any_shard_and_hears_when_nothing_will() {
    let bench = Arc::new(Bench::new(LogSettings { shards: 4, ..LogSettings::default() }));
    let follow = |bench: Arc<Bench>| {
        tokio::spawn(async move {
            let newest = bench.arrivals.newest().await.unwrap();
            bench.arrivals.after(&newest, Duration::from_secs(60)).await.unwrap()
        })
    };
    for id in ["a", "b", "c", "d", "e", "f"] {
        let following = follow(bench.clone());
        tokio::time::sleep(Duration::from_millis(20)).await;
        bench.put(&[id]).await;
        let Next::Arrived(piece) = following.await.unwrap() else { panic!("{id} came") };
        assert_eq!(piece.rows[0].1["event_id"].as_string::<i32>().value(0), id);
    }
    let following = follow(bench.clone());
    tokio::time::sleep(Duration::from_millis(20)).await;
    bench.ending.cancel();
    assert!(matches!(following.await.unwrap(), Next::Ended));
}

#[tokio::test]
async fn the_rows_of_who_is_being_erased_are_left_out_also_of_what_was_decoded_before() {
    let bench = Bench::new(LogSettings::default());
    bench.put(&["1"]).await;
    assert_eq!(bench.all(Positions::default()).await.0, ["1"]);
    let target = Target { owner: TransformSettings::default().stream_owner, until: i64::MAX, dataset: None };
    bench.erased.set([target]);
    assert_eq!(bench.all(Positions::default()).await.0, [""; 0]);
}

#[tokio::test]
async fn records_that_expand_far_are_decoded_in_parts_and_none_is_missed() {
    let bench = Bench::new(LogSettings::default());
    // Each expands to some 12 MiB: two fit together, six do not.
    let records = (0..6).map(|n| {
        let event = format!("{{\"id\":\"{n}\",\"source\":\"s\",\"value\":1}}\n{}", " ".repeat(12 << 20));
        let data = zstd::bulk::compress(event.as_bytes(), 1).unwrap().into();
        PutRecord { partition_key: n.to_string(), explicit_hash_key: None, data }
    });
    bench.log.append(PutBatch { records: records.collect() }).await.unwrap();
    let Next::Arrived(first) = bench.arrivals.after(&Positions::default(), Duration::ZERO).await.unwrap() else {
        panic!("there is something")
    };
    assert!(first.rows[0].1.num_rows() < 6);
    assert_eq!(bench.all(Positions::default()).await.0, ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn positions_that_the_log_no_longer_or_never_had_are_told_apart() {
    let bench = Bench::new(LogSettings::default());
    bench.put(&["1"]).await;
    let number = |n: u64| Some(SequenceNumber::from(n));
    for (seen, oldest, newest, gone) in [
        (None, number(1), number(9), false),
        (None, number(2), number(9), true),
        (number(4), number(5), number(9), false),
        (number(3), number(5), number(9), true),
        (None, None, None, false),
        (number(8), None, number(9), true),
        (number(9), None, number(9), false),
        (number(u64::MAX), number(5), number(9), false),
    ] {
        assert_eq!(is_gone(seen, oldest, newest), gone, "{seen:?} {oldest:?} {newest:?}");
    }
    let beyond: Positions = [(ShardId::numbered(0), SequenceNumber::from(70))].into_iter().collect();
    let largest: Positions = [(ShardId::numbered(0), SequenceNumber::from(u64::MAX))].into_iter().collect();
    let elsewhere: Positions = [(ShardId::numbered(7), SequenceNumber::from(1))].into_iter().collect();
    for positions in [beyond, largest, elsewhere] {
        let error = bench.arrivals.after(&positions, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.advice, Advice::Stop, "{positions}: {error}");
    }
}
