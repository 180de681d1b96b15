#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::Clock as _;
use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::testing::{
    Crash, Crashing, DAY, DEAD, Dice, Event, Maintainer, READINGS, Yielding, assert_the_library_reads_the_same,
    datasets, deliver_events, events_of, first_arrivals, maintainer, open, open_shared, root,
};
use crate::{CompactSettings, LakeReader, SharedLake, VacuumMode};

/// When the first event arrived, and when an erasure is asked for at the earliest.
pub(super) const FIRST: Micros = 1_767_225_600_000_000;
pub(super) const ASKED: Micros = FIRST + 10 * DAY;

pub(super) fn small() -> CompactSettings {
    CompactSettings { target_bytes: 64 * 1024, memory_bytes: 64 * 1024, ..CompactSettings::default() }
}

pub(super) fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

pub(super) fn target(owner: &str) -> Target {
    Target { owner: owner.to_owned(), until: ASKED, dataset: None }
}

/// One event of each of these owners.
pub(super) fn events(owners: impl IntoIterator<Item = u64>, first: u64) -> Vec<Event> {
    let event = |(number, owner): (u64, u64)| Event {
        owner: format!("owner-{owner}"),
        source: format!("source-{owner}"),
        id: (first + number).to_string(),
        ingest_time: FIRST + (first + number) as i64 * 1_000,
        event_time: FIRST - (owner % 3) as i64 * DAY + (first + number) as i64,
    };
    (0..).zip(owners).map(event).collect()
}

/// Delivers and commits a batch.
pub(super) async fn commit(
    store: &Arc<dyn ObjectStore>,
    lake: &mut SharedLake,
    known: &mut Vec<Event>,
    events: Vec<Event>,
) {
    let message = deliver_events(store, known.len() as u64 + 1, &events).await;
    known.extend(events);
    let committed = lake.commit(&[message]).await;
    assert!(committed.failure.is_none() && committed.outcomes[0].is_done(), "{committed:?}");
}

/// A lake of batches that have events of five owners each, of ten, some of them compacted.
pub(super) async fn filled(store: &Arc<dyn ObjectStore>) -> (SharedLake, Vec<Event>) {
    let (mut lake, _) = open_shared(store).await.unwrap();
    let mut known = Vec::new();
    for batch in 0..8 {
        let owners = (0..60).map(|n| n % 5 + 5 * (batch % 2));
        let first = known.len() as u64 + 1;
        commit(store, &mut lake, &mut known, events(owners, first)).await;
        if batch == 4 {
            maintainer(store, small()).upkeep.compact(READINGS, 1).await.unwrap();
        }
    }
    (lake, known)
}

pub(super) async fn rows(store: &Arc<dyn ObjectStore>) -> Vec<Event> {
    let mut rows: Vec<_> = events_of(store).await.into_values().flatten().collect();
    rows.sort();
    rows
}

pub(super) fn without(known: &[Event], owner: &str) -> Vec<Event> {
    let mut left: Vec<_> =
        known.iter().filter(|event| event.owner != owner || event.ingest_time > ASKED).cloned().collect();
    left.sort();
    left
}

pub(super) async fn assert_balanced(store: &Arc<dyn ObjectStore>) {
    let reader = LakeReader::new(store.clone(), root());
    let newest = reader.newest("ledger").await.unwrap().version.unwrap();
    assert_eq!(crate::audit::problems_at(&reader, &datasets(), newest).await.unwrap(), [""; 0]);
}

async fn erase(upkeep: &Upkeep, owner: &str, at_once: bool) -> Uuid {
    let id = upkeep.begin_erasure(target(owner), at_once).await.unwrap();
    upkeep.erase(id).await.unwrap();
    id
}

fn of_table(report: &ErasureReport) -> &StoreErasure {
    report.stores.iter().find(|store| store.store.contains(READINGS)).unwrap()
}

/// The paths under a folder of the lake.
async fn objects(store: &Arc<dyn ObjectStore>, folder: &str) -> Vec<String> {
    let listed: Vec<_> = store.list(Some(&Path::from(folder))).try_collect().await.unwrap();
    listed.into_iter().map(|object| object.location.to_string()).collect()
}

