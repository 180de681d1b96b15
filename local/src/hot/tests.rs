#![allow(clippy::unwrap_used)]

use alluvium_core::ManualClock;
use alluvium_core::contract::hot_index::{self as contract, everything};
use alluvium_core::hot::{SourceMark, TIME_BUCKET_MICROS};
use alluvium_core::hot_block::HotBlockWriter;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use proptest::prelude::*;

use super::*;

mod clustering;

const CACHE_BYTES: usize = 1 << 20;

fn try_open(dir: &Path) -> Result<(RedbHotIndex, Opened), HotIndexError> {
    RedbHotIndex::open(dir, CACHE_BYTES, Arc::new(ManualClock::default()))
}

fn open(dir: &Path) -> (RedbHotIndex, Opened) {
    try_open(dir).unwrap()
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let (index, opened) = open(dir.path());
    assert_eq!(opened, Opened::New);
    contract::all(&index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract_where_it_is_read_on_the_thread_that_asks() {
    let dir = tempfile::tempdir().unwrap();
    contract::all(&open(dir.path()).0).await;
}

#[tokio::test]
async fn what_was_flushed_outlives_a_process_that_died() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path());
    let kept = contract::chunk("crash", 1, 1, (100, 200));
    index.put(vec![kept.clone()]).await.unwrap();
    index.set_complete_since("crash", 50).await.unwrap();
    index.flush().await.unwrap();
    index.put(vec![contract::chunk("crash", 1, 2, (300, 400))]).await.unwrap();
    // A copy taken while the file is open is what a killed process leaves behind.
    let left = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("index.redb"), left.path().join("index.redb")).unwrap();
    let (index, opened) = open(left.path());
    assert_eq!(opened, Opened::Existing);
    assert_eq!(contract::newest(&index, everything("crash")).await, [kept]);
    assert_eq!(index.complete_since("crash").await.unwrap(), Some(50));
    index.put(vec![contract::chunk("crash", 1, 3, (500, 600))]).await.unwrap();
    assert_eq!(contract::newest(&index, everything("crash")).await.len(), 2);
}

#[tokio::test]
async fn a_chunk_that_is_put_again_with_other_times_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path());
    let (one, other) = (contract::chunk("moved", 1, 1, (100, 200)), contract::chunk("moved", 1, 2, (300, 400)));
    index.put(vec![one.clone(), other.clone()]).await.unwrap();
    let moved = HotChunk { min_time: 150, max_time: 500, ..one };
    index.put(vec![moved.clone()]).await.unwrap();
    assert_eq!(contract::newest(&index, everything("moved")).await, [moved.clone(), other]);
    let (expires_at, count) = (moved.expires_at, index.expire(moved.expires_at).await.unwrap());
    assert_eq!((count, index.expire(expires_at + TIME_BUCKET_MICROS).await.unwrap()), (1, 1));
}

