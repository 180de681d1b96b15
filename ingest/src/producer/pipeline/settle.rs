//! What becomes of entries in the end: who is told, what is counted, and which lane goes on.

use std::sync::Arc;

use super::{Pipeline, Tracked, Whereabouts};
use crate::producer::entry::{Entry, Settled};
use crate::producer::lot::How;
use crate::producer::moment::Moment;
use crate::producer::outcome::GivenUp;

impl Pipeline {
    /// Gives up what has been tried long enough.
    pub(super) fn expire(&mut self, now: Moment) {
        while let Some((deadline, number)) = self.deadlines.first().copied()
            && deadline <= now
        {
            let how = How::GivenUp { why: GivenUp::Expired, last_error: None, may_be_stored: false };
            self.settle(number, &how, now);
        }
    }

    /// Settles an entry, wherever it is.
    pub(super) fn settle(&mut self, number: u64, how: &How, now: Moment) {
        let Tracked { entry, whereabouts } = self.untrack(number);
        match whereabouts {
            Whereabouts::Queued => self.collector.remove(entry.lane, number),
            Whereabouts::Retrying { until } => {
                self.retrier.forget(number, until);
                self.collector.settled(entry.lane);
            }
            Whereabouts::OnItsWay => self.leave_lane(&entry),
            Whereabouts::Astray => {
                self.strays.retain(|stray| stray.entry != number);
                self.leave_lane(&entry);
            }
        }
        self.release(&entry);
        if let How::Delivered { .. } = how {
            self.count_stored(&entry);
        }
        self.conclude(entry, how, now);
    }

    /// Tells those who wait for an entry's user records what became of them.
    fn conclude(&mut self, entry: Entry, how: &How, now: Moment) {
        self.meters.settled(entry.history.attempts, entry.items.len());
        let settled = entry.settle(how, now);
        self.count(&settled, how);
    }

    pub(super) fn count_stored(&mut self, entry: &Entry) {
        self.progress.entries += 1;
        self.progress.entry_bytes += entry.counted_bytes as u64;
        self.meters.entries_put.increment(1);
        self.meters.entry_data_put.increment(entry.counted_bytes as u64);
    }

    /// Lets the next of an entry's lane go, unless a new shard map has other lanes.
    fn leave_lane(&mut self, entry: &Entry) {
        if entry.epoch == self.map.epoch() {
            self.collector.settled(entry.lane);
        }
    }

    /// Gives the lane of an entry back if it was its last.
    fn release(&mut self, entry: &Entry) {
        let lane = entry.lane;
        if entry.epoch == self.map.epoch() && self.collector.is_empty(lane) && !self.aggregator.is_open(lane) {
            self.map.release(lane);
        }
    }

    pub(super) fn count(&mut self, settled: &Settled, how: &How) {
        let progress = &mut self.progress;
        progress.pending_records -= settled.records as u64;
        self.freed += settled.charge;
        match how {
            How::Delivered { .. } => {
                progress.delivered_records += settled.records as u64;
                progress.delivered_bytes += settled.data_bytes as u64;
                self.meters.put.increment(settled.records as u64);
                self.meters.data_put.increment(settled.data_bytes as u64);
            }
            How::GivenUp { why, .. } => {
                progress.undelivered_records += settled.records as u64;
                self.meters.given_up(*why, settled.records);
            }
        }
        self.meters.pending.set(progress.pending_records as f64);
    }

    /// Gives up everything at once, and takes nothing more in; how many user records that are. It asks of what a panic may have left as
    /// it was not meant to be no more than the entries themselves.
    pub(in crate::producer) fn abandon(&mut self, now: Moment) -> u64 {
        let now = self.at(now);
        let pending = self.progress.pending_records;
        // First of all, so that whatever else happens nobody waits for what is no longer there.
        self.closed = true;
        self.calls.clear();
        self.progress.calls_in_flight = 0;
        self.deadlines.clear();
        self.oldest.clear();
        self.strays.clear();
        self.collector.restart(Vec::new());
        drop(self.retrier.take());
        let mut open = self.aggregator.take();
        let mut tracked: Vec<_> = std::mem::take(&mut self.entries).into_iter().collect();
        tracked.sort_unstable_by_key(|(number, _)| *number);
        for (_, Tracked { entry, whereabouts }) in tracked {
            let may_be_stored = whereabouts == Whereabouts::OnItsWay;
            let last_error = may_be_stored.then(|| Arc::from("no answer was waited for"));
            self.conclude(entry, &How::GivenUp { why: GivenUp::Abandoned, last_error, may_be_stored }, now);
        }
        let mut closed = Vec::new();
        open.close_due(Moment::NEVER, &self.map, &mut closed);
        let how = How::GivenUp { why: GivenUp::Abandoned, last_error: None, may_be_stored: false };
        closed.into_iter().for_each(|entry| self.conclude(entry, &how, now));
        let lost = std::mem::take(&mut self.progress.pending_records);
        self.progress.undelivered_records += lost;
        self.meters.given_up(GivenUp::Abandoned, lost as usize);
        pending
    }
}
