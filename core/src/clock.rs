//! Time as a port, so that nothing but an entry point reads the wall clock.

use std::sync::atomic::{AtomicI64, Ordering};

/// A point in time in microseconds since 1970-01-01T00:00:00Z, the resolution of every timestamp in the lake.
pub type Micros = i64;

/// Tells the time. Stages and adapters take one; tests give them a [`ManualClock`].
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now, in microseconds since the epoch, UTC.
    fn now_micros(&self) -> Micros;
}

/// The machine's wall clock. Only entry points construct it.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now_micros(&self) -> Micros {
        jiff::Timestamp::now().as_microsecond()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Micros) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves the clock forward by `micros`.
    pub fn advance(&self, micros: Micros) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the clock to `now`.
    pub fn set(&self, now: Micros) {
        self.0.store(now, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_micros(&self) -> Micros {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(all(test, feature = "contract"))]
mod tests {
    #[test]
    fn the_machines_clock_keeps_the_contract() {
        crate::contract::clock::it_tells_microseconds_of_the_epoch(&super::SystemClock);
    }
}
