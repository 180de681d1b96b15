//! How many requests there may be in a second: of everybody together, and of each owner.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::Problem;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};

/// Owners who have not called for a while are forgotten every so many calls.
const FORGET_EVERY: u64 = 100_000;

/// Token buckets: each holds a second's worth.
#[derive(Debug)]
pub struct Pace {
    all: DefaultDirectRateLimiter,
    of_owner: DefaultKeyedRateLimiter<String>,
    calls: AtomicU64,
    clock: DefaultClock,
}

impl Pace {
    /// So many requests a second in all, and so many of one owner.
    pub fn new(all: NonZeroU32, of_owner: NonZeroU32) -> Self {
        Self {
            all: RateLimiter::direct(Quota::per_second(all)),
            of_owner: RateLimiter::keyed(Quota::per_second(of_owner)),
            calls: AtomicU64::new(0),
            clock: DefaultClock::default(),
        }
    }

    /// Takes a token out of both buckets.
    ///
    /// # Errors
    ///
    /// A problem that says when the next call may go through. The owner's comes first, so that one who calls too often takes nothing of
    /// what the others have.
    pub fn admit(&self, owner: &str) -> Result<(), Problem> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.of_owner.retain_recent();
        }
        self.of_owner.check_key(&owner.to_owned()).map_err(|until| self.too_many("an owner", "_of_owner", &until))?;
        self.all.check().map_err(|until| self.too_many("this node", "", &until))
    }

    #[cold]
    fn too_many(&self, whose: &str, setting: &str, until: &NotUntil<<DefaultClock as Clock>::Instant>) -> Problem {
        let most = until.quota().burst_size();
        let wait = until.wait_time_from(self.clock.now());
        let seconds = wait.as_secs().saturating_add(1);
        let detail = format!(
            "{whose} has at most {most} requests a second (setting `limits.requests_per_second{setting}`); call again after a while"
        );
        Problem::new(429, "too-many-requests", detail).retry_after(seconds)
    }
}
