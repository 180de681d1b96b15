//! What is told to those who poll.

use super::*;
use crate::records::tests::world::{MARGIN, RETENTION};

fn after(after: After, limit: usize) -> AfterRequest {
    let dataset = "telemetry".to_owned();
    AfterRequest { dataset, owner: None, source: None, after, limit: Some(limit), columns: None }
}

fn told(page: &AfterPage) -> Vec<String> {
    let ids = page.rows["event_id"].as_string::<i32>();
    ids.iter().map(|id| id.unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_comes_in_is_told_once_in_the_order_of_arrival() {
    let mut world = fresh().await;
    world.arrive(vec![event("before", "a", NOW - 1)]).await;
    let begin = world.records.after(&after(After::Newest, 9)).await.unwrap();
    assert_eq!((told(&begin).len(), begin.complete), (0, true));
    let nothing = world.records.after(&after(After::Cursor(begin.next.clone()), 9)).await.unwrap();
    assert_eq!(told(&nothing), [""; 0]);
    world.arrive(vec![event("first", "a", NOW)]).await;
    world.arrive(vec![event("late", "a", NOW - RETENTION / 2), event("later", "b", NOW)]).await;
    let mut next = nothing.next;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let page = world.records.after(&after(After::Cursor(next), 1)).await.unwrap();
        assert!(page.complete);
        ids.extend(told(&page));
        next = page.next;
    }
    ids[1..].sort();
    assert_eq!(ids, ["first", "late", "later"]);
    let oldest = world.records.after(&after(After::Oldest, 9)).await.unwrap();
    assert_eq!((told(&oldest).len(), told(&oldest).first().map(String::as_str)), (4, Some("before")));
}

#[tokio::test]
async fn a_page_may_end_within_a_chunk_and_the_next_goes_on_there() {
    let mut world = fresh().await;
    world.arrive((0..10).map(|n| event(&format!("{n}"), "a", NOW + n)).collect()).await;
    let ann = |source: &str| Event { owner: "ann".into(), ..event("hers", source, NOW) };
    world.arrive(vec![ann("a"), event("10", "a", NOW)]).await;
    let mut next = After::Oldest;
    let mut pages = Vec::new();
    for _ in 0..5 {
        let request = AfterRequest { owner: Some("o".into()), ..after(next, 3) };
        let page = world.records.after(&request).await.unwrap();
        pages.push(told(&page));
        next = After::Cursor(page.next);
    }
    let expected: [&[&str]; 5] = [&["0", "1", "2"], &["3", "4", "5"], &["6", "7", "8"], &["9", "10"], &[]];
    assert_eq!(pages, expected);
    // As erasure leaves it: with a row less, the chunk is told of from its beginning.
    let request = |next| AfterRequest { owner: Some("o".into()), ..after(next, 3) };
    let first = world.records.after(&request(After::Oldest)).await.unwrap();
    world.hot.shorten(1);
    let again = world.records.after(&request(After::Cursor(first.next))).await.unwrap();
    assert_eq!(told(&again), ["0", "1", "2"]);
}

#[tokio::test]
async fn an_answer_ends_where_its_rows_take_too_much_memory() {
    let mut world = fresh().await;
    for batch in 0..3 {
        world.arrive((0..10).map(|n| event(&format!("{batch}{n}"), "a", NOW + n)).collect()).await;
    }
    let all = world.records.after(&after(After::Oldest, 100)).await.unwrap();
    world.records = world.records.with_page_bytes(size::of(&all.rows) / 30 * 4);
    let (mut next, mut ids) = (After::Oldest, Vec::new());
    for _ in 0..12 {
        let page = world.records.after(&after(next, 100)).await.unwrap();
        assert!((0..=5).contains(&page.rows.num_rows()), "{} rows", page.rows.num_rows());
        ids.extend(told(&page));
        next = After::Cursor(page.next);
    }
    assert_eq!(ids, told(&all));
    world.records = world.records.with_page_bytes(1);
    let page = world.records.after(&after(After::Oldest, 100)).await.unwrap();
    assert_eq!(page.rows.num_rows(), 1, "a row that takes more by itself is told of alone");
}

#[tokio::test]
async fn what_may_have_been_forgotten_is_said_to_be_missing() {
    let mut world = fresh().await;
    let begin = world.records.after(&after(After::Newest, 9)).await.unwrap();
    world.arrive(vec![event("1", "a", NOW - RETENTION)]).await;
    let next = || After::Cursor(begin.next.clone());
    world.pass(MARGIN - SECOND).await;
    let page = world.records.after(&after(next(), 9)).await.unwrap();
    assert_eq!((told(&page), page.complete), (vec!["1".to_owned()], true));
    world.pass(2 * SECOND).await;
    let page = world.records.after(&after(next(), 9)).await.unwrap();
    assert_eq!((told(&page).len(), page.complete), (0, false));

    let begin = world.records.after(&after(After::Newest, 9)).await.unwrap();
    world.pass(SECOND).await;
    world.hot.set_complete_since("telemetry", world.records.now()).await.unwrap();
    let page = world.records.after(&after(After::Cursor(begin.next), 9)).await.unwrap();
    assert!(!page.complete, "the index lost what it had");
}

#[tokio::test]
async fn a_cursor_from_before_the_clock_was_set_back_goes_on_and_is_not_called_complete() {
    let mut world = fresh().await;
    let begin = world.records.after(&after(After::Newest, 9)).await.unwrap();
    world.clock.set(NOW - HOUR / 10);
    world.arrive(vec![event("missed", "a", NOW - HOUR / 5)]).await;
    let page = world.records.after(&after(After::Cursor(begin.next), 9)).await.unwrap();
    assert!(!page.complete, "what was put meanwhile lies before the cursor");
    world.pass(SECOND).await;
    world.arrive(vec![event("told", "a", NOW - HOUR / 5)]).await;
    let page = world.records.after(&after(After::Cursor(page.next), 9)).await.unwrap();
    assert_eq!((told(&page), page.complete), (vec!["told".to_owned()], true));
}

#[tokio::test]
async fn what_cannot_be_told_is_refused() {
    let world = fresh().await;
    let refused = async |request: AfterRequest| world.records.after(&request).await.unwrap_err().to_string();
    let of = |dataset: &str| AfterRequest { dataset: dataset.to_owned(), ..after(After::Newest, 1) };
    assert!(refused(of("nothing")).await.contains("no dataset `nothing`"));
    assert!(refused(of("dead_letters")).await.contains("not in the hot index"));
    assert!(refused(after(After::Newest, 0)).await.contains("not within 1 to"));
    let other = world.records.after(&after(After::Newest, 1)).await.unwrap().next;
    let other = AfterCursor { dataset: "other".to_owned(), ..other };
    assert!(refused(after(After::Cursor(other), 1)).await.contains("given out for `other`"));
}

/// Polls now and then while events arrive, some of them twice; `patient`: never for longer than a cursor is good for.
/// `throttled`: how likely it is that what arrives has to wait.
async fn poll(seed: u64, limit: usize, of_source: bool, patient: bool, throttled: f64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = fresh().await;
    let mut next = world.records.after(&after(After::Newest, limit)).await.unwrap().next;
    let (mut arrived, mut ids, mut complete) = (Vec::new(), Vec::new(), true);
    let wanted = |event: &Event| !of_source || (event.owner == "o0" && event.source == "s1");
    for round in 0..40 {
        if round < 30 {
            let events = some_events(&mut random, world.records.now(), &arrived);
            world.hot.throttled.store(random.random_bool(throttled), Ordering::Relaxed);
            arrived.extend(world.arrive(events).await);
        }
        // In the end all of them, as a buffer is drained.
        while (round >= 38 || random.random_bool(0.3)) && world.hot.drain_one(random.random_range(0..1000)) {}
        let pause = if patient { MARGIN / 20 } else { MARGIN / 2 };
        world.pass(random.random_range(0..pause)).await;
        let polls = if round == 39 { usize::MAX } else { random.random_range(0..4) };
        for _ in 0..polls {
            let owner = of_source.then(|| "o0".to_owned());
            let source = of_source.then(|| "s1".to_owned());
            let request = AfterRequest { owner, source, ..after(After::Cursor(next.clone()), limit) };
            let page = world.records.after(&request).await.unwrap();
            assert!(page.rows.num_rows() <= limit);
            complete &= page.complete;
            next = page.next.clone();
            let arrivals = page.rows["ingest_time"].as_primitive::<TimestampMicrosecondType>();
            let times = page.rows["event_time"].as_primitive::<TimestampMicrosecondType>();
            ids.extend(
                told(&page).into_iter().enumerate().map(|(row, id)| (arrivals.value(row), times.value(row), id)),
            );
            if page.rows.num_rows() == 0 {
                break;
            }
        }
    }
    let expected = arrived.iter().filter(|event| wanted(event) && event.time >= event.arrival - RETENTION);
    let mut expected: Vec<_> = expected.map(|event| (event.arrival, event.time, event.id.clone())).collect();
    assert!(throttled > 0.0 || ids.is_sorted_by_key(|(arrival, ..)| *arrival), "in the order of arrival");
    ids.sort();
    expected.sort();
    if complete {
        assert_eq!(ids, expected, "each arrival once");
    }
    assert!(complete || !patient || throttled > 0.0, "a cursor is good for the margin");
    let last = world.records.after(&after(After::Cursor(next), limit)).await.unwrap();
    assert!(last.complete || !patient, "nothing waits any more");
}

proptest! {
    #[test]
    fn each_arrival_is_told_once(
        seed in any::<u64>(),
        limit in 1..60_usize,
        of_source in any::<bool>(),
        patient in any::<bool>(),
        throttled in prop::sample::select(vec![0.0, 0.0, 0.1, 0.5]),
    ) {
        let polls = poll(seed, limit, of_source, patient, throttled);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(polls);
    }
}
