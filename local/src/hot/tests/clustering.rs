//! Clustering changes how rows lie, and nothing that is read.

use std::collections::BTreeMap;

use alluvium_core::hot::bucket_of;
use alluvium_core::hot_block::{EXPANDED_BYTES, read_block};
use arrow::array::{AsArray as _, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;

use super::*;

const OWNER: &str = "ann";
/// What lies longer than any test takes.
const KEPT: Micros = 1 << 50;

/// A row: its source, its time and what tells it apart.
type Row = (u8, Micros, u32);

fn batch_of(rows: &[Row]) -> RecordBatch {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    let owner: StringArray = rows.iter().map(|_| Some(OWNER)).collect();
    let source: StringArray = rows.iter().map(|(source, ..)| Some(format!("source-{source:02}"))).collect();
    let time = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(_, time, _)| *time));
    let id: StringArray = rows.iter().map(|(.., id)| Some(id.to_string())).collect();
    let columns: [(_, ArrayRef); 4] = [
        ("event_id", Arc::new(id)),
        ("source", Arc::new(source)),
        ("event_time", Arc::new(time.with_timezone("UTC"))),
        ("owner", Arc::new(owner)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn chunk_of(bucket: u16, batch: u64, rows: &[Row]) -> HotChunk {
    let times = rows.iter().map(|(_, time, _)| *time);
    let (min_time, max_time) = (times.clone().min().unwrap(), times.max().unwrap());
    let block = HotBlockWriter::default().write(&batch_of(rows)).unwrap();
    HotChunk {
        block,
        rows: rows.len() as u32,
        expires_at: max_time + KEPT,
        ..contract::chunk("clustered", bucket, batch, (min_time, max_time))
    }
}

/// Every row of some chunks, in order.
fn rows_of<'a>(chunks: impl IntoIterator<Item = &'a HotChunk>) -> Vec<Row> {
    let mut all = Vec::new();
    for chunk in chunks {
        let rows = read_block(&chunk.block, EXPANDED_BYTES).unwrap();
        assert_eq!(rows.num_rows() as u32, chunk.rows);
        let text = |name: &str| rows.column_by_name(name).unwrap().as_string::<i32>().clone();
        let (ids, sources) = (text("event_id"), text("source"));
        let times = rows.column_by_name("event_time").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
        for row in 0..rows.num_rows() {
            let source = sources.value(row).trim_start_matches("source-").parse().unwrap();
            all.push((source, times.value(row), ids.value(row).parse().unwrap()));
        }
        let times = times.values();
        assert_eq!((chunk.min_time, chunk.max_time), (*times.iter().min().unwrap(), *times.iter().max().unwrap()));
        assert_eq!(chunk.expires_at, chunk.max_time + KEPT);
        assert!(sources.iter().is_sorted(), "a chunk's rows come by source");
    }
    all.sort_unstable();
    all
}

async fn cluster_all(index: &RedbHotIndex, until: Micros) {
    while index.cluster(until).await.unwrap() {}
}

/// What was put from a position on.
async fn told(index: &RedbHotIndex, bucket: Option<u16>, mut from: PutPosition) -> (Vec<HotChunk>, PutPosition) {
    let mut all = Vec::new();
    loop {
        let query = PutQuery { dataset: "clustered".to_owned(), bucket, from, most: 7, now: 0 };
        let puts = index.puts(query).await.unwrap();
        let mut last = None;
        for (position, chunk) in puts.chunks {
            assert!(last.is_none_or(|last| last < position), "in the order of their positions");
            assert!(position < puts.up_to);
            last = Some(position);
            all.push(chunk);
        }
        from = puts.up_to;
        if !puts.more {
            return (all, from);
        }
    }
}

fn clocked(dir: &Path) -> (RedbHotIndex, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(1_000));
    let (index, _) = RedbHotIndex::open(dir, CACHE_BYTES, clock.clone()).unwrap();
    (index, clock)
}

