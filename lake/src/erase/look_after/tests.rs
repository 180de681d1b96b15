#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use alluvium_core::hot_block::{HotBlockWriter, read_block};
use alluvium_core::{BatchIdentity, Clock as _, RecordIdentity, ShardId};
use arrow::array::AsArray as _;
use async_trait::async_trait;
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;
use crate::VacuumMode;
use crate::erase::tests::{
    ASKED, FIRST, assert_balanced, commit, events, filled, memory, rows, small, target, without,
};
use crate::testing::{DAY, Maintainer, READINGS, Yielding, maintainer, rows_of_events};

const HOUR: Duration = Duration::from_secs(3_600);

/// A hot index in memory.
#[derive(Default)]
struct Chunks {
    held: Mutex<Vec<HotChunk>>,
    asked: Mutex<Vec<Micros>>,
    is_broken: Mutex<bool>,
}

impl Chunks {
    /// Puts a chunk with a row of each of these owners.
    fn put(&self, owners: impl IntoIterator<Item = u64>) {
        let mut held = self.held.lock().unwrap();
        let events = events(owners, 1);
        let record =
            RecordIdentity { shard: ShardId::numbered(0), sequence: (held.len() as u64 + 1).into(), subsequence: 0 };
        held.push(HotChunk {
            dataset: READINGS.to_owned(),
            bucket: 1,
            time_bucket: 0,
            batch: BatchIdentity::of(&[record]),
            part: 0,
            rows: events.len() as u32,
            min_time: FIRST - 9 * DAY,
            max_time: FIRST,
            expires_at: Micros::MAX,
            block: HotBlockWriter::default().write(&rows_of_events(&events)).unwrap(),
        });
    }

    /// Whose rows there are.
    fn owners(&self) -> Vec<String> {
        let held = self.held.lock().unwrap();
        let owners = held.iter().flat_map(|chunk| {
            let rows = read_block(&chunk.block, 1 << 20).unwrap();
            rows["owner"].as_string::<i32>().iter().map(|owner| owner.unwrap().to_owned()).collect::<Vec<_>>()
        });
        owners.collect()
    }

    fn break_down(&self, is_broken: bool) {
        *self.is_broken.lock().unwrap() = is_broken;
    }
}

#[async_trait]
impl ErasableHotIndex for Chunks {
    async fn take_out(
        &self,
        mode: TakeOut,
        stored_since: Micros,
        screen: &alluvium_core::hot::Screen<'_>,
    ) -> std::result::Result<TakenOut, PortError> {
        if *self.is_broken.lock().unwrap() {
            return Err(PortError::new(Advice::Retry, "the table is away"));
        }
        self.asked.lock().unwrap().push(stored_since);
        let mut taken = TakenOut::default();
        let mut left = Vec::new();
        for chunk in self.held.lock().unwrap().iter() {
            match screen(chunk)? {
                Left::All => left.push(chunk.clone()),
                Left::Without(rows, stays) => {
                    taken.add(&rows);
                    left.extend(stays);
                }
            }
        }
        if mode == TakeOut::Remove {
            *self.held.lock().unwrap() = left;
        }
        Ok(taken)
    }
}

fn beside(hot: &Arc<Chunks>) -> Beside {
    Beside { hot: hot.clone(), set_aside: Arc::new(InMemory::new()), stream: 24 * HOUR }
}

/// The rows that left the hot index, by the report of each erasure.
async fn hot_rows(upkeep: &Upkeep) -> Vec<Option<u64>> {
    let reports = upkeep.erasure_reports().await.unwrap();
    let rows = |report: &crate::ErasureReport| {
        report.stores.iter().find(|store| store.store == crate::HOT_INDEX).unwrap().rows
    };
    reports.iter().map(rows).collect()
}

#[tokio::test]
async fn where_nothing_is_erased_nothing_is_asked() {
    let store = memory();
    filled(&store).await;
    let hot = Arc::<Chunks>::default();
    let Maintainer { upkeep, .. } = &maintainer(&store, small());
    let looked = upkeep.look_after_erasures(&beside(&hot)).await.unwrap();
    assert!(looked.open.is_empty() && looked.failed.is_empty() && hot.asked.lock().unwrap().is_empty());
    assert_eq!(looked.overdue(HOUR, Micros::MAX), Duration::ZERO);
}

