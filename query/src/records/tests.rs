#![allow(clippy::unwrap_used)]

mod after;
pub(crate) mod conditions;
pub(crate) mod memory;
pub(crate) mod slow;
mod statements;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use alluvium_core::contract::hot_index as contract;
use alluvium_core::hot::{BUCKETS, bucket_of};
use alluvium_core::ports::HotIndex as _;
use arrow::array::AsArray as _;
use arrow::datatypes::TimestampMicrosecondType;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use self::memory::MemoryHot;
use self::world::{Event, HOUR, SECOND, World};
use super::*;

const NOW: Micros = 500_000 * HOUR;

fn event(id: &str, source: &str, time: Micros) -> Event {
    Event { id: id.into(), source: source.into(), owner: "o".into(), time, arrival: 0 }
}

fn request(limit: usize) -> RecordsRequest {
    RecordsRequest { dataset: "telemetry".into(), limit: Some(limit), ..RecordsRequest::default() }
}

/// The rows of a page: time, source, id, owner.
fn places(page: &RecordsPage) -> Vec<(Micros, String, String, String)> {
    let text = |name: &str, row: usize| page.rows[name].as_string::<i32>().value(row).to_owned();
    let times = page.rows["event_time"].as_primitive::<TimestampMicrosecondType>();
    (0..times.len())
        .map(|row| (times.value(row), text("source", row), text("event_id", row), text("owner", row)))
        .collect()
}

fn ids(page: &RecordsPage) -> Vec<String> {
    places(page).into_iter().map(|place| place.2).collect()
}

async fn fresh() -> World {
    let world = World::at(NOW);
    world.hot.set_complete_since("telemetry", Micros::MIN).await.unwrap();
    world
}

#[tokio::test]
async fn the_index_in_memory_keeps_the_contract() {
    contract::all(&MemoryHot::default()).await;
}

