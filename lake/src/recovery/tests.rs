#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::testing::{
    Crash, Crashing, DEAD, Dice, LEDGER, MemoryIndex, NOTES, READINGS, TestStream, assert_complete, datasets, drive,
    open, root,
};

async fn newest_entry(store: &Arc<dyn ObjectStore>, table: &str) -> (Path, Bytes) {
    let log = store.list_with_delimiter(Some(&Path::from(format!("{table}/_delta_log")))).await.unwrap();
    let entries = log.objects.into_iter().map(|object| object.location).filter(|path| path.as_ref().ends_with(".json"));
    let newest = entries.max().unwrap();
    let bytes = store.get(&newest).await.unwrap().bytes().await.unwrap();
    (newest, bytes)
}

fn cuts(bytes: &Bytes) -> Vec<usize> {
    let first_line = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    vec![0, 1, first_line, first_line + 1, bytes.len() / 2, bytes.len() - 1]
}

#[tokio::test]
async fn a_torn_newest_entry_of_any_table_is_set_aside_and_its_records_come_again() {
    let stream = TestStream::new([47, 30]);
    for table in [READINGS, NOTES, DEAD, LEDGER] {
        for cut in 0..6 {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            drive(&store, &store, &stream, 100).await.unwrap();
            let (path, whole) = newest_entry(&store, table).await;
            let cut = cuts(&whole)[cut];
            store.put(&path, whole.slice(..cut).into()).await.unwrap();
            let recovery = drive(&store, &store, &stream, 100).await.unwrap();
            let torn = &recovery.set_aside[0];
            assert_eq!(torn.table, table, "cut at {cut}");
            let kept = store.get(&Path::from(torn.moved_to.as_str())).await.unwrap().bytes().await.unwrap();
            assert_eq!(kept, whole.slice(..cut), "nothing is thrown away");
            if table != LEDGER {
                assert!(recovery.set_aside[1..].iter().all(|aside| aside.table == LEDGER), "{recovery:?}");
                assert!(recovery.set_aside.len() >= 2, "the ledger had counted that version: {recovery:?}");
            }
            assert_complete(&store, &stream).await;
            let (_, recovery) = open(&store).await.unwrap();
            assert_eq!(recovery, LakeRecovery::default(), "{table}, cut at {cut}");
        }
    }
}

#[tokio::test]
async fn the_ledger_rolls_back_past_its_own_checkpoint() {
    let stream = TestStream::new([300, 10]);
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    // A checkpoint of every version of the ledger, and none of the other tables at the newest.
    drive(&store, &store, &stream, 4).await.unwrap();
    let longer = TestStream::new([306, 10]);
    let mut lake = open(&store).await.unwrap().0;
    let message = crate::testing::deliver(&store, vec![crate::testing::range(0, 301, 306)]).await;
    lake.commit(&[message]).await.unwrap();
    drop(lake);
    let ledger = crate::LakeReader::new(store.clone(), root());
    let version = ledger.newest(LEDGER).await.unwrap().version.unwrap();
    ledger.log(LEDGER).write_checkpoint(version).await.unwrap();
    let (path, whole) = newest_entry(&store, READINGS).await;
    store.put(&path, whole.slice(..whole.len() - 3).into()).await.unwrap();
    let recovery = drive(&store, &store, &longer, 4).await.unwrap();
    let moved: Vec<_> = recovery.set_aside.iter().map(|aside| aside.moved_to.as_str()).collect();
    assert!(moved.iter().any(|path| path.starts_with("ledger/") && path.ends_with(".checkpoint.parquet")), "{moved:?}");
    assert_complete(&store, &longer).await;
}

#[tokio::test]
async fn a_torn_entry_that_is_not_the_newest_is_refused() {
    let stream = TestStream::new([47, 30]);
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    drive(&store, &store, &stream, 100).await.unwrap();
    let path = Path::from("notes/_delta_log/00000000000000000002.json");
    let whole = store.get(&path).await.unwrap().bytes().await.unwrap();
    store.put(&path, whole.slice(..whole.len() / 2).into()).await.unwrap();
    let error = open(&store).await.unwrap_err();
    assert!(matches!(&error, LakeError::Damaged { path, .. } if path.contains("0002.json")), "{error}");
    store.delete(&path).await.unwrap();
    let error = open(&store).await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn a_torn_entry_that_a_checkpoint_covers_is_refused() {
    let stream = TestStream::new([47, 30]);
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    drive(&store, &store, &stream, 100).await.unwrap();
    let reader = crate::LakeReader::new(store.clone(), root());
    let version = reader.newest(READINGS).await.unwrap().version.unwrap();
    reader.log(READINGS).write_checkpoint(version).await.unwrap();
    let (path, whole) = newest_entry(&store, READINGS).await;
    store.put(&path, whole.slice(..5).into()).await.unwrap();
    let error = open(&store).await.unwrap_err();
    assert!(matches!(error, LakeError::Damaged { .. }), "{error}");
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap().len(), 5, "nothing was moved");
}

#[tokio::test]
async fn a_table_that_lost_more_than_its_newest_entry_is_refused() {
    let stream = TestStream::new([47, 30]);
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    drive(&store, &store, &stream, 100).await.unwrap();
    for _ in 0..2 {
        let (path, _) = newest_entry(&store, READINGS).await;
        store.delete(&path).await.unwrap();
    }
    let error = open(&store).await.unwrap_err();
    assert!(error.to_string().contains("more than its newest entry is gone"), "{error}");
}

#[tokio::test]
async fn deaths_and_torn_entries_in_any_order_lose_nothing_and_double_nothing() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let disk: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let stream = TestStream::new([20 + dice.below(60), 1 + dice.below(60)]);
        for _ in 0..2 + dice.below(5) {
            let crash = if dice.below(2) == 0 { Crash::BeforeTheWrite } else { Crash::AfterTheWrite };
            let at_write = 1 + dice.below(25) as i64;
            let dying: Arc<dyn ObjectStore> = Arc::new(Crashing::new(disk.clone(), crash, at_write));
            drive(&dying, &disk, &stream, 1_000).await.ok();
            if dice.below(3) == 0 {
                open(&disk).await.unwrap();
                let table = [READINGS, NOTES, DEAD, LEDGER][dice.below(4) as usize];
                let (path, whole) = newest_entry(&disk, table).await;
                disk.put(&path, whole.slice(..dice.below(whole.len() as u64) as usize).into()).await.unwrap();
                open(&disk).await.unwrap();
            }
            let report = crate::audit(
                &crate::LakeReader::new(disk.clone(), root()),
                &datasets(),
                &MemoryIndex::default(),
                &stream,
                &crate::AuditSettings::at(0),
            )
            .await;
            match report {
                Ok(report) => assert!(report.balances(), "{seed}: {:?}", report.problems().collect::<Vec<_>>()),
                Err(LakeError::NoTable(_)) => {}
                Err(error) => panic!("{seed}: {error}"),
            }
        }
        drive(&disk, &disk, &stream, 1_000).await.unwrap();
        assert_complete(&disk, &stream).await;
    }
}