#[tokio::test]
async fn rows_of_several_owners_leave_the_hot_index_in_one_look_and_again_when_they_come_late() {
    let store = memory();
    filled(&store).await;
    let hot = Arc::<Chunks>::default();
    hot.put([1, 3, 4, 3]);
    hot.put([4]);
    hot.put([5, 6]);
    let Maintainer { upkeep, .. } = &maintainer(&store, small());
    assert_eq!(upkeep.count_in_hot(&*hot, &target("owner-3")).await.unwrap().rows, [2]);
    for (owner, later) in [("owner-3", 0), ("owner-4", 1)] {
        let target = Target { until: ASKED + later, ..target(owner) };
        upkeep.begin_erasure(target, false).await.unwrap();
    }
    let looked = upkeep.look_after_erasures(&beside(&hot)).await.unwrap();
    assert!(looked.failed.is_empty() && looked.closed.is_empty(), "{looked:?}");
    assert_eq!((looked.hot.rows.as_slice(), looked.open.len()), (&[2, 2][..], 2));
    assert_eq!(hot.owners(), ["owner-1", "owner-5", "owner-6"]);
    assert_eq!(hot_rows(upkeep).await, [Some(2), Some(2)]);
    // Delivered once more, by a function that knows of no erasure.
    hot.put([4, 3, 4, 1]);
    upkeep.look_after_erasures(&beside(&hot)).await.unwrap();
    assert_eq!(hot_rows(upkeep).await, [Some(3), Some(4)]);
    assert_eq!(hot.owners(), ["owner-1", "owner-5", "owner-6", "owner-1"]);
    assert_eq!(
        *hot.asked.lock().unwrap(),
        [Micros::MIN, Micros::MIN, ASKED],
        "what waited was looked at the first time"
    );
}

#[tokio::test]
async fn it_is_closed_when_nothing_can_bring_rows_back_and_not_before() {
    let store = memory();
    let (mut lake, known) = filled(&store).await;
    let hot = Arc::<Chunks>::default();
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, small());
    let asked = clock.now_micros();
    let id = upkeep.begin_erasure(Target { until: asked, ..target("owner-3") }, false).await.unwrap();
    let beside = Beside { stream: 40 * 24 * HOUR, ..beside(&hot) };
    let looked = upkeep.look_after_erasures(&beside).await.unwrap();
    assert_eq!(rows(&store).await, without(&known, "owner-3"));
    let [open] = &looked.open[..] else { panic!("{looked:?}") };
    assert_eq!((open.id, open.promised(beside.stream), open.promised(HOUR)), (id, asked + 40 * DAY, asked + 32 * DAY));
    assert_eq!(looked.overdue(beside.stream, asked + 39 * DAY), Duration::ZERO);
    assert_eq!(looked.overdue(beside.stream, asked + 41 * DAY), 24 * HOUR);
    assert!(lake.keep_up().await.failure.is_none());
    clock.advance(39 * DAY);
    upkeep.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap();
    let looked = upkeep.look_after_erasures(&beside).await.unwrap();
    assert_eq!((looked.closed.len(), looked.open.len()), (0, 1), "the stream may hold what arrived before");
    clock.advance(2 * DAY);
    // An object in memory goes by the machine's time, which is before the erasure was asked for and after the stream's.
    beside.set_aside.put(&Path::from("2026/01/01/00/failed"), "{}".into()).await.unwrap();
    let looked = upkeep.look_after_erasures(&beside).await.unwrap();
    assert_eq!((looked.closed.len(), looked.open.len(), looked.set_aside), (0, 1, 1), "it may be handed over again");
    assert!(looked.overdue(beside.stream, clock.now_micros()) >= 24 * HOUR);
    beside.set_aside.delete(&Path::from("2026/01/01/00/failed")).await.unwrap();
    hot.break_down(true);
    let looked = upkeep.look_after_erasures(&beside).await.unwrap();
    assert_eq!((looked.failed.len(), looked.open.len()), (1, 1), "what was not looked at may hold rows");
    assert!(looked.failed[0].1.to_string().contains("the table is away"));
    hot.break_down(false);
    let looked = upkeep.look_after_erasures(&beside).await.unwrap();
    assert_eq!((&looked.closed[..], looked.open.len()), (&[id][..], 0), "{looked:?}");
    assert_eq!(looked.overdue(beside.stream, Micros::MAX), Duration::ZERO);
}

