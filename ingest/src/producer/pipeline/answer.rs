//! What the answer to a call means for its entries.

use std::sync::Arc;

use alluvium_core::destination::CallEffect;
use alluvium_core::ports::Advice;
use alluvium_core::{EntryVerdict, PutError, SequenceNumber, ShardId};

use super::{OnItsWay, Pipeline, Stray, Whereabouts};
use crate::producer::entry::Entry;
use crate::producer::lot::How;
use crate::producer::meters::ErrorCode;
use crate::producer::moment::Moment;
use crate::producer::outcome::GivenUp;
use crate::producer::settings::Misplaced;

/// An entry that is to be sent again.
struct Failure {
    entry: u64,
    error: Arc<str>,
    effect: CallEffect,
}

impl Pipeline {
    /// What a call came to. One that is not on its way any more, since everything was abandoned, no longer matters.
    pub(in crate::producer) fn answer(&mut self, call: u64, answer: Result<Vec<EntryVerdict>, PutError>, now: Moment) {
        let now = self.at(now);
        let Some(OnItsWay { entries: numbers, began }) = self.calls.remove(&call) else { return };
        self.meters.call_took(now.since(began));
        self.progress.calls += 1;
        self.progress.calls_in_flight -= 1;
        let failures = match answer {
            Ok(verdicts) => self.take_in(numbers, verdicts, now),
            Err(error) => self.take_failure(numbers, &error, now),
        };
        self.send_again(failures, now);
        if self.calls.is_empty()
            && let Some(shards) = self.next_shards.take()
        {
            self.relane(shards, now);
        }
    }

    fn take_in(&mut self, numbers: Vec<u64>, verdicts: Vec<EntryVerdict>, now: Moment) -> Vec<Failure> {
        if self.retrier.is_away() {
            tracing::info!("the destination answers again");
        }
        self.retrier.call_answered();
        let mut verdicts = verdicts.into_iter();
        let mut failures = Vec::new();
        let mut fail = |entry, error, effect| failures.push(Failure { entry, error, effect });
        let throttled: Arc<str> = "throttled".into();
        for number in numbers {
            match verdicts.next() {
                Some(EntryVerdict::Stored { shard, sequence }) => self.stored(number, shard, sequence, now),
                Some(EntryVerdict::Throttled) => {
                    self.throttle(number, now);
                    self.meters.error(ErrorCode::Throttled);
                    fail(number, throttled.clone(), CallEffect::NothingStored);
                }
                Some(EntryVerdict::Failed(why)) => {
                    self.meters.error(ErrorCode::Failed);
                    fail(number, why.into(), CallEffect::NothingStored);
                }
                Some(EntryVerdict::Invalid(why)) => {
                    self.meters.error(ErrorCode::Invalid);
                    self.give_up(number, GivenUp::Refused, why.into(), CallEffect::NothingStored, now);
                }
                None => {
                    self.meters.error(ErrorCode::Unanswered);
                    fail(number, "the answer leaves it out".into(), CallEffect::Unknown);
                }
            }
        }
        failures
    }

    fn take_failure(&mut self, numbers: Vec<u64>, error: &PutError, now: Moment) -> Vec<Failure> {
        let message: Arc<str> = error.message.as_str().into();
        let code = match error.effect {
            CallEffect::NothingStored => ErrorCode::CallFailed,
            CallEffect::Unknown => ErrorCode::Unanswered,
        };
        numbers.iter().for_each(|_| self.meters.error(code));
        if let Some(asked) = error.retry_after {
            self.retrier.hold_for(asked, now);
        }
        match error.advice {
            Advice::Stop => {
                let denied = GivenUp::Denied;
                numbers.into_iter().for_each(|number| self.give_up(number, denied, message.clone(), error.effect, now));
                return Vec::new();
            }
            Advice::BackOff => numbers.iter().for_each(|number| self.throttle(*number, now)),
            Advice::Retry => {
                let was_away = self.retrier.is_away();
                self.retrier.call_failed(now);
                if self.retrier.is_away() && !was_away {
                    tracing::warn!(
                        error = &*message,
                        "the destination does not answer; one call at a time finds out when it is back"
                    );
                }
            }
        }
        numbers.into_iter().map(|entry| Failure { entry, error: message.clone(), effect: error.effect }).collect()
    }

