//! The collector: what waits to be sent, lane by lane, and the calls that are filled from it.
//!
//! Calls are filled in rounds, one entry of each lane at a time, so that a lane with much to send takes no more of a call than the
//! others leave. A lane whose shard has taken what it takes in a second sleeps until there are tokens again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::limiter::{Admission, ShardLimiter};
use super::moment::Moment;
use super::settings::Ordering;

/// What the collector knows of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) entry: u64,
    pub(super) bytes: usize,
    pub(super) due: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum LaneState {
    /// Nothing waits.
    #[default]
    Idle,
    /// Its first entry may go.
    Ready { turn: u64, due: Moment },
    /// There are no tokens until then.
    Asleep { until: Moment },
    /// Its order is kept, and an entry of it is not settled.
    Busy,
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Waiting>,
    bytes: usize,
    state: LaneState,
    /// Entries that wait, are on their way, or will be sent again.
    unsettled: usize,
    limiter: Option<ShardLimiter>,
}

/// Entries by lane, and which lanes may go.
#[derive(Debug)]
pub(super) struct Collector {
    ordering: Ordering,
    max_entries: usize,
    max_bytes: usize,
    lanes: Vec<Lane>,
    /// By turn: the round of calls goes through them in this order.
    ready: BTreeMap<u64, u32>,
    next_turn: u64,
    ready_due: BTreeSet<(Moment, u32)>,
    ready_entries: usize,
    ready_bytes: usize,
    asleep: BTreeSet<(Moment, u32)>,
}

impl Collector {
    pub(super) fn new(ordering: Ordering, max_entries: usize, max_bytes: usize) -> Self {
        Self {
            ordering,
            max_entries,
            max_bytes,
            lanes: Vec::new(),
            ready: BTreeMap::new(),
            next_turn: 0,
            ready_due: BTreeSet::new(),
            ready_entries: 0,
            ready_bytes: 0,
            asleep: BTreeSet::new(),
        }
    }

    /// Begins anew with these lanes' limiters; what waited, in no order.
    pub(super) fn restart(&mut self, limiters: Vec<ShardLimiter>) -> Vec<Waiting> {
        let lane = |limiter| Lane { limiter: Some(limiter), ..Lane::default() };
        let lanes = limiters.into_iter().map(lane).collect();
        let before = std::mem::replace(self, Self::new(self.ordering, self.max_entries, self.max_bytes));
        self.lanes = lanes;
        before.lanes.into_iter().flat_map(|lane| lane.queue).collect()
    }

    pub(super) fn limiter(&mut self, lane: u32) -> Option<&mut ShardLimiter> {
        self.lanes.get_mut(lane as usize)?.limiter.as_mut()
    }

    fn lane(&mut self, lane: u32) -> &mut Lane {
        if self.lanes.len() <= lane as usize {
            self.lanes.resize_with(lane as usize + 1, Lane::default);
        }
        &mut self.lanes[lane as usize]
    }

    /// Moves a lane out of the sets that its state stands for, to be moved on by [`rouse`](Self::rouse) or set to a state without.
    fn hush(&mut self, number: u32) {
        let lane = &mut self.lanes[number as usize];
        match std::mem::take(&mut lane.state) {
            LaneState::Ready { turn, due } => {
                self.ready.remove(&turn);
                self.ready_due.remove(&(due, number));
                self.ready_entries -= lane.queue.len();
                self.ready_bytes -= lane.bytes;
            }
            LaneState::Asleep { until } => {
                self.asleep.remove(&(until, number));
            }
            LaneState::Idle | LaneState::Busy => {}
        }
    }

    /// Makes an idle lane ready if anything waits in it.
    fn rouse(&mut self, number: u32) {
        let lane = &mut self.lanes[number as usize];
        if let Some(first) = lane.queue.front() {
            let (turn, due) = (self.next_turn, first.due);
            self.next_turn += 1;
            lane.state = LaneState::Ready { turn, due };
            self.ready.insert(turn, number);
            self.ready_due.insert((due, number));
            self.ready_entries += lane.queue.len();
            self.ready_bytes += lane.bytes;
        }
    }

