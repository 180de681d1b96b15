#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::Clock;
use alluvium_core::ports::ObjectIndex as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::testing::{
    DAY, Event, LEDGER, Maintainer, NOTES, READINGS, datasets, deliver_events, events_of, first_arrivals, maintainer,
    open_shared, root,
};
use crate::{AuditSettings, CompactSettings, LakeReader, SharedLake, StoreIndex, UpkeepSettings, audit_stored};

/// A clock that goes on by a second whenever it is asked.
#[derive(Debug)]
struct Ticking(alluvium_core::ManualClock);

impl Clock for Ticking {
    fn now_micros(&self) -> Micros {
        self.0.advance(1_000_000);
        self.0.now_micros()
    }
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// Of rounds so small that each takes one date.
fn ticking(store: &Arc<dyn ObjectStore>, round_bytes: u64) -> (Upkeep, Arc<Ticking>, tempfile::TempDir) {
    let spill = tempfile::tempdir().unwrap();
    let now = alluvium_core::SystemClock.now_micros();
    let clock = Arc::new(Ticking(alluvium_core::ManualClock::at(now)));
    let upkeep = Upkeep::new(
        LakeReader::new(store.clone(), root()),
        Arc::new(datasets()),
        Arc::new(crate::testing::PlainFormat),
        Arc::new(StoreIndex::new(store.clone())),
        clock.clone(),
        spill.path().to_owned(),
        UpkeepSettings {
            compact: CompactSettings { round_bytes, ..CompactSettings::default() },
            ..UpkeepSettings::default()
        },
    );
    (upkeep, clock, spill)
}

/// Commits a batch of ten events of each of these days.
async fn fill(store: &Arc<dyn ObjectStore>, lake: &mut SharedLake, known: &mut Vec<Event>, days: &[i64]) {
    for day in days {
        let first = known.len() as i64;
        let event = |n: i64| Event {
            owner: "o".to_owned(),
            source: format!("s{}", n % 3),
            id: n.to_string(),
            ingest_time: 1_767_225_600_000_000 + n,
            event_time: 1_767_225_600_000_000 + day * DAY + n,
        };
        let events: Vec<Event> = (first..first + 10).map(event).collect();
        let message = deliver_events(store, first as u64 + 1, &events).await;
        assert!(lake.commit(&[message]).await.outcomes[0].is_done());
        known.extend(events);
    }
}

async fn all_rows(store: &Arc<dyn ObjectStore>) -> Vec<Event> {
    let mut rows: Vec<_> = events_of(store).await.into_values().flatten().collect();
    rows.sort();
    rows
}

async fn problems(store: &Arc<dyn ObjectStore>) -> Vec<String> {
    let reader = LakeReader::new(store.clone(), root());
    let settings = AuditSettings::at(alluvium_core::SystemClock.now_micros());
    let report = audit_stored(&reader, &datasets(), &StoreIndex::new(store.clone()), &settings).await.unwrap();
    report.problems().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_turn_ends_in_time_and_the_next_goes_on() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, &[1, 2, 3, 1, 2, 3, 1, 2, 1]).await;
    let size = LakeReader::new(store.clone(), root()).snapshot(READINGS).await.unwrap().files[0].size_bytes;
    // Rounds of four files: those of the first day are most.
    let (upkeep, clock, _spill) = ticking(&store, size * 9 / 2);
    let tables = upkeep.tables();
    assert_eq!(tables, ["dead_letters", LEDGER, NOTES, READINGS]);

    let mut turn = Turn::default();
    upkeep.compact_turn(&tables, 2, clock.now_micros(), &mut turn).await;
    assert!(turn.done.is_empty() && turn.failed.is_empty(), "there is no time for any: {turn:?}");
    let left: Vec<_> = turn.left.iter().map(|left| (left.table.as_str(), left.waiting.unwrap().files)).collect();
    assert_eq!(left, [(LEDGER, 9), (READINGS, 9)]);

    let readings = [READINGS.to_owned()];
    let mut turn = Turn::default();
    // The clock goes on by some seconds in each round: the first fits, a second as long does not.
    upkeep.compact_turn(&readings, 2, clock.now_micros() + 4_000_000, &mut turn).await;
    assert_eq!(turn.done.len(), 1, "{turn:?}");
    assert_eq!((turn.done[0].files_before, turn.done[0].files_after), (4, 1));
    assert_eq!(turn.left.len(), 1);
    assert_eq!(turn.left[0].waiting.unwrap().files, 5);
    let days = days_in(&store).await;
    assert_eq!(days.iter().filter(|days| **days == [1]).count(), 1, "all of the first day are in one file: {days:?}");
    assert_eq!(all_rows(&store).await, first_arrivals(&known));

    let mut turn = Turn::default();
    upkeep.compact_turn(&tables, 1, Micros::MAX, &mut turn).await;
    assert!(turn.left.is_empty() && turn.failed.is_empty(), "{turn:?}");
    assert!(turn.done.iter().any(|round| round.table == LEDGER), "{turn:?}");
    assert_eq!(all_rows(&store).await, first_arrivals(&known));
    assert!(lake.keep_up().await.failure.is_none());
    assert_eq!(problems(&store).await, [""; 0]);
}

/// The days of the rows of each file, counted from the first of the year.
async fn days_in(store: &Arc<dyn ObjectStore>) -> Vec<Vec<i64>> {
    let day = |event: &Event| (event.event_time - 1_767_225_600_000_000).div_euclid(DAY);
    let days = |events: Vec<Event>| {
        let mut days: Vec<_> = events.iter().map(day).collect();
        days.dedup();
        days
    };
    events_of(store).await.into_values().map(days).collect()
}

