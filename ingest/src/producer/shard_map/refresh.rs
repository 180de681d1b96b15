//! When the destination is asked for its shards.

use std::time::Duration;

use crate::producer::moment::Moment;

/// Never asked more often than this. `ListShards` is a call that all users of a stream share.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after questions that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether an answer may be older than the newest record that went astray.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::producer) enum TooOld {
    Maybe,
    No,
}

/// The timing of questions for the shard map. One is on its way at a time.
#[derive(Debug)]
pub(in crate::producer) struct Refresh {
    /// How old the answer may get.
    age: Duration,
    /// When the next question is due.
    next: Moment,
    asked: bool,
    /// A record went astray after the question was asked, so that the answer may be too old.
    again: bool,
    /// Questions that failed one after the other.
    failures: u32,
    /// When the last answer came.
    answered: Option<Moment>,
}

impl Refresh {
    pub(in crate::producer) fn new(age: Duration) -> Self {
        Self { age, next: Moment::default(), asked: false, again: false, failures: 0, answered: None }
    }

    /// When to ask next, if there is something to send by then. The first question does not wait for that.
    pub(in crate::producer) fn due(&self, pending: usize) -> Moment {
        let idle = pending == 0 && self.answered.is_some();
        if self.asked || idle { Moment::NEVER } else { self.next }
    }

    /// Whether a question was answered at all, or failed.
    pub(in crate::producer) fn was_answered(&self) -> bool {
        self.answered.is_some()
    }

    pub(in crate::producer) fn ask(&mut self) {
        (self.asked, self.again) = (true, false);
    }

    /// A record was stored in a shard that the map did not expect.
    pub(in crate::producer) fn astray(&mut self, now: Moment) {
        if self.asked {
            self.again = true;
        } else {
            self.next = self.next.min(self.earliest(now));
        }
    }

    fn earliest(&self, now: Moment) -> Moment {
        self.answered.map_or(now, |answered| now.max(answered + LEAST_PAUSE))
    }

    /// An answer came.
    pub(in crate::producer) fn answered(&mut self, now: Moment) -> TooOld {
        self.asked = false;
        self.failures = 0;
        self.answered = Some(now);
        if self.again {
            self.next = now + LEAST_PAUSE;
            return TooOld::Maybe;
        }
        self.next = now + self.age;
        TooOld::No
    }

    /// An answer came that will not change: the destination has no shards.
    pub(in crate::producer) fn answered_for_good(&mut self, now: Moment) -> TooOld {
        self.answered(now);
        self.next = Moment::NEVER;
        TooOld::No
    }

    /// No answer came.
    pub(in crate::producer) fn failed(&mut self, now: Moment) {
        self.asked = false;
        self.answered = Some(now);
        let pause = LEAST_PAUSE.saturating_mul(1 << self.failures.min(5)).min(LONGEST_PAUSE);
        self.failures += 1;
        self.next = now + pause;
    }
}
