#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::testing::{
    Crash, Crashing, DAY, Dice, Event, Maintainer, READINGS, assert_the_library_reads_the_same, datasets,
    deliver_events, events_of, first_arrivals, maintainer, open_shared, root,
};
use crate::{LakeReader, SharedLake};

/// Small enough that rows are spilled, and files cut at dates.
fn small() -> CompactSettings {
    CompactSettings { target_bytes: 64 * 1024, memory_bytes: 64 * 1024, ..CompactSettings::default() }
}

/// Events of a few owners, sources and dates, of which some are sent again, at other times and on other dates.
fn events(dice: &mut Dice, count: usize, known: &mut Vec<Event>) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..count {
        let now = 1_767_225_600_000_000 + known.len() as i64 * 1_000;
        let event = match dice.below(10) {
            0 if !known.is_empty() => {
                let again = known[dice.below(known.len() as u64) as usize].clone();
                let event_time = again.event_time + dice.below(2) as i64 * DAY;
                // An arrival that is delivered late may be the first all the same.
                Event { ingest_time: now - dice.below(2) as i64 * 1_000_000_000, event_time, ..again }
            }
            _ => Event {
                owner: format!("owner-{}", dice.below(2)),
                source: format!("source-{}", dice.below(7)),
                id: known.len().to_string(),
                ingest_time: now,
                event_time: now - dice.below(3) as i64 * DAY - dice.below(1_000) as i64,
            },
        };
        known.push(event.clone());
        events.push(event);
    }
    events
}

/// Delivers and commits so many batches.
async fn fill(store: &Arc<dyn ObjectStore>, lake: &mut SharedLake, known: &mut Vec<Event>, batches: u64, of: usize) {
    let mut dice = Dice(known.len() as u64);
    for _ in 0..batches {
        let first = known.len() as u64 + 1;
        let events = events(&mut dice, of, known);
        let message = deliver_events(store, first, &events).await;
        let committed = lake.commit(&[message]).await;
        assert!(committed.failure.is_none() && committed.outcomes[0].is_done(), "{committed:?}");
    }
}

async fn all_rows(store: &Arc<dyn ObjectStore>) -> Vec<Event> {
    let mut rows: Vec<_> = events_of(store).await.into_values().flatten().collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn of_each_key_the_first_arrival_stays_sorted_and_cut_at_dates() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, 20, 300).await;
    let Maintainer { upkeep, spill, .. } = maintainer(&store, small());
    let rounds = upkeep.compact(READINGS, 1).await.unwrap();
    let expected = first_arrivals(&known);
    assert!(expected.len() < known.len() - 100, "some were sent again");
    assert_eq!(all_rows(&store).await, expected);
    let [round] = &rounds[..] else { panic!("{rounds:?}") };
    assert_eq!((round.files_before, round.rows_before), (20, known.len() as u64));
    assert_eq!(round.duplicates, (known.len() - expected.len()) as u64);
    assert_eq!(round.rewritten_per_new_byte(), Some(1.0));
    let mut last_of_before = None;
    for (path, events) in events_of(&store).await {
        let day = |event: &Event| event.event_time.div_euclid(DAY);
        let order = |event: &Event| (day(event), event.source.clone(), event.event_time);
        assert!(events.is_sorted_by_key(order), "{path}");
        let first = day(&events[0]);
        assert!(last_of_before < Some(first), "files of one date have one date: {path}");
        last_of_before = events.last().map(day);
    }
    assert!(std::fs::read_dir(spill.path()).unwrap().next().is_none(), "nothing is left of what was spilled");
    assert_the_library_reads_the_same(&store).await;
    assert!(upkeep.compact(READINGS, 1).await.unwrap().is_empty(), "there is nothing left to gain");
}

#[tokio::test]
async fn a_batch_that_was_compacted_away_does_not_come_in_again() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    let events = events(&mut Dice(1), 50, &mut known);
    let message = deliver_events(&store, 1, &events).await;
    assert!(lake.commit(std::slice::from_ref(&message)).await.outcomes[0].is_done());
    let Maintainer { upkeep, .. } = &maintainer(&store, small());
    assert_eq!(upkeep.compact(READINGS, 1).await.unwrap().len(), 1);
    let rows = all_rows(&store).await;
    let again = lake.commit(std::slice::from_ref(&message)).await;
    assert!(matches!(again.outcomes[0], crate::Outcome::AlreadyIn), "{again:?}");
    let (mut other, _) = open_shared(&store).await.unwrap();
    assert!(matches!(other.commit(&[message]).await.outcomes[0], crate::Outcome::AlreadyIn));
    assert_eq!(all_rows(&store).await, rows);
}