/// A chunk of which it is known whose rows it has, the newer the greater its batch.
fn of(batch: u64, owner: &str, sources: &[&str]) -> HotChunk {
    let owners = vec![owner; sources.len()];
    let texts = |texts: Vec<&str>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let rows = [("owner", texts(owners)), ("source", texts(sources.to_vec()))];
    let block = HotBlockWriter::default().write(&RecordBatch::try_from_iter(rows).unwrap()).unwrap();
    HotChunk { block, ..contract::chunk("marks", 1, batch, (100 * batch as i64, 100 * batch as i64 + 9)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_below_many_of_others_is_found_and_below_no_more_than_a_few_it_is_found_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path());
    let wanted = of(1, "ann", &["a"]);
    let others = (2..).map(|batch| of(batch, "ann", &["b"])).take(QUICK_PASSED);
    index.put([wanted.clone()].into_iter().chain(others).collect()).await.unwrap();
    let query = HotQuery { source: Some(SourceMark::of("ann", "a")), bucket: Some(1), most: 64, ..everything("marks") };
    let quickly = async || index.now().await.unwrap().quickly(&query).unwrap();
    assert_eq!(quickly().await.map(|found| found.chunks), Some(vec![wanted.clone()]));
    index.put(vec![of(QUICK_PASSED as u64 + 2, "ann", &["b"])]).await.unwrap();
    assert_eq!(quickly().await, None, "it takes longer");
    assert_eq!(contract::newest(&index, query.clone()).await, [wanted]);
}

#[tokio::test]
async fn a_chunk_without_rows_of_a_source_is_left_out_where_that_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path());
    let (one, other) = (of(1, "ann", &["a", "b", "b"]), of(2, "ann", &["c"]));
    let (of_bob, unknown) = (of(3, "bob", &["a"]), contract::chunk("marks", 1, 4, (400, 409)));
    index.put(vec![one.clone(), other.clone(), of_bob.clone(), unknown.clone()]).await.unwrap();
    let of_source = |owner, source| HotQuery { source: Some(SourceMark::of(owner, source)), ..everything("marks") };
    assert_eq!(contract::newest(&index, of_source("ann", "b")).await, [unknown.clone(), one]);
    assert_eq!(contract::newest(&index, of_source("ann", "c")).await, [unknown.clone(), other]);
    assert_eq!(contract::newest(&index, of_source("bob", "a")).await, [unknown.clone(), of_bob]);
    assert_eq!(contract::newest(&index, of_source("bob", "b")).await, [unknown]);
}

#[tokio::test]
async fn an_index_of_a_release_before_is_set_aside() {
    for chunks in ["chunks.v1", "chunks.v2"] {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::create(dir.path().join("index.redb")).unwrap();
        let before: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(chunks);
        write(&database, Durability::Immediate, |transaction| Ok(transaction.open_table(before).map(drop)?)).unwrap();
        drop(database);
        let (index, opened) = open(dir.path());
        let Opened::SetAside { why, .. } = opened else { panic!("{opened:?}") };
        assert!(why.contains("a release before"), "{why}");
        assert_eq!(index.complete_since("telemetry").await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_end_of_the_puts_moves_with_the_clock_and_no_put_comes_before_an_end_that_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_000));
    let (index, _) = RedbHotIndex::open(dir.path(), CACHE_BYTES, clock.clone()).unwrap();
    let chunk = |batch| HotChunk { expires_at: Micros::MAX, ..contract::chunk("end", 1, batch, (100, 200)) };
    index.put(vec![chunk(1)]).await.unwrap();
    clock.set(5_000);
    let quiet = index.puts_end().await.unwrap();
    assert_eq!(quiet.time(), 5_000, "nothing was put, and none of it missed");
    clock.set(2_000);
    index.put(vec![chunk(2)]).await.unwrap();
    let query = PutQuery { dataset: "end".to_owned(), bucket: None, from: quiet, most: 9, now: 0 };
    let puts = index.puts(query).await.unwrap();
    assert_eq!(puts.chunks.into_iter().map(|(_, chunk)| chunk).collect::<Vec<_>>(), [chunk(2)]);
    assert!(puts.up_to.time() > 5_000);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_index_starts_empty() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path());
    index.put(vec![contract::chunk("damage", 1, 1, (100, 200))]).await.unwrap();
    index.set_complete_since("damage", 50).await.unwrap();
    drop(index);
    let file = dir.path().join("index.redb");
    for damage in ["text", "cut", "empty"] {
        let mut bytes = std::fs::read(&file).unwrap();
        match damage {
            "text" => bytes[..64].copy_from_slice(&[b'x'; 64]),
            "cut" => bytes.truncate(5_000),
            _ => bytes.truncate(3),
        }
        std::fs::write(&file, bytes).unwrap();
        let (index, opened) = open(dir.path());
        let Opened::SetAside { kept, why } = opened else { panic!("{damage}: {opened:?}") };
        assert!(kept.exists() && !why.is_empty());
        assert_eq!(contract::newest(&index, everything("damage")).await, []);
        assert_eq!(index.complete_since("damage").await.unwrap(), None, "readers must turn to the lake");
    }
}