#[tokio::test]
async fn a_delivery_that_was_set_aside_later_than_the_stream_can_have_it_holds_up_nothing() {
    let store = memory();
    let (mut lake, _) = filled(&store).await;
    let hot = Arc::<Chunks>::default();
    let Maintainer { upkeep, clock, .. } = &maintainer(&store, small());
    // Asked for so long ago that what is set aside now cannot be of before.
    let id = upkeep.begin_erasure(target("owner-3"), false).await.unwrap();
    let beside = beside(&hot);
    beside.set_aside.put(&Path::from("failed"), "{}".into()).await.unwrap();
    upkeep.look_after_erasures(&beside).await.unwrap();
    assert!(lake.keep_up().await.failure.is_none());
    clock.advance(31 * DAY);
    upkeep.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap();
    let looked = upkeep.look_after_erasures(&beside).await.unwrap();
    assert_eq!((looked.closed, looked.set_aside), (vec![id], 1));
}

/// A command and a function look after the same erasures while batches are committed.
async fn two_at_work(seed: u64) {
    let inner = memory();
    let store: Arc<dyn ObjectStore> = Arc::new(Yielding::new(inner.clone(), seed));
    let (mut lake, mut known) = filled(&inner).await;
    let hot = Arc::<Chunks>::default();
    hot.put([3, 4, 3]);
    let one = maintainer(&store, small());
    let two = maintainer(&store, small());
    for (owner, later) in [("owner-3", 0), ("owner-8", 1)] {
        one.upkeep.begin_erasure(Target { until: ASKED + later, ..target(owner) }, false).await.unwrap();
    }
    let first = known.len() as u64 + 1;
    let around = beside(&hot);
    let (at_work, also, ()) = tokio::join!(
        one.upkeep.look_after_erasures(&around),
        two.upkeep.look_after_erasures(&around),
        commit(&inner, &mut lake, &mut known, events([3, 4, 8], first)),
    );
    for looked in [at_work.unwrap(), also.unwrap()] {
        assert!(looked.failed.is_empty() && looked.open.len() == 2, "seed {seed}: {looked:?}");
    }
    assert_eq!(rows(&inner).await, without(&without(&known, "owner-3"), "owner-8"), "seed {seed}");
    assert_eq!(
        (hot.owners(), hot_rows(&one.upkeep).await),
        (vec!["owner-4".to_owned()], vec![Some(2), Some(0)]),
        "seed {seed}"
    );
    // What left the tables is counted once, whoever of the two took it out.
    let reports = one.upkeep.erasure_reports().await.unwrap();
    let counted: u64 = reports
        .iter()
        .flat_map(|report| &report.stores)
        .filter(|store| store.store.contains(READINGS))
        .map(|store| store.rows.unwrap())
        .sum();
    let swept = known.len() - without(&without(&known, "owner-3"), "owner-8").len();
    assert!(
        [swept as u64, swept as u64 - 2].contains(&counted),
        "seed {seed}: {counted} of {swept}, two of which a committer may leave out"
    );
    assert!(lake.keep_up().await.failure.is_none());
    assert_balanced(&inner).await;
    for Maintainer { upkeep, clock, .. } in [&one, &two] {
        clock.advance(33 * DAY);
        upkeep.vacuum(READINGS, VacuumMode::Delete, None).await.unwrap();
    }
    let (at_work, also) =
        tokio::join!(one.upkeep.look_after_erasures(&around), two.upkeep.look_after_erasures(&around));
    assert!(at_work.unwrap().failed.is_empty() && also.unwrap().failed.is_empty(), "seed {seed}");
    let last = one.upkeep.look_after_erasures(&around).await.unwrap();
    assert!(last.open.is_empty() && last.failed.is_empty(), "seed {seed}: {last:?}");
}

#[tokio::test]
async fn a_command_and_a_function_at_work_on_the_same_lose_nothing_that_either_did() {
    for seed in 0..30 {
        two_at_work(seed).await;
    }
}