#[tokio::test]
async fn what_is_compacted_later_is_compared_with_what_was_before() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let Maintainer { upkeep, .. } = &maintainer(&store, CompactSettings { target_bytes: 8 * 1024, ..small() });
    let mut known = Vec::new();
    for round in 0..6 {
        fill(&store, &mut lake, &mut known, 1 + round % 3, 100).await;
        upkeep.compact(READINGS, 1).await.unwrap();
        assert_eq!(all_rows(&store).await, first_arrivals(&known), "round {round}");
    }
}

#[tokio::test]
async fn a_compaction_that_dies_at_any_write_leaves_the_table_as_it_was_or_done() {
    for crash in [Crash::BeforeTheWrite, Crash::AfterTheWrite] {
        for at_write in 1.. {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let (mut lake, _) = open_shared(&store).await.unwrap();
            let mut known = Vec::new();
            fill(&store, &mut lake, &mut known, 4, 300).await;
            let before = all_rows(&store).await;
            let crashing = Arc::new(Crashing::new(store.clone(), crash, at_write));
            let dying: Arc<dyn ObjectStore> = crashing.clone();
            let Maintainer { upkeep: dying, .. } = &maintainer(&dying, small());
            let died = dying.compact(READINGS, 1).await;
            if !crashing.has_crashed() {
                died.unwrap();
                assert!(at_write > 3, "it writes files and a commit");
                break;
            }
            let (rows, expected) = (all_rows(&store).await, first_arrivals(&known));
            assert!(rows == before || rows == expected, "{crash:?} at write {at_write}");
            let Maintainer { upkeep: next, .. } = &maintainer(&store, small());
            next.compact(READINGS, 1).await.unwrap();
            assert_eq!(all_rows(&store).await, expected, "{crash:?} at write {at_write}");
        }
    }
}

#[tokio::test]
async fn of_two_compactors_at_a_time_one_starts_over() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, 10, 100).await;
    let (one, other) = (maintainer(&store, small()).upkeep, maintainer(&store, small()).upkeep);
    let (one, other, ()) =
        tokio::join!(one.compact(READINGS, 2), other.compact(READINGS, 2), fill(&store, &mut lake, &mut known, 5, 100));
    let rounds = one.unwrap().len() + other.unwrap().len();
    assert!(rounds >= 1);
    let Maintainer { upkeep: last, .. } = &maintainer(&store, small());
    last.compact(READINGS, 1).await.unwrap();
    assert_eq!(all_rows(&store).await, first_arrivals(&known));
}

#[tokio::test]
async fn the_ledger_is_compacted_while_it_is_written() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, 10, 10).await;
    let Maintainer { upkeep, .. } = &maintainer(&store, small());
    for round in 0..3 {
        let (compacted, ()) = tokio::join!(upkeep.compact("ledger", 2), fill(&store, &mut lake, &mut known, 3, 10));
        compacted.unwrap();
        let reader = LakeReader::new(store.clone(), root());
        let newest = reader.newest("ledger").await.unwrap().version.unwrap();
        assert_eq!(crate::audit::problems_at(&reader, &datasets(), newest).await.unwrap(), [""; 0], "round {round}");
    }
    upkeep.compact("ledger", 2).await.unwrap();
    let reader = LakeReader::new(store.clone(), root());
    assert_eq!(reader.snapshot("ledger").await.unwrap().files.len(), 1);
    assert_the_library_reads_the_same(&store).await;
}

#[tokio::test]
async fn the_ledger_says_how_many_duplicates_went() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, 10, 100).await;
    let Maintainer { upkeep, .. } = &maintainer(&store, small());
    let duplicates: u64 = upkeep.compact(READINGS, 1).await.unwrap().iter().map(|round| round.duplicates).sum();
    assert!(duplicates > 10);
    let reader = LakeReader::new(store.clone(), root());
    for is_copied in [false, true] {
        if is_copied {
            fill(&store, &mut lake, &mut known, 1, 1).await;
        }
        let newest = reader.newest("ledger").await.unwrap().version.unwrap();
        assert_eq!(crate::audit::problems_at(&reader, &datasets(), newest).await.unwrap(), [""; 0]);
    }
}
