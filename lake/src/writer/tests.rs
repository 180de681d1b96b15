#![allow(clippy::unwrap_used)]

use alluvium_core::ports::Advice;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutMode};

use super::*;
use crate::LakeReader;
use crate::testing::{
    Crash, Crashing, DEAD, LEDGER, MemoryIndex, NOTES, READINGS, TestStream, assert_complete,
    assert_the_library_reads_the_same, dataset, datasets, deliver, drive, drive_opened, library_table, open, open_at,
    open_with, range, root,
};

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn shard(n: u32) -> ShardId {
    ShardId::numbered(n)
}

#[tokio::test]
async fn opening_an_empty_store_makes_every_table_once() {
    let store = memory();
    let (lake, recovery) = open(&store).await.unwrap();
    assert_eq!(recovery.created, [NOTES, READINGS, DEAD, LEDGER]);
    assert_eq!(lake.position(&shard(0)), None);
    let (_, recovery) = open(&store).await.unwrap();
    assert_eq!(recovery, LakeRecovery::default());
    let reader = LakeReader::new(store, root());
    assert_eq!(reader.snapshot(READINGS).await.unwrap().columns, *datasets().get(READINGS).unwrap().columns());
    assert!(matches!(reader.snapshot("unheard_of").await, Err(LakeError::NoTable(_))));
}

#[tokio::test]
async fn a_stream_is_committed_whole_and_the_library_reads_the_same() {
    let store = memory();
    let stream = TestStream::new([60, 43]);
    drive(&store, &store, &stream, 4).await.unwrap();
    assert_complete(&store, &stream).await;
    let (lake, _) = open(&store).await.unwrap();
    assert_eq!(lake.position(&shard(0)), Some(60.into()));
    assert_eq!(lake.position(&shard(1)), Some(43.into()));
    assert_the_library_reads_the_same(&store).await;
    let theirs = library_table(&store, READINGS).await;
    let snapshot = theirs.snapshot().unwrap();
    let mark = snapshot.transaction_version(theirs.log_store().as_ref(), "alluvium/mark/shardId-000000000000").await;
    assert_eq!(mark.unwrap().map(|mark| SequenceNumber::from(mark as u64)), lake.mark(READINGS, &shard(0)));
}

