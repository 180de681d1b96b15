#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::CommitMessage;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::compact::CompactSettings;
use crate::recovery::oldest_reachable;
use crate::testing::{
    Crash, Crashing, DAY, DEAD, Event, LEDGER, Maintainer, NOTES, Queue, READINGS, TestStream, Yielding,
    assert_complete, assert_rows_and_entries, assert_shared_complete, assert_the_ledger_balances,
    assert_the_library_reads_the_same, datasets, deliver, deliver_events, drive, events_of, first_arrivals, maintainer,
    open, open_shared, open_shared_at, open_shared_with, range, root,
};
use crate::{LakeReader, Outcome, SharedLake};

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn small() -> CompactSettings {
    CompactSettings { target_bytes: 16 * 1024, memory_bytes: 64 * 1024, ..CompactSettings::default() }
}

/// Delivers and commits so many batches of 50 events, a few of which are sent twice.
async fn fill(store: &Arc<dyn ObjectStore>, lake: &mut SharedLake, known: &mut Vec<Event>, batches: usize) {
    for _ in 0..batches {
        let first = known.len() as u64 + 1;
        let event = |n: i64| Event {
            owner: "owner".to_owned(),
            source: format!("source-{}", n % 3),
            id: (n - n % 10 / 9).to_string(),
            ingest_time: 1_767_225_600_000_000 + n,
            event_time: 1_767_225_600_000_000 - n % 2 * DAY,
        };
        let events: Vec<_> = (first as i64..first as i64 + 50).map(event).collect();
        let message = deliver_events(store, first, &events).await;
        known.extend(events);
        let committed = lake.commit(&[message]).await;
        assert!(committed.failure.is_none() && committed.outcomes[0].is_done(), "{committed:?}");
    }
}

/// Has the ledger copy what maintenance has committed.
async fn copy(lake: &mut SharedLake) {
    let committed = lake.keep_up().await;
    assert!(committed.failure.is_none() && committed.waiting == 0, "{committed:?}");
}

async fn rows(store: &Arc<dyn ObjectStore>) -> Vec<Event> {
    let mut rows: Vec<_> = events_of(store).await.into_values().flatten().collect();
    rows.sort();
    rows
}

/// What lies in a table's folder, or in a folder of it.
async fn names(store: &Arc<dyn ObjectStore>, folder: &str) -> BTreeSet<String> {
    let listed = store.list_with_delimiter(Some(&Path::from(folder))).await.unwrap();
    listed.objects.into_iter().map(|object| object.location.filename().unwrap().to_owned()).collect()
}

async fn problems(reader: &LakeReader) -> Vec<String> {
    let newest = reader.newest(LEDGER).await.unwrap().version.unwrap();
    crate::audit::problems_at(reader, &datasets(), newest).await.unwrap()
}

const AT_ONCE_AGE: Option<Duration> = Some(Duration::ZERO);

#[tokio::test]
async fn what_was_replaced_goes_after_the_tables_retention_and_not_before() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    let Maintainer { upkeep, reader, clock, .. } = &maintainer(&store, small());
    for _ in 0..2 {
        fill(&store, &mut lake, &mut known, 4).await;
        upkeep.compact(READINGS, 1).await.unwrap();
    }
    copy(&mut lake).await;
    let early = upkeep.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap();
    assert_eq!(early, Vacuumed { table: READINGS.to_owned(), ..Vacuumed::default() });
    clock.advance(30 * DAY + 1_000_000);
    let (files, filters) = (names(&store, READINGS).await, names(&store, "readings/_keys").await);
    let active: BTreeSet<_> = reader.snapshot(READINGS).await.unwrap().files.into_iter().map(|f| f.path).collect();
    let said = upkeep.vacuum(READINGS, VacuumMode::DryRun, None).await.unwrap();
    assert_eq!(
        (names(&store, READINGS).await, names(&store, "readings/_keys").await),
        (files.clone(), filters.clone())
    );
    let done = upkeep.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap();
    assert_eq!(done, said, "a dry run says what is done");
    assert_eq!(done.removed.files as usize, files.len() - active.len());
    assert!(done.removed.files > 8 && done.key_filters.files > 0, "batches' files and compacted ones: {done:?}");
    assert_eq!(names(&store, READINGS).await, active);
    let beside = |file: &String| key_filter_of(file).trim_start_matches("_keys/").to_owned();
    assert_eq!(names(&store, "readings/_keys").await, active.iter().map(beside).collect());
    assert_eq!(done.key_filters.files as usize, filters.len() - active.len());
    assert_eq!(rows(&store).await, first_arrivals(&known));
    assert_eq!(problems(reader).await, [""; 0]);
    assert_the_library_reads_the_same(&store).await;
    let again = upkeep.vacuum(READINGS, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
    assert_eq!((again.removed, again.waiting), (Counted::default(), Counted::default()));
}