    fn give_up(&mut self, number: u64, why: GivenUp, error: Arc<str>, effect: CallEffect, now: Moment) {
        let may_be_stored = effect == CallEffect::Unknown;
        self.settle(number, &How::GivenUp { why, last_error: Some(error), may_be_stored }, now);
    }

    /// A shard, or a destination that has none, would not take an entry: it gets fewer from now on.
    fn throttle(&mut self, number: u64, now: Moment) {
        self.progress.throttled += 1;
        let entry = &self.entries[&number].entry;
        let known = entry.epoch == self.map.epoch();
        match self.collector.limiter(entry.lane).filter(|_| known) {
            Some(limiter) => limiter.throttled(now),
            None => self.retrier.hold(entry.history.attempts, now),
        }
    }

    fn stored(&mut self, number: u64, shard: ShardId, sequence: SequenceNumber, now: Moment) {
        let entry = &self.entries[&number].entry;
        let expected = entry.predicted.as_ref().is_none_or(|predicted| *predicted == shard);
        let belongs = expected || self.misplaced == Misplaced::Keep || entry.has_one_hash_key();
        if !expected {
            tracing::debug!(expected = ?entry.predicted, %shard, "stored in another shard than expected");
            if entry.epoch == self.map.epoch() {
                self.refresh.astray(now);
            }
        }
        if belongs {
            self.settle(number, &How::Delivered { shard, sequence }, now);
            return;
        }
        self.meters.error(ErrorCode::WrongShard);
        // Which of its user records belong to that shard, a shard map has to say that is newer than the one that it was built by.
        let newer = entry.epoch != self.map.epoch();
        let stray = Stray { entry: number, shard, sequence };
        if newer && self.range_of(&stray.shard).is_some() {
            let loose = self.place(stray, now);
            let packed = self.aggregator.pack(loose, &mut self.map);
            packed.into_iter().for_each(|entry| self.enqueue(entry));
            return;
        }
        self.refresh.astray(now);
        let tracked = self.entries.get_mut(&number).expect("it was there above");
        tracked.whereabouts = Whereabouts::Astray;
        tracked.entry.history.may_be_stored = true;
        tracked.entry.history.last_error = Some(stray.in_words().into());
        self.deadlines.insert((tracked.entry.deadline, number));
        self.strays.push(stray);
    }

    /// Has entries wait before they are sent again. Those of one call wait together, so that they travel together again.
    fn send_again(&mut self, failures: Vec<Failure>, now: Moment) {
        let attempts = |failure: &Failure| self.entries[&failure.entry].entry.history.attempts;
        let Some(attempts) = failures.iter().map(attempts).max() else { return };
        let until = now + self.retrier.pause(attempts);
        for Failure { entry: number, error, effect } in failures {
            self.progress.retries += 1;
            let tracked = self.entries.get_mut(&number).expect("what failed is tracked");
            let history = &mut tracked.entry.history;
            history.last_error = Some(error);
            history.may_be_stored |= effect == CallEffect::Unknown;
            if tracked.entry.epoch == self.map.epoch() {
                tracked.whereabouts = Whereabouts::Retrying { until };
                self.deadlines.insert((tracked.entry.deadline, number));
                self.retrier.wait(number, until);
            } else {
                let entry = self.untrack(number).entry;
                for entry in self.relaned(vec![entry], Vec::new()) {
                    self.hold(entry, until);
                }
            }
        }
    }

    /// Keeps track of a new entry that is sent only after a pause.
    fn hold(&mut self, entry: Entry, until: Moment) {
        let lane = entry.lane;
        let number = self.track(entry, Whereabouts::Retrying { until });
        self.collector.expect(lane);
        self.retrier.wait(number, until);
    }
}
