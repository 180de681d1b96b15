//! The retrier: when what failed is sent again, and what the destination as a whole is up to.

use std::collections::BTreeSet;
use std::time::Duration;

use super::moment::Moment;
use super::settings::ProducerSettings;
use crate::seeded::Seeded;

/// After this many calls failed as a whole, one after the other, the destination counts as away: one call at a time finds out when it
/// is back.
const AWAY_AFTER: u32 = 3;

/// The longest that a destination is taken at its word when it asks to be left alone. Our own: records expire meanwhile.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// Entries that wait to be sent again, by number.
#[derive(Debug)]
pub(super) struct Retrier {
    first_pause: Duration,
    longest_pause: Duration,
    jitter: Seeded,
    waiting: BTreeSet<(Moment, u64)>,
    /// Calls that failed as a whole, since the last one that did not.
    failed_calls: u32,
    /// No call is made before this.
    held_until: Moment,
}

impl Retrier {
    pub(super) fn new(settings: &ProducerSettings, seed: u64) -> Self {
        Self {
            first_pause: settings.first_pause,
            longest_pause: settings.longest_pause,
            jitter: Seeded::new(seed),
            waiting: BTreeSet::new(),
            failed_calls: 0,
            held_until: Moment::default(),
        }
    }

    /// A pause after this many attempts: any share of a step that doubles with each ("full jitter"), so that producers that failed
    /// together do not come back together.
    pub(super) fn pause(&mut self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        let step = self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause);
        let share = f64::from(self.jitter.next_u32()) / f64::from(u32::MAX);
        step.mul_f64(share).max(Duration::from_millis(1))
    }

    /// Has an entry wait.
    pub(super) fn wait(&mut self, entry: u64, until: Moment) {
        self.waiting.insert((until, entry));
    }

    /// Takes an entry out that waits until `until`.
    pub(super) fn forget(&mut self, entry: u64, until: Moment) {
        self.waiting.remove(&(until, entry));
    }

    /// Takes out the next entry whose pause is over.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<u64> {
        self.waiting.first().filter(|(until, _)| *until <= now)?;
        self.waiting.pop_first().map(|(_, entry)| entry)
    }

    /// Takes out all entries.
    pub(super) fn take(&mut self) -> impl Iterator<Item = u64> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, entry)| entry)
    }

    /// When the next pause is over.
    pub(super) fn next_due(&self) -> Moment {
        self.waiting.first().map_or(Moment::NEVER, |(until, _)| *until)
    }

    /// A call was answered, entry by entry. What holds the calls back holds on: a call that is answered meanwhile began before.
    pub(super) fn call_answered(&mut self) {
        self.failed_calls = 0;
    }

    /// A call failed as a whole.
    pub(super) fn call_failed(&mut self, now: Moment) {
        self.failed_calls = self.failed_calls.saturating_add(1);
        if self.is_away() {
            self.hold(self.failed_calls - AWAY_AFTER + 1, now);
        }
    }

    /// Holds all calls back for a pause, as after this many attempts.
    pub(super) fn hold(&mut self, attempts: u32, now: Moment) {
        self.held_until = self.held_until.max(now + self.pause(attempts));
    }

    /// Holds all calls back for as long as the destination asks, a minute at the most, and a little longer, so that producers that were told
    /// the same do not come back together.
    pub(super) fn hold_for(&mut self, asked: Duration, now: Moment) {
        self.held_until = self.held_until.max(now + asked.min(LONGEST_ASKED).saturating_add(self.pause(1)));
    }

    /// Whether the destination does not answer at all.
    pub(super) fn is_away(&self) -> bool {
        self.failed_calls >= AWAY_AFTER
    }

    /// No call is made before this.
    pub(super) fn held_until(&self) -> Moment {
        self.held_until
    }
}

#[cfg(test)]
mod tests;
