//! A destination in memory, and what a test has it do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use alluvium_core::contract::destination::{Stored, StoredEntry};
use alluvium_core::destination::CallEffect;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::record::{hash_key, hash_key_range, shard_of_hash_key};
use alluvium_core::{
    Destination, DestinationLimits, EntryVerdict, HashKeyRange, PutEntry, PutError, PutRecord, SequenceNumber, ShardId,
};
use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};

use super::decode;

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Fate {
    Fails(PutError),
}

/// A call that came.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) entries: Vec<PutEntry>,
}

/// Keeps everything, in shards or without, and answers when the test lets it; fates are those of the next calls.
#[derive(Debug)]
pub(super) struct MemoryDestination {
    /// None: no shard map.
    shards: u32,
    limits: DestinationLimits,
    stored: Mutex<Vec<StoredEntry>>,
    came: Mutex<Vec<Came>>,
    called: Notify,
    fates: Mutex<VecDeque<Fate>>,
    away: Mutex<bool>,
    pub(super) gate: Semaphore,
}

impl MemoryDestination {
    fn new(shards: u32, limits: DestinationLimits, lets_through: usize) -> Arc<Self> {
        let (stored, came, called, fates, away) = Default::default();
        Arc::new(Self { shards, limits, stored, came, called, fates, away, gate: Semaphore::new(lets_through) })
    }

    pub(super) fn open() -> Arc<Self> {
        Self::closed(Semaphore::MAX_PERMITS)
    }

    /// Lets so many calls through; the others wait.
    pub(super) fn closed(lets_through: usize) -> Arc<Self> {
        Self::new(0, DestinationLimits::FIREHOSE, lets_through)
    }

    pub(super) fn sharded(shards: u32) -> Arc<Self> {
        Self::new(shards, DestinationLimits::KINESIS, Semaphore::MAX_PERMITS)
    }

    pub(super) fn fated(fates: impl IntoIterator<Item = Fate>) -> Arc<Self> {
        let open = Self::open();
        open.fates.lock().unwrap().extend(fates);
        open
    }

    /// Lets so many more calls through, once one has come.
    pub(super) async fn let_through(&self, calls: usize) {
        self.until_called().await;
        self.gate.add_permits(calls);
    }

    pub(super) async fn until_called(&self) {
        loop {
            let called = self.called.notified();
            if !self.came().is_empty() {
                return;
            }
            called.await;
        }
    }

    pub(super) fn fail_from_now(&self) {
        *self.away.lock().unwrap() = true;
    }

    pub(super) fn fail_no_more(&self) {
        *self.away.lock().unwrap() = false;
    }

    /// All calls, answered or not.
    pub(super) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// The user records, in order, of a producer that sends lines.
    pub(super) fn data(&self) -> Vec<Vec<u8>> {
        let stored = self.stored.lock().unwrap();
        let record = |entry: &StoredEntry| PutRecord {
            partition_key: entry.partition_key.clone().unwrap_or_default(),
            explicit_hash_key: None,
            data: entry.data.clone(),
        };
        stored.iter().flat_map(|entry| decode::lines(&record(entry))).map(|decoded| decoded.data).collect()
    }

    fn store(&self, record: PutRecord) -> EntryVerdict {
        if self.limits.counted_bytes(&record) > self.limits.bytes_per_entry {
            return EntryVerdict::Invalid("too large".to_owned());
        }
        let hash_key = record.explicit_hash_key.unwrap_or_else(|| hash_key(&record.partition_key));
        let shard = ShardId::numbered(shard_of_hash_key(hash_key, self.shards.max(1)));
        let mut stored = self.stored.lock().unwrap();
        let sequence = SequenceNumber::from(stored.len() as u64 + 1);
        let place = Some((shard.clone(), sequence));
        stored.push(StoredEntry { place, partition_key: Some(record.partition_key), data: record.data });
        EntryVerdict::Stored { shard, sequence }
    }
}

#[async_trait]
impl Destination for MemoryDestination {
    async fn put(&self, entries: Vec<PutEntry>) -> Result<Vec<EntryVerdict>, PutError> {
        self.came.lock().unwrap().push(Came { entries: entries.clone() });
        self.called.notify_waiters();
        self.gate.acquire().await.unwrap().forget();
        if *self.away.lock().unwrap() {
            return Err(PutError::new(CallEffect::NothingStored, Advice::Retry, "nobody there"));
        }
        let fate = self.fates.lock().unwrap().pop_front();
        match fate {
            Some(Fate::Fails(error)) => return Err(error),
            None => {}
        }
        let bytes: usize = entries.iter().map(|entry| self.limits.counted_bytes(&entry.record)).sum();
        let one = entries.len() == 1;
        if entries.len() > self.limits.entries_per_call || (bytes > self.limits.bytes_per_call && !one) {
            return Err(PutError::new(CallEffect::NothingStored, Advice::Stop, "too many"));
        }
        Ok(entries.into_iter().map(|entry| self.store(entry.record)).collect())
    }

    async fn shard_map(&self) -> Result<Option<Vec<HashKeyRange>>, PortError> {
        let range = |n| {
            let (first, last) = hash_key_range(n, self.shards);
            HashKeyRange { shard: ShardId::numbered(n), first, last }
        };
        Ok((self.shards > 0).then(|| (0..self.shards).map(range).collect()))
    }

    fn limits(&self) -> DestinationLimits {
        self.limits
    }
}

#[async_trait]
impl Stored for MemoryDestination {
    async fn entries(&self, _: usize) -> Option<Vec<StoredEntry>> {
        Some(self.stored.lock().unwrap().clone())
    }
}
