//! What every [`CommitQueue`] does.
//!
//! Each function takes a queue that is empty and that nobody else uses, and leaves it empty. A queue may deliver late, out of
//! order and more than once, so what was enqueued is waited for, and what comes again is acknowledged again. Whether a
//! message that is not acknowledged comes again is each queue's own: one in memory is made anew from the stream.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::ports::CommitQueue;

/// Longer than any queue takes to deliver, and short enough to wait for in a test that fails.
const LONG: Duration = Duration::from_secs(30);

/// Runs all of them on one queue.
///
/// # Panics
///
/// When the queue breaks the contract.
pub async fn all(queue: &dyn CommitQueue) {
    what_was_enqueued_is_delivered(queue).await;
    no_more_are_taken_than_asked_for(queue).await;
    one_path_may_be_enqueued_twice(queue).await;
    an_empty_queue_is_no_error(queue).await;
    a_waiting_receiver_is_woken(queue).await;
}

/// Takes and acknowledges messages until `expected` deliveries came; the paths.
async fn drain(queue: &dyn CommitQueue, expected: usize, max: usize) -> Vec<String> {
    let mut paths = Vec::new();
    while paths.len() < expected {
        let deliveries = queue.receive(max, LONG).await.expect("the queue can be asked");
        assert!(!deliveries.is_empty(), "{} of {expected} messages came", paths.len());
        assert!(deliveries.len() <= max, "{} messages where {max} were asked for", deliveries.len());
        for delivery in deliveries {
            queue.acknowledge(&delivery.receipt).await.expect("a receipt is taken");
            paths.push(delivery.path);
        }
    }
    paths
}

/// Every path comes, byte for byte, more of them than one call of a service carries.
///
/// # Panics
///
/// When one does not.
pub async fn what_was_enqueued_is_delivered(queue: &dyn CommitQueue) {
    let enqueued: BTreeSet<_> =
        (0..25).map(|n| format!("commits/2026-11-27/{n:032x}-deep & \"er\" <é>.json")).collect();
    for path in &enqueued {
        queue.enqueue(path).await.expect("a queue with room takes a message");
    }
    let mut delivered = BTreeSet::new();
    while delivered.len() < enqueued.len() {
        delivered.extend(drain(queue, 1, 100).await);
    }
    assert_eq!(delivered, enqueued);
}

/// `max` is kept, none included.
///
/// # Panics
///
/// When it is not.
pub async fn no_more_are_taken_than_asked_for(queue: &dyn CommitQueue) {
    for n in 0..5 {
        queue.enqueue(&format!("at-most/{n}")).await.expect("a queue with room takes a message");
    }
    assert_eq!(queue.receive(0, Duration::ZERO).await.expect("the queue can be asked"), []);
    drain(queue, 5, 2).await;
}

/// Two messages of one path are two.
///
/// # Panics
///
/// When they are not.
pub async fn one_path_may_be_enqueued_twice(queue: &dyn CommitQueue) {
    for _ in 0..2 {
        queue.enqueue("twice").await.expect("a queue with room takes a message");
    }
    assert_eq!(drain(queue, 2, 1).await, ["twice", "twice"]);
}

/// With nothing there a receiver gets nothing, at once or when its wait is over.
///
/// # Panics
///
/// When it is otherwise.
pub async fn an_empty_queue_is_no_error(queue: &dyn CommitQueue) {
    for wait in [Duration::ZERO, Duration::from_millis(1200)] {
        assert_eq!(queue.receive(10, wait).await.expect("the queue can be asked"), [], "after {wait:?}");
    }
}

/// A receiver that waits gets what is enqueued meanwhile.
///
/// # Panics
///
/// When it does not.
pub async fn a_waiting_receiver_is_woken(queue: &dyn CommitQueue) {
    let mut receive = pin!(queue.receive(10, LONG));
    // Once, so that it waits when the message comes.
    let early = poll_fn(|context| Poll::Ready(receive.as_mut().poll(context).is_ready())).await;
    assert!(!early, "a receiver of an empty queue did not wait");
    queue.enqueue("meanwhile").await.expect("a queue with room takes a message");
    let deliveries = receive.await.expect("the queue can be asked");
    assert_eq!(deliveries.iter().map(|delivery| delivery.path.as_str()).collect::<Vec<_>>(), ["meanwhile"]);
    queue.acknowledge(&deliveries[0].receipt).await.expect("a receipt is taken");
}