#[tokio::test]
async fn nothing_goes_that_the_ledger_has_not_copied() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, 4).await;
    let Maintainer { upkeep, reader, .. } = &maintainer(&store, small());
    let replaced = upkeep.compact(READINGS, 1).await.unwrap()[0].files_before as u64;
    let early = upkeep.vacuum(READINGS, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
    assert_eq!((early.removed, early.waiting.files), (Counted::default(), replaced));
    assert_the_ledger_balances(&store, "with what was replaced").await;
    assert!(lake.keep_up().await.ledger_version.is_some());
    assert!(lake.keep_up().await.ledger_version.is_none(), "there is nothing more to copy");
    let done = upkeep.vacuum(READINGS, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
    assert_eq!((done.removed, done.waiting), (early.waiting, Counted::default()));
    assert_eq!(problems(reader).await, [""; 0]);
    // An audit that began before the ledger had copied looks at versions that have those files.
    assert_the_ledger_balances(&store, "without what was replaced").await;
    let again = deliver_events(&store, 1, &known[..50]).await;
    assert!(matches!(lake.commit(&[again]).await.outcomes[0], Outcome::AlreadyIn), "it is remembered");
}

#[tokio::test]
async fn a_table_of_which_the_ledger_has_nothing_keeps_all() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, small());
    clock.advance(100 * DAY);
    for table in [READINGS, LEDGER] {
        let done = upkeep.vacuum(table, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
        assert_eq!(done, Vacuumed { table: table.to_owned(), ..Vacuumed::default() });
    }
    let error = upkeep.vacuum("elsewhere", VacuumMode::Delete, None).await.unwrap_err();
    assert!(matches!(error, crate::LakeError::NoTable(_)), "{error}");
}