/// So many batches, one a second, each with a row of each of so many sources.
async fn put_batches(index: &RedbHotIndex, clock: &ManualClock, batches: u64, sources: u8) -> Vec<Row> {
    let mut all = Vec::new();
    for batch in 0..batches {
        let at = 1_000_000 * batch as i64;
        clock.set(at);
        let rows: Vec<Row> = (0..sources)
            .map(|source| (source, at + i64::from(source), 1_000 * batch as u32 + u32::from(source)))
            .collect();
        index.put(vec![chunk_of(3, batch, &rows)]).await.unwrap();
        all.extend(rows);
    }
    all.sort_unstable();
    all
}

#[tokio::test]
async fn a_sources_rows_come_to_lie_in_few_chunks_and_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (index, clock) = clocked(dir.path());
    // Four groups of 25 batches, by their rows, and five batches that wait for others.
    let all = put_batches(&index, &clock, 105, 40).await;
    let of_source = HotQuery { source: Some(SourceMark::of(OWNER, "source-07")), ..everything("clustered") };
    let before = contract::newest(&index, of_source.clone()).await;
    cluster_all(&index, Micros::MAX).await;
    let after = contract::newest(&index, of_source).await;
    assert_eq!((before.len(), after.len()), (105, 9));
    let chunks = contract::newest(&index, everything("clustered")).await;
    assert_eq!(rows_of(&chunks), all);
    assert_eq!(rows_of(&told(&index, Some(3), PutPosition::at(Micros::MIN)).await.0), all);
    assert_eq!(told(&index, Some(4), PutPosition::at(Micros::MIN)).await.0, []);
    let rows = index.sum(|chunk| Ok(u64::from(chunk.rows))).await.unwrap();
    assert_eq!(rows, all.len() as u64);
    // A second look finds nothing to do, in this process and in the next one.
    cluster_all(&index, Micros::MAX).await;
    assert_eq!(contract::newest(&index, everything("clustered")).await, chunks);
    index.flush().await.unwrap();
    drop(index);
    let (index, _) = clocked(dir.path());
    cluster_all(&index, Micros::MAX).await;
    assert_eq!(contract::newest(&index, everything("clustered")).await, chunks);
    assert_eq!(index.expire(Micros::MAX).await.unwrap(), chunks.len());
    assert_eq!(told(&index, None, PutPosition::at(Micros::MIN)).await.0, []);
}

#[tokio::test]
async fn who_was_told_of_the_last_of_a_group_is_not_told_of_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let (index, clock) = clocked(dir.path());
    put_batches(&index, &clock, 64, 40).await;
    let (_, end) = told(&index, Some(3), PutPosition::at(Micros::MIN)).await;
    let within = PutPosition::at(5_000_000);
    cluster_all(&index, Micros::MAX).await;
    assert_eq!(told(&index, Some(3), end).await.0, []);
    let (again, _) = told(&index, Some(3), within).await;
    let since: Vec<_> = rows_of(&again).into_iter().filter(|(_, time, _)| *time >= 5_000_000).collect();
    assert_eq!(since.len(), 59 * 40, "nothing that came after is missed");
}

#[tokio::test]
async fn what_is_young_or_stands_alone_is_left_as_it_was_put() {
    let dir = tempfile::tempdir().unwrap();
    let (index, clock) = clocked(dir.path());
    put_batches(&index, &clock, 64, 40).await;
    let before = contract::newest(&index, everything("clustered")).await;
    cluster_all(&index, 25_000_000).await;
    assert_eq!(contract::newest(&index, everything("clustered")).await, before, "25 have not too many rows yet");
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = clocked(dir.path());
    let rows: Vec<Row> = (0..3_000).map(|n| (1, i64::from(n), n)).collect();
    let large = chunk_of(3, 1, &rows);
    index.put(vec![large.clone()]).await.unwrap();
    cluster_all(&index, Micros::MAX).await;
    assert_eq!(contract::newest(&index, everything("clustered")).await, [large]);
}

