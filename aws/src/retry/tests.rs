use std::cell::Cell;

use super::*;
use crate::timer::LeapingTime;

fn failure(advice: Advice) -> PortError {
    PortError::new(advice, "the disk is full")
}

#[tokio::test]
async fn a_call_is_tried_until_it_succeeds() {
    let calls = Cell::new(0);
    let time = LeapingTime::new();
    let answer = Retries::new(1)
        .until_in(&time, time.begun() + Duration::from_secs(60), "storing", async || {
            calls.set(calls.get() + 1);
            if calls.get() < 4 { Err(failure(Advice::Retry)) } else { Ok(calls.get()) }
        })
        .await;
    assert_eq!(answer.unwrap(), 4);
    let pauses = time.elapsed();
    assert!(pauses >= Duration::from_millis(700) && pauses <= Duration::from_millis(1410), "{pauses:?}");
}

#[tokio::test]
async fn advice_to_stop_is_followed_at_once() {
    let time = LeapingTime::new();
    let calls = Cell::new(0);
    let error = Retries::new(1)
        .until_in(&time, time.begun() + Duration::from_secs(60), "storing", async || {
            calls.set(calls.get() + 1);
            Err::<(), _>(failure(Advice::Stop))
        })
        .await
        .unwrap_err();
    assert_eq!((error.advice, calls.get(), time.elapsed()), (Advice::Stop, 1, Duration::ZERO));
}

#[tokio::test]
async fn the_deadline_ends_it_with_the_last_error() {
    let time = LeapingTime::new();
    let wait = Duration::from_secs(60);
    let error = Retries::new(1)
        .until_in(&time, time.begun() + wait, "storing", async || Err::<(), _>(failure(Advice::BackOff)))
        .await
        .unwrap_err();
    assert_eq!((error.advice, error.message.as_str()), (Advice::BackOff, "the disk is full"));
    assert!(time.elapsed() < wait && time.elapsed() > wait / 2, "{:?}", time.elapsed());
}

#[tokio::test]
async fn a_call_without_an_answer_is_dropped_at_the_deadline() {
    let time = LeapingTime::new();
    let wait = Duration::from_secs(5);
    let error = Retries::new(1)
        .until_in(&time, time.begun() + wait, "storing", std::future::pending::<Result<(), _>>)
        .await
        .unwrap_err();
    assert_eq!((error.advice, time.elapsed()), (Advice::Retry, wait));
    assert!(error.message.contains("storing: no answer in time"), "{error}");
}

#[test]
fn pauses_double_within_their_bounds_and_differ_by_seed_and_call() {
    let first = |retries: &Retries| {
        retries.pauses(Duration::from_millis(100), Duration::from_secs(1)).take(8).collect::<Vec<_>>()
    };
    let retries = Retries::new(7);
    let one = first(&retries);
    for (pause, least) in one.iter().zip([100, 200, 400, 800, 1000, 1000, 1000, 1000].map(Duration::from_millis)) {
        assert!((least..=least * 2).contains(pause), "{pause:?} for {least:?}");
    }
    assert_ne!(one, first(&retries), "a second call has other pauses");
    assert_eq!(one, first(&Retries::new(7)), "the same seed gives the same pauses");
    assert_ne!(one, first(&Retries::new(8)));
}
