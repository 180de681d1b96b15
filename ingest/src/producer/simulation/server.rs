//! A simulated stream with faults: pure, seeded, on the simulation's clock.

use std::time::Duration;

use alluvium_core::destination::{CallEffect, DestinationLimits};
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::record::hash_key;
use alluvium_core::{EntryVerdict, HashKeyRange, PutEntry, PutError, PutRecord, SequenceNumber, ShardId};

use crate::seeded::Seeded;

/// How often what goes wrong, in percent of the calls or entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    pub(super) failed_entries: u32,
    pub(super) failed_calls: u32,
    pub(super) resets: u32,
    pub(super) lost_answers: u32,
    pub(super) slow: u32,
    pub(super) short_answers: u32,
    pub(super) no_shard_map: u32,
}

/// What the destination looks like to a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sharded,
    /// `ListShards` is denied.
    Unlisted,
    Shardless,
}

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) range: HashKeyRange,
    pub(super) open: bool,
    bytes: f64,
    records: f64,
    filled: u64,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) shard: usize,
    pub(super) sequence: u64,
    pub(super) record: PutRecord,
}

/// How a call goes: when it arrives, when and what the producer hears of it.
pub(super) struct Fate {
    pub(super) arrives: Option<u64>,
    pub(super) answers: u64,
    pub(super) answer: Heard,
}

/// What a producer hears of a call.
pub(super) enum Heard {
    Verdicts,
    Error(PutError),
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) limits: DestinationLimits,
    pub(super) faults: Faults,
    pub(super) shards: Vec<Shard>,
    pub(super) log: Vec<Stored>,
    pub(super) throttled: u64,
    pub(super) outage: Option<(u64, u64)>,
    /// Shard maps as they were, and since when: `ListShards` shows one of a moment ago.
    maps: Vec<(u64, Vec<HashKeyRange>)>,
    random: Seeded,
}

impl Server {
    pub(super) fn new(kind: Kind, shards: u32, limits: DestinationLimits, faults: Faults, random: Seeded) -> Self {
        let width = u128::MAX / u128::from(shards);
        let range = |n: u32| HashKeyRange {
            shard: ShardId::numbered(n),
            first: u128::from(n) * width + u128::from(n > 0),
            last: if n + 1 == shards { u128::MAX } else { u128::from(n + 1) * width },
        };
        let mut server = Self {
            kind,
            limits,
            faults,
            shards: Vec::new(),
            log: Vec::new(),
            throttled: 0,
            outage: None,
            maps: Vec::new(),
            random,
        };
        (0..shards).for_each(|n| server.open(range(n), 0));
        server.note_map(0);
        server
    }

    fn open(&mut self, range: HashKeyRange, now: u64) {
        let (bytes, records) = self.rates();
        self.shards.push(Shard { range, open: true, bytes, records, filled: now });
    }

    fn rates(&self) -> (f64, f64) {
        let rates = self.limits.shard_rates;
        rates.map_or((f64::MAX, f64::MAX), |rates| (rates.bytes_per_second as f64, rates.records_per_second as f64))
    }

    fn note_map(&mut self, now: u64) {
        let open = self.shards.iter().filter(|shard| shard.open);
        self.maps.push((now, open.map(|shard| shard.range.clone()).collect()));
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.below(100) < percent
    }

    /// Splits or merges shards.
    pub(super) fn reshard(&mut self, now: u64) {
        let mut open: Vec<_> = (0..self.shards.len()).filter(|n| self.shards[*n].open).collect();
        open.sort_by_key(|n| self.shards[*n].range.first);
        let at = self.random.below(open.len() as u32) as usize;
        let number = self.shards.len() as u32;
        let (shard, next) = (ShardId::numbered(number), ShardId::numbered(number + 1));
        let HashKeyRange { first, last, .. } = self.shards[open[at]].range;
        self.shards[open[at]].open = false;
        if at + 1 < open.len() && self.chance(50) {
            self.shards[open[at + 1]].open = false;
            let last = self.shards[open[at + 1]].range.last;
            self.open(HashKeyRange { shard, first, last }, now);
        } else {
            let middle = first + (last - first) / 4 * u128::from(1 + self.random.below(3));
            self.open(HashKeyRange { shard, first, last: middle }, now);
            self.open(HashKeyRange { shard: next, first: middle + 1, last }, now);
        }
        self.note_map(now);
    }