#[tokio::test]
async fn what_cannot_be_read_together_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (index, clock) = clocked(dir.path());
    let mut all = put_batches(&index, &clock, 60, 40).await;
    // A block that is none, and one of a dataset whose schema was another.
    let odd = contract::chunk("clustered", 3, 900, (100, 200));
    let other = batch_of(&[(1, 300, 9)]);
    let fewer =
        RecordBatch::try_from_iter([("event_id", other.column(0).clone()), ("source", other.column(1).clone())]);
    let narrow = HotChunk {
        block: HotBlockWriter::default().write(&fewer.unwrap()).unwrap(),
        rows: 1,
        ..contract::chunk("clustered", 3, 901, (300, 300))
    };
    clock.set(0);
    index.put(vec![odd.clone(), narrow.clone()]).await.unwrap();
    cluster_all(&index, Micros::MAX).await;
    let mut chunks = contract::newest(&index, HotQuery { now: Micros::MIN, ..everything("clustered") }).await;
    for kept in [odd, narrow] {
        let at = chunks.iter().position(|chunk| *chunk == kept).expect("it is there still");
        chunks.remove(at);
    }
    all.sort_unstable();
    assert_eq!(rows_of(&chunks), all);
    assert!(chunks.len() < 60);
}

#[tokio::test]
async fn an_erasure_and_a_rewrite_reach_clustered_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let (index, clock) = clocked(dir.path());
    let all = put_batches(&index, &clock, 64, 40).await;
    cluster_all(&index, Micros::MAX).await;
    let erase = |chunk: HotChunk| {
        let rows = read_block(&chunk.block, EXPANDED_BYTES)?;
        let keep = rows
            .column_by_name("source")
            .unwrap()
            .as_string::<i32>()
            .iter()
            .map(|source| Some(source != Some("source-07")));
        let kept = filter_record_batch(&rows, &keep.collect()).unwrap();
        let times =
            kept.column_by_name("event_time").unwrap().as_primitive::<TimestampMicrosecondType>().values().clone();
        let (Some(min_time), Some(max_time)) = (times.iter().min().copied(), times.iter().max().copied()) else {
            return Ok(None);
        };
        let block = HotBlockWriter::default().write(&kept)?;
        let rows = kept.num_rows() as u32;
        Ok(Some(HotChunk { block, rows, min_time, max_time, expires_at: max_time + KEPT, ..chunk }))
    };
    index.rewrite(erase).await.unwrap();
    let without: Vec<Row> = all.into_iter().filter(|(source, ..)| *source != 7).collect();
    assert_eq!(rows_of(&contract::newest(&index, everything("clustered")).await), without);
    cluster_all(&index, Micros::MAX).await;
    assert_eq!(rows_of(&told(&index, None, PutPosition::at(Micros::MIN)).await.0), without);
}

#[tokio::test]
async fn a_read_that_began_before_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (index, clock) = clocked(dir.path());
    let all = put_batches(&index, &clock, 64, 40).await;
    let snapshot = index.snapshot().await.unwrap().unwrap();
    let mut query = HotQuery { most: 1, ..everything("clustered") };
    let mut chunks = Vec::new();
    loop {
        let found = snapshot.newest(query.clone()).await.unwrap();
        chunks.extend(found.chunks);
        // What the index itself would answer now lies elsewhere.
        cluster_all(&index, Micros::MAX).await;
        let Some(below) = found.below else { break };
        query.below = below;
    }
    assert_eq!((chunks.len(), rows_of(&chunks)), (64, all));
}

