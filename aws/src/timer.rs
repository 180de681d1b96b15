//! Waiting, as something that tests replace: tokio's own paused clock is a feature that would have all of the workspace compiled
//! twice.

use tokio::time::Instant;

/// Tells how far along time is, and waits.
pub(crate) trait Timer: Send + Sync {
    /// Now.
    fn now(&self) -> Instant;

    /// Waits until then; not at all for what is past.
    fn sleep_until(&self, then: Instant) -> impl Future<Output = ()> + Send;
}

/// Real time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RealTime;

impl Timer for RealTime {
    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn sleep_until(&self, then: Instant) {
        tokio::time::sleep_until(then).await;
    }
}

/// Time that passes only where somebody waits for it, and then at once.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct LeapingTime {
    begun: Instant,
    now: std::sync::Mutex<Instant>,
}

#[cfg(test)]
impl LeapingTime {
    pub(crate) fn new() -> Self {
        let begun = Instant::now();
        Self { begun, now: std::sync::Mutex::new(begun) }
    }

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.now() - self.begun
    }
}

#[cfg(test)]
impl Timer for LeapingTime {
    fn now(&self) -> Instant {
        *self.now.lock().unwrap()
    }

    async fn sleep_until(&self, then: Instant) {
        let mut now = self.now.lock().unwrap();
        *now = then.max(*now);
    }
}
