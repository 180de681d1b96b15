//! Counts of what became of the events of one dataset.

use std::collections::BTreeMap;

use alluvium_core::ReasonCode;

/// The counts of a ledger entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) received: u64,
    pub(super) bytes: u64,
    pub(super) filtered: u64,
    pub(super) dead: u64,
    pub(super) dead_by_reason: BTreeMap<ReasonCode, u64>,
    pub(super) redriven: u64,
}

impl Tally {
    /// Counts an event of this size, which has been a dead letter before as often as `deaths` says.
    pub(super) fn receive(&mut self, bytes: usize, deaths: u32) {
        self.received += 1;
        self.bytes += bytes as u64;
        self.redriven += u64::from(deaths > 0);
    }

    /// Counts one of those received as dropped on purpose.
    pub(super) fn filter(&mut self) {
        self.filtered += 1;
    }

    /// Counts one of those received as dead.
    pub(super) fn bury(&mut self, reason: ReasonCode) {
        self.dead += 1;
        *self.dead_by_reason.entry(reason).or_default() += 1;
    }
}
