#![allow(clippy::unwrap_used)]

//! A model of taking and draining side by side: every port call may be slow, fail, or fail after it has worked, and messages come more than once.

pub(super) mod world;

use std::num::NonZeroU32;
use std::time::Duration;

use alluvium_core::ManualClock;
use alluvium_core::contract::hot_index::{all as contract, chunk};
use futures::future::join_all;
use proptest::prelude::*;

use self::world::World;
use super::*;
use crate::retry::Retries;
use crate::timer::{LeapingTime, Timer as _};

const DATASETS: [&str; 2] = ["telemetry", "other"];
/// No chunk of the model has expired then.
const NOW: Micros = 0;

pub(super) fn levelled(world: &Arc<World>) -> LevelledHotIndex {
    LevelledHotIndex { hot: world.clone(), notes: world.clone(), files: world.clone(), buffer: world.clone() }
}

pub(super) fn drain_at(world: &Arc<World>, now: Micros, units_per_second: u32) -> Drain {
    Drain {
        hot: world.clone(),
        notes: world.clone(),
        files: world.clone(),
        pace: Pace::of(NonZeroU32::new(units_per_second).unwrap()),
        clock: Arc::new(ManualClock::at(now)),
        retries: Retries::new(1),
    }
}

#[tokio::test]
async fn an_index_that_is_not_throttled_keeps_the_contract() {
    contract(&levelled(&World::calm(0))).await;
}

#[tokio::test]
async fn what_is_refused_waits_is_noted_and_is_put_when_its_turn_comes() {
    let world = World::calm(0);
    let levelled = levelled(&world);
    let chunks: Vec<_> = (0..4).map(|batch| chunk("telemetry", 3, batch, (100, 200))).collect();
    world.throttle(1.0);
    levelled.put(chunks.clone()).await.unwrap();
    assert_eq!(world.chunks(), []);
    let waiting = levelled.waiting("telemetry", NOW).await.unwrap();
    assert_eq!(waiting, [Waiting { buckets: 1 << 3, min_time: 100, max_time: 200 }]);
    assert_eq!(levelled.waiting("other", NOW).await.unwrap(), []);
    let [path] = &world.messages()[..] else { panic!("one parcel holds them") };
    let timer = LeapingTime::new();
    let soon = timer.begun() + Duration::from_secs(10);
    let drain = drain_at(&world, NOW, 100);
    let error = drain.drain_in(&timer, path, soon).await.unwrap_err();
    assert!(error.message.contains("still takes none of 4 chunks"), "{error}");
    assert!(!levelled.waiting("telemetry", NOW).await.unwrap().is_empty(), "it waits on");
    world.throttle(0.0);
    let later = timer.now() + Duration::from_secs(10);
    assert_eq!(drain.drain_in(&timer, path, later).await.unwrap(), Drained { chunks: 4, expired: 0 });
    assert_eq!(levelled.waiting("telemetry", NOW).await.unwrap(), []);
    assert!(world.chunks().len() == 4 && world.chunks().iter().all(|chunk| chunks.contains(chunk)));
    // Whoever took it comes late with its note.
    levelled.notes.wait(&parcel::notes(path, &world.chunks())[0]).await.unwrap();
    assert_eq!(levelled.waiting("telemetry", NOW).await.unwrap(), [], "it is known to be drained");
}

#[tokio::test]
async fn what_has_expired_when_its_turn_comes_is_left_out_and_counted() {
    let world = World::calm(0);
    world.throttle(1.0);
    let short = chunk("telemetry", 3, 1, (100, 200));
    let long = HotChunk { expires_at: short.expires_at + 1, ..chunk("telemetry", 3, 2, (100, 200)) };
    levelled(&world).put(vec![short.clone(), long.clone()]).await.unwrap();
    world.throttle(0.0);
    let timer = LeapingTime::new();
    let soon = timer.begun() + Duration::from_secs(10);
    let drained = drain_at(&world, short.expires_at, 100).drain_in(&timer, &world.messages()[0], soon).await.unwrap();
    assert_eq!(drained, Drained { chunks: 1, expired: 1 });
    assert_eq!((world.chunks(), world.notes()), (vec![long], 0));
}

#[tokio::test]
async fn a_buffer_is_drained_no_faster_than_it_may_be() {
    let world = World::calm(0);
    world.throttle(1.0);
    let sized = |batch| HotChunk { block: vec![0; 10_000].into(), ..chunk("telemetry", 3, batch, (100, 200)) };
    levelled(&world).put((0..100).map(sized).collect()).await.unwrap();
    world.throttle(0.0);
    let timer = LeapingTime::new();
    let drain = drain_at(&world, NOW, 100);
    for path in world.messages() {
        drain.drain_in(&timer, &path, timer.begun() + Duration::from_secs(60)).await.unwrap();
    }
    assert_eq!(world.chunks().len(), 100);
    let seconds = timer.elapsed().as_secs_f64();
    // 1,200 units, of which nobody waits for the last second's.
    assert!((10.5..=12.0).contains(&seconds), "{seconds} s");
}