#[tokio::test]
async fn the_owner_leaves_the_table_and_nobody_else_does() {
    let store = memory();
    let (mut lake, known) = filled(&store).await;
    let Maintainer { upkeep, .. } = &maintainer(&store, small());
    let would = upkeep.preview_erasure(target("owner-3")).await.unwrap();
    assert_eq!(rows(&store).await, first_arrivals(&known), "a preview takes nothing out");
    erase(upkeep, "owner-3", false).await;
    let expected = without(&known, "owner-3");
    assert_eq!(expected.len(), known.len() - 48);
    assert_eq!(rows(&store).await, expected);
    let reports = upkeep.erasure_reports().await.unwrap();
    assert_eq!((of_table(&would).rows, of_table(&would).files), (Some(48), of_table(&reports[0]).files));
    assert_eq!((of_table(&reports[0]).rows, of_table(&reports[0]).is_done), (Some(48), true));
    assert!(of_table(&reports[0]).ends.unwrap() > ASKED + 30 * DAY, "older versions can be read for a while");
    let report = serde_json::to_string(&reports).unwrap();
    assert!(!report.contains("owner-3"), "{report}");
    assert_balanced(&store).await;
    // The ledger copies it when a committer runs.
    assert!(lake.keep_up().await.failure.is_none());
    assert_balanced(&store).await;
    assert_the_library_reads_the_same(&store).await;
    upkeep.compact(READINGS, 1).await.unwrap();
    assert_eq!(rows(&store).await, expected, "compaction brings nothing back");
}

#[tokio::test]
async fn only_the_files_that_hold_the_owner_are_touched() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    for batch in 0..100 {
        let first = known.len() as u64 + 1;
        // A hundred thousand owners: owner 7 is in three of a hundred files, every other one in one.
        let owners =
            (0..1_000).map(|n| if n == 0 && [4, 20, 33].contains(&batch) { 7 } else { 100 + batch * 1_000 + n });
        commit(&store, &mut lake, &mut known, events(owners, first)).await;
    }
    let Maintainer { upkeep, index, .. } = &maintainer(&store, small());
    assert_eq!(upkeep.index_table(READINGS).await.unwrap(), 100);
    assert_eq!(upkeep.index_table(READINGS).await.unwrap(), 0, "each file has an entry");
    let before: BTreeSet<String> = events_of(&store).await.into_keys().collect();
    let holding: BTreeSet<String> = events_of(&store)
        .await
        .into_iter()
        .filter(|(_, events)| events.iter().any(|event| event.owner == "owner-7"))
        .map(|(path, _)| path)
        .collect();
    let known_files = upkeep.newest(READINGS).await.unwrap();
    let may_hold = upkeep.files_that_may_hold(&known_files, &target("owner-7")).await.unwrap();
    assert_eq!(may_hold.len(), 3, "no other file is read");
    erase(upkeep, "owner-7", false).await;
    let after: BTreeSet<String> = events_of(&store).await.into_keys().collect();
    assert_eq!(before.difference(&after).cloned().collect::<BTreeSet<_>>(), holding);
    assert_eq!(rows(&store).await, without(&known, "owner-7"));
    let entries = alluvium_core::ports::ObjectIndex::entries(&**index, READINGS, None, 200).await.unwrap();
    assert!(after.iter().all(|path| entries.iter().any(|entry| entry.path == *path)), "new files have entries");
    assert!(upkeep.preview_erasure(target("owner-7")).await.unwrap().stores.iter().all(|s| s.rows.unwrap_or(0) == 0));
}

#[tokio::test]
async fn while_it_is_open_nothing_of_it_is_committed_any_more() {
    let store = memory();
    let (mut lake, mut known) = filled(&store).await;
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, small());
    let id = erase(upkeep, "owner-3", false).await;
    let first = known.len() as u64 + 1;
    // One batch with rows of the owner and of others, one with nothing else, and one that arrived later.
    commit(&store, &mut lake, &mut known, events([3, 4, 3, 9], first)).await;
    commit(&store, &mut lake, &mut known, events([3, 3], first + 4)).await;
    let mut later = events([3, 4], first + 6);
    later.iter_mut().for_each(|event| event.ingest_time = ASKED + 1);
    commit(&store, &mut lake, &mut known, later).await;
    assert_eq!(rows(&store).await, without(&known, "owner-3"));
    assert_balanced(&store).await;
    // A message that comes again is in.
    let again = deliver_events(&store, first + 4, &events([3, 3], first + 4)).await;
    assert!(matches!(lake.commit(&[again]).await.outcomes[0], crate::Outcome::AlreadyIn));
    // So it is for a committer that knew nothing of it before.
    let (mut other, _) = open_shared(&store).await.unwrap();
    let first = known.len() as u64 + 1;
    commit(&store, &mut other, &mut known, events([3, 5], first)).await;
    assert_eq!(rows(&store).await, without(&known, "owner-3"));
    // Once it is closed, it is over.
    upkeep.note_hot_erasure(id, 2).await.unwrap();
    assert!(!upkeep.close_erasure(id).await.unwrap(), "it is not time");
    assert!(lake.keep_up().await.failure.is_none());
    clock.advance(40 * DAY);
    upkeep.erase(id).await.unwrap();
    assert!(!upkeep.close_erasure(id).await.unwrap(), "the file of the message that came again is still there");
    upkeep.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap();
    assert!(upkeep.close_erasure(id).await.unwrap());
    assert!(upkeep.close_erasure(id).await.unwrap(), "once more does no harm");
    assert_eq!(upkeep.open_erasures().await.unwrap(), []);
    let stored = store.get(&Path::from(objects(&store, "_erasures").await[0].as_str())).await.unwrap();
    assert!(!String::from_utf8_lossy(&stored.bytes().await.unwrap()).contains("owner-3"));
    let first = known.len() as u64 + 1;
    commit(&store, &mut lake, &mut known, events([3], first)).await;
    assert_eq!(rows(&store).await.iter().filter(|event| event.owner == "owner-3").count(), 2);
}