    pub(super) fn list_shards(&mut self, now: u64) -> Result<Option<Vec<HashKeyRange>>, PortError> {
        let fails = self.chance(self.faults.no_shard_map);
        match self.kind {
            Kind::Shardless => return Ok(None),
            Kind::Unlisted => return Err(PortError::new(Advice::Stop, "denied")),
            Kind::Sharded if fails => return Err(PortError::new(Advice::Retry, "injected")),
            Kind::Sharded => {}
        }
        let seen = now.saturating_sub(u64::from(self.random.below(400_000)));
        let map = self.maps.iter().rev().find(|(since, _)| *since <= seen).unwrap_or(&self.maps[0]);
        Ok(Some(map.1.clone()))
    }

    /// Decides how a call goes that is made now and waited for this long.
    pub(super) fn fate(&mut self, now: u64, timeout: Duration) -> Fate {
        let timeout = now + timeout.as_micros() as u64;
        let way = 1_000 + u64::from(self.random.below(20_000));
        let error = |effect, advice, text: &str| Heard::Error(PutError::new(effect, advice, text));
        if self.outage.is_some_and(|(from, until)| (from..until).contains(&now)) {
            let answer = error(CallEffect::NothingStored, Advice::Retry, "connection refused");
            return Fate { arrives: None, answers: now + way, answer };
        }
        if self.chance(self.faults.failed_calls) {
            let advice = if self.chance(50) { Advice::BackOff } else { Advice::Retry };
            let answer = error(CallEffect::NothingStored, advice, "service unavailable");
            return Fate { arrives: None, answers: now + way, answer };
        }
        if self.chance(self.faults.resets) {
            let answer = error(CallEffect::Unknown, Advice::Retry, "connection reset");
            let arrives = self.chance(50).then_some(now + way * 2);
            return Fate { arrives, answers: now + way, answer };
        }
        if self.chance(self.faults.lost_answers) {
            let answer = error(CallEffect::Unknown, Advice::Retry, "no answer in time");
            // Some arrive when the producer has already given the call up.
            let arrives = Some(now + u64::from(self.random.below(9_000_000)));
            return Fate { arrives, answers: timeout, answer };
        }
        let way = if self.chance(self.faults.slow) { way * 50 } else { way };
        Fate { arrives: Some(now + way), answers: now + way * 2, answer: Heard::Verdicts }
    }

    /// Stores what a call brings.
    pub(super) fn put(&mut self, entries: &[PutEntry], now: u64) -> Vec<EntryVerdict> {
        self.check(entries);
        let mut verdicts: Vec<_> = entries.iter().map(|entry| self.put_one(&entry.record, now)).collect();
        if self.chance(self.faults.short_answers) {
            verdicts.pop();
        }
        verdicts
    }

    fn check(&self, entries: &[PutEntry]) {
        assert!((1..=self.limits.entries_per_call).contains(&entries.len()));
        let bytes = |entry: &PutEntry| self.limits.counted_bytes(&entry.record);
        assert!(entries.iter().map(bytes).sum::<usize>() <= self.limits.bytes_per_call);
        assert!(entries.iter().all(|entry| bytes(entry) <= self.limits.bytes_per_entry));
    }

    fn put_one(&mut self, record: &PutRecord, now: u64) -> EntryVerdict {
        if self.chance(self.faults.failed_entries) {
            return EntryVerdict::Failed("internal failure".to_owned());
        }
        let hash_key = record.explicit_hash_key.unwrap_or_else(|| hash_key(&record.partition_key));
        let holds = |shard: &Shard| shard.open && (shard.range.first..=shard.range.last).contains(&hash_key);
        let number = self.shards.iter().position(holds).unwrap();
        let (byte_rate, record_rate) = self.rates();
        let counted = self.limits.counted_bytes(record) as f64;
        let shard = &mut self.shards[number];
        let elapsed = now.saturating_sub(shard.filled) as f64 / 1e6;
        shard.filled = shard.filled.max(now);
        shard.bytes = (shard.bytes + elapsed * byte_rate).min(byte_rate);
        shard.records = (shard.records + elapsed * record_rate).min(record_rate);
        if shard.records < 1.0 || shard.bytes < counted.min(byte_rate) {
            self.throttled += 1;
            return EntryVerdict::Throttled;
        }
        shard.records -= 1.0;
        shard.bytes -= counted;
        let sequence = self.log.len() as u64 + 1;
        self.log.push(Stored { shard: number, sequence, record: record.clone() });
        EntryVerdict::Stored { shard: shard.range.shard.clone(), sequence: SequenceNumber::from(sequence) }
    }
}
