//! Going over to another shard map: after a split or a merge what waits is put together anew.

use std::collections::HashMap;
use std::sync::Arc;

use alluvium_core::ports::PortError;
use alluvium_core::{HashKeyRange, ShardId};

use super::{Pipeline, Stray};
use crate::producer::entry::{Entry, Loose};
use crate::producer::limiter::ShardLimiter;
use crate::producer::lot::How;
use crate::producer::moment::Moment;
use crate::producer::settings::Ordering;
use crate::producer::shard_map::{Shards, TooOld};

impl Pipeline {
    /// What the question for the shard map came to.
    pub(in crate::producer) fn shard_map(&mut self, answer: Result<Option<Vec<HashKeyRange>>, PortError>, now: Moment) {
        let now = self.at(now);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "the shard map cannot be read; going on with what is known");
                return self.refresh.failed(now);
            }
        };
        // Without shards order is kept in as many lanes as calls can be on their way.
        let lanes = match self.ordering {
            Ordering::Throughput => 1,
            Ordering::PerKey => self.max_calls as u32,
        };
        let shards = Shards::of(answer, lanes);
        let too_old = match shards {
            Shards::Unknown => return self.refresh.failed(now),
            Shards::None { .. } => self.refresh.answered_for_good(now),
            Shards::Known(_) => self.refresh.answered(now),
        };
        if shards == *self.map.shards() && (self.strays.is_empty() || too_old == TooOld::Maybe) {
            return;
        }
        match self.ordering {
            Ordering::PerKey if !self.calls.is_empty() => self.next_shards = Some(shards),
            Ordering::PerKey | Ordering::Throughput => self.relane(shards, now),
        }
    }

    /// Goes over to other shards: judges what went astray, and gives everything that waits its new lane.
    pub(super) fn relane(&mut self, shards: Shards, now: Moment) {
        let mut waiting = Vec::new();
        self.aggregator.close_due(Moment::NEVER, &self.map, &mut waiting);
        let limiters = self.limiters(&shards, now);
        let queued = self.collector.restart(limiters).into_iter().map(|waiting| waiting.entry);
        let numbers: Vec<_> = queued.chain(self.retrier.take()).collect();
        waiting.extend(numbers.into_iter().map(|number| self.untrack(number).entry));
        tracing::debug!(?shards, entries = waiting.len(), "going over to another shard map");
        self.map.change(shards);
        let mut loose = Vec::new();
        for stray in std::mem::take(&mut self.strays) {
            loose.extend(self.place(stray, now));
        }
        let entries = self.relaned(waiting, loose);
        entries.into_iter().for_each(|entry| self.enqueue(entry));
    }

    fn limiters(&mut self, shards: &Shards, now: Moment) -> Vec<ShardLimiter> {
        let (Shards::Known(ranges), Some(rates)) = (shards, self.limits.shard_rates) else { return Vec::new() };
        let mut before: HashMap<ShardId, ShardLimiter> = HashMap::new();
        if let Shards::Known(ranges) = self.map.shards() {
            for (lane, range) in ranges.iter().enumerate() {
                if let Some(limiter) = self.collector.limiter(lane as u32) {
                    before.insert(range.shard.clone(), limiter.clone());
                }
            }
        }
        let new = || ShardLimiter::new(rates, self.rate, now);
        ranges.iter().map(|range| before.remove(&range.shard).unwrap_or_else(new)).collect()
    }

    /// Gives entries of an older shard map their lanes in this one, in order of their oldest user records. One whose user records no
    /// longer share a lane is put together anew, with what is loose already.
    pub(super) fn relaned(&mut self, entries: Vec<Entry>, mut loose: Vec<Loose>) -> Vec<Entry> {
        let (mut whole, apart): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| self.stays_whole(entry));
        loose.extend(apart.into_iter().flat_map(Entry::take_apart));
        // What is put together anew may hold records from before and after those of an entry that stays whole.
        if self.ordering == Ordering::PerKey && !loose.is_empty() {
            loose.extend(whole.drain(..).flat_map(Entry::take_apart));
        }
        for entry in &mut whole {
            let lane = self.map.lane(entry.items[0].hash_key);
            let target = self.map.target(lane);
            (entry.lane, entry.epoch) = (target.lane, target.epoch);
            entry.predicted = target.predicted();
        }
        whole.extend(self.aggregator.pack(loose, &mut self.map));
        whole.sort_by_key(Entry::first_ordinal);
        whole
    }

    /// Whether an entry can travel on as it is. What may be stored keeps its id, by which a destination can tell it; small ones of single
    /// keys, from before there was a shard map, are better put together.
    fn stays_whole(&mut self, entry: &Entry) -> bool {
        let lane = self.map.lane(entry.items[0].hash_key);
        (entry.history.may_be_stored || entry.predicted.is_some())
            && entry.items.iter().all(|item| self.map.lane(item.hash_key) == lane)
    }

    pub(super) fn range_of(&self, shard: &ShardId) -> Option<&HashKeyRange> {
        match self.map.shards() {
            Shards::Known(ranges) => ranges.iter().find(|range| range.shard == *shard),
            Shards::Unknown | Shards::None { .. } => None,
        }
    }

    /// Settles those user records of a stray that belong to the shard that it is in; the others, which are to be sent again.
    pub(super) fn place(&mut self, stray: Stray, now: Moment) -> Vec<Loose> {
        let entry = self.untrack(stray.entry).entry;
        let range = self.range_of(&stray.shard).cloned();
        // Of a shard that no map has, only the hash key is known to belong to it that the entry travelled with.
        let travelled = entry.record.explicit_hash_key;
        let belongs = |hash_key| match &range {
            Some(range) => (range.first..=range.last).contains(&hash_key),
            None => travelled == Some(hash_key),
        };
        let why: Arc<str> = stray.in_words().into();
        let how = How::Delivered { shard: stray.shard, sequence: stray.sequence };
        self.count_stored(&entry);
        let (settled, mut loose) = entry.settle_some(belongs, &how, now);
        self.count(&settled, &how);
        for record in &mut loose {
            record.carried.history.may_be_stored = true;
            record.carried.history.last_error = Some(why.clone());
        }
        loose
    }
}
