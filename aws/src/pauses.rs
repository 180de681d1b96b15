//! How long to wait before what a service did not take is offered again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Pauses that double from one to the next, each cut short by its own share, so that callers that met a limit together do not
/// come back together. The shares follow from what is being written, which no two callers share.
#[derive(Debug)]
pub(crate) struct Pauses {
    first: Duration,
    next: Duration,
    longest: Duration,
    shares: DefaultHasher,
}

impl Pauses {
    pub(crate) fn new(first: Duration, longest: Duration, seed: impl Hash) -> Self {
        let mut shares = DefaultHasher::new();
        seed.hash(&mut shares);
        Self { first, next: first, longest, shares }
    }

    /// The next pause: between half and all of the next step.
    pub(crate) fn pause(&mut self) -> Duration {
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.longest);
        0_u8.hash(&mut self.shares);
        step.mul_f64(0.5 + 0.5 * (self.shares.finish() as f64 / u64::MAX as f64))
    }

    /// Begins again with the shortest.
    pub(crate) fn begin_again(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again() {
        let mut pauses = Pauses::new(MS(100), MS(500), "batch");
        for step in [100, 200, 400, 500, 500] {
            let pause = pauses.pause();
            assert!((MS(step / 2)..=MS(step)).contains(&pause), "{pause:?} at {step}");
        }
        pauses.begin_again();
        assert!(pauses.pause() <= MS(100));
    }

    #[test]
    fn two_callers_do_not_come_back_together() {
        let pause = |seed| Pauses::new(MS(1000), MS(1000), seed).pause();
        assert_ne!(pause("a"), pause("b"));
    }
}