#[tokio::test]
async fn a_batch_that_comes_again_is_in_already() {
    let store = memory();
    let (mut lake, _) = open(&store).await.unwrap();
    let first = deliver(&store, vec![range(0, 1, 6)]).await;
    let report = lake.commit(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!((report.batches, report.already_in, report.ledger_entries), (1, 0, 2));
    assert_eq!(report.ledger_version, Some(1));
    let again = lake.commit(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(again, CommitReport { already_in: 1, ..CommitReport::default() });
    let second = deliver(&store, vec![range(0, 7, 12), range(1, 1, 3)]).await;
    let report = lake.commit(&[second.clone(), second]).await.unwrap();
    assert_eq!((report.batches, report.already_in), (1, 1), "twice in one cycle counts once");
    assert_complete(&store, &TestStream::new([12, 3])).await;
}

#[tokio::test]
async fn a_batch_without_any_event_is_covered_too() {
    let store = memory();
    let (mut lake, _) = open(&store).await.unwrap();
    lake.commit(&[deliver(&store, vec![range(0, 1, 12)]).await]).await.unwrap();
    let report = lake.commit(&[deliver(&store, vec![range(0, 13, 13)]).await]).await.unwrap();
    assert_eq!(report.ledger_entries, 1);
    lake.commit(&[deliver(&store, vec![range(0, 14, 20)]).await]).await.unwrap();
    assert_complete(&store, &TestStream::new([20, 0])).await;
}

#[tokio::test]
async fn gaps_straddling_batches_and_messages_that_contradict_themselves_are_refused() {
    let store = memory();
    let (mut lake, _) = open(&store).await.unwrap();
    lake.commit(&[deliver(&store, vec![range(0, 1, 6)]).await]).await.unwrap();
    let gap = lake.commit(&[deliver(&store, vec![range(0, 8, 9)]).await]).await.unwrap_err();
    assert!(matches!(gap, LakeError::Gap { .. }), "{gap}");
    assert_eq!(gap.advice(), Advice::Stop);
    let straddles = lake.commit(&[deliver(&store, vec![range(0, 5, 9)]).await]).await.unwrap_err();
    assert!(matches!(straddles, LakeError::Straddles(_)), "{straddles}");
    let mixed = lake.commit(&[deliver(&store, vec![range(0, 1, 6), range(1, 1, 2)]).await]).await.unwrap_err();
    assert!(matches!(mixed, LakeError::Straddles(_)), "{mixed}");
    let whole = deliver(&store, vec![range(0, 7, 12)]).await;
    let mut wrong = whole.clone();
    wrong.files[0].rows += 1;
    let mut unbalanced = whole.clone();
    unbalanced.ledger[0].received += 1;
    let mut unnamed = whole.clone();
    unnamed.files[0].path = "readings/x.parquet".to_owned();
    let mut unknown = whole.clone();
    unknown.ledger[1].dataset = "elsewhere".to_owned();
    for message in [wrong, unbalanced, unnamed, unknown] {
        let error = lake.commit(&[message]).await.unwrap_err();
        assert!(matches!(error, LakeError::Message { .. } | LakeError::NoTable(_)), "{error}");
    }
    lake.commit(&[whole]).await.unwrap();
    assert_complete(&store, &TestStream::new([12, 0])).await;
}

#[tokio::test]
async fn whatever_write_the_process_dies_at_every_record_is_in_once_in_the_end() {
    let stream = TestStream::new([34, 21]);
    for crash in [Crash::BeforeTheWrite, Crash::AfterTheWrite] {
        let mut at_write = 1;
        loop {
            let disk = memory();
            let store = Arc::new(Crashing::new(disk.clone(), crash, at_write));
            let dying: Arc<dyn ObjectStore> = store.clone();
            let outcome = drive(&dying, &disk, &stream, 3).await;
            if !store.has_crashed() {
                outcome.unwrap();
                break;
            }
            assert_balances_as_it_lies(&disk, &stream, &format!("{crash:?} {at_write}")).await;
            // And it dies once more on the way back.
            let second = 1 + at_write % 7;
            let dying: Arc<dyn ObjectStore> = Arc::new(Crashing::new(disk.clone(), crash, second));
            drive(&dying, &disk, &stream, 3).await.ok();
            assert_balances_as_it_lies(&disk, &stream, &format!("{crash:?} {at_write}, {second}")).await;
            drive(&disk, &disk, &stream, 3).await.unwrap();
            assert_complete(&disk, &stream).await;
            at_write += 1;
        }
        assert!(at_write > 20, "the run has more than {at_write} writes");
    }
}

/// A lake balances at any moment, before anything that a crash left is mended.
async fn assert_balances_as_it_lies(store: &Arc<dyn ObjectStore>, stream: &TestStream, when: &str) {
    let reader = LakeReader::new(store.clone(), root());
    if reader.snapshot(LEDGER).await.is_ok() {
        let report = crate::audit(&reader, &datasets(), &MemoryIndex::default(), stream, &crate::AuditSettings::at(0))
            .await
            .unwrap();
        assert!(report.balances(), "{when}: {:?}", report.problems().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_second_committer_is_noticed_and_nothing_is_added_twice() {
    let store = memory();
    let (mut one, _) = open(&store).await.unwrap();
    let (mut two, _) = open(&store).await.unwrap();
    let messages = [deliver(&store, vec![range(0, 1, 6)]).await, deliver(&store, vec![range(0, 7, 16)]).await];
    one.commit(&messages[..1]).await.unwrap();
    let report = two.commit(&messages).await.unwrap();
    assert!(report.tables.iter().all(|table| table.files == 1), "only the second batch was new: {report:?}");
    one.commit(&messages).await.unwrap();
    assert_complete(&store, &TestStream::new([16, 0])).await;
}

#[tokio::test]
async fn a_commit_of_another_program_is_read_and_gone_past() {
    let store = memory();
    let (mut lake, _) = open(&store).await.unwrap();
    let foreign = r#"{"commitInfo":{"timestamp":1,"operation":"OPTIMIZE","engineInfo":"another"}}"#;
    let next = Path::from("readings/_delta_log/00000000000000000001.json");
    store.put_opts(&next, foreign.into(), PutMode::Create.into()).await.unwrap();
    let report = lake.commit(&[deliver(&store, vec![range(0, 1, 9)]).await]).await.unwrap();
    let readings = report.tables.iter().find(|table| table.table == READINGS).unwrap();
    assert_eq!(readings.version, 2);
    assert_complete(&store, &TestStream::new([9, 0])).await;
    let upgrade = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":[],"writerFeatures":[]}}"#;
    let next = Path::from("readings/_delta_log/00000000000000000003.json");
    store.put_opts(&next, upgrade.into(), PutMode::Create.into()).await.unwrap();
    let error = lake.commit(&[deliver(&store, vec![range(0, 10, 16)]).await]).await.unwrap_err();
    assert!(matches!(error, LakeError::Protocol { reader: 3, writer: 7, .. }), "{error}");
}

#[tokio::test]
async fn a_dataset_may_gain_columns_and_neither_lose_nor_change_any() {
    let store = memory();
    open(&store).await.unwrap();
    let with = |readings: &str| {
        Datasets::of([dataset(READINGS, readings), dataset(NOTES, r#""text": {"type": "string"}"#)], None).unwrap()
    };
    let wider = with(r#""unit": {"type": "string"}, "value": {"type": "number"}"#);
    let (mut lake, recovery) = open_with(&store, &wider, 100).await.unwrap();
    assert_eq!(recovery.evolved, [READINGS]);
    let reader = LakeReader::new(store.clone(), root());
    assert_eq!(reader.snapshot(READINGS).await.unwrap().columns, *wider.get(READINGS).unwrap().columns());
    let theirs = library_table(&store, READINGS).await;
    assert_eq!(theirs.snapshot().unwrap().snapshot().arrow_schema(), *wider.get(READINGS).unwrap().columns());
    lake.commit(&[deliver(&store, vec![range(0, 1, 9)]).await]).await.unwrap();
    assert_complete(&store, &TestStream::new([9, 0])).await;
    let (_, recovery) = open_with(&store, &wider, 100).await.unwrap();
    assert_eq!(recovery, LakeRecovery::default());

    let refusal =
        |datasets: Datasets| async move { open_with(&store.clone(), &datasets, 100).await.unwrap_err().to_string() };
    let narrower = refusal.clone()(with(r#""value": {"type": "number"}"#)).await;
    assert!(narrower.contains("column `unit`") && narrower.contains("Put it back"), "{narrower}");
    let changed = refusal(with(r#""unit": {"type": "string"}, "value": {"type": "integer"}"#)).await;
    assert!(changed.contains("column `value`") && changed.contains("under another name"), "{changed}");
}

#[tokio::test]
async fn nested_columns_are_declared_as_delta_has_them_and_may_gain_fields() {
    let store = memory();
    let with = |place: &str, part: &str| {
        let readings = format!(
            r#""value": {{"type": "number"}},
               "place": {{"type": "object", "properties": {{"room": {{"type": "string"}}{place}}}}},
               "parts": {{"type": "array", "items": {{"type": "object", "properties": {{"n": {{"type": "integer"}}{part}}}}}}}"#
        );
        Datasets::of([dataset(READINGS, &readings), dataset(NOTES, r#""text": {"type": "string"}"#)], None).unwrap()
    };
    let first = with("", "");
    let (mut lake, _) = open_with(&store, &first, 2).await.unwrap();
    let stats = r#"{"numRecords":2,"minValues":{"value":1.5,"place":{"room":"a"}},"maxValues":{"value":2.5,"place":{"room":"b"}},
        "nullCount":{"value":0,"place":{"room":1},"parts":0}}"#;
    let mut message = deliver(&store, vec![range(0, 1, 6)]).await;
    message.files.iter_mut().filter(|file| file.dataset == READINGS).for_each(|file| {
        file.stats = stats.replace("\"numRecords\":2", &format!("\"numRecords\":{}", file.rows));
    });
    lake.commit(&[message]).await.unwrap();
    lake.commit(&[deliver(&store, vec![range(0, 7, 9)]).await]).await.unwrap();
    assert!(lake.tables[READINGS].state.checkpoint.is_some(), "a checkpoint with nested statistics was written");
    drop(lake);

    let geo = r#", "geo": {"type": "object", "properties": {"lat": {"type": "number"}}}"#;
    let wider = with(geo, r#", "colour": {"type": "string"}"#);
    let (mut lake, recovery) = open_with(&store, &wider, 2).await.unwrap();
    assert_eq!(recovery.evolved, [READINGS]);
    lake.commit(&[deliver(&store, vec![range(0, 10, 16)]).await]).await.unwrap();
    lake.commit(&[deliver(&store, vec![range(0, 17, 20)]).await]).await.unwrap();
    let ours = LakeReader::new(store.clone(), root()).snapshot(READINGS).await.unwrap();
    assert_eq!(ours.columns, *wider.get(READINGS).unwrap().columns());
    let theirs = library_table(&store, READINGS).await;
    assert_eq!(theirs.snapshot().unwrap().snapshot().arrow_schema(), ours.columns);
    let bounded = &theirs.snapshot().unwrap().metadata().configuration()["delta.dataSkippingStatsColumns"];
    assert_eq!(bounded, "`source`,`type`,`event_time`,`event_date`,`ingest_time`,`value`");
    let declared = theirs.snapshot().unwrap().schema();
    let declared: serde_json::Value = serde_json::to_value(declared.as_ref()).unwrap();
    let parts = declared["fields"].as_array().unwrap().iter().find(|field| field["name"] == "parts").unwrap();
    assert_eq!(parts["nullable"], true);
    assert_eq!((&parts["type"]["type"], &parts["type"]["containsNull"]), (&"array".into(), &true.into()));
    assert_eq!(parts["type"]["elementType"]["fields"][1]["name"], "colour");
    assert_eq!(parts["type"]["elementType"]["fields"][1]["nullable"], true);

    let error = open_with(&store, &with(geo, r#", "colour": {"type": "integer"}"#), 2).await.unwrap_err().to_string();
    assert!(error.starts_with("dataset `readings`, column `parts.colour`: the table has string"), "{error}");
    let error = open_with(&store, &first, 2).await.unwrap_err().to_string();
    assert!(error.contains("column `place.geo`") && error.contains("; column `parts.colour`"), "{error}");
    let (_, recovery) = open_with(&store, &wider, 2).await.unwrap();
    assert_eq!(recovery, LakeRecovery::default(), "a refusal changes nothing");
}

#[tokio::test]
async fn a_table_that_does_not_say_which_columns_have_bounds_is_made_to() {
    let store = memory();
    open(&store).await.unwrap();
    let first = Path::from("readings/_delta_log/00000000000000000000.json");
    let entry = store.get(&first).await.unwrap().bytes().await.unwrap();
    let older = std::str::from_utf8(&entry).unwrap().lines().map(|line| {
        let mut action: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(configuration) = action.pointer_mut("/metaData/configuration") {
            configuration.as_object_mut().unwrap().remove("delta.dataSkippingStatsColumns").unwrap();
        }
        action.to_string()
    });
    let older = older.collect::<Vec<_>>().join("\n");
    store.put(&first, older.into()).await.unwrap();
    let (_, recovery) = open(&store).await.unwrap();
    assert_eq!(recovery.evolved, [READINGS]);
    let table = library_table(&store, READINGS).await;
    let bounded = &table.snapshot().unwrap().metadata().configuration()["delta.dataSkippingStatsColumns"];
    assert!(bounded.ends_with(",`value`"), "{bounded}");
    assert_eq!(open(&store).await.unwrap().1, LakeRecovery::default());
    let ledger = library_table(&store, LEDGER).await;
    assert_eq!(ledger.snapshot().unwrap().metadata().configuration()["delta.dataSkippingNumIndexedCols"], "0");
}

#[tokio::test]
async fn checkpoints_are_written_and_opening_starts_from_them() {
    let store = memory();
    let stream = TestStream::new([400, 400]);
    drive(&store, &store, &stream, 7).await.unwrap();
    let (lake, _) = open(&store).await.unwrap();
    for table in lake.tables.values() {
        let checkpoint = table.state.checkpoint.expect("40 cycles are more than 7");
        assert!(table.state.since_checkpoint() < 7, "{}: {checkpoint}", table.log.name());
    }
    // What the checkpoint stands for is no longer needed.
    let first = Path::from("readings/_delta_log/00000000000000000000.json");
    store.delete(&first).await.unwrap();
    assert_complete(&store, &stream).await;
    let longer = TestStream::new([420, 410]);
    drive(&store, &store, &longer, 7).await.unwrap();
    assert_complete(&store, &longer).await;
}

#[tokio::test]
async fn a_damaged_checkpoint_is_set_aside_while_the_entries_are_there() {
    let store = memory();
    let stream = TestStream::new([200, 100]);
    drive(&store, &store, &stream, 10).await.unwrap();
    let log = store.list_with_delimiter(Some(&Path::from("notes/_delta_log"))).await.unwrap();
    let checkpoints = log.objects.iter().filter(|object| object.location.as_ref().ends_with(".checkpoint.parquet"));
    let newest = checkpoints.map(|object| object.location.clone()).max().unwrap();
    let whole = store.get(&newest).await.unwrap().bytes().await.unwrap();
    store.put(&newest, whole.slice(..whole.len() / 2).into()).await.unwrap();
    let (_, recovery) = open(&store).await.unwrap();
    assert_eq!(recovery.set_aside.len(), 1, "{recovery:?}");
    assert!(recovery.set_aside[0].moved_to.starts_with("notes/_delta_log/_torn/"), "{recovery:?}");
    assert_complete(&store, &stream).await;
    library_table(&store, NOTES).await;

    let log = store.list_with_delimiter(Some(&Path::from("readings/_delta_log"))).await.unwrap();
    let checkpoints = log.objects.iter().filter(|object| object.location.as_ref().ends_with(".checkpoint.parquet"));
    for checkpoint in checkpoints {
        store.put(&checkpoint.location, "PAR1".into()).await.unwrap();
    }
    store.delete(&Path::from("readings/_delta_log/00000000000000000003.json")).await.unwrap();
    let error = open(&store).await.unwrap_err();
    assert!(matches!(error, LakeError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_lake_in_a_folder_opens_again_after_many_commits() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let url = Url::from_directory_path(folder.path()).unwrap();
    let (lake, _) = open_at(&store, url.clone(), &datasets(), 100).await.unwrap();
    let stream = TestStream::new([3_300, 100]);
    drive_opened(lake, &store, &stream).await.unwrap();
    assert_complete(&store, &stream).await;
    let (lake, recovery) = open_at(&store, url, &datasets(), 100).await.unwrap();
    assert_eq!(recovery, LakeRecovery::default());
    let ledger = &lake.ledger.table.state;
    assert!(ledger.version >= Some(330) && ledger.checkpoint == Some(299), "{ledger:?}");
    assert_eq!(lake.position(&shard(0)), Some(3_300.into()));
}
