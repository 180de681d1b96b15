#![allow(clippy::unwrap_used)]

use std::fs;

use alluvium_core::contract::data_files as contract;
use alluvium_core::ports::{Advice, DataFiles, Put};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use tempfile::TempDir;

use super::*;
use crate::disk::RealDisk;
use crate::disk::lossy::{Loss, LossyDisk};

struct Bench {
    folder: TempDir,
    disk: LossyDisk,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = LossyDisk::over(folder.path()).unwrap();
        Self { folder, disk }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn open(&self) -> SyncedStore {
        SyncedStore::open(Arc::new(self.disk.clone()), &self.root()).unwrap()
    }

    fn lose_power(&mut self, loss: Loss) {
        self.disk = self.disk.power_loss(loss).unwrap();
    }

    fn staged(&self) -> usize {
        RealDisk.list(&self.root().join(staging::FOLDER)).unwrap().len()
    }
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

async fn create(store: &SyncedStore, location: &str, bytes: &'static [u8]) -> Result<PutResult> {
    store.put_opts(&path(location), bytes.into(), PutMode::Create.into()).await
}

async fn read(store: &SyncedStore, location: &str) -> Bytes {
    store.get(&path(location)).await.unwrap().bytes().await.unwrap()
}

async fn listed(store: &SyncedStore) -> Vec<String> {
    let mut listed: Vec<_> = store.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    listed.sort();
    listed
}

#[tokio::test]
async fn it_keeps_the_contract_of_data_files() {
    let bench = Bench::new();
    contract::all(&StoreFiles::new(Arc::new(bench.open()))).await;
    let folder = tempfile::tempdir().unwrap();
    let store = SyncedStore::open(Arc::new(RealDisk), folder.path()).unwrap();
    contract::all(&StoreFiles::new(Arc::new(store))).await;
}

#[tokio::test]
async fn what_was_put_outlives_a_power_cut_with_its_folders() {
    let mut bench = Bench::new();
    let store = bench.open();
    create(&store, "events/_delta_log/00000000000000000000.json", b"created").await.unwrap();
    store.put(&path("events/_delta_log/_last_checkpoint"), "one".into()).await.unwrap();
    store.put(&path("events/_delta_log/_last_checkpoint"), "two".into()).await.unwrap();
    let mut upload = store.put_multipart(&path("events/deep/er/checkpoint.parquet")).await.unwrap();
    let parts = [upload.put_part("in ".into()), upload.put_part("parts".into())];
    futures::future::try_join_all(parts).await.unwrap();
    upload.complete().await.unwrap();
    store.copy(&path("events/deep/er/checkpoint.parquet"), &path("copies/a")).await.unwrap();
    store.rename(&path("copies/a"), &path("renamed/b")).await.unwrap();
    bench.lose_power(Loss::Everything);
    let store = bench.open();
    assert_eq!(read(&store, "events/_delta_log/00000000000000000000.json").await, "created");
    assert_eq!(read(&store, "events/_delta_log/_last_checkpoint").await, "two");
    assert_eq!(read(&store, "events/deep/er/checkpoint.parquet").await, "in parts");
    assert_eq!(read(&store, "renamed/b").await, "in parts");
    assert_eq!(listed(&store).await.len(), 4);
}

/// At every step of a put: afterwards the object is whole or not there, and whole if the put had returned.
#[tokio::test]
async fn a_power_cut_at_any_step_leaves_an_object_whole_or_absent() {
    for steps in 0..24 {
        for seed in 0..8 {
            let mut bench = Bench::new();
            create(&bench.open(), "table/old", b"old").await.unwrap();
            bench.disk = LossyDisk::over(bench.folder.path()).unwrap();
            let store = bench.open();
            bench.disk.cut_power_after(steps);
            let created = create(&store, "table/new/a", b"created").await.is_ok();
            let replaced = store.put(&path("table/old"), "replaced".into()).await.is_ok();
            bench.lose_power(if seed == 0 { Loss::Everything } else { Loss::Some { seed } });
            let store = bench.open();
            let at = format!("{steps} steps, seed {seed}");
            match store.get(&path("table/new/a")).await {
                Ok(object) => assert_eq!(object.bytes().await.unwrap(), "created", "{at}"),
                Err(error) => assert!(!created && matches!(error, Error::NotFound { .. }), "{at}: {error}"),
            }
            let old = read(&store, "table/old").await;
            assert!(old == "replaced" || (old == "old" && !replaced), "{at}: {old:?}");
            assert_eq!(bench.staged(), 0, "{at}: what was unfinished stays");
        }
    }
}

#[tokio::test]
async fn the_first_of_many_creators_wins_and_a_loser_may_rely_on_what_is_there() {
    let mut bench = Bench::new();
    let store = bench.open();
    let puts = (0..16).map(|_| create(&store, "log/1.json", b"same"));
    let results = futures::future::join_all(puts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::AlreadyExists { .. }))));
    // As if the winner had been stopped between naming and syncing.
    bench.disk.hard_link(&bench.root().join("log/1.json"), &bench.root().join("log/2.json")).unwrap();
    assert!(matches!(create(&store, "log/2.json", b"other").await, Err(Error::AlreadyExists { .. })));
    bench.lose_power(Loss::Everything);
    assert_eq!(listed(&bench.open()).await, ["log/1.json", "log/2.json"]);
}

