//! How far sending is, and what it came to.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Latencies;

/// Counters that move while sending goes on; read them from anywhere to draw a bar.
#[derive(Debug, Default)]
pub struct SendProgress {
    events: AtomicU64,
    bodies: AtomicU64,
    bytes: AtomicU64,
    failed_events: AtomicU64,
    retries: AtomicU64,
    on_their_way: AtomicU64,
}

/// What sending came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Events acknowledged.
    pub events: u64,
    /// Bodies acknowledged.
    pub bodies: u64,
    /// Bytes of the events acknowledged, before compression.
    pub bytes: u64,
    /// Events of bodies that were refused or given up.
    pub failed_events: u64,
    /// Attempts beyond the first of each body.
    pub retries: u64,
    /// From each acknowledged attempt's beginning to its answer.
    pub latencies: Latencies,
}

impl SendProgress {
    /// Events acknowledged so far.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Bodies acknowledged so far.
    pub fn bodies(&self) -> u64 {
        self.bodies.load(Ordering::Relaxed)
    }

    /// Bytes of the events acknowledged so far, before compression.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Events of bodies that were refused or given up so far.
    pub fn failed_events(&self) -> u64 {
        self.failed_events.load(Ordering::Relaxed)
    }

    /// Attempts beyond the first of each body so far.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Bodies that are on their way now.
    pub fn on_their_way(&self) -> u64 {
        self.on_their_way.load(Ordering::Relaxed)
    }

    pub(super) fn on_its_way(&self) -> OnItsWay<'_> {
        self.on_their_way.fetch_add(1, Ordering::Relaxed);
        OnItsWay(self)
    }

    pub(super) fn acknowledged(&self, events: u64, bytes: usize) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.bodies.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, events: u64) {
        self.failed_events.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts a body as on its way until it is dropped, so that a cancelled one is not counted for ever.
pub(super) struct OnItsWay<'a>(&'a SendProgress);

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.on_their_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Outcome {
    pub(super) fn of(progress: &SendProgress, latencies: Latencies) -> Self {
        Self {
            events: progress.events(),
            bodies: progress.bodies(),
            bytes: progress.bytes(),
            failed_events: progress.failed_events(),
            retries: progress.retries(),
            latencies,
        }
    }
}