#[tokio::test]
async fn a_parcel_that_is_gone_or_spoilt_stays_noted() {
    let world = World::calm(0);
    world.throttle(1.0);
    levelled(&world).put(vec![chunk("telemetry", 3, 1, (100, 200))]).await.unwrap();
    world.throttle(0.0);
    let path = world.messages().remove(0);
    let later = tokio::time::Instant::now() + Duration::from_secs(10);
    world.spoil(&path);
    let error = drain_at(&world, NOW, 100).drain(&path, later).await.unwrap_err();
    assert!(error.message.contains("damaged") && world.notes() == 1, "{error}");
    let error = drain_at(&world, NOW, 100).drain("_hot/gone.chunks", later).await.unwrap_err();
    assert!(error.message.contains("gone"), "{error}");
}

/// Takes batches, each until it is taken or given up; of those that were taken it is known.
async fn take(world: &Arc<World>, levelled: &LevelledHotIndex, first: u64) {
    for batch in first..first + 6 {
        let parts = world.random(1..5);
        let chunks: Vec<_> = (0..parts)
            .map(|part| HotChunk {
                part: part as u16,
                ..chunk(DATASETS[part % 2], world.random(0..3) as u16, batch, (100, 100 + batch as i64))
            })
            .collect();
        for _ in 0..world.random(1..6) {
            if levelled.put(chunks.clone()).await.is_ok() {
                world.answered(chunks);
                break;
            }
        }
    }
}

/// Drains what is delivered, as often as it is.
async fn drain(world: &Arc<World>, drain: &Drain, deliveries: usize) {
    for _ in 0..deliveries {
        world.pause().await;
        let Some(path) = world.deliver() else { continue };
        // A function has as much time as this; what it does not do comes again.
        let timer = LeapingTime::new();
        let deadline = timer.begun() + Duration::from_secs(2);
        if drain.drain_in(&timer, &path, deadline).await.is_ok() && world.random(0..3) > 0 {
            world.acknowledge(&path);
        }
    }
}

/// Asks what waits, then reads, as a reader does, and finds every chunk in one or the other.
async fn read(world: &Arc<World>, levelled: &LevelledHotIndex) {
    for _ in 0..40 {
        let answered = world.all_answered();
        let mut waiting = Vec::new();
        for dataset in DATASETS {
            waiting.push(levelled.waiting(dataset, NOW).await.unwrap());
        }
        world.pause().await;
        let held = world.chunks();
        for chunk in answered {
            let place = DATASETS.iter().position(|dataset| *dataset == chunk.dataset).unwrap();
            let told =
                waiting[place].iter().any(|waiting| waiting.meets(Some(chunk.bucket), chunk.min_time, chunk.max_time));
            assert!(told || held.contains(&chunk), "{chunk:?} is neither there nor said to wait");
        }
    }
}

async fn play(seed: u64, throttled: f64, failing: f64) {
    let world = World::calm(seed);
    world.throttle(throttled);
    world.fail(failing);
    let levelled = levelled(&world);
    let drains = [drain_at(&world, NOW, 10_000), drain_at(&world, NOW, 10_000)];
    let takers = join_all([take(&world, &levelled, 0), take(&world, &levelled, 100)]);
    let drainers = join_all(drains.iter().map(|one| drain(&world, one, 30)));
    futures::join!(takers, drainers, read(&world, &levelled));
    world.throttle(0.0);
    world.fail(0.0);
    while !world.messages().is_empty() {
        drain(&world, &drains[0], 1).await;
    }
    read(&world, &levelled).await;
    let held = world.chunks();
    assert!(world.all_answered().iter().all(|chunk| held.contains(chunk)), "nothing is lost");
    assert_eq!(world.notes(), 0, "nothing is said to wait that does not");
}

proptest! {
    /// QR-1, the writers' half: what was taken is in the index, or a reader is told that it waits; and in the end all of it is in the index.
    #[test]
    fn what_was_taken_is_there_or_said_to_wait(
        seed in any::<u64>(),
        throttled in prop::sample::select(vec![0.0, 0.3, 0.8, 1.0]),
        failing in prop::sample::select(vec![0.0, 0.1, 0.3]),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(play(seed, throttled, failing));
    }
}
