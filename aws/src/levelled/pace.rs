//! How fast the buffer is drained.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::timer::Timer;

/// So many write units a second and no more: who takes some has the next one wait for as long as these are worth.
#[derive(Debug)]
pub struct Pace {
    units_per_second: NonZeroU32,
    /// When the next may be taken.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// A pace of this many write units a second.
    pub fn of(units_per_second: NonZeroU32) -> Self {
        Self { units_per_second, next: Mutex::new(None) }
    }

    pub(super) fn units_per_second(&self) -> u64 {
        self.units_per_second.get().into()
    }

    /// Waits until so many may be written; says `false`, and takes none, when that is not before `deadline`.
    pub(super) async fn take(&self, timer: &impl Timer, units: u64, deadline: Instant) -> bool {
        let at = {
            let mut next = self.next.lock().expect("nothing panics while it is held");
            let at = next.map_or_else(|| timer.now(), |next| next.max(timer.now()));
            if at >= deadline {
                return false;
            }
            *next = Some(at + Duration::from_secs_f64(units as f64 / f64::from(self.units_per_second.get())));
            at
        };
        timer.sleep_until(at).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timer::LeapingTime;

    #[tokio::test]
    async fn units_are_taken_no_faster_than_said_and_not_saved_up() {
        let timer = LeapingTime::new();
        let end = timer.begun() + Duration::from_secs(60);
        let pace = Pace::of(NonZeroU32::new(100).unwrap());
        for (units, waited_ms) in [(50, 0), (400, 500), (1, 4_500), (1, 4_510)] {
            assert!(pace.take(&timer, units, end).await);
            assert_eq!(timer.elapsed(), Duration::from_millis(waited_ms));
        }
        timer.sleep_until(timer.begun() + Duration::from_secs(30)).await;
        assert!(pace.take(&timer, 3_000, end).await);
        assert_eq!(timer.elapsed(), Duration::from_secs(30), "nobody took any for a while");
        assert!(!pace.take(&timer, 1, end).await, "its turn comes at the deadline");
        assert_eq!(timer.elapsed(), Duration::from_secs(30), "and it does not wait for that");
    }
}
