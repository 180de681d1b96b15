#![allow(clippy::unwrap_used)]

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::*;

/// Somebody who waits for a turn.
struct Waiting(&'static str, BoxFuture<'static, Turn>);

fn wait(turns: &Arc<Turns>, name: &'static str) -> Waiting {
    let (turns, asker) = (turns.clone(), Some(name.to_owned()));
    let mut taking = Waiting(name, async move { turns.take(asker).await }.boxed());
    // It stands in the queue once it has been asked.
    if let Some(turn) = (&mut taking.1).now_or_never() {
        taking.1 = futures::future::ready(turn).boxed();
    }
    taking
}

/// Those who have a turn now, in the order of the queue.
fn given(waiting: &mut Vec<Waiting>) -> Vec<(&'static str, Turn)> {
    let mut given = Vec::new();
    waiting.retain_mut(|Waiting(name, taking)| match taking.now_or_never() {
        Some(turn) => {
            given.push((*name, turn));
            false
        }
        None => true,
    });
    given
}

fn names(given: &[(&'static str, Turn)]) -> Vec<&'static str> {
    given.iter().map(|(name, _)| *name).collect()
}

/// Has one turn end after the other, and says whose came then.
fn order(waiting: &mut Vec<Waiting>) -> Vec<&'static str> {
    let mut order = Vec::new();
    let mut running = VecDeque::new();
    loop {
        let now = given(waiting);
        order.extend(names(&now));
        running.extend(now);
        if running.pop_front().is_none() {
            return order;
        }
    }
}

#[tokio::test]
async fn callers_take_turns_however_many_statements_one_of_them_has() {
    let turns = Turns::new(1);
    let mut waiting: Vec<_> = ["a", "a", "a", "b", "b", "c"].map(|name| wait(&turns, name)).into();
    assert_eq!(order(&mut waiting), ["a", "b", "c", "a", "b", "a"]);
}

#[tokio::test]
async fn nobody_has_all_slots_while_there_are_two() {
    let turns = Turns::new(2);
    let mut waiting: Vec<_> = ["a", "a", "a"].map(|name| wait(&turns, name)).into();
    let of_a = given(&mut waiting);
    assert_eq!(names(&of_a), ["a"], "one slot is left for others");
    waiting.push(wait(&turns, "b"));
    let of_b = given(&mut waiting);
    assert_eq!(names(&of_b), ["b"]);
    waiting.push(wait(&turns, "c"));
    assert!(given(&mut waiting).is_empty());
    drop(of_a);
    let next = given(&mut waiting);
    assert_eq!(names(&next), ["c"], "who has been served last waits for who has not");
    drop(of_b);
    assert_eq!(names(&given(&mut waiting)), ["a"]);
}

#[tokio::test]
async fn who_has_nothing_running_comes_before_who_has() {
    let turns = Turns::new(3);
    let mut waiting: Vec<_> = ["a", "a", "a", "b"].map(|name| wait(&turns, name)).into();
    let mut running = given(&mut waiting);
    assert_eq!(names(&running), ["a", "a", "b"]);
    waiting.push(wait(&turns, "c"));
    running.remove(0);
    let next = given(&mut waiting);
    assert_eq!(names(&next), ["c"]);
}

#[tokio::test]
async fn where_nobody_is_named_all_slots_are_used() {
    let turns = Turns::new(2);
    let (first, second) = (turns.take(None).now_or_never(), turns.take(None).now_or_never());
    assert!(first.is_some() && second.is_some() && turns.take(None).now_or_never().is_none());
}

#[tokio::test]
async fn who_asks_again_and_again_keeps_nobody_from_their_turn() {
    let turns = Turns::new(1);
    let mut waiting = vec![wait(&turns, "a")];
    let mut running = given(&mut waiting);
    waiting.extend(["b", "b", "c"].map(|name| wait(&turns, name)));
    let mut order = Vec::new();
    for _ in 0..6 {
        let (name, turn) = running.pop().unwrap();
        order.push(name);
        drop(turn);
        running = given(&mut waiting);
        // Each but `b` has the next statement at hand when one has ended.
        if name != "b" {
            waiting.push(wait(&turns, name));
        }
    }
    assert_eq!(order, ["a", "b", "c", "a", "b", "c"]);
}

#[tokio::test]
async fn who_goes_away_gives_the_turn_to_the_next() {
    let turns = Turns::new(1);
    let mut waiting: Vec<_> = ["a", "b", "c"].map(|name| wait(&turns, name)).into();
    let of_a = given(&mut waiting);
    waiting.remove(0);
    drop(of_a);
    let of_c = given(&mut waiting);
    assert_eq!(names(&of_c), ["c"]);
    // One that was given a turn and never looked.
    let d = wait(&turns, "d");
    waiting.push(wait(&turns, "e"));
    drop(of_c);
    drop(d);
    let of_e = given(&mut waiting);
    assert_eq!(names(&of_e), ["e"]);
    drop(of_e);
    assert!(turns.queue().next(1).is_none());
    assert!(turns.queue().askers.is_empty(), "nobody is remembered who is gone");
}
