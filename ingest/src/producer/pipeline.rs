//! The pipeline: aggregator, limiter, collector, retrier and shard map put together as a state machine that does no I/O.
//!
//! Whoever drives it says what time it is and does what it asks for: makes calls, asks for the shard map, and comes back when it said.
//! So a test drives it through hours of a simulated service in milliseconds, and a failing seed replays exactly.
//!
//! What it keeps:
//!
//! - Every user record taken in is settled exactly once, as delivered or given up, within its time to live, a linger and one call's timeout.
//! - *Delivered* is said only of what a verdict said is stored (IN-1); of what is given up it says whether it may be stored.
//! - An aggregate holds user records of one lane only. Where order is kept, at most one entry of a lane is on its way, and a new shard
//!   map is gone over to at a moment when none is.

mod answer;
mod relane;
mod settle;

use std::collections::BTreeSet;
use std::time::Duration;

use alluvium_core::{DestinationLimits, PutEntry, SequenceNumber, ShardId};
use rustc_hash::FxHashMap;

use super::aggregate::{Incoming, Shape};
use super::aggregator::Aggregator;
use super::collector::{Collector, Waiting};
use super::entry::Entry;
use super::lot::Delivery;
use super::meters::Meters;
use super::moment::Moment;
use super::progress::ProducerProgress;
use super::record::UserRecord;
use super::retrier::Retrier;
use super::settings::{Aggregation, Misplaced, Ordering, ProducerSettings};
use super::shard_map::{Refresh, ShardMap, Shards};

/// A call to make.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) entries: Vec<PutEntry>,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Step {
    /// Make this call, and [`answer`](Pipeline::answer) what it came to.
    Call(Call),
    /// Ask for the shard map, and say what came of it.
    RefreshShardMap,
    /// Nothing until this moment, an answer, or a new record.
    Wait(Moment),
}

/// Whether the driver has to be woken, since there is something to do before it would come back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    Driver,
    Nobody,
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    /// In its lane.
    Queued,
    /// With the retrier.
    Retrying { until: Moment },
    /// In a call.
    OnItsWay,
    /// Stored, and waiting for a shard map that says which of its user records belong there.
    Astray,
}

/// A call that is not answered yet.
#[derive(Debug)]
struct OnItsWay {
    entries: Vec<u64>,
    began: Moment,
}

#[derive(Debug)]
struct Tracked {
    entry: Entry,
    whereabouts: Whereabouts,
}

/// An aggregate that is stored in another shard than the one that it was built for.
#[derive(Debug)]
struct Stray {
    entry: u64,
    shard: ShardId,
    sequence: SequenceNumber,
}