#[tokio::test]
async fn one_committer_alone_leaves_them_out_too() {
    let store = memory();
    let (mut lake, _) = open(&store).await.unwrap();
    let mut known = events([1, 3, 3, 2], 1);
    let message = deliver_events(&store, 1, &known).await;
    lake.commit(&[message]).await.unwrap();
    let Maintainer { upkeep, .. } = &maintainer(&store, small());
    erase(upkeep, "owner-3", false).await;
    let more = events([3, 1], 5);
    let message = deliver_events(&store, 5, &more).await;
    known.extend(more);
    let mixed = message.files[0].path.clone();
    let only = events([3], 7);
    known.extend(only.clone());
    let messages = [message, deliver_events(&store, 7, &only).await];
    lake.commit(&messages).await.unwrap();
    assert_eq!(rows(&store).await, without(&known, "owner-3"));
    assert_balanced(&store).await;
    assert!(!objects(&store, READINGS).await.contains(&mixed), "the file that has them is deleted");
    // After a restart the batches are known.
    let (mut lake, _) = open(&store).await.unwrap();
    assert_eq!(lake.commit(&messages).await.unwrap().already_in, 2);
    assert_eq!(rows(&store).await, without(&known, "owner-3"));
}

#[tokio::test]
async fn files_that_held_the_rows_go_after_time_travel_and_no_other() {
    let store = memory();
    let (mut lake, _) = filled(&store).await;
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, small());
    let before: BTreeSet<String> = events_of(&store).await.into_keys().collect();
    let id = erase(upkeep, "owner-3", false).await;
    assert!(lake.keep_up().await.failure.is_none());
    let after: BTreeSet<String> = events_of(&store).await.into_keys().collect();
    let replaced: Vec<_> = before.difference(&after).map(|path| format!("{READINGS}/{path}")).collect();
    assert!(!replaced.is_empty());
    for (days, are_there) in [(0, true), (29, true), (2, false)] {
        clock.advance(days * DAY);
        upkeep.erase(id).await.unwrap();
        let there = objects(&store, READINGS).await;
        assert!(replaced.iter().all(|path| there.contains(path) == are_there), "after {days} days more");
        assert!(after.iter().all(|path| there.contains(&format!("{READINGS}/{path}"))));
    }
    assert_eq!(of_table(&upkeep.erasure_reports().await.unwrap()[0]).ends, None);
}

#[tokio::test]
async fn at_once_means_every_copy_of_what_is_in_or_was_in_the_table() {
    let store = memory();
    let (mut lake, known) = filled(&store).await;
    let Maintainer { upkeep, .. } = &maintainer(&store, small());
    upkeep.compact(READINGS, 1).await.unwrap();
    let id = erase(upkeep, "owner-3", true).await;
    // What the ledger has not copied, an audit may still look at.
    assert!(lake.keep_up().await.failure.is_none());
    upkeep.erase(id).await.unwrap();
    let there = objects(&store, READINGS).await;
    for path in there.iter().filter(|path| path.ends_with(".parquet") && !path.contains("/_")) {
        let bytes = store.get(&Path::from(path.as_str())).await.unwrap().bytes().await.unwrap();
        assert_eq!(target::count(&[target("owner-3")], READINGS, bytes).unwrap(), 0, "{path}");
    }
    assert_eq!(rows(&store).await, without(&first_arrivals(&known), "owner-3"));
    assert_balanced(&store).await;
}

