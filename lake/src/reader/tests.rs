#![allow(clippy::unwrap_used)]

use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;
use crate::testing::{NOTES, READINGS, TestStream, drive, root};

#[tokio::test]
async fn a_reader_that_has_looked_before_sees_what_a_new_one_sees() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let old = LakeReader::new(store.clone(), root());
    for length in [10, 80, 90, 300] {
        drive(&store, &store, &TestStream::new([length, length / 2]), 6).await.unwrap();
        for table in [READINGS, NOTES] {
            let (seen, fresh) = (
                old.snapshot(table).await.unwrap(),
                LakeReader::new(store.clone(), root()).snapshot(table).await.unwrap(),
            );
            assert_eq!((seen.version, &seen.files), (fresh.version, &fresh.files), "{table} at {length}");
            assert!(seen.rows() > 0);
        }
    }
}

#[tokio::test]
async fn a_reader_finds_the_way_when_old_entries_are_gone() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let old = LakeReader::new(store.clone(), root());
    drive(&store, &store, &TestStream::new([30, 0]), 6).await.unwrap();
    let before = old.snapshot(READINGS).await.unwrap().version;
    drive(&store, &store, &TestStream::new([300, 0]), 6).await.unwrap();
    for version in 0..=before + 1 {
        store.delete(&Path::from(format!("readings/_delta_log/{version:020}.json"))).await.unwrap();
    }
    let fresh = LakeReader::new(store.clone(), root()).snapshot(READINGS).await.unwrap();
    assert_eq!(old.snapshot(READINGS).await.unwrap().files, fresh.files);
}

#[tokio::test]
async fn a_snapshot_of_an_earlier_version_has_the_files_of_then() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let reader = LakeReader::new(store.clone(), root());
    drive(&store, &store, &TestStream::new([30, 0]), 6).await.unwrap();
    let then = reader.snapshot(READINGS).await.unwrap();
    drive(&store, &store, &TestStream::new([200, 0]), 6).await.unwrap();
    let again = reader.at(READINGS, then.version).await.unwrap();
    assert_eq!(snapshot_of(&reader.log(READINGS), &again).unwrap().files, then.files);
}