#[tokio::test]
async fn what_a_held_snapshot_has_stays_until_it_is_dropped() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, 4).await;
    let Maintainer { upkeep, reader, .. } = &maintainer(&store, small());
    let held = reader.clone().snapshot(READINGS).await.unwrap();
    let elsewhere = reader.snapshot(NOTES).await.unwrap();
    fill(&store, &mut lake, &mut known, 1).await;
    upkeep.compact(READINGS, 1).await.unwrap();
    copy(&mut lake).await;
    let (one, other) = (held.clone(), held);
    drop(one);
    let done = upkeep.vacuum(READINGS, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
    assert_eq!((done.removed.files, done.waiting.files), (1, 4), "a clone still holds it");
    for file in &other.files {
        store.head(&Path::from(format!("{READINGS}/{}", file.path))).await.unwrap();
    }
    drop(other);
    let done = upkeep.vacuum(READINGS, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
    assert_eq!((done.removed.files, done.waiting.files), (4, 0));
    drop(elsewhere);
}

#[tokio::test]
async fn orphans_go_when_no_message_can_name_them_any_more() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, 2).await;
    copy(&mut lake).await;
    // Left over by a retry; waiting for its commit; left by a compaction that died; a filter whose file is gone; none of ours.
    let left = deliver(&store, vec![range(1, 1, 6)]).await;
    let mut queue = Queue::default();
    let waiting = queue.deliver(&store, &[(1, 10, 20)]).await;
    for path in [
        "readings/2026-01-01_00_0.parquet",
        "readings/_keys/2026-01-01_00_0.keys",
        "readings/_keys/gone.keys",
        "readings/notes.txt",
    ] {
        store.put(&Path::from(path), "left over".into()).await.unwrap();
    }
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, small());
    clock.advance(30 * DAY);
    let early = upkeep.vacuum(READINGS, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
    assert_eq!((early.orphans, early.key_filters), (Counted::default(), Counted::default()), "{early:?}");
    clock.advance(DAY + 1_000_000);
    let said = upkeep.vacuum(READINGS, VacuumMode::DryRun, None).await.unwrap();
    let done = upkeep.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap();
    assert_eq!(done, said);
    assert_eq!(
        (done.orphans.files, done.key_filters, done.removed),
        (2, Counted { files: 2, bytes: 18 }, Counted::default())
    );
    let there = names(&store, READINGS).await;
    let name = |message: &CommitMessage| {
        let path = &message.files.iter().find(|file| file.dataset == READINGS).unwrap().path;
        path.trim_start_matches("readings/").to_owned()
    };
    assert!(
        there.contains("notes.txt") && there.contains(&name(&waiting)) && !there.contains(&name(&left)),
        "{there:?}"
    );
    assert_eq!(there.len(), 4);
    assert!(lake.commit(&[waiting]).await.outcomes[0].is_done());
    assert_eq!(upkeep.vacuum_messages(VacuumMode::DryRun).await.unwrap().files, 1);
    assert_eq!(upkeep.vacuum_messages(VacuumMode::Delete).await.unwrap().files, 1);
    assert_eq!(upkeep.vacuum_messages(VacuumMode::Delete).await.unwrap(), Counted::default());
    assert_eq!(upkeep.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap().orphans.files, 0, "it is in");
}

#[tokio::test]
async fn messages_stay_for_29_days() {
    let store = memory();
    Queue::default().deliver(&store, &[(0, 1, 9)]).await;
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, small());
    assert_eq!(upkeep.vacuum_messages(VacuumMode::Delete).await.unwrap(), Counted::default());
    clock.advance(29 * DAY - 60_000_000);
    assert_eq!(upkeep.vacuum_messages(VacuumMode::Delete).await.unwrap(), Counted::default());
    clock.advance(61_000_000);
    assert_eq!(upkeep.vacuum_messages(VacuumMode::Delete).await.unwrap().files, 1);
}

#[tokio::test]
async fn a_message_for_a_file_that_vacuum_took_is_refused_until_the_file_is_stored_anew() {
    let store = memory();
    let mut queue = Queue::default();
    let message = queue.deliver(&store, &[(0, 1, 30)]).await;
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let file = Path::from(message.files[1].path.as_str());
    let bytes = store.get(&file).await.unwrap().bytes().await.unwrap();
    store.delete(&file).await.unwrap();
    let other = queue.deliver(&store, &[(1, 1, 30)]).await;
    let commit = lake.commit(&[message.clone(), other]).await;
    let [Outcome::Refused(error), Outcome::Committed] = &commit.outcomes[..] else { panic!("{commit:?}") };
    assert!(matches!(error, crate::LakeError::FileGone { path, .. } if path == file.as_ref()), "{error}");
    assert!(error.to_string().contains("delivered again"), "{error}");
    store.put(&file, bytes.into()).await.unwrap();
    assert!(lake.commit(&[message]).await.outcomes[0].is_done());
    assert_shared_complete(&store, &queue).await;
}