    /// A new entry waits behind the others of its lane.
    pub(super) fn push(&mut self, number: u32, waiting: Waiting) {
        let lane = self.lane(number);
        lane.unsettled += 1;
        lane.queue.push_back(waiting);
        lane.bytes += waiting.bytes;
        match lane.state {
            LaneState::Idle => self.rouse(number),
            LaneState::Ready { .. } => {
                self.ready_entries += 1;
                self.ready_bytes += waiting.bytes;
            }
            LaneState::Asleep { .. } | LaneState::Busy => {}
        }
    }

    /// A new entry will be put back into its lane later. Where order is kept there are none.
    pub(super) fn expect(&mut self, number: u32) {
        self.lane(number).unsettled += 1;
    }

    /// An entry that was sent before, or is expected, waits in front of the others of its lane.
    pub(super) fn put_back(&mut self, number: u32, waiting: Waiting) {
        self.hush(number);
        let lane = &mut self.lanes[number as usize];
        lane.queue.push_front(waiting);
        lane.bytes += waiting.bytes;
        self.rouse(number);
    }

    /// Takes an entry out that waits.
    pub(super) fn remove(&mut self, number: u32, entry: u64) {
        let busy = self.lanes[number as usize].state == LaneState::Busy;
        self.hush(number);
        let lane = &mut self.lanes[number as usize];
        let at = lane.queue.iter().position(|waiting| waiting.entry == entry).expect("it waits in its lane");
        let removed = lane.queue.remove(at).expect("it is there");
        lane.bytes -= removed.bytes;
        lane.unsettled -= 1;
        if busy {
            lane.state = LaneState::Busy;
        } else {
            self.rouse(number);
        }
    }

    /// An entry that does not wait in its lane is settled. Where order is kept the next one of its lane may go.
    pub(super) fn settled(&mut self, number: u32) {
        let lane = &mut self.lanes[number as usize];
        lane.unsettled -= 1;
        if lane.state == LaneState::Busy {
            lane.state = LaneState::Idle;
            self.rouse(number);
        }
    }

    /// Whether nothing of a lane waits or is on its way.
    pub(super) fn is_empty(&self, number: u32) -> bool {
        self.lanes[number as usize].unsettled == 0
    }

    /// When there is reason to make a call: at once when what may go fills one; else when something has waited long enough for others.
    pub(super) fn next_due(&self) -> Moment {
        if self.ready_entries >= self.max_entries || self.ready_bytes >= self.max_bytes {
            return Moment::default();
        }
        self.ready_due.first().map_or(Moment::NEVER, |(due, _)| *due)
    }

    /// Whether anything may go.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When a lane that sleeps may go on.
    pub(super) fn next_awake(&self) -> Moment {
        self.asleep.first().map_or(Moment::NEVER, |(until, _)| *until)
    }

    /// Wakes lanes up for which there are tokens again.
    pub(super) fn wake(&mut self, now: Moment) {
        while let Some((until, lane)) = self.asleep.first().copied()
            && until <= now
        {
            self.hush(lane);
            self.rouse(lane);
        }
    }

    /// The entries of a call: as many as may go and it takes.
    pub(super) fn collect(&mut self, now: Moment) -> Vec<u64> {
        let (mut call, mut bytes) = (Vec::new(), 0);
        while call.len() < self.max_entries
            && let Some((_, number)) = self.ready.first_key_value()
        {
            let number = *number;
            let lane = &mut self.lanes[number as usize];
            let first = *lane.queue.front().expect("a lane is ready when something waits in it");
            if !call.is_empty() && bytes + first.bytes > self.max_bytes {
                break;
            }
            let admission = lane.limiter.as_mut().map_or(Admission::Now, |limiter| limiter.admit(first.bytes, now));
            self.hush(number);
            let lane = &mut self.lanes[number as usize];
            if let Admission::At(until) = admission {
                lane.state = LaneState::Asleep { until };
                self.asleep.insert((until, number));
                continue;
            }
            lane.queue.pop_front();
            lane.bytes -= first.bytes;
            bytes += first.bytes;
            call.push(first.entry);
            match self.ordering {
                Ordering::PerKey => lane.state = LaneState::Busy,
                Ordering::Throughput => self.rouse(number),
            }
        }
        call
    }
}

#[cfg(test)]
mod tests;