#[tokio::test]
async fn names_that_a_killed_process_left_unsynced_are_durable_once_the_store_is_open() {
    let mut bench = Bench::new();
    create(&bench.open(), "log/1.json", b"one").await.unwrap();
    bench.disk.hard_link(&bench.root().join("log/1.json"), &bench.root().join("log/2.json")).unwrap();
    bench.open();
    bench.lose_power(Loss::Everything);
    assert_eq!(listed(&bench.open()).await, ["log/1.json", "log/2.json"]);
}

#[tokio::test]
async fn a_full_disk_and_a_failed_sync_leave_nothing_behind() {
    let bench = Bench::new();
    let files = StoreFiles::new(Arc::new(bench.open()));
    bench.disk.set_room_bytes(Some(3));
    let error = files.put_if_absent("a", Bytes::from_static(b"12345")).await.unwrap_err();
    assert!(error.advice == Advice::Retry && error.message.contains("cannot store a"), "{error}");
    bench.disk.set_room_bytes(None);
    bench.disk.fail_syncs(1);
    files.put_if_absent("a", Bytes::from_static(b"12345")).await.unwrap_err();
    assert!(files.get("a").await.is_err(), "a failed put is not visible");
    assert_eq!(bench.staged(), 0);
    assert_eq!(files.put_if_absent("a", Bytes::from_static(b"12345")).await.unwrap(), Put::Written);
}

#[tokio::test]
async fn unfinished_writes_are_not_listed_cannot_be_named_and_go_when_the_store_opens() {
    let bench = Bench::new();
    let store = bench.open();
    create(&store, "a/b", b"x").await.unwrap();
    let mut upload = store.put_multipart(&path("c")).await.unwrap();
    upload.put_part("x".into()).await.unwrap();
    assert_eq!(bench.staged(), 1);
    assert_eq!(listed(&store).await, ["a/b"]);
    let top = store.list_with_delimiter(None).await.unwrap();
    assert_eq!((top.common_prefixes, top.objects.len()), (vec![path("a")], 0));
    assert!(matches!(create(&store, ".staging/x", b"x").await, Err(Error::NotSupported { .. })));
    std::mem::forget(upload);
    bench.open();
    assert_eq!(bench.staged(), 0);
}

#[tokio::test]
async fn an_upload_that_is_aborted_or_dropped_leaves_nothing() {
    let bench = Bench::new();
    let store = bench.open();
    let mut aborted = store.put_multipart(&path("a")).await.unwrap();
    aborted.put_part("x".into()).await.unwrap();
    aborted.abort().await.unwrap();
    assert!(aborted.complete().await.is_err());
    drop(store.put_multipart(&path("b")).await.unwrap());
    assert_eq!(bench.staged(), 0);
    assert_eq!(listed(&store).await, [""; 0]);
}

#[tokio::test]
async fn a_copy_and_a_rename_keep_to_their_mode() {
    let bench = Bench::new();
    let store = bench.open();
    create(&store, "a", b"a").await.unwrap();
    create(&store, "b", b"b").await.unwrap();
    let [a, b, c] = ["a", "b", "c"].map(path);
    assert!(matches!(store.copy_if_not_exists(&a, &b).await, Err(Error::AlreadyExists { .. })));
    assert!(matches!(store.rename_if_not_exists(&a, &b).await, Err(Error::AlreadyExists { .. })));
    assert_eq!((read(&store, "a").await, read(&store, "b").await), ("a".into(), "b".into()));
    store.rename_if_not_exists(&a, &c).await.unwrap();
    store.copy(&c, &b).await.unwrap();
    store.copy(&c, &b).await.unwrap();
    assert_eq!(read(&store, "b").await, "a");
    assert_eq!(listed(&store).await, ["b", "c"]);
    assert!(matches!(store.rename(&a, &b).await, Err(Error::NotFound { .. })));
    assert_eq!(bench.staged(), 0);
}

#[tokio::test]
async fn a_folder_removed_behind_its_back_is_made_again() {
    let bench = Bench::new();
    let store = SyncedStore::open(Arc::new(RealDisk), &bench.root()).unwrap();
    create(&store, "table/a", b"x").await.unwrap();
    fs::remove_dir_all(bench.root().join("table")).unwrap();
    create(&store, "table/b", b"x").await.unwrap();
    assert_eq!(listed(&store).await, ["table/b"]);
}

#[tokio::test]
async fn the_object_index_over_it_keeps_its_contract() {
    let bench = Bench::new();
    let index = alluvium_lake::StoreIndex::new(Arc::new(bench.open()));
    alluvium_core::contract::object_index::all(&index).await;
}