#[tokio::test]
async fn the_newest_come_first_and_the_cursor_goes_on() {
    let mut world = fresh().await;
    world.arrive(vec![event("1", "b", NOW - 30), event("2", "a", NOW - 20), event("3", "a", NOW - 30)]).await;
    world.arrive(vec![event("4", "a", NOW + 5 * HOUR), event("5", "a", NOW - 30)]).await;
    let first = world.records.page(&request(3)).await.unwrap();
    assert_eq!(ids(&first), ["4", "2", "3"]);
    assert!(first.complete);
    let second = world.records.page(&RecordsRequest { cursor: first.next, ..request(3) }).await.unwrap();
    assert_eq!(ids(&second), ["5", "1"], "the source decides before the id");
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn the_lake_is_asked_only_below_the_boundary() {
    let mut world = fresh().await;
    world.arrive((0..50).map(|n| event(&n.to_string(), "a", NOW - n * SECOND)).collect()).await;
    let page = world.records.page(&request(10)).await.unwrap();
    assert_eq!((page.answered_by, world.lake.statements.lock().unwrap().len()), (AnsweredBy::Hot, 0));
    world.arrive(vec![event("old", "a", NOW - 3 * HOUR)]).await;
    let page = world.records.page(&request(60)).await.unwrap();
    assert_eq!(page.answered_by, AnsweredBy::HotAndLake);
    assert_eq!(page.rows.num_rows(), 51);
    assert!(world.lake.statements.lock().unwrap()[0].contains("event_time <= cast("));
}

#[tokio::test]
async fn the_last_page_of_all_asks_the_lake_once_and_for_nothing_that_is_hot() {
    let mut world = fresh().await;
    world.arrive((0..50).map(|n| event(&n.to_string(), "a", NOW - n * SECOND)).collect()).await;
    let page = world.records.page(&request(60)).await.unwrap();
    assert_eq!((page.answered_by, page.rows.num_rows(), page.next), (AnsweredBy::HotAndLake, 50, None));
    let statements = world.lake.statements.lock().unwrap().clone();
    assert!(statements.len() == 1 && statements[0].contains("event_time <= cast("), "{statements:?}");
}

#[tokio::test]
async fn a_lake_that_is_known_to_hold_nothing_so_old_is_not_asked() {
    let mut world = fresh().await;
    world.lake.tells_oldest.store(true, Ordering::Relaxed);
    world.arrive((0..50).map(|n| event(&n.to_string(), "a", NOW - n * SECOND)).collect()).await;
    let page = world.records.page(&request(60)).await.unwrap();
    assert_eq!((page.answered_by, page.rows.num_rows(), page.next), (AnsweredBy::Hot, 50, None));
    assert_eq!(world.lake.statements.lock().unwrap().len(), 0);
    world.arrive(vec![event("old", "a", NOW - 3 * HOUR)]).await;
    let page = world.records.page(&request(60)).await.unwrap();
    assert_eq!((page.answered_by, page.rows.num_rows()), (AnsweredBy::HotAndLake, 51));
}

#[tokio::test]
async fn owner_source_and_range_narrow_before_the_limit() {
    let mut world = fresh().await;
    let of = |owner: &str, source: &str, id: &str, age: Micros| Event {
        owner: owner.into(),
        ..event(id, source, NOW - age * HOUR / 10)
    };
    world
        .arrive(vec![
            of("anna", "a", "1", 1),
            of("bert", "a", "2", 2),
            of("anna", "b", "3", 3),
            of("anna", "a", "4", 40),
        ])
        .await;
    let read = async |request: RecordsRequest| ids(&world.records.page(&request).await.unwrap());
    let (owner, source) = (Some("anna".to_owned()), Some("a".to_owned()));
    assert_eq!(read(RecordsRequest { owner: owner.clone(), source: source.clone(), ..request(2) }).await, ["1", "4"]);
    assert_eq!(read(RecordsRequest { owner, ..request(2) }).await, ["1", "3"]);
    assert_eq!(read(RecordsRequest { source, ..request(9) }).await, ["1", "2", "4"]);
    let range = RecordsRequest { from: Some(NOW - 3 * HOUR / 10), to: Some(NOW - HOUR / 10), ..request(9) };
    assert_eq!(read(range).await, ["2", "3"], "`from` is included, `to` is not");
}

#[tokio::test]
async fn the_first_arrival_of_a_key_wins_wherever_it_is() {
    let mut world = fresh().await;
    world
        .arrive(vec![event("same", "a", NOW - 10), event("later-time", "a", NOW - 40 * SECOND), event("x", "a", NOW)])
        .await;
    world.pass(SECOND).await;
    world.arrive(vec![event("same", "a", NOW - 10), event("later-time", "a", NOW)]).await;
    let all = places(&world.records.page(&request(10)).await.unwrap());
    let later: Vec<_> = all.iter().filter(|place| place.2 == "later-time").map(|place| place.0).collect();
    assert_eq!((all.len(), later), (3, vec![NOW - 40 * SECOND]));
    let first = world.records.page(&request(1)).await.unwrap();
    assert_eq!(ids(&first), ["x"], "what is hidden is hidden on a short page too");
}

#[tokio::test]
async fn an_event_that_waits_for_its_commit_is_read_below_the_boundary() {
    let mut world = fresh().await;
    world.commit_after = HOUR / 4;
    world.arrive(vec![event("late", "a", NOW - HOUR + SECOND)]).await;
    world.pass(2 * SECOND).await;
    let page = world.records.page(&request(10)).await.unwrap();
    assert_eq!(ids(&page), ["late"], "the boundary has passed it, the lake does not have it");
    assert!(page.complete);
}

#[tokio::test]
async fn answers_say_when_they_may_miss_something() {
    let mut world = fresh().await;
    world.commit_after = HOUR;
    world.arrive(vec![event("1", "a", NOW)]).await;
    assert!(world.records.page(&request(10)).await.unwrap().complete);
    world.pass(HOUR / 2 + SECOND).await;
    assert!(
        !world.records.page(&request(10)).await.unwrap().complete,
        "commits lag by more than half of the retention"
    );

    let mut world = World::at(NOW);
    world.commit_after = SECOND;
    world.arrive(vec![event("1", "a", NOW)]).await;
    assert!(
        !world.records.page(&request(10)).await.unwrap().complete,
        "without a mark, and with something uncommitted"
    );
    world.pass(SECOND).await;
    let page = world.records.page(&request(10)).await.unwrap();
    assert!(page.complete && ids(&page) == ["1"]);
}

#[tokio::test]
async fn answers_say_when_something_waits_to_be_put_that_could_be_theirs() {
    let mut world = fresh().await;
    world.arrive(vec![event("there", "a", NOW - 10 * SECOND), event("old", "a", NOW - HOUR / 2)]).await;
    world.hot.throttled.store(true, Ordering::Relaxed);
    world.arrive(vec![event("waits", "a", NOW - 5 * SECOND)]).await;
    world.hot.throttled.store(false, Ordering::Relaxed);
    let of = |source: &str| RecordsRequest { owner: Some("o".into()), source: Some(source.into()), ..request(10) };
    let ends = |to| RecordsRequest { to: Some(to), ..of("a") };
    let read = async |request| {
        let page = world.records.page(&request).await.unwrap();
        (ids(&page), page.complete)
    };
    assert_ne!(bucket_of("o", "a", BUCKETS), bucket_of("o", "b", BUCKETS));
    assert_eq!(read(request(10)).await, (vec!["there".to_owned(), "old".to_owned()], false));
    assert!(!read(of("a")).await.1);
    assert_eq!(read(of("b")).await, (vec![], true), "nothing of its bucket waits");
    assert_eq!(read(ends(NOW - 30 * SECOND)).await, (vec!["old".to_owned()], false), "it could be another arrival");
    assert_eq!(read(ends(NOW - 70 * SECOND)).await, (vec!["old".to_owned()], true), "the page ends long before it");
    assert!(world.hot.drain_one(0));
    assert_eq!(read(of("a")).await, (vec!["waits".to_owned(), "there".to_owned(), "old".to_owned()], true));
}

#[tokio::test]
async fn a_dense_dataset_is_not_read_further_than_needed() {
    let mut world = fresh().await;
    for batch in 0..100 {
        let at = NOW - 10 * 60 * SECOND + batch * 6 * SECOND;
        world.arrive((0..50).map(|n| event(&format!("{batch}-{n}"), "a", at + n)).collect()).await;
    }
    let page = world.records.page(&request(10)).await.unwrap();
    assert_eq!(ids(&page)[0], "99-49");
    let answered = world.hot.answered.load(Ordering::Relaxed);
    assert!(answered <= 40, "{answered} of 100 chunks were read for a page that lies in one");
}

#[tokio::test]
async fn a_page_ends_where_its_rows_take_too_much_memory() {
    let mut world = fresh().await;
    world.lake.page_rows.store(4, Ordering::Relaxed);
    world.arrive((0..60).map(|n| event(&n.to_string(), "a", NOW - n * HOUR / 20)).collect()).await;
    let whole = world.records.page(&request(100)).await.unwrap();
    let row = size::of(&whole.rows) / 60;
    world.records = world.records.with_page_bytes(10 * row);
    let (mut read, mut next, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = world.records.page(&RecordsRequest { cursor: next, ..request(100) }).await.unwrap();
        assert!(page.complete && (1..=10).contains(&page.rows.num_rows()), "{} rows", page.rows.num_rows());
        read.extend(places(&page));
        pages += 1;
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!((read, pages >= 6), (places(&whole), true), "{pages} pages");
    world.records = world.records.with_page_bytes(1);
    let page = world.records.page(&request(100)).await.unwrap();
    assert_eq!(page.rows.num_rows(), 1, "a row that takes more by itself is a page");
}

#[tokio::test]
async fn pages_are_as_long_as_they_may_be_whatever_else_is_read_for_them() {
    let mut world = fresh().await;
    let mut random = StdRng::seed_from_u64(7);
    // A batch has events of the whole stretch, so that all of it is read before the newest are known.
    for batch in 0..20 {
        let events = (0..50).map(|n| event(&format!("{batch}-{n}"), "a", NOW - random.random_range(0..600) * SECOND));
        world.arrive(events.collect()).await;
    }
    let whole = world.records.page(&request(2_000)).await.unwrap();
    world.records = world.records.with_page_bytes(size::of(&whole.rows) / 10);
    let (mut read, mut next, mut lengths) = (Vec::new(), None, Vec::new());
    loop {
        let page = world.records.page(&RecordsRequest { cursor: next, ..request(2_000) }).await.unwrap();
        lengths.push(page.rows.num_rows());
        read.extend(places(&page));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(read, places(&whole));
    assert!(lengths.iter().rev().skip(1).all(|length| *length > 60), "{lengths:?}");
}

#[tokio::test]
async fn a_page_without_room_for_all_that_was_read_ends_where_it_is_certain() {
    // Without a mark the lake is asked, which is known to hold nothing.
    let mut world = World::at(NOW);
    world.lake.tells_oldest.store(true, Ordering::Relaxed);
    world.commit_after = HOUR;
    let at = |second: Micros| event(&second.to_string(), "a", NOW + (second - 1_000) * SECOND);
    world.arrive([100, 99, 60, 50].map(at).to_vec()).await;
    world.arrive([90, 80].map(at).to_vec()).await;
    let all = places(&world.records.page(&request(10)).await.unwrap());
    assert_eq!(all.len(), 6);
    world.records = world.records.with_page_bytes(1);
    let (mut read, mut next) = (Vec::new(), None);
    for _ in 0..6 {
        let page = world.records.page(&RecordsRequest { cursor: next, ..request(10) }).await.unwrap();
        read.extend(places(&page));
        next = page.next;
    }
    assert_eq!((read, next), (all, None));
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let world = fresh().await;
    let refusal = async |request: RecordsRequest| world.records.page(&request).await.unwrap_err().to_string();
    let unknown = refusal(RecordsRequest { dataset: "x".into(), ..request(1) }).await;
    assert!(unknown.starts_with("there is no dataset `x`; known: telemetry, dead_letters. To add one: "), "{unknown}");
    assert!(refusal(request(0)).await.contains("1 to 10000"));
    assert!(refusal(request(MAX_LIMIT + 1)).await.contains("`limit`"));
    let cursor = Cursor { dataset: "data".into(), time: 0, source: "".into(), id: "".into(), owner: "".into() };
    assert!(refusal(RecordsRequest { cursor: Some(cursor), ..request(1) }).await.contains("given out for `data`"));
}

#[tokio::test]
async fn the_columns_wanted_are_those_of_the_whole_page() {
    let mut world = fresh().await;
    world.arrive((0..9).map(|n| event(&n.to_string(), "a", NOW - n * HOUR / 4)).collect()).await;
    let whole = world.records.page(&request(8)).await.unwrap();
    for wanted in [&["value"][..], &["owner", "event_time"], &["extra", "ingest_time", "event_id"]] {
        let columns = Some(wanted.iter().map(|name| (*name).to_owned()).collect());
        let page = world.records.page(&RecordsRequest { columns, ..request(8) }).await.unwrap();
        let indices: Vec<_> = wanted.iter().map(|name| whole.rows.schema_ref().index_of(name).unwrap()).collect();
        assert_eq!((page.rows, &page.next), (whole.rows.project(&indices).unwrap(), &whole.next), "{wanted:?}");
    }
    for (wanted, names) in
        [(vec!["values".to_owned()], "no column `values`; known: event_id, source"), (vec![], "none")]
    {
        let refused = world.records.page(&RecordsRequest { columns: Some(wanted), ..request(8) }).await.unwrap_err();
        assert!(refused.to_string().contains(names), "{refused}");
    }
}

/// What happens before and during one walk.
#[derive(Debug, Clone)]
struct Story {
    seed: u64,
    limit: usize,
    commit_after: Micros,
    /// How much time passes between pages.
    pause: Micros,
    /// The index lost what is older than this many seconds.
    lost: Option<i64>,
    source: Option<String>,
    /// How likely it is that a batch's chunks have to wait, and that between two pages one of them is put.
    throttled: f64,
    drained: f64,
    /// How likely it is that the lake is compacted between two pages.
    compacted: f64,
    /// How many bytes a page may have.
    bytes: Option<usize>,
}

fn story() -> impl Strategy<Value = Story> {
    let minutes = |range: std::ops::Range<i64>| range.prop_map(|minutes| minutes * 60 * SECOND);
    let source = prop::option::of(prop::sample::select(vec!["s0".to_owned(), "s1".to_owned()]));
    let lost = prop::option::weighted(0.3, 0..5_000_i64);
    let often = || prop::sample::select(vec![0.0, 0.0, 0.1, 0.5]);
    let bytes = prop::option::weighted(0.3, 100..4_000_usize);
    let happens = (often(), often(), often());
    (any::<u64>(), 1..40_usize, minutes(0..50), minutes(0..12), lost, source, happens, bytes).prop_map(
        |(seed, limit, commit_after, pause, lost, source, (throttled, drained, compacted), bytes)| Story {
            seed,
            limit,
            commit_after,
            pause,
            lost,
            source,
            throttled,
            drained,
            compacted,
            bytes,
        },
    )
}

/// Events with times now, late by minutes or by days, or in the future; some of them sent again.
fn some_events(random: &mut StdRng, now: Micros, sent: &[Event]) -> Vec<Event> {
    let one = |random: &mut StdRng| {
        if !sent.is_empty() && random.random_bool(0.3) {
            let mut again = sent[random.random_range(0..sent.len())].clone();
            if random.random_bool(0.3) {
                again.time += random.random_range(-40..40) * SECOND;
            }
            return again;
        }
        let age = match random.random_range(0..10) {
            0..5 => random.random_range(0..60),
            5..8 => random.random_range(0..2 * 3_600),
            8 => random.random_range(0..48 * 3_600),
            _ => -random.random_range(0..3_600),
        };
        Event {
            owner: format!("o{}", random.random_range(0..2)),
            // Whole seconds, so that events share their times.
            ..event(
                &format!("{:08x}", random.random::<u32>()),
                &format!("s{}", random.random_range(0..3)),
                (now / SECOND - age) * SECOND,
            )
        }
    };
    (0..random.random_range(0..25)).map(|_| one(random)).collect()
}

async fn walk(story: &Story) {
    let mut random = StdRng::seed_from_u64(story.seed);
    let mut world = fresh().await;
    world.commit_after = story.commit_after;
    world.lake.tells_oldest.store(random.random_bool(0.5), Ordering::Relaxed);
    world.lake.page_rows.store(random.random_range(0..9), Ordering::Relaxed);
    if let Some(bytes) = story.bytes {
        world.records = world.records.with_page_bytes(bytes);
    }
    let mut arrived: Vec<Event> = Vec::new();
    for _ in 0..random.random_range(1..30) {
        let events = some_events(&mut random, world.records.now(), &arrived);
        world.hot.throttled.store(random.random_bool(story.throttled), Ordering::Relaxed);
        arrived.extend(world.arrive(events).await);
        world.pass(random.random_range(0..6 * 60) * SECOND).await;
    }
    // Half of them, so that some of most batches are there and some are not.
    while random.random_bool(0.8) && world.hot.drain_one(random.random_range(0..1000)) {}
    if let Some(lost) = story.lost {
        let mark = world.records.now() - lost * SECOND;
        world.hot.lose(mark);
        world.hot.set_complete_since("telemetry", mark).await.unwrap();
    }
    let mut first: BTreeMap<_, Event> = BTreeMap::new();
    for event in arrived.iter().filter(|event| story.source.as_ref().is_none_or(|source| *source == event.source)) {
        let known = first.entry(event.key()).or_insert_with(|| event.clone());
        if (event.arrival, event.time) < (known.arrival, known.time) {
            *known = event.clone();
        }
    }
    let expected: BTreeSet<_> = first
        .into_values()
        .filter(|event| world.is_visible(event))
        .map(|event| (event.time, event.source, event.id, event.owner))
        .collect();

    let mut request = RecordsRequest { source: story.source.clone(), ..request(story.limit) };
    let (mut read, mut complete) = (Vec::new(), true);
    loop {
        let page = world.records.page(&request).await.unwrap();
        assert!(page.rows.num_rows() <= story.limit);
        read.extend(places(&page));
        complete &= page.complete;
        let Some(next) = page.next else { break };
        request.cursor = Some(next);
        while random.random_bool(story.drained) && world.hot.drain_one(random.random_range(0..1000)) {}
        // More cannot arrive on every page, or a walk of short pages never ends.
        if random.random_bool(0.1) {
            let events = some_events(&mut random, world.records.now(), &arrived);
            arrived.extend(world.arrive(events).await);
        }
        world.pass(random.random_range(0..=story.pause)).await;
        if random.random_bool(story.compacted) {
            world.lake.compact();
        }
    }
    assert!(
        read.is_sorted_by(
            |a, b| (std::cmp::Reverse(a.0), &a.1, &a.2, &a.3) < (std::cmp::Reverse(b.0), &b.1, &b.2, &b.3)
        ),
        "in order, and no place twice"
    );
    let keys: BTreeSet<_> = read.iter().map(|(_, source, id, owner)| (source, id, owner)).collect();
    if complete {
        assert_eq!(keys.len(), read.len(), "each event once");
        let read: BTreeSet<_> = read.into_iter().collect();
        let missing: Vec<_> = expected.difference(&read).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

proptest! {
    /// QR-1: a walk over all pages gives each event that was visible when it began once, in order, or says that it may not.
    #[test]
    fn a_walk_gives_each_visible_event_once_in_order(story in story()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(walk(&story));
    }
}
