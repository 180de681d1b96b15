#![allow(clippy::unwrap_used)]

//! A model of erasing beside taking and draining: whose rows were put before the call is nowhere when it returns, and does not come back.

use alluvium_core::ManualClock;
use alluvium_core::contract::hot_index::chunk;
use alluvium_core::hot::HotChunk;
use alluvium_core::ports::HotIndex as _;
use futures::future::join_all;
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::levelled::tests::{drain_at, levelled, world::World};
use crate::timer::LeapingTime;

const NOW: Micros = 1_000_000_000;

/// The rows of the model are bytes of a block, each its owner.
fn without(owner: u8) -> impl Fn(&HotChunk) -> Result<Left, PortError> + Send + Sync {
    move |chunk| {
        let left: Vec<u8> = chunk.block.iter().copied().filter(|row| *row != owner).collect();
        let rows = chunk.block.len() - left.len();
        Ok(match (rows, left.is_empty()) {
            (0, _) => Left::All,
            (_, true) => Left::Without(vec![rows as u64], None),
            (_, false) => {
                let rows_left = left.len() as u32;
                Left::Without(
                    vec![rows as u64],
                    Some(HotChunk { block: left.into(), rows: rows_left, ..chunk.clone() }),
                )
            }
        })
    }
}

fn of(batch: u64, rows: &[u8]) -> HotChunk {
    HotChunk { block: rows.to_vec().into(), rows: rows.len() as u32, ..chunk("telemetry", 3, batch, (100, 200)) }
}

fn buffered(world: &Arc<World>) -> BufferedHotIndex {
    BufferedHotIndex { hot: world.clone(), parcels: world.clone(), drain: DRAIN, clock: Arc::new(ManualClock::at(NOW)) }
}

/// Time in which a drain ends when it is waited for.
struct DrainsEnd<'a>(&'a World);

impl Timer for DrainsEnd<'_> {
    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn sleep_until(&self, then: Instant) {
        if then > Instant::now() + DRAIN / 2 {
            self.0.drains_end().await;
        }
    }
}

#[tokio::test]
async fn what_waits_is_without_the_rows_and_its_notes_are_taken_back() {
    let world = World::calm(0);
    world.throttle(1.0);
    let gone = HotChunk { dataset: "other".to_owned(), ..of(3, b"aa") };
    levelled(&world).put(vec![of(1, b"abab"), of(2, b"bb"), gone]).await.unwrap();
    let path = world.messages().remove(0);
    let timer = LeapingTime::new();
    let count = buffered(&world).take_out_in(&timer, TakeOut::Count, Micros::MIN, &without(b'a')).await.unwrap();
    assert_eq!((count.waiting_objects, timer.elapsed()), (1, Duration::ZERO), "to count waits for nobody");
    let taken = buffered(&world).take_out_in(&timer, TakeOut::Remove, Micros::MIN, &without(b'a')).await.unwrap();
    assert_eq!(taken, TakenOut { rows: vec![], waiting_objects: 1 });
    assert_eq!(timer.elapsed(), DRAIN, "whoever had read it before has ended");
    // The same batch comes again, and finds its parcel.
    world.throttle(1.0);
    levelled(&world)
        .put(vec![of(1, b"abab"), of(2, b"bb"), HotChunk { dataset: "other".to_owned(), ..of(3, b"aa") }])
        .await
        .unwrap();
    world.throttle(0.0);
    for _ in 0..2 {
        drain_at(&world, 0, 100).drain_in(&timer, &path, timer.now() + Duration::from_secs(60)).await.unwrap();
    }
    assert_eq!(world.chunks(), [of(1, b"bb"), of(2, b"bb")]);
    assert_eq!(world.notes(), 0, "a dataset of which nothing is left is drained as well");
    let again = buffered(&world).take_out_in(&timer, TakeOut::Remove, Micros::MIN, &without(b'a')).await.unwrap();
    assert_eq!(again, TakenOut::default());
}

#[tokio::test]
async fn an_interrupted_one_waits_for_drains_as_the_first_would_have() {
    let world = World::calm(0);
    world.throttle(1.0);
    levelled(&world).put(vec![of(1, b"ab")]).await.unwrap();
    buffered(&world).take_out_in(&LeapingTime::new(), TakeOut::Remove, Micros::MIN, &without(b'a')).await.unwrap();
    for (passed, waits) in [(10, 65), (75, 0), (1_000, 0)] {
        let clock = Arc::new(ManualClock::at(world.stored_at() + passed * 1_000_000));
        let later = BufferedHotIndex { clock, ..buffered(&world) };
        let timer = LeapingTime::new();
        later.take_out_in(&timer, TakeOut::Remove, Micros::MIN, &without(b'a')).await.unwrap();
        assert_eq!(timer.elapsed(), Duration::from_secs(waits), "after {passed} s");
    }
}

