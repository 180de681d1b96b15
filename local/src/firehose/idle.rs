//! Since when no shard has had a record.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Since when each shard's reads have found nothing.
#[derive(Debug)]
pub(super) struct Idle {
    since: Mutex<Vec<Option<Instant>>>,
    until: Option<Duration>,
}

impl Idle {
    pub(super) fn new(shards: usize, until: Option<Duration>) -> Self {
        Self { since: Mutex::new(vec![None; shards]), until }
    }

    /// Notes what a read of the `at`th shard found.
    pub(super) fn note(&self, at: usize, found: bool, now: Instant) {
        let mut since = self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        since[at] = if found { None } else { since[at].or(Some(now)) };
    }

    /// Whether no shard has had a record for as long as the loop waits for one.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let since = self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let newest = since.iter().copied().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
        self.until.zip(newest).is_some_and(|(until, newest)| now.duration_since(newest) >= until)
    }
}