impl Stray {
    fn in_words(&self) -> String {
        format!("stored in {}, to which its hash key may not belong", self.shard)
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Pipeline {
    ordering: Ordering,
    misplaced: Misplaced,
    linger: Duration,
    max_calls: usize,
    rate: f64,
    limits: DestinationLimits,
    now: Moment,
    map: ShardMap,
    refresh: Refresh,
    aggregator: Aggregator,
    collector: Collector,
    retrier: Retrier,
    entries: FxHashMap<u64, Tracked>,
    next_entry: u64,
    next_ordinal: u64,
    calls: FxHashMap<u64, OnItsWay>,
    next_call: u64,
    /// The ends of the time to live of entries that are not on their way.
    deadlines: BTreeSet<(Moment, u64)>,
    /// All entries by their oldest user record.
    oldest: BTreeSet<(u64, u64)>,
    /// What was taken in before this is sent without waiting for others.
    flushed_before: u64,
    strays: Vec<Stray>,
    /// Shards to go over to once nothing is on its way.
    next_shards: Option<Shards>,
    /// Nothing more is taken in.
    closed: bool,
    /// Until when the driver was told to wait; none when it was not.
    told: Option<Moment>,
    /// What settled user records no longer take of the budget, and nobody was told yet.
    freed: usize,
    progress: ProducerProgress,
    meters: Meters,
}

impl Pipeline {
    /// `first_id` is where the ids of entries begin, a number that no other producer is near; jitter follows from it too.
    pub(super) fn new(settings: &ProducerSettings, limits: DestinationLimits, first_id: u128) -> Self {
        // Lines may be compressed, and a reader of them is Alluvium's: it leaves nothing out.
        let only_ours = matches!(settings.aggregation, Aggregation::Ndjson | Aggregation::NdjsonZstd);
        let misplaced = match settings.ordering {
            Ordering::PerKey => Misplaced::SendAgain,
            Ordering::Throughput if only_ours => Misplaced::Keep,
            Ordering::Throughput => settings.misplaced,
        };
        let max_entries = settings.collection_max_entries.min(limits.entries_per_call);
        let max_bytes = settings.collection_max_bytes.min(limits.bytes_per_call);
        let shape = Shape::new(settings, limits);
        Self {
            ordering: settings.ordering,
            misplaced,
            linger: settings.linger,
            max_calls: settings.max_calls,
            rate: f64::from(settings.rate_limit_percent) / 100.0,
            limits,
            now: Moment::default(),
            map: ShardMap::unknown(),
            refresh: Refresh::new(settings.shard_map_age),
            aggregator: Aggregator::new(shape, first_id),
            collector: Collector::new(settings.ordering, max_entries, max_bytes),
            retrier: Retrier::new(settings, first_id as u64),
            entries: FxHashMap::default(),
            next_entry: 0,
            next_ordinal: 0,
            calls: FxHashMap::default(),
            next_call: 0,
            deadlines: BTreeSet::new(),
            oldest: BTreeSet::new(),
            flushed_before: 0,
            strays: Vec::new(),
            next_shards: None,
            closed: false,
            told: None,
            freed: 0,
            progress: ProducerProgress::default(),
            meters: Meters::new(&settings.name),
        }
    }

    /// Why a user record can never be sent; what it takes of the budget if it can, at so many bytes for keeping track of it.
    pub(super) fn check(
        shape: &Shape,
        limits: &DestinationLimits,
        record: &UserRecord<'_>,
        tracking_bytes: u32,
    ) -> Result<usize, String> {
        record.check_key()?;
        let most = limits.bytes_per_entry.min(limits.bytes_per_call);
        match shape.alone_bytes(record) {
            bytes if bytes > most => {
                Err(format!("a record has at most {most} bytes with what counts, this one has {bytes}"))
            }
            _ => Ok(record.partition_key.len() + record.data.len() + tracking_bytes as usize),
        }
    }

    /// What keeping track of a user record is to be counted at, by what is known of the shards.
    pub(super) fn tracking_bytes(&self) -> u32 {
        self.aggregator.shape().tracking_bytes(self.map.shards())
    }

    /// Time does not go back, whatever the driver's clock does.
    fn at(&mut self, now: Moment) -> Moment {
        self.now = self.now.max(now);
        self.now
    }

    /// Takes in a record that was checked; nothing once it is closed.
    pub(super) fn add(
        &mut self,
        record: UserRecord<'_>,
        hash_key: u128,
        tracking_bytes: u32,
        now: Moment,
    ) -> Option<(Delivery, Wake)> {
        if self.closed {
            return None;
        }
        let arrival = self.at(now);
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        self.progress.received_records += 1;
        self.progress.received_bytes += record.data.len() as u64;
        self.progress.pending_records += 1;
        self.meters.received.increment(1);
        let due_before = self.aggregator.next_due();
        let mut closed = Vec::new();
        let incoming = Incoming { record, hash_key, tracking_bytes, ordinal, arrival, carried: None };
        let delivery = self.aggregator.push(incoming, &mut self.map, &mut closed);
        let unchanged = closed.is_empty() && self.aggregator.next_due() == due_before;
        closed.into_iter().for_each(|entry| self.enqueue(entry));
        Some((delivery, if unchanged { Wake::Nobody } else { self.wake() }))
    }

    /// Whether there is something to do before the moment that the driver was told.
    fn wake(&mut self) -> Wake {
        if self.told.is_some_and(|told| self.next_wake() < told) {
            // Once is enough.
            self.told = None;
            return Wake::Driver;
        }
        Wake::Nobody
    }

    /// Keeps track of an entry from here on.
    fn track(&mut self, entry: Entry, whereabouts: Whereabouts) -> u64 {
        let number = self.next_entry;
        self.next_entry += 1;
        self.deadlines.insert((entry.deadline, number));
        self.oldest.insert((entry.first_ordinal(), number));
        self.entries.insert(number, Tracked { entry, whereabouts });
        number
    }

    fn untrack(&mut self, number: u64) -> Tracked {
        let tracked = self.entries.remove(&number).expect("an entry is tracked until it is settled");
        self.deadlines.remove(&(tracked.entry.deadline, number));
        self.oldest.remove(&(tracked.entry.first_ordinal(), number));
        tracked
    }

    fn enqueue(&mut self, entry: Entry) {
        let (lane, bytes, due) = (entry.lane, entry.counted_bytes, entry.due);
        let number = self.track(entry, Whereabouts::Queued);
        self.collector.push(lane, Waiting { entry: number, bytes, due });
    }

    /// What to do next. To be asked until it says to wait.
    pub(super) fn poll(&mut self, now: Moment) -> Step {
        let now = self.at(now);
        self.told = None;
        self.expire(now);
        while let Some(number) = self.retrier.pop_due(now) {
            let tracked = self.entries.get_mut(&number).expect("what waits to be sent again is tracked");
            tracked.whereabouts = Whereabouts::Queued;
            let waiting = Waiting { entry: number, bytes: tracked.entry.counted_bytes, due: now };
            let lane = tracked.entry.lane;
            self.collector.put_back(lane, waiting);
        }
        if self.aggregator.next_due() <= now {
            // Those that have waited for half their time go along, or else each would make a call of its own.
            self.close_aggregates(now + self.linger / 2);
        }
        self.collector.wake(now);
        if self.refresh.due(self.entries.len() + self.aggregator.open()) <= now {
            self.refresh.ask();
            return Step::RefreshShardMap;
        }
        if self.next_call_at() <= now {
            let numbers = self.collector.collect(now);
            if !numbers.is_empty() {
                return Step::Call(self.call(numbers, now));
            }
        }
        self.meters.pending.set(self.progress.pending_records as f64);
        let until = self.next_wake();
        self.told = Some(until);
        Step::Wait(until)
    }

    fn close_aggregates(&mut self, until: Moment) {
        let mut closed = Vec::new();
        self.aggregator.close_due(until, &self.map, &mut closed);
        closed.into_iter().for_each(|entry| self.enqueue(entry));
    }

    /// When the next call can be made out of what is ready.
    fn next_call_at(&self) -> Moment {
        let most = if self.retrier.is_away() { 1 } else { self.max_calls };
        // Before the first answer, whatever it is, neither the limits nor what may travel together are known.
        let may = self.next_shards.is_none() && self.refresh.was_answered();
        if !may || self.calls.len() >= most || !self.collector.is_ready() {
            return Moment::NEVER;
        }
        let flushing = self.oldest.first().is_some_and(|(ordinal, _)| *ordinal < self.flushed_before);
        let due = if flushing { Moment::default() } else { self.collector.next_due() };
        due.max(self.retrier.held_until())
    }

    /// When there is something to do next, if nothing happens until then.
    fn next_wake(&self) -> Moment {
        let expiry = self.deadlines.first().map_or(Moment::NEVER, |(deadline, _)| *deadline);
        self.aggregator
            .next_due()
            .min(self.retrier.next_due())
            .min(self.collector.next_awake())
            .min(self.next_call_at())
            .min(self.refresh.due(self.entries.len() + self.aggregator.open()))
            .min(expiry)
    }

    fn call(&mut self, numbers: Vec<u64>, now: Moment) -> Call {
        let mut entries = Vec::with_capacity(numbers.len());
        for number in &numbers {
            let tracked = self.entries.get_mut(number).expect("what is collected is tracked");
            tracked.whereabouts = Whereabouts::OnItsWay;
            let entry = &mut tracked.entry;
            entry.history.attempts += 1;
            entry.history.first_sent.get_or_insert(now);
            self.deadlines.remove(&(entry.deadline, *number));
            entries.push(PutEntry { id: entry.id, record: entry.record.clone() });
        }
        self.meters.call(numbers.iter().map(|number| {
            let items = &self.entries[number].entry.items;
            (items.len(), now.since(items[0].arrival))
        }));
        let id = self.next_call;
        self.next_call += 1;
        self.calls.insert(id, OnItsWay { entries: numbers, began: now });
        self.progress.calls_in_flight += 1;
        Call { id, entries }
    }

    /// Sends what was taken in so far without waiting for others; what [`is_settled`](Self::is_settled) takes.
    pub(super) fn flush(&mut self) -> (u64, Wake) {
        self.close_aggregates(Moment::NEVER);
        self.flushed_before = self.next_ordinal;
        (self.flushed_before, self.wake())
    }

    /// Whether everything is settled that was taken in before a flush.
    pub(super) fn is_settled(&self, flush: u64) -> bool {
        self.oldest.first().is_none_or(|(ordinal, _)| *ordinal >= flush)
    }

    /// Takes nothing more in, and sends what was taken in without waiting for others.
    pub(super) fn close(&mut self) -> (u64, Wake) {
        self.closed = true;
        // The driver is woken in any case: it may have nothing left to do.
        (self.flush().0, Wake::Driver)
    }

    /// Whether nothing more comes in and nothing is left.
    pub(super) fn is_over(&self) -> bool {
        self.closed && self.progress.pending_records == 0
    }

    /// What settled user records no longer take of the budget, since this was asked last.
    pub(super) fn take_freed(&mut self) -> usize {
        std::mem::take(&mut self.freed)
    }

    /// Whether the destination does not answer at all.
    pub(super) fn is_away(&self) -> bool {
        self.retrier.is_away()
    }

    pub(super) fn progress(&self) -> ProducerProgress {
        self.progress
    }
}

#[cfg(test)]
mod tests;