#[tokio::test]
async fn a_table_that_fails_keeps_no_other_from_its_turn() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, &[1, 1, 1]).await;
    let Maintainer { upkeep, reader, .. } = &maintainer(&store, CompactSettings::default());
    let lost = &reader.snapshot(READINGS).await.unwrap().files[0].path;
    store.delete(&Path::from(format!("{READINGS}/{lost}"))).await.unwrap();
    let mut turn = Turn::default();
    upkeep.compact_turn(&upkeep.tables(), 2, Micros::MAX, &mut turn).await;
    let [(table, error)] = &turn.failed[..] else { panic!("{turn:?}") };
    assert_eq!(table, READINGS);
    assert!(error.to_string().contains(lost), "{error}");
    assert_eq!(turn.done.iter().map(|round| round.table.as_str()).collect::<Vec<_>>(), [LEDGER]);
}

#[tokio::test]
async fn a_turn_that_is_cut_off_anywhere_leaves_what_it_has_done() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, &[1, 2, 1, 2, 3, 3]).await;
    for polls in 1..40 {
        let (upkeep, ..) = ticking(&store, 1 << 20);
        let tables = upkeep.tables();
        let mut turn = Turn::default();
        {
            let mut work = std::pin::pin!(upkeep.compact_turn(&tables, 1, Micros::MAX, &mut turn));
            for _ in 0..polls {
                if futures::poll!(&mut work).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(all_rows(&store).await, first_arrivals(&known), "after {polls} polls");
        fill(&store, &mut lake, &mut known, &[polls % 4]).await;
    }
    let (upkeep, ..) = ticking(&store, 1 << 20);
    let mut turn = Turn::default();
    upkeep.compact_turn(&upkeep.tables(), 1, Micros::MAX, &mut turn).await;
    assert!(turn.failed.is_empty(), "{turn:?}");
    assert_eq!(all_rows(&store).await, first_arrivals(&known));
    assert_eq!(problems(&store).await, [""; 0]);
}

#[tokio::test]
async fn two_turns_at_a_time_beside_commits_do_each_other_no_harm() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, &[1, 2]).await;
    let ((one, _, _one_spill), (two, _, _two_spill)) = (ticking(&store, 1 << 20), ticking(&store, 1 << 20));
    let tables = one.tables();
    let maintain = async |upkeep: &Upkeep| {
        let mut removed = 0;
        for _ in 0..8 {
            let mut compacted = Turn::default();
            upkeep.compact_turn(&tables, 1, Micros::MAX, &mut compacted).await;
            let mut vacuumed = Turn::default();
            upkeep.vacuum_turn(&tables, Micros::MAX, &mut vacuumed).await;
            assert!(compacted.failed.is_empty() && vacuumed.failed.is_empty(), "{compacted:?} {vacuumed:?}");
            removed += compacted.done.len();
        }
        removed
    };
    let ingest = async {
        for day in 0..20 {
            fill(&store, &mut lake, &mut known, &[day % 3]).await;
            tokio::task::yield_now().await;
        }
    };
    let (rounds, also, ()) = tokio::join!(maintain(&one), maintain(&two), ingest);
    // One may always be the faster, and leave the other nothing.
    assert!(rounds + also > 1, "{rounds} and {also} rounds");
    assert_eq!(all_rows(&store).await, first_arrivals(&known));
    assert!(lake.keep_up().await.failure.is_none());
    assert_eq!(problems(&store).await, [""; 0]);
}

#[tokio::test]
async fn retention_and_vacuum_leave_the_tables_that_they_have_no_time_for() {
    let store = memory();
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let mut known = Vec::new();
    fill(&store, &mut lake, &mut known, &[1, 1]).await;
    let (upkeep, clock, _spill) = ticking(&store, 1 << 20);
    let tables = upkeep.tables();
    let mut vacuumed = Turn::default();
    upkeep.vacuum_turn(&tables, clock.now_micros() + 2_000_000, &mut vacuumed).await;
    assert_eq!(vacuumed.done.len(), 1, "{vacuumed:?}");
    assert_eq!(vacuumed.left.iter().map(|left| left.table.as_str()).collect::<Vec<_>>(), &tables[1..]);
    let mut expired = Turn::default();
    upkeep.retain_turn(&tables, 0, &mut expired).await;
    assert_eq!(expired.left.len(), tables.len());
    // With time enough, vacuum makes the entries of files that have none.
    let index = StoreIndex::new(store.clone());
    assert!(index.paths(READINGS).await.unwrap().is_empty());
    upkeep.vacuum_turn(&tables, Micros::MAX, &mut Turn::default()).await;
    assert_eq!(index.paths(READINGS).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_lake_without_tables_has_nothing_to_do() {
    let store = memory();
    let (upkeep, ..) = ticking(&store, 1 << 20);
    let tables = upkeep.tables();
    let (mut compacted, mut expired, mut vacuumed) = (Turn::default(), Turn::default(), Turn::default());
    upkeep.compact_turn(&tables, 1, Micros::MAX, &mut compacted).await;
    upkeep.retain_turn(&tables, Micros::MAX, &mut expired).await;
    upkeep.vacuum_turn(&tables, Micros::MAX, &mut vacuumed).await;
    assert!(compacted.done.is_empty() && compacted.failed.is_empty(), "{compacted:?}");
    assert!(expired.failed.is_empty() && vacuumed.failed.is_empty(), "{expired:?} {vacuumed:?}");
}