#[tokio::test]
async fn a_spoilt_parcel_is_told_of_and_holds_up_neither_the_others_nor_the_index() {
    let world = World::calm(0);
    levelled(&world).put(vec![of(9, b"ab")]).await.unwrap();
    world.throttle(1.0);
    for batch in 1..4 {
        levelled(&world).put(vec![of(batch, b"ab")]).await.unwrap();
    }
    world.spoil(&world.messages()[1]);
    let timer = LeapingTime::new();
    let error = buffered(&world).take_out_in(&timer, TakeOut::Remove, Micros::MIN, &without(b'a')).await.unwrap_err();
    assert!(error.message.contains("damaged"), "{error}");
    assert_eq!(world.chunks(), [of(9, b"b")]);
    let left: Vec<_> = world.messages().into_iter().filter(|path| world.holds(path, b'a')).collect();
    assert_eq!(left, [""; 0], "both others are without");
}

/// Erases beside those who take and drain what was put before, and what others put meanwhile.
async fn play(seed: u64, throttled: f64) {
    let world = World::calm(seed);
    world.throttle(throttled);
    let taker = levelled(&world);
    for batch in 0..8 {
        taker.put(vec![of(batch, b"aabd"), of(100 + batch, if batch % 2 == 0 { b"a" } else { b"b" })]).await.unwrap();
    }
    // Not again: a batch that is delivered once more is the transform's to leave out, or the next look's.
    let drains = [drain_at(&world, 0, 10_000), drain_at(&world, 0, 10_000)];
    let drainers = join_all(drains.iter().map(|drain| async {
        for _ in 0..20 {
            world.pause().await;
            let Some(path) = world.deliver() else { continue };
            let under_way = world.drain_begins();
            let timer = LeapingTime::new();
            let done = drain.drain_in(&timer, &path, timer.begun() + Duration::from_secs(2)).await;
            drop(under_way);
            // Often it is delivered once more.
            if done.is_ok() && world.random(0..3) == 0 {
                world.acknowledge(&path);
            }
        }
    }));
    let others = async {
        for batch in 200..204 {
            world.pause().await;
            taker.put(vec![of(batch, b"cb")]).await.unwrap();
        }
    };
    let erased = async {
        let (one, two) = (buffered(&world), buffered(&world));
        let timer = DrainsEnd(&world);
        let (of_a, of_d) = (without(b'a'), without(b'd'));
        let (one, two) = futures::join!(
            one.take_out_in(&timer, TakeOut::Remove, Micros::MIN, &of_a),
            two.take_out_in(&timer, TakeOut::Remove, Micros::MIN, &of_d),
        );
        one.unwrap();
        two.unwrap();
        let left = |owner| world.chunks().iter().any(|chunk| chunk.block.contains(&owner));
        assert!(!left(b'a') && !left(b'd'), "they are out of the index");
    };
    futures::join!(drainers, others, erased);
    world.throttle(0.0);
    while let Some(path) = world.deliver() {
        let timer = LeapingTime::new();
        drain_at(&world, 0, 10_000).drain_in(&timer, &path, timer.begun() + Duration::from_secs(60)).await.unwrap();
        world.acknowledge(&path);
    }
    let rows: Vec<u8> = world.chunks().iter().flat_map(|chunk| chunk.block.to_vec()).collect();
    assert!(!rows.contains(&b'a') && !rows.contains(&b'd'), "none has come back");
    assert_eq!(rows.iter().filter(|row| **row == b'b').count(), 8 + 4 + 4, "of others none is lost");
    assert_eq!(world.notes(), 0);
}

proptest! {
    #[test]
    fn who_is_erased_does_not_come_back_out_of_the_buffer(
        seed in any::<u64>(),
        throttled in prop::sample::select(vec![0.3, 0.8, 1.0]),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(play(seed, throttled));
    }
}

#[cfg(feature = "store")]
#[tokio::test]
async fn a_parcel_in_the_bucket_is_replaced_only_as_it_was_read() {
    use alluvium_core::{Clock as _, SystemClock};
    use object_store::ObjectStoreExt as _;

    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let parcels = StoredParcels::new(store.clone());
    assert_eq!(parcels.stored_since(Micros::MIN).await.unwrap(), [""; 0]);
    assert!(parcels.read("_hot/1.chunks").await.unwrap().is_none());
    store.put(&"_hot/1.chunks".into(), "one".into()).await.unwrap();
    store.put(&"_hot/note.txt".into(), "no parcel".into()).await.unwrap();
    let now = SystemClock.now_micros();
    assert_eq!(parcels.stored_since(now).await.unwrap(), ["_hot/1.chunks"]);
    assert_eq!(parcels.stored_since(now + 3_600_000_000).await.unwrap(), [""; 0]);
    let (first, second) =
        (parcels.read("_hot/1.chunks").await.unwrap().unwrap(), parcels.read("_hot/1.chunks").await.unwrap().unwrap());
    assert!(first.stored_at <= now && first.stored_at > now - 60_000_000);
    assert!(parcels.replace("_hot/1.chunks", &first, "two".into()).await.unwrap());
    assert!(!parcels.replace("_hot/1.chunks", &second, "three".into()).await.unwrap(), "it is another one by now");
    assert_eq!(parcels.read("_hot/1.chunks").await.unwrap().unwrap().bytes, "two");
}