#[tokio::test]
async fn log_entries_go_once_a_checkpoint_has_stood_for_them_for_a_day() {
    let store = memory();
    let (mut lake, _) = open_shared_with(&store, 4).await.unwrap();
    let late_clock = maintainer(&store, small()).clock;
    let (mut late, _) = open_shared_at(&store, &datasets(), late_clock.clone(), 4).await.unwrap();
    let before = LakeReader::new(store.clone(), root());
    let mut queue = Queue::default();
    for n in 0..30 {
        let message = queue.deliver(&store, &[(0, n * 10 + 1, n * 10 + 10)]).await;
        assert!(lake.commit(&[message]).await.outcomes[0].is_done());
        if n == 2 {
            before.snapshot(READINGS).await.unwrap();
        }
    }
    let Maintainer { upkeep, reader, clock, .. } = &maintainer(&store, small());
    clock.advance(DAY - 60_000_000);
    for table in [READINGS, NOTES, DEAD, LEDGER] {
        let early = upkeep.vacuum(table, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
        assert_eq!(early, Vacuumed { table: table.to_owned(), ..Vacuumed::default() });
    }
    clock.advance(61_000_000);
    for table in [READINGS, NOTES, DEAD, LEDGER] {
        let files = reader.log(table).list().await.unwrap();
        let newest = *files.checkpoints.keys().last().unwrap();
        let said = upkeep.vacuum(table, VacuumMode::DryRun, None).await.unwrap();
        assert_eq!(upkeep.vacuum(table, VacuumMode::Delete, None).await.unwrap(), said);
        let left = reader.log(table).list().await.unwrap();
        assert_eq!(left.commits.keys().min(), Some(&newest), "{table}");
        assert_eq!(left.checkpoints.keys().collect::<Vec<_>>(), [&newest], "{table}");
        let gone = files.commits.len() + files.checkpoints.len() - left.commits.len() - left.checkpoints.len();
        assert_eq!((said.log_entries.files, said.removed.files), (gone as u64, 0), "{table}");
    }
    assert_the_library_reads_the_same(&store).await;
    assert_rows_and_entries(&store, &queue).await;
    assert_eq!(problems(reader).await, [""; 0]);
    let fresh = LakeReader::new(store.clone(), root()).snapshot(READINGS).await.unwrap();
    assert_eq!(before.snapshot(READINGS).await.unwrap().files, fresh.files, "a reader that has not looked for long");
    // A new committer, and one that has not looked for long.
    let (mut new, _) = open_shared_with(&store, 4).await.unwrap();
    late_clock.advance(2 * DAY);
    for (n, lake) in [&mut new, &mut late].into_iter().enumerate() {
        let first = 301 + 10 * n as u64;
        let message = queue.deliver(&store, &[(0, first, first + 9)]).await;
        assert!(lake.commit(&[message]).await.outcomes[0].is_done());
    }
    assert_rows_and_entries(&store, &queue).await;
}

#[tokio::test]
async fn log_entries_that_the_ledger_has_not_copied_stay() {
    let store = memory();
    open_shared(&store).await.unwrap();
    let mut queue = Queue::default();
    let first = queue.deliver(&store, &[(0, 1, 30)]).await;
    let (mut lake, _) = open_shared_with(&store, 3).await.unwrap();
    assert!(lake.commit(&[first]).await.outcomes[0].is_done());
    // Its first part is in; it holds the ledger back.
    let half = queue.deliver(&store, &[(0, 31, 60)]).await;
    let dying: Arc<dyn ObjectStore> = Arc::new(Crashing::new(store.clone(), Crash::AfterTheWrite, 1));
    drop(open_shared(&dying).await.unwrap().0.commit(std::slice::from_ref(&half)).await);
    store.delete(&Path::from(half.path())).await.unwrap();
    for n in 6..16 {
        let message = queue.deliver(&store, &[(0, n * 10 + 1, n * 10 + 10)]).await;
        assert!(lake.commit(&[message]).await.outcomes[0].is_done());
    }
    let Maintainer { upkeep, reader, clock, .. } = &maintainer(&store, small());
    clock.advance(2 * DAY);
    let copied = reader.newest(LEDGER).await.unwrap().copied.clone();
    for table in [READINGS, NOTES, DEAD] {
        let files = reader.log(table).list().await.unwrap();
        assert!(files.checkpoints.keys().last().unwrap() > &(copied[table] + 3), "{table}");
        upkeep.vacuum(table, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
        let left = reader.log(table).list().await.unwrap();
        assert_eq!(left.commits.len() as u64, left.newest().unwrap() + 1, "{table}: all of them are needed");
    }
    assert_eq!(problems(reader).await, [""; 0]);
    let (mut lake, _) = open_shared_with(&store, 3).await.unwrap();
    assert!(lake.commit(&[half]).await.outcomes[0].is_done());
    assert_shared_complete(&store, &queue).await;
}

#[tokio::test]
async fn what_recovery_may_take_the_ledger_back_to_stays() {
    let store = memory();
    let length = 5_600;
    drive(&store, &store, &TestStream::new([length, 10]), 50).await.unwrap();
    // Cycles of one batch, so that the ledger has more versions than recovery goes back.
    let (mut lake, _) = open(&store).await.unwrap();
    let mut at = length;
    let reader = LakeReader::new(store.clone(), root());
    while oldest_reachable(&reader.newest(LEDGER).await.unwrap()).is_none_or(|version| version < 60) {
        lake.commit(&[deliver(&store, vec![range(0, at + 1, at + 5)]).await]).await.unwrap();
        at += 5;
    }
    drop(lake);
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, small());
    clock.advance(2 * DAY);
    let oldest = oldest_reachable(&reader.newest(LEDGER).await.unwrap()).unwrap();
    let ledger_then = reader.at(LEDGER, oldest).await.unwrap();
    for table in [READINGS, NOTES, DEAD, LEDGER] {
        let done = upkeep.vacuum(table, VacuumMode::Delete, None).await.unwrap();
        assert!(done.log_entries.files > 10, "{done:?}");
        reader.at(table, ledger_then.copied.get(table).copied().unwrap_or(oldest)).await.unwrap();
    }
    let stream = TestStream::new([at, 10]);
    assert_complete(&store, &stream).await;
    let newest = reader.newest(READINGS).await.unwrap().version.unwrap();
    let torn = Path::from(format!("{READINGS}/_delta_log/{newest:020}.json"));
    store.put(&torn, "{".into()).await.unwrap();
    let recovery = drive(&store, &store, &stream, 1_000).await.unwrap();
    assert!(recovery.set_aside.len() >= 2, "{recovery:?}");
    assert_complete(&store, &stream).await;
}

/// A lake with something of every kind to delete, and a maintainer whose clock says that it is time.
async fn full_of_leftovers(store: &Arc<dyn ObjectStore>) -> Vec<Event> {
    let (mut lake, _) = open_shared_with(store, 3).await.unwrap();
    let mut known = Vec::new();
    let Maintainer { upkeep, .. } = &maintainer(store, small());
    for _ in 0..2 {
        fill(store, &mut lake, &mut known, 4).await;
        upkeep.compact(READINGS, 1).await.unwrap();
    }
    copy(&mut lake).await;
    deliver(store, vec![range(1, 1, 6)]).await;
    store.put(&Path::from("readings/_keys/gone.keys"), "left over".into()).await.unwrap();
    known
}

#[tokio::test]
async fn whatever_deletion_a_vacuum_dies_at_the_next_one_ends_it() {
    for crash in [Crash::BeforeTheWrite, Crash::AfterTheWrite] {
        for at_write in 1.. {
            let store = memory();
            let known = full_of_leftovers(&store).await;
            let crashing = Arc::new(Crashing::new(store.clone(), crash, at_write));
            let store_of_the_dying: Arc<dyn ObjectStore> = crashing.clone();
            let dying = maintainer(&store_of_the_dying, small());
            dying.clock.advance(40 * DAY);
            let died = dying.upkeep.vacuum(READINGS, VacuumMode::Delete, None).await;
            assert_eq!(rows(&store).await, first_arrivals(&known), "{crash:?} at write {at_write}");
            assert_eq!(
                problems(&LakeReader::new(store.clone(), root())).await,
                [""; 0],
                "{crash:?} at write {at_write}"
            );
            assert_the_library_reads_the_same(&store).await;
            let next = maintainer(&store, small());
            next.clock.advance(40 * DAY);
            let rest = next.upkeep.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap();
            if !crashing.has_crashed() {
                let done = died.unwrap();
                assert!(done.removed.files > 8 && done.orphans.files == 1 && done.log_entries.files > 8, "{done:?}");
                assert_eq!(rest, Vacuumed { table: READINGS.to_owned(), ..Vacuumed::default() });
                break;
            }
            died.unwrap_err();
            let active = next.reader.snapshot(READINGS).await.unwrap().files.len();
            assert_eq!(names(&store, READINGS).await.len(), active, "{crash:?} at write {at_write}");
            assert_eq!(names(&store, "readings/_keys").await.len(), active, "{crash:?} at write {at_write}");
        }
    }
}

/// A committer appends, a compactor rewrites, vacuum deletes at once, and a query reads what it has a snapshot of.
async fn bustle(seed: u64, elsewhere: bool) {
    let disk = memory();
    let yielding = |n: u64| -> Arc<dyn ObjectStore> { Arc::new(Yielding::new(disk.clone(), seed * 10 + n)) };
    let (mut lake, _) = open_shared_with(&yielding(1), 3).await.unwrap();
    let shared = maintainer(&yielding(2), small());
    let compacts = if elsewhere { maintainer(&yielding(3), small()).upkeep } else { shared.upkeep.clone() };
    let mut known = Vec::new();
    let append = async {
        for _ in 0..6 {
            fill(&disk, &mut lake, &mut known, 1).await;
            copy(&mut lake).await;
        }
    };
    let compact = async {
        for _ in 0..6 {
            compacts.compact(READINGS, 1).await.unwrap();
        }
    };
    let vacuum = async {
        let mut removed = 0;
        for _ in 0..12 {
            removed += shared.upkeep.vacuum(READINGS, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap().removed.files;
        }
        removed
    };
    let query = async {
        let store = yielding(4);
        for _ in 0..12 {
            let snapshot = shared.reader.snapshot(READINGS).await.unwrap();
            for file in &snapshot.files {
                store.get(&Path::from(format!("{READINGS}/{}", file.path))).await.unwrap();
            }
        }
    };
    let ((), (), _, ()) = tokio::join!(append, compact, vacuum, query);
    compacts.compact(READINGS, 1).await.unwrap();
    copy(&mut lake).await;
    let last = shared.upkeep.vacuum(READINGS, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
    assert_eq!(last.waiting, Counted::default(), "{seed}");
    assert_eq!(rows(&disk).await, first_arrivals(&known), "{seed}");
    assert_eq!(problems(&LakeReader::new(disk.clone(), root())).await, [""; 0], "{seed}");
    assert_the_library_reads_the_same(&disk).await;
}

#[tokio::test]
async fn vacuum_compaction_appends_and_queries_do_each_other_no_harm() {
    for seed in 0..20 {
        bustle(seed, seed % 2 == 0).await;
    }
}

#[tokio::test]
async fn the_audit_tells_what_waits_for_vacuum_from_orphans() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, 4).await;
    let Maintainer { upkeep, reader, .. } = &maintainer(&store, small());
    upkeep.compact(READINGS, 1).await.unwrap();
    store.put(&Path::from("readings/left-over.parquet"), "x".into()).await.unwrap();
    copy(&mut lake).await;
    let audited = async || {
        let queue = Queue::default();
        let retained = crate::testing::Retained::of(&queue);
        let report =
            crate::audit_shared(reader, &datasets(), &retained, &retained, &crate::AuditSettings::at(0)).await.unwrap();
        let notes: Vec<String> = report.checks.iter().flat_map(|check| check.notes.clone()).collect();
        let table = report.tables.into_iter().find(|table| table.table == READINGS).unwrap();
        (table.removed, table.orphans, notes.join(" "))
    };
    let (removed, orphans, notes) = audited().await;
    assert_eq!((removed, orphans), (4, 1), "{notes}");
    assert!(
        notes.contains("4 data files that were taken out") && notes.contains("1 data file that no version"),
        "{notes}"
    );
    upkeep.vacuum(READINGS, VacuumMode::Delete, AT_ONCE_AGE).await.unwrap();
    let (removed, orphans, notes) = audited().await;
    assert_eq!((removed, orphans), (0, 1), "{notes}");
}

#[tokio::test]
async fn where_one_committer_writes_its_ledger_keeps_up_and_never_ahead_of_a_table() {
    let store = memory();
    let (mut lake, _) = open(&store).await.unwrap();
    let event = |n: i64| Event {
        owner: "o".to_owned(),
        source: "s".to_owned(),
        id: n.to_string(),
        ingest_time: n,
        event_time: n,
    };
    let events: Vec<_> = (0..40).map(event).collect();
    for (first, events) in [1, 11, 21].into_iter().zip(events.chunks(10)) {
        lake.commit(&[deliver_events(&store, first, events).await]).await.unwrap();
    }
    let position = lake.positions();
    let Maintainer { upkeep, reader, .. } = &maintainer(&store, small());
    let rewritten = upkeep.compact(READINGS, 1).await.unwrap()[0].version;
    let kept_up = lake.keep_up().await.unwrap();
    assert!(kept_up.ledger_version.is_some() && kept_up.tables.is_empty(), "{kept_up:?}");
    assert_eq!(reader.newest(LEDGER).await.unwrap().copied[READINGS], rewritten);
    assert_eq!(lake.positions(), position, "the position stays");
    assert_eq!(lake.keep_up().await.unwrap().ledger_version, None, "there is nothing more to copy");
    // A cycle dies after the table's commit: the ledger waits for the batch to come again, whatever maintenance did.
    let last = deliver_events(&store, 31, &events[30..]).await;
    let dying: Arc<dyn ObjectStore> = Arc::new(Crashing::new(store.clone(), Crash::AfterTheWrite, 1));
    open(&dying).await.unwrap().0.commit(std::slice::from_ref(&last)).await.unwrap_err();
    upkeep.compact(READINGS, 1).await.unwrap();
    let (mut lake, recovery) = open(&store).await.unwrap();
    assert_eq!(recovery.ahead_of_ledger, [READINGS]);
    assert_eq!(lake.keep_up().await.unwrap().ledger_version, None);
    assert_eq!(reader.newest(LEDGER).await.unwrap().copied[READINGS], rewritten);
    lake.commit(&[last]).await.unwrap();
    assert_eq!(
        reader.newest(LEDGER).await.unwrap().copied.get(READINGS),
        reader.newest(READINGS).await.unwrap().version.as_ref()
    );
    assert_eq!(problems(reader).await, [""; 0]);
    // What maintenance did while no committer ran is no crash.
    upkeep.compact(READINGS, 1).await.ok();
    assert_eq!(open(&store).await.unwrap().1.ahead_of_ledger, [""; 0]);
}

#[tokio::test]
async fn one_committer_alone_refuses_a_batch_whose_file_is_gone() {
    let store = memory();
    let clock = Arc::new(alluvium_core::ManualClock::at(1_700_000_000_000_000 + 40 * DAY));
    let (mut lake, _) = crate::Lake::open(
        store.clone(),
        root(),
        &datasets(),
        Arc::new(crate::testing::PlainFormat),
        clock,
        crate::LakeSettings::default(),
    )
    .await
    .unwrap();
    let message = deliver(&store, vec![range(0, 1, 9)]).await;
    let file = Path::from(message.files[0].path.as_str());
    let bytes = store.get(&file).await.unwrap().bytes().await.unwrap();
    store.delete(&file).await.unwrap();
    let error = lake.commit(std::slice::from_ref(&message)).await.unwrap_err();
    assert!(matches!(&error, crate::LakeError::FileGone { path, .. } if path == file.as_ref()), "{error}");
    store.put(&file, bytes.into()).await.unwrap();
    lake.commit(&[message]).await.unwrap();
    assert_complete(&store, &TestStream::new([9, 0])).await;
}