#[tokio::test]
async fn a_batch_that_ends_two_groups_names_their_chunks_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = clocked(dir.path());
    let rows = |first: u32, count: u32| -> Vec<Row> {
        (first..first + count).map(|n| ((n % 9) as u8, i64::from(n % 7), n)).collect()
    };
    let parts = [(1, 0, 600), (2, 0, 400), (2, 1, 600), (2, 2, 400), (3, 0, 600), (4, 0, 600)];
    let mut all = Vec::new();
    for (number, (batch, part, count)) in (0..).zip(parts) {
        let of_chunk = rows(1_000 * number, count);
        index.put(vec![HotChunk { part, ..chunk_of(3, batch, &of_chunk) }]).await.unwrap();
        all.extend(of_chunk);
    }
    all.sort_unstable();
    cluster_all(&index, Micros::MAX).await;
    let chunks = contract::newest(&index, everything("clustered")).await;
    let names: std::collections::BTreeSet<_> = chunks.iter().map(|chunk| (chunk.batch.clone(), chunk.part)).collect();
    assert_eq!((names.len(), rows_of(&chunks)), (chunks.len(), all.clone()));
    // All times the same, as after an erasure of whatever made them differ.
    index.rewrite(|chunk| Ok(Some(HotChunk { min_time: 0, max_time: 6, ..chunk }))).await.unwrap();
    let rewritten = contract::newest(&index, everything("clustered")).await;
    assert_eq!(rewritten.len(), chunks.len());
    assert_eq!(index.expire(Micros::MAX).await.unwrap(), chunks.len());
    assert_eq!(told(&index, None, PutPosition::at(Micros::MIN)).await.0, []);
}

#[derive(Debug, Clone)]
enum Step {
    /// Of a batch, rows of sources at seconds.
    Put(u64, Vec<(u8, u8)>),
    /// What was put before so many seconds before now.
    Cluster(u8),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rows = prop::collection::vec((0_u8..12, any::<u8>()), 1..60);
    let step = prop_oneof![
        8 => (0_u64..30, rows).prop_map(|(batch, rows)| Step::Put(batch, rows)),
        2 => (0_u8..20).prop_map(Step::Cluster),
        1 => Just(Step::Flush),
    ];
    prop::collection::vec(step, 1..160)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 10))]

    /// Beside an index that clusters nothing: every row is there, and whoever follows is told of all of them.
    #[test]
    fn reads_are_those_of_an_index_that_is_never_clustered(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (dir, plain_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (index, clock) = clocked(dir.path());
            let (plain, _) = clocked(plain_dir.path());
            let mut following = (PutPosition::at(Micros::MIN), Vec::new());
            let mut ever: BTreeMap<Row, ()> = BTreeMap::new();
            for (second, step) in steps.into_iter().enumerate() {
                clock.set(1_000_000 * second as i64);
                match step {
                    Step::Put(batch, rows) => {
                        // Each put tells its rows apart, so that one of a batch that was put before is another.
                        let rows: Vec<Row> = rows
                            .into_iter()
                            .enumerate()
                            .map(|(n, (source, at))| (source, 1_000_000 * i64::from(at), (second * 100 + n) as u32))
                            .collect();
                        ever.extend(rows.iter().map(|row| (*row, ())));
                        let bucket = bucket_of(OWNER, "one", 2);
                        index.put(vec![chunk_of(bucket, batch, &rows)]).await.unwrap();
                        plain.put(vec![chunk_of(bucket, batch, &rows)]).await.unwrap();
                    }
                    Step::Cluster(ago) => cluster_all(&index, 1_000_000 * (second as i64 - i64::from(ago))).await,
                    Step::Flush => index.flush().await.unwrap(),
                }
                let (told, position) = told(&index, None, following.0).await;
                following.0 = position;
                following.1.extend(rows_of(&told));
            }
            let newest = contract::newest(&index, everything("clustered")).await;
            let rows = rows_of(&newest);
            let expected = rows_of(&contract::newest(&plain, everything("clustered")).await);
            // One that was put again after it was clustered has left its rows of before.
            let rows: std::collections::BTreeSet<Row> = rows.into_iter().collect();
            assert!(expected.iter().all(|row| rows.contains(row)), "a row is gone");
            assert!(rows.iter().all(|row| ever.contains_key(row)));
            assert!(expected.iter().all(|row| following.1.contains(row)), "a row was not told of");
        });
    }
}
