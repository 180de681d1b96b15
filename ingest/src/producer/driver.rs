//! The driver: does what the pipeline asks for, and tells it what came of it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use alluvium_core::destination::CallEffect;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::{Destination, EntryVerdict, HashKeyRange, PutError};
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::Shared;
use super::moment::Moment;
use super::pipeline::{Call, Step};

/// What came of something that the pipeline asked for.
enum Answer {
    Call { id: u64, answer: Result<Vec<EntryVerdict>, PutError> },
    ShardMap(Result<Option<Vec<HashKeyRange>>, PortError>),
}

/// A producer that nobody drives any more once this is dropped.
struct Driven(Arc<Shared>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abandon_with_a_warning();
    }
}

/// Drives a producer until it is closed and everything is settled. However it ends, nobody waits for the producer after that: a panic
/// in the pipeline, and dropping the future, abandon what is not settled, and drop the calls on their way.
pub(super) fn drive(shared: Arc<Shared>, destination: Arc<dyn Destination>) -> impl Future<Output = ()> + Send {
    // Not inside the future, which may be dropped before it is asked for the first time.
    let driven = Driven(shared);
    async move {
        let driving = AssertUnwindSafe(drive_until_over(&driven.0, destination)).catch_unwind();
        if let Err(panic) = driving.await {
            let abandoned = driven.0.abandon();
            let (producer, panic) = (driven.0.name.as_str(), words(&*panic));
            tracing::error!(producer, panic, abandoned, "the producer failed; it takes nothing more in");
        }
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("no words")
}

async fn drive_until_over(shared: &Shared, destination: Arc<dyn Destination>) {
    let mut asked = JoinSet::new();
    loop {
        assert!(!shared.pipeline.is_poisoned(), "a panic of a sender left the pipeline as it was not meant to be");
        let step = shared.with_pipeline(|pipeline, now| pipeline.poll(now));
        shared.pass_on_freed();
        let until = match step {
            Step::Call(call) => {
                asked.spawn(put(destination.clone(), call, shared.request_timeout));
                continue;
            }
            Step::RefreshShardMap => {
                asked.spawn(shard_map(destination.clone(), shared.request_timeout));
                continue;
            }
            Step::Wait(until) => until,
        };
        if shared.with_pipeline(|pipeline, _| pipeline.is_over()) {
            break;
        }
        tokio::select! {
            Some(answer) = asked.join_next(), if !asked.is_empty() => {
                let answer = answer.expect("what was asked for catches panics, and nobody cancels it");
                let is_map = matches!(answer, Answer::ShardMap(_));
                let tracking_bytes = shared.with_pipeline(|pipeline, now| {
                    match answer {
                        Answer::Call { id, answer } => pipeline.answer(id, answer, now),
                        Answer::ShardMap(answer) => pipeline.shard_map(answer, now),
                    }
                    pipeline.tracking_bytes()
                });
                shared.tracking_bytes.store(tracking_bytes, Ordering::Relaxed);
                if is_map {
                    shared.set_mapped();
                }
            }
            () = shared.woken.notified() => {}
            () = when(shared, until) => {}
        }
    }
}

/// Waits until a moment, for ever when it is never.
async fn when(shared: &Shared, until: Moment) {
    // What lies beyond what the clock can count never comes.
    match shared.started.checked_add(until.elapsed()).filter(|_| until != Moment::NEVER) {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn put(destination: Arc<dyn Destination>, call: Call, longest: std::time::Duration) -> Answer {
    let Call { id, entries } = call;
    let unknown = |message: &str| PutError::new(CallEffect::Unknown, Advice::Retry, message);
    let put = AssertUnwindSafe(timeout(longest, destination.put(entries))).catch_unwind();
    let answer = match put.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(unknown("no answer in time")),
        // What the destination did before, nobody knows.
        Err(_) => Err(unknown("the destination panicked")),
    };
    Answer::Call { id, answer }
}

async fn shard_map(destination: Arc<dyn Destination>, longest: std::time::Duration) -> Answer {
    let question = AssertUnwindSafe(timeout(longest, destination.shard_map())).catch_unwind();
    Answer::ShardMap(match question.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(PortError::new(Advice::Retry, "no answer in time")),
        Err(_) => Err(PortError::new(Advice::Retry, "the destination panicked")),
    })
}

#[cfg(test)]
mod tests;
