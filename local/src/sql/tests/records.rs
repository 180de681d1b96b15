//! Records read through the real hot index and the real engine.

use alluvium_core::hot::{HotChunk, bucket_of, time_bucket_of};
use alluvium_core::hot_block::HotBlockWriter;
use alluvium_core::ports::HotIndex as _;
use alluvium_core::{BatchIdentity, ManualClock, RecordIdentity, SequenceNumber, ShardId};
use alluvium_query::{CommitLag, Records, RecordsRequest};

use super::lake::{Event, MemoryLake, batch_of, datasets, events};
use super::{SqlSettings, Stopwatch};
use crate::hot::{BUCKETS, RedbHotIndex};

use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 3_600 * SECOND;

/// The chunks of one batch.
fn chunks(batch: u64, events: &[Event]) -> Vec<HotChunk> {
    let identity =
        RecordIdentity { shard: ShardId::numbered(0), sequence: SequenceNumber::from(batch), subsequence: 0 };
    let identity = BatchIdentity::of([&identity]);
    let mut groups: BTreeMap<(u16, i64), Vec<Event>> = BTreeMap::new();
    for event in events {
        groups
            .entry((bucket_of(&event.owner, &event.source, BUCKETS), time_bucket_of(event.time)))
            .or_default()
            .push(event.clone());
    }
    let mut writer = HotBlockWriter::default();
    let chunk = |((bucket, time_bucket), mut rows): ((u16, i64), Vec<Event>)| {
        rows.sort_by(|a, b| (&a.owner, &a.source, a.time).cmp(&(&b.owner, &b.source, b.time)));
        let max_time = rows.iter().map(|row| row.time).max().unwrap();
        HotChunk {
            dataset: "telemetry".to_owned(),
            bucket,
            time_bucket,
            batch: identity.clone(),
            part: 0,
            rows: rows.len() as u32,
            min_time: rows.iter().map(|row| row.time).min().unwrap(),
            max_time,
            expires_at: max_time + 2 * DAY,
            block: writer.write(&batch_of(&rows, "")).unwrap(),
        }
    };
    groups.into_iter().map(chunk).collect()
}

struct World {
    hot: RedbHotIndex,
    records: Records,
    _dir: tempfile::TempDir,
}

async fn world(lake: &MemoryLake, now: i64) -> World {
    let dir = tempfile::tempdir().unwrap();
    let (hot, _) = RedbHotIndex::open(dir.path(), 64 << 20, Arc::new(ManualClock::default())).unwrap();
    hot.set_complete_since("telemetry", i64::MIN).await.unwrap();
    let sql = Arc::new(lake.sql(SqlSettings::default()));
    let clock = Arc::new(ManualClock::at(now));
    let records = Records::new(Arc::new(hot.clone()), sql, Arc::new(datasets()), clock, Arc::new(CommitLag::default()));
    World { hot, records, _dir: dir }
}

#[tokio::test]
async fn a_walk_crosses_from_the_hot_index_into_the_lake() {
    let now = 1_000 * DAY;
    let lake = MemoryLake::default();
    // One event an hour over four days, everything committed and partly twice; the newest day is hot too.
    let all: Vec<Event> = (0..96)
        .map(|n| Event {
            time: now - n * DAY / 24,
            arrival: now - n * DAY / 24 + 1,
            ..events(96, 3)[n as usize].clone()
        })
        .collect();
    lake.add(&all[..60]);
    lake.add(&all[40..]);
    let world = world(&lake, now).await;
    let hot: Vec<Event> = all.iter().filter(|event| event.time >= now - DAY).cloned().collect();
    world.hot.put(chunks(1, &hot)).await.unwrap();
    for (source, expected) in [(None, 96), (Some("s1".to_owned()), 32)] {
        let mut request =
            RecordsRequest { dataset: "telemetry".into(), source, limit: Some(13), ..RecordsRequest::default() };
        let mut times = Vec::new();
        loop {
            let page = world.records.page(&request).await.unwrap();
            assert!(page.complete);
            let column = arrow::array::AsArray::as_primitive::<arrow::datatypes::TimestampMicrosecondType>(
                &page.rows["event_time"],
            );
            times.extend(column.values().iter().copied());
            let Some(next) = page.next else { break };
            request.cursor = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(times.len(), expected);
        assert!(times.is_sorted_by(|newer, older| newer > older));
    }
}

/// Prints how long reads over a million hot rows take; run it by name with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_a_million_hot_rows() {
    let lake = MemoryLake::default();
    let world = world(&lake, 1_000 * DAY).await;
    let began = Stopwatch::now();
    let mut bytes = 0;
    for batch in 0..200 {
        let mut rows = events(5_000, 500);
        rows.iter_mut().for_each(|event| {
            event.id = format!("{batch}-{}", event.id);
            event.time = 1_000 * DAY - 200 * SECOND + batch * SECOND + event.time / 5;
        });
        let chunks = chunks(batch as u64, &rows);
        bytes += chunks.iter().map(|chunk| chunk.block.len()).sum::<usize>();
        world.hot.put(chunks).await.unwrap();
    }
    world.hot.flush().await.unwrap();
    println!("1,000,000 rows put in {:?}, {} bytes of blocks", began.elapsed(), bytes);
    let one = RecordsRequest { dataset: "telemetry".into(), source: Some("s7".into()), ..RecordsRequest::default() };
    let owned = RecordsRequest { owner: Some("o".into()), ..one.clone() };
    let all = RecordsRequest { source: None, ..one.clone() };
    let deep = RecordsRequest { limit: Some(1_000), ..owned.clone() };
    for (what, request) in
        [("source and owner", owned), ("source", one), ("all", all), ("source and owner, 1,000 rows", deep)]
    {
        let mut took: Vec<f64> = Vec::new();
        for _ in 0..9 {
            let began = Stopwatch::now();
            let page = world.records.page(&request).await.unwrap();
            assert_eq!(page.rows.num_rows(), request.limit.unwrap_or(100));
            took.push(began.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        println!("{what}: median {:.1} ms, first {:.1} ms at most", took[4], took[8]);
    }
}
