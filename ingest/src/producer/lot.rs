//! The cell that all user records of one aggregate share, so that an outcome costs no allocation of its own.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alluvium_core::{SequenceNumber, ShardId};
use tokio::sync::Notify;

use super::moment::Moment;
use super::outcome::{Delivered, GivenUp, Outcome, Undelivered};

/// What became of a record that travelled. It fits all user records of it that were taken in and sent together.
#[derive(Debug, Clone)]
pub(super) struct Settlement {
    pub(super) how: How,
    pub(super) attempts: u32,
    /// When it was first sent.
    pub(super) first_sent: Option<Moment>,
    pub(super) at: Moment,
}

#[derive(Debug, Clone)]
pub(super) enum How {
    Delivered { shard: ShardId, sequence: SequenceNumber },
    GivenUp { why: GivenUp, last_error: Option<Arc<str>>, may_be_stored: bool },
}

impl Settlement {
    /// The outcome of one user record, taken in at `arrival`, the `subsequence`th of the record that travelled.
    fn outcome(&self, arrival: Moment, subsequence: u32) -> Outcome {
        let total = self.at.since(arrival);
        match &self.how {
            How::Delivered { shard, sequence } => Outcome::Delivered(Delivered {
                shard: shard.clone(),
                sequence: *sequence,
                subsequence: u64::from(subsequence),
                attempts: self.attempts,
                buffered: self.first_sent.unwrap_or(self.at).since(arrival),
                total,
            }),
            How::GivenUp { why, last_error, may_be_stored } => Outcome::Undelivered(Undelivered {
                why: *why,
                attempts: self.attempts,
                last_error: last_error.clone(),
                may_be_stored: *may_be_stored,
                total,
            }),
        }
    }
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unsettled,
    /// All of them together.
    Together(Settlement),
    /// One by one, with the place of each in the record that it travelled with in the end: the lot was taken apart.
    Apart(HashMap<u32, (Settlement, u32)>),
}

/// What the user records of an aggregate wait on.
#[derive(Debug, Default)]
pub(super) struct Lot {
    state: Mutex<State>,
    settled: Notify,
    /// How many there are of its [`LotHold`].
    holds: AtomicU32,
}

impl Lot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles all user records that were not taken out.
    pub(super) fn settle(&self, settlement: Settlement) {
        *self.state() = State::Together(settlement);
        self.settled.notify_waiters();
    }

    /// Settles one user record of a lot that was taken apart.
    pub(super) fn settle_one(&self, index: u32, settlement: Settlement, subsequence: u32) {
        let mut state = self.state();
        match &mut *state {
            State::Apart(settled) => {
                settled.insert(index, (settlement, subsequence));
            }
            State::Unsettled => *state = State::Apart(HashMap::from([(index, (settlement, subsequence))])),
            State::Together(_) => unreachable!("a lot is settled together or apart"),
        }
        drop(state);
        self.settled.notify_waiters();
    }

    fn outcome(&self, index: u32, arrival: Moment) -> Option<Outcome> {
        // Asked first: what the last hold settled, it settled before it went.
        let is_lost = self.holds.load(Ordering::Acquire) == 0;
        self.settled_outcome(index, arrival).or_else(|| is_lost.then(lost))
    }

    fn settled_outcome(&self, index: u32, arrival: Moment) -> Option<Outcome> {
        match &*self.state() {
            State::Unsettled => None,
            State::Together(settlement) => Some(settlement.outcome(arrival, index)),
            State::Apart(settled) => {
                settled.get(&index).map(|(settlement, subsequence)| settlement.outcome(arrival, *subsequence))
            }
        }
    }
}

/// The outcome of a user record of which nobody knows any more what was done with it.
fn lost() -> Outcome {
    Outcome::Undelivered(Undelivered {
        why: GivenUp::Abandoned,
        attempts: 0,
        last_error: Some("the producer failed".into()),
        may_be_stored: true,
        total: Duration::ZERO,
    })
}

/// A lot in the hands of those who will settle it. When the last hold goes, as only a panic lets it go before, the user records that
/// are not settled are abandoned.
#[derive(Debug)]
pub(super) struct LotHold(Arc<Lot>);

impl Default for LotHold {
    fn default() -> Self {
        Self(Arc::new(Lot { holds: AtomicU32::new(1), ..Lot::default() }))
    }
}

impl Clone for LotHold {
    fn clone(&self) -> Self {
        self.0.holds.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl Drop for LotHold {
    fn drop(&mut self) {
        if self.0.holds.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.settled.notify_waiters();
        }
    }
}

impl Deref for LotHold {
    type Target = Lot;

    fn deref(&self) -> &Lot {
        &self.0
    }
}

/// The outcome of a user record that was taken in. It may be dropped: the record goes its way all the same.
#[derive(Debug, Clone)]
#[must_use = "says what became of the record; drop it when that does not matter"]
pub struct Delivery {
    lot: Arc<Lot>,
    index: u32,
    arrival: Moment,
}

impl Delivery {
    pub(super) fn new(lot: &LotHold, index: u32, arrival: Moment) -> Self {
        Self { lot: lot.0.clone(), index, arrival }
    }

    /// Waits until the record is delivered or given up. It never waits longer than the record's time to live, a linger and a call's timeout,
    /// unless the producer is dropped or fails, which settles every record.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing; it can be asked again.
    pub async fn outcome(&self) -> Outcome {
        loop {
            let settled = self.lot.settled.notified();
            if let Some(outcome) = self.now() {
                return outcome;
            }
            settled.await;
        }
    }

    /// The outcome, if there is one yet.
    pub fn now(&self) -> Option<Outcome> {
        self.lot.outcome(self.index, self.arrival)
    }
}

#[cfg(test)]
mod tests;
