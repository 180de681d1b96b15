//! Port calls that are tried again until they succeed or time is up.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alluvium_core::ports::{Advice, PortError};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::{Either, select};
use tokio::time::Instant;

use crate::timer::{RealTime, Timer};

/// The shortest pause before a call is tried again. Half as much again on average is added by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, before chance adds to it.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Where the pauses between tries come from: exponential, and lengthened by chance, so that many who failed together do not
/// come back together. The seed is the entry point's; clones share it, and no two sequences of pauses are alike.
#[derive(Debug, Clone)]
pub struct Retries {
    next_seed: Arc<AtomicU64>,
}

impl Retries {
    /// Retries whose pauses depend on `seed`, which should differ between instances of a function.
    pub fn new(seed: u64) -> Self {
        Self { next_seed: Arc::new(AtomicU64::new(seed)) }
    }

    /// Pauses that double from `first` to `longest`, each lengthened by up to as much again; without an end.
    pub(crate) fn pauses(&self, first: Duration, longest: Duration) -> impl Iterator<Item = Duration> + Send + use<> {
        let seed = self.next_seed.fetch_add(1, Ordering::Relaxed);
        ExponentialBuilder::new()
            .with_jitter()
            .with_jitter_seed(seed)
            .with_min_delay(first)
            .with_max_delay(longest)
            .without_max_times()
            .build()
    }

    /// Tries a port call until it succeeds. `what` names it for messages and the log, which gets the first failure and the
    /// success after it, not each try between.
    ///
    /// # Errors
    ///
    /// The call's own, when its advice is to stop or the pause before the next try would reach past `deadline`. A call that
    /// has not answered by then is dropped; that error says so.
    pub async fn until<T, F>(&self, deadline: Instant, what: &str, call: impl FnMut() -> F) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>>,
    {
        self.until_in(&RealTime, deadline, what, call).await
    }

    async fn until_in<T, F>(
        &self,
        timer: &impl Timer,
        deadline: Instant,
        what: &str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>>,
    {
        let mut pauses = self.pauses(FIRST_PAUSE, LONGEST_PAUSE);
        let mut failures = 0_u32;
        loop {
            let error = match select(pin!(call()), pin!(timer.sleep_until(deadline))).await {
                Either::Left((Ok(value), _)) => {
                    if failures > 0 {
                        tracing::info!(what, failures, "works again");
                    }
                    return Ok(value);
                }
                Either::Left((Err(error), _)) => error,
                Either::Right(_) => {
                    let message = format!("{what}: no answer in time, after {failures} failed tries before");
                    return Err(PortError::new(Advice::Retry, message));
                }
            };
            let pause = pauses.next().expect("pauses have no end");
            let again = timer.now() + pause;
            if error.advice == Advice::Stop || again >= deadline {
                return Err(error);
            }
            if failures == 0 {
                tracing::warn!(what, %error, "failed; trying again");
            }
            failures += 1;
            timer.sleep_until(again).await;
        }
    }
}

#[cfg(test)]
mod tests;