#[test]
fn a_second_opener_is_refused_and_nothing_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (_index, _) = open(dir.path());
    let error = try_open(dir.path()).unwrap_err();
    assert!(matches!(error, HotIndexError::InUse(_)), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn expiring_takes_more_than_one_transaction_when_there_is_much() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path());
    let many = (0..2 * EXPIRE_AT_ONCE as u64 + 1).map(|batch| contract::chunk("much", 1, batch, (1, 2))).collect();
    index.put(many).await.unwrap();
    assert_eq!(index.expire(TIME_BUCKET_MICROS).await.unwrap(), 0);
    assert_eq!(index.expire(2 + 10 * TIME_BUCKET_MICROS).await.unwrap(), 2 * EXPIRE_AT_ONCE + 1);
    assert_eq!(index.expire(Micros::MAX).await.unwrap(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 10))]

    /// Bytes changed anywhere in the file never stop the node from starting.
    #[test]
    fn an_index_opens_whatever_its_file_holds(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let (index, _) = open(dir.path());
        tables::put(&index.database.read().unwrap(), &[contract::chunk("fuzz", 1, 1, (100, 200))], 0).unwrap();
        // The copy is unclean, so that opening it walks every page.
        let left = tempfile::tempdir().unwrap();
        let mut bytes = std::fs::read(dir.path().join("index.redb")).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len().min(64 * 1024));
            bytes[at] = byte;
        }
        std::fs::write(left.path().join("index.redb"), bytes).unwrap();
        let (index, _) = open(left.path());
        drop(index);
    }
}

#[tokio::test]
async fn what_is_left_out_of_a_rewrite_cannot_be_found_in_the_file_either() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path());
    let chunk = |batch, text: &str| HotChunk {
        block: text.to_owned().into(),
        ..contract::chunk("wiped", 1, batch, (100, 200))
    };
    index.put(vec![chunk(1, "a secret"), chunk(2, "kept"), chunk(3, "another secret")]).await.unwrap();
    index.set_complete_since("wiped", 50).await.unwrap();
    index.put(vec![chunk(1, "taken its place")]).await.unwrap();
    index.expire(Micros::MIN).await.unwrap();
    index.flush().await.unwrap();
    std::fs::write(dir.path().join("index.damaged"), "a secret").unwrap();
    let finds = |text: &str| {
        let files = std::fs::read_dir(dir.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    assert!(finds("a secret") && finds("kept"), "redb leaves what it frees");
    let reader = index.clone();
    let keep = |chunk: HotChunk| Ok((chunk.block != "another secret").then_some(chunk));
    index.rewrite(keep).await.unwrap();
    assert!(!finds("secret") && finds("kept") && finds("taken its place"));
    let blocks = async |index: &RedbHotIndex| -> Vec<_> {
        contract::newest(index, everything("wiped")).await.into_iter().map(|chunk| chunk.block).collect()
    };
    assert_eq!(blocks(&reader).await.len(), 2, "clones read the new file");
    assert_eq!(index.complete_since("wiped").await.unwrap(), Some(50));
    assert_eq!(index.sum(|chunk| Ok(u64::from(chunk.rows))).await.unwrap(), 4);
    assert_eq!(index.expire(Micros::MAX).await.unwrap(), 2, "it is known when they expire");
    index.put(vec![chunk(4, "new")]).await.unwrap();
    drop((index, reader));
    let (index, opened) = open(dir.path());
    assert_eq!((opened, blocks(&index).await), (Opened::Existing, vec!["new".into()]));
}

#[tokio::test]
async fn a_rewrite_that_fails_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path());
    let chunk = contract::chunk("same", 1, 1, (100, 200));
    index.put(vec![chunk.clone()]).await.unwrap();
    index.rewrite(|chunk| Err(HotBlockError::Damaged(chunk.block.len()))).await.unwrap_err();
    assert_eq!(contract::newest(&index, everything("same")).await, std::slice::from_ref(&chunk));
    drop(index);
    let (index, _) = open(dir.path());
    assert_eq!(contract::newest(&index, everything("same")).await, [chunk]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "what was half written is gone");
}