#[tokio::test]
async fn a_dataset_that_is_none_and_a_table_without_a_schema_are_refused() {
    let store = memory();
    filled(&store).await;
    let Maintainer { upkeep, .. } = &maintainer(&store, small());
    let unknown = Target { dataset: Some("reedings".to_owned()), ..target("owner-3") };
    assert!(matches!(upkeep.begin_erasure(unknown, false).await, Err(LakeError::NoTable(_))));
    let one = alluvium_core::Datasets::of([crate::testing::dataset("notes", r#""text": {"type": "string"}"#)], None);
    let Maintainer { upkeep, .. } =
        &crate::testing::maintainer_of(&store, one.unwrap(), crate::UpkeepSettings::default());
    let refused = upkeep.begin_erasure(target("owner-3"), false).await.unwrap_err().to_string();
    assert!(refused.contains("`readings`"), "{refused}");
    assert_eq!(objects(&store, "_erasures").await, [""; 0]);
    // Of the dataset that is declared it can be done.
    let notes = Target { dataset: Some("notes".to_owned()), ..target("owner-3") };
    let id = upkeep.begin_erasure(notes, false).await.unwrap();
    upkeep.erase(id).await.unwrap();
    let report = &upkeep.erasure_reports().await.unwrap()[0];
    assert_eq!(report.stores[0].store, format!("table `{DEAD}`"));
}

#[tokio::test]
async fn the_audit_finds_an_erasure_that_does_not_come_to_its_end() {
    let store = memory();
    filled(&store).await;
    let Maintainer { upkeep, reader, .. } = &maintainer(&store, small());
    let id = upkeep.begin_erasure(target("owner-3"), false).await.unwrap();
    let problems = async |days: i64| -> Vec<String> {
        let mut findings = crate::audit::Findings::default();
        crate::audit::check_erasures(reader, ASKED + days * DAY, &mut findings).await.unwrap();
        findings.into_check("").problems
    };
    assert_eq!(problems(1).await, [""; 0]);
    let unswept = problems(2).await;
    assert!(
        unswept.len() == 3 && unswept.iter().any(|problem| problem.starts_with("`readings` may still")),
        "{unswept:?}"
    );
    upkeep.erase(id).await.unwrap();
    assert_eq!(problems(2).await, [""; 0]);
    let overdue = problems(34).await;
    assert!(overdue.len() == 1 && overdue[0].contains("34 days ago"), "{overdue:?}");
}

/// Goes on with what a crash has left, or begins if it had not begun.
async fn go_on(upkeep: &Upkeep, owner: &str) -> Uuid {
    match &upkeep.open_erasures().await.unwrap()[..] {
        [] => erase(upkeep, owner, true).await,
        [open] => {
            upkeep.erase(open.id).await.unwrap();
            open.id
        }
        several => panic!("{several:?}"),
    }
}

#[tokio::test]
async fn an_erasure_that_dies_at_any_write_goes_on_and_counts_right() {
    for crash in [Crash::BeforeTheWrite, Crash::AfterTheWrite] {
        for at_write in 1.. {
            let store = memory();
            let (mut lake, known) = filled(&store).await;
            let crashing = Arc::new(Crashing::new(store.clone(), crash, at_write));
            let dying: Arc<dyn ObjectStore> = crashing.clone();
            let dead = maintainer(&dying, small());
            let died = match dead.upkeep.begin_erasure(target("owner-3"), true).await {
                Ok(id) => dead.upkeep.erase(id).await,
                Err(error) => Err(error),
            };
            let when = format!("{crash:?} at write {at_write}");
            let seen = rows(&store).await;
            let others = |events: &[Event]| -> Vec<Event> {
                events.iter().filter(|event| event.owner != "owner-3").cloned().collect()
            };
            assert_eq!(others(&seen), others(&first_arrivals(&known)), "{when}: nobody else loses anything");
            let Maintainer { upkeep, .. } = &maintainer(&store, small());
            let id = go_on(upkeep, "owner-3").await;
            assert!(lake.keep_up().await.failure.is_none());
            upkeep.erase(id).await.unwrap();
            assert_eq!(rows(&store).await, without(&first_arrivals(&known), "owner-3"), "{when}");
            let report = &upkeep.erasure_reports().await.unwrap()[0];
            assert_eq!(of_table(report).rows, Some(48), "{when}");
            assert_eq!(of_table(report).ends, None, "{when}: no file with them is left");
            assert_balanced(&store).await;
            if !crashing.has_crashed() {
                died.unwrap();
                assert!(at_write > 8, "it stores what it does step by step");
                break;
            }
        }
    }
}

/// An erasure beside compaction, vacuum and two committers, in an order that the seed decides.
async fn bustle(seed: u64) {
    let store = memory();
    let (mut lake, mut known) = filled(&store).await;
    let yielding: Arc<dyn ObjectStore> = Arc::new(Yielding::new(store.clone(), seed));
    let (mut other, _) = open_shared(&yielding).await.unwrap();
    let (erasing, compacting) = (maintainer(&yielding, small()).upkeep, maintainer(&yielding, small()).upkeep);
    let mut dice = Dice(seed);
    let mut batches = Vec::new();
    for _ in 0..4 {
        let owners: Vec<_> = (0..6).map(|_| dice.below(10)).collect();
        let events = events(owners, known.len() as u64 + 1);
        batches.push(deliver_events(&store, known.len() as u64 + 1, &events).await);
        known.extend(events);
    }
    let erase = async {
        let id = erase(&erasing, "owner-3", seed.is_multiple_of(2)).await;
        erasing.erase(id).await.unwrap();
    };
    let compact = async {
        for _ in 0..2 {
            compacting.compact(READINGS, 1).await.unwrap();
            tokio::task::yield_now().await;
        }
        compacting.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap();
    };
    let append = async {
        for message in &batches {
            assert!(other.commit(std::slice::from_ref(message)).await.failure.is_none());
        }
    };
    tokio::join!(erase, compact, append);
    for message in &batches {
        assert!(lake.commit(std::slice::from_ref(message)).await.outcomes[0].is_done());
    }
    let expected = without(&first_arrivals(&known), "owner-3");
    assert_eq!(rows(&store).await, expected, "seed {seed}");
    compacting.compact(READINGS, 1).await.unwrap();
    assert_eq!(rows(&store).await, expected, "seed {seed}");
    assert!(lake.keep_up().await.failure.is_none());
    assert_balanced(&store).await;
}

#[tokio::test]
async fn beside_compaction_and_appends_no_row_is_doubled_and_no_owner_comes_back() {
    for seed in 0..60 {
        bustle(seed).await;
    }
}

#[test]
fn a_chunk_of_the_hot_index_is_left_without_their_rows() {
    use alluvium_core::hot::HotChunk;
    use alluvium_core::hot_block::{HotBlockWriter, read_block};

    let rows = crate::testing::rows_of_events(&events([3, 4, 3], 1));
    let block = HotBlockWriter::default().write(&rows).unwrap();
    let chunk = HotChunk {
        dataset: READINGS.to_owned(),
        bucket: 1,
        time_bucket: 0,
        batch: alluvium_core::BatchIdentity::of(&[]),
        part: 0,
        rows: 3,
        min_time: 0,
        max_time: i64::MAX,
        expires_at: i64::MAX,
        block,
    };
    let Screened::Without(2, Some(left)) = screen_chunk(&[target("owner-3")], &chunk).unwrap() else { panic!() };
    let time = FIRST - DAY + 2;
    assert_eq!((left.rows, left.min_time, left.max_time), (1, time, time));
    assert_eq!(read_block(&left.block, BLOCK).unwrap(), rows.slice(1, 1));
    assert_eq!(screen_chunk(&[target("owner-3")], &left).unwrap(), Screened::AsItWas);
    assert_eq!(screen_chunk(&[target("owner-4")], &left).unwrap(), Screened::Without(1, None));
    let elsewhere = Target { dataset: Some("notes".to_owned()), ..target("owner-4") };
    assert_eq!(screen_chunk(&[elsewhere], &left).unwrap(), Screened::AsItWas);
}

const BLOCK: usize = 1 << 20;

#[tokio::test]
async fn an_erasure_of_a_newer_release_is_not_guessed_at() {
    let store = memory();
    filled(&store).await;
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, small());
    let id = upkeep.begin_erasure(target("owner-3"), false).await.unwrap();
    assert!(clock.now_micros() > ASKED);
    let path = Path::from(objects(&store, "_erasures").await[0].as_str());
    let text = store.get(&path).await.unwrap().bytes().await.unwrap();
    let newer = String::from_utf8(text.to_vec()).unwrap().replace(r#""version":1"#, r#""version":2"#);
    store.put(&path, newer.into()).await.unwrap();
    let refused = upkeep.erase(id).await.unwrap_err().to_string();
    assert!(refused.contains("version 2"), "{refused}");
}
