//! How long to wait before a body is sent again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Pauses that double from one failed attempt to the next, each cut short by its own share so that senders that failed
/// together do not come back together. The shares follow from the body's idempotency key, which no two bodies share.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
    shares: DefaultHasher,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration, idempotency_key: &str) -> Self {
        let mut shares = DefaultHasher::new();
        idempotency_key.hash(&mut shares);
        Self { next: first.min(longest), longest, shares }
    }

    /// The pause after one more failed attempt: between half and all of the next step, and no less than the receiver asks for.
    pub(super) fn pause(&mut self, retry_after: Option<Duration>) -> Duration {
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.longest);
        0_u8.hash(&mut self.shares);
        let share = 0.5 + 0.5 * (self.shares.finish() as f64 / u64::MAX as f64);
        let jitter = step.mul_f64(share);
        // What the receiver asks for is a least time; the jitter on top spreads those who were told the same.
        retry_after.map_or(jitter, |least| least.saturating_add(jitter / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(MS(100), MS(500), "key");
        for step in [100, 200, 400, 500, 500] {
            let pause = backoff.pause(None);
            assert!((MS(step / 2)..=MS(step)).contains(&pause), "{pause:?} at {step}");
        }
    }

    #[test]
    fn two_bodies_do_not_come_back_together() {
        let pause = |key| Backoff::new(MS(1000), MS(1000), key).pause(None);
        assert_ne!(pause("a"), pause("b"));
    }

    #[test]
    fn the_receiver_is_never_asked_earlier_than_it_said() {
        let pause = Backoff::new(MS(100), MS(500), "key").pause(Some(MS(3000)));
        assert!((MS(3000)..=MS(3025)).contains(&pause), "{pause:?}");
    }
}
