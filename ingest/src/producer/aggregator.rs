//! The aggregator: open aggregates, one per lane, and when each has waited long enough.

use std::collections::BTreeSet;

use alluvium_core::EntryId;
use rustc_hash::FxHashMap;

use super::aggregate::{Aggregate, Incoming, Route, Shape};
use super::entry::{Entry, Loose};
use super::lot::Delivery;
use super::moment::Moment;
use super::shard_map::ShardMap;

/// Puts user records together, lane by lane.
#[derive(Debug)]
pub(super) struct Aggregator {
    shape: Shape,
    /// By lane. Empty ones keep their memory for the next.
    open: Vec<Aggregate>,
    /// Those that are not empty.
    due: BTreeSet<(Moment, u32)>,
    ids: EntryIds,
}

/// Ids that no other producer gives.
#[derive(Debug)]
struct EntryIds {
    next: u128,
}

impl EntryIds {
    fn next(&mut self) -> EntryId {
        self.next = self.next.wrapping_add(1);
        EntryId(self.next)
    }
}

impl Aggregator {
    /// `first_id` is where the ids of entries begin: a number that no other producer is near.
    pub(super) fn new(shape: Shape, first_id: u128) -> Self {
        Self { shape, open: Vec::new(), due: BTreeSet::new(), ids: EntryIds { next: first_id } }
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Takes a user record in. What is full goes to `closed`.
    pub(super) fn push(&mut self, incoming: Incoming<'_>, map: &mut ShardMap, closed: &mut Vec<Entry>) -> Delivery {
        let lane = map.lane(incoming.hash_key);
        if self.open.len() <= lane as usize {
            self.open.resize_with(lane as usize + 1, Aggregate::default);
        }
        if !self.open[lane as usize].fits(&incoming, &self.shape) {
            closed.push(self.close(lane, map));
        }
        let aggregate = &mut self.open[lane as usize];
        let arrival = incoming.arrival;
        let place = aggregate.push(incoming, &self.shape);
        let delivery = Delivery::new(aggregate.lot(), place, arrival);
        if place == 0 {
            self.due.insert((aggregate.due(&self.shape), lane));
        }
        if aggregate.is_full(&self.shape) {
            closed.push(self.close(lane, map));
        }
        delivery
    }

    fn close(&mut self, lane: u32, map: &ShardMap) -> Entry {
        let target = map.target(lane);
        let aggregate = &mut self.open[lane as usize];
        self.due.remove(&(aggregate.due(&self.shape), lane));
        let entry = aggregate.close(self.ids.next(), &target, &self.shape);
        if matches!(target.route, Route::PartitionKey) {
            // There may be any number of such lanes, so they keep nothing.
            *aggregate = Aggregate::default();
        }
        entry
    }

    /// Takes everything out, as an aggregator of its own.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self::new(self.shape.clone(), self.ids.next);
        std::mem::replace(self, empty)
    }

    /// How many aggregates are open.
    pub(super) fn open(&self) -> usize {
        self.due.len()
    }

    /// Whether user records of a lane wait in here.
    pub(super) fn is_open(&self, lane: u32) -> bool {
        self.open.get(lane as usize).is_some_and(|aggregate| !aggregate.is_empty())
    }

    /// When the next aggregate has waited long enough.
    pub(super) fn next_due(&self) -> Moment {
        self.due.first().map_or(Moment::NEVER, |(due, _)| *due)
    }

    /// Closes every aggregate that is due by `until`.
    pub(super) fn close_due(&mut self, until: Moment, map: &ShardMap, closed: &mut Vec<Entry>) {
        while let Some((due, lane)) = self.due.first().copied()
            && due <= until
        {
            closed.push(self.close(lane, map));
        }
    }

    /// Puts user records together anew that were in entries before, in order of their ordinals in each lane.
    pub(super) fn pack(&mut self, mut loose: Vec<Loose>, map: &mut ShardMap) -> Vec<Entry> {
        loose.sort_by_key(|record| record.ordinal);
        let mut open: FxHashMap<u32, Aggregate> = FxHashMap::default();
        let mut packed = Vec::new();
        for record in &loose {
            let incoming = record.incoming();
            let lane = map.lane(incoming.hash_key);
            let aggregate = open.entry(lane).or_default();
            if !aggregate.fits(&incoming, &self.shape) {
                packed.push(aggregate.close(self.ids.next(), &map.target(lane), &self.shape));
            }
            aggregate.push(incoming, &self.shape);
        }
        let rest = open.into_iter().filter(|(_, aggregate)| !aggregate.is_empty());
        for (lane, mut aggregate) in rest {
            packed.push(aggregate.close(self.ids.next(), &map.target(lane), &self.shape));
        }
        packed.sort_by_key(Entry::first_ordinal);
        packed
    }
}

#[cfg(test)]
mod tests;
