//! The shard map: which lane a user record travels in.
//!
//! A lane is what records wait in together. With a shard map it is a shard. A destination without shards has one lane, or several
//! that divide the hash keys evenly, so that order can be kept in each. Without a shard map each hash key has its own lane.

mod refresh;

use alluvium_core::HashKeyRange;
use alluvium_core::record::shard_of_hash_key;
use rustc_hash::FxHashMap;

use super::aggregate::{Route, Target};

pub(super) use refresh::{Refresh, TooOld};

/// What is known of a destination's shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shards {
    /// Nothing, or nothing yet.
    Unknown,
    /// The open ones, by hash key.
    Known(Vec<HashKeyRange>),
    /// There are none; this many lanes divide the hash keys.
    None { lanes: u32 },
}

impl Shards {
    /// What an answer of the destination says.
    pub(super) fn of(answer: Option<Vec<HashKeyRange>>, lanes_without_shards: u32) -> Self {
        match answer {
            None => Self::None { lanes: lanes_without_shards },
            Some(ranges) if ranges.is_empty() => Self::Unknown,
            Some(mut ranges) => {
                ranges.sort_by_key(|range| range.first);
                Self::Known(ranges)
            }
        }
    }
}

/// The lanes of the moment. Each change of the shards begins a new epoch, with new numbers of lanes.
#[derive(Debug)]
pub(super) struct ShardMap {
    shards: Shards,
    epoch: u32,
    /// Lanes by hash key, while nothing is known.
    by_hash_key: FxHashMap<u128, u32>,
    hash_keys: Vec<u128>,
    free: Vec<u32>,
}

impl ShardMap {
    pub(super) fn unknown() -> Self {
        Self {
            shards: Shards::Unknown,
            epoch: 0,
            by_hash_key: FxHashMap::default(),
            hash_keys: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn shards(&self) -> &Shards {
        &self.shards
    }

    /// Goes over to other shards. Lanes of before mean nothing any more.
    pub(super) fn change(&mut self, shards: Shards) {
        *self = Self { shards, epoch: self.epoch + 1, ..Self::unknown() };
    }

    /// The lane of a hash key.
    pub(super) fn lane(&mut self, hash_key: u128) -> u32 {
        match &self.shards {
            Shards::Known(ranges) => {
                // Hash keys that no open shard has belong to a shard that is about to open; the last before it is as good as any.
                let index = ranges.partition_point(|range| range.last < hash_key);
                index.min(ranges.len() - 1) as u32
            }
            Shards::None { lanes } => shard_of_hash_key(hash_key, *lanes),
            Shards::Unknown => *self.by_hash_key.entry(hash_key).or_insert_with(|| match self.free.pop() {
                Some(lane) => {
                    self.hash_keys[lane as usize] = hash_key;
                    lane
                }
                None => {
                    self.hash_keys.push(hash_key);
                    self.hash_keys.len() as u32 - 1
                }
            }),
        }
    }

    /// Says that nothing waits in a lane any more. Lanes of single hash keys are given to others.
    pub(super) fn release(&mut self, lane: u32) {
        if self.shards == Shards::Unknown
            && let Some(hash_key) = self.hash_keys.get(lane as usize)
            && self.by_hash_key.get(hash_key) == Some(&lane)
        {
            self.by_hash_key.remove(hash_key);
            self.free.push(lane);
        }
    }

    /// What aggregates of a lane are built for.
    pub(super) fn target(&self, lane: u32) -> Target {
        let route = match &self.shards {
            Shards::Known(ranges) => Route::HashKey { predicted: Some(ranges[lane as usize].shard.clone()) },
            Shards::None { .. } => Route::HashKey { predicted: None },
            Shards::Unknown => Route::PartitionKey,
        };
        Target { lane, epoch: self.epoch, route }
    }
}

#[cfg(test)]
mod tests;
