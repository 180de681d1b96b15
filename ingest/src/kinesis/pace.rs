//! What a shard takes and gives, when it is held to the service's limits: token buckets on a clock that is passed in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use alluvium_core::ShardId;
use alluvium_core::clock::Micros;

use super::limits::{SHARD_BYTES_IN, SHARD_BYTES_OUT, SHARD_READS, SHARD_RECORDS_IN};

/// Tokens are counted in millionths, so that what a microsecond brings is a whole number.
const PARTS: i64 = 1_000_000;

/// The shards of one stream, each with its buckets.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<ShardId, ShardPace>>);

#[derive(Debug)]
struct ShardPace {
    bytes_in: Bucket,
    records_in: Bucket,
    bytes_out: Bucket,
    reads: Bucket,
}

impl ShardPace {
    fn full(now: Micros) -> Self {
        Self {
            bytes_in: Bucket::full(SHARD_BYTES_IN, now),
            records_in: Bucket::full(SHARD_RECORDS_IN, now),
            bytes_out: Bucket::full(SHARD_BYTES_OUT, now),
            reads: Bucket::full(SHARD_READS, now),
        }
    }
}

/// What a shard did with a record or a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    Granted,
    /// The limit of this second is used up.
    Refused,
}

impl Pace {
    /// Whether the shard takes a record of so many bytes now, its key included.
    pub(super) fn take_in(&self, shard: &ShardId, bytes: usize, now: Micros) -> Passage {
        self.with(shard, now, |pace| {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX / PARTS);
            if !pace.bytes_in.holds(bytes, now) || !pace.records_in.holds(1, now) {
                return Passage::Refused;
            }
            pace.bytes_in.take(bytes);
            pace.records_in.take(1);
            Passage::Granted
        })
    }

    /// Whether the shard may be read now. What it gives is to be [counted](Self::gave).
    pub(super) fn read(&self, shard: &ShardId, now: Micros) -> Passage {
        self.with(shard, now, |pace| {
            if !pace.bytes_out.holds(1, now) || !pace.reads.holds(1, now) {
                return Passage::Refused;
            }
            pace.reads.take(1);
            Passage::Granted
        })
    }

    /// Counts what a read gave. It may be more than a second's worth, up to 10 MiB: then the shard gives nothing until that is made
    /// up for, five seconds at the longest.
    pub(super) fn gave(&self, shard: &ShardId, bytes: usize, now: Micros) {
        self.with(shard, now, |pace| pace.bytes_out.overdraw(i64::try_from(bytes).unwrap_or(i64::MAX / PARTS)));
    }

    fn with<T>(&self, shard: &ShardId, now: Micros, act: impl FnOnce(&mut ShardPace) -> T) -> T {
        let mut shards = self.lock();
        match shards.get_mut(shard) {
            Some(pace) => act(pace),
            None => act(shards.entry(shard.clone()).or_insert(ShardPace::full(now))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ShardId, ShardPace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token bucket that holds a second's worth.
#[derive(Debug)]
struct Bucket {
    /// Tokens a second, and the most that it holds.
    rate: i64,
    /// In [`PARTS`] of a token; below 0 when it was overdrawn.
    level: i64,
    at: Micros,
}

impl Bucket {
    fn full(rate: u32, now: Micros) -> Self {
        let rate = i64::from(rate);
        Self { rate, level: rate * PARTS, at: now }
    }

    fn holds(&mut self, tokens: i64, now: Micros) -> bool {
        // A clock that was set back brings nothing.
        let passed = now.saturating_sub(self.at).max(0);
        self.level = self.level.saturating_add(passed.saturating_mul(self.rate)).min(self.rate * PARTS);
        self.at = now;
        self.level >= tokens.saturating_mul(PARTS)
    }

    fn take(&mut self, tokens: i64) {
        self.level = self.level.saturating_sub(tokens.saturating_mul(PARTS));
    }

    /// Takes more than it may hold. Amazon Kinesis Data Streams API Reference, `GetRecords`: after 10 MiB nothing is given for five
    /// seconds, so what had been saved up does not help.
    fn overdraw(&mut self, tokens: i64) {
        if tokens > self.rate {
            self.level = self.level.min(0);
        }
        self.take(tokens);
    }
}

#[cfg(test)]
mod tests;
