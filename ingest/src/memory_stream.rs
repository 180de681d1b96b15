//! A stream in memory whose verdicts a test decides.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::envelope::Envelope;
use alluvium_core::identity::RecordIdentity;
use alluvium_core::ports::{Advice, PortError, PutVerdict, ReadPage, Refusal, ShardState, Stream};
use alluvium_core::record::{StreamRecord, hash_key, shard_of_hash_key};
use alluvium_core::{PutBatch, PutRecord, SequenceNumber, ShardId};
use async_trait::async_trait;
use tokio::sync::Semaphore;

const SHARDS: u32 = 2;

/// What becomes of one put batch.
#[derive(Debug)]
pub enum Fate {
    /// The whole batch fails.
    Fails(Advice),
    /// The first records are stored, this many; the others are refused.
    Refuses(usize, Refusal),
    /// The batch waits until the test lets it go on.
    Waits,
}

/// A record as it was put, and where it came to lie.
#[derive(Debug, Clone)]
struct Kept {
    shard: ShardId,
    sequence: u64,
    arrival: Micros,
    record: PutRecord,
}

/// Two shards of records, and fates for the next batches; without one a batch is stored.
#[derive(Debug)]
pub struct MemoryStream {
    records: Mutex<Vec<Kept>>,
    fates: Mutex<VecDeque<Fate>>,
    /// When records arrive that are put next.
    pub arrival: AtomicI64,
    /// How many records of each shard, from its oldest on, cannot be read any more.
    pub trimmed: AtomicUsize,
    pub gate: Semaphore,
}

impl Default for MemoryStream {
    fn default() -> Self {
        let (records, fates, arrival, trimmed) = Default::default();
        Self { records, fates, arrival, trimmed, gate: Semaphore::new(0) }
    }
}

impl MemoryStream {
    pub fn fated(fates: impl IntoIterator<Item = Fate>) -> Self {
        Self { fates: Mutex::new(fates.into_iter().collect()), ..Self::default() }
    }

    /// How many fates no batch has met yet.
    pub fn fates_left(&self) -> usize {
        self.fates.lock().unwrap().len()
    }

    pub fn records(&self) -> Vec<PutRecord> {
        self.records.lock().unwrap().iter().map(|kept| kept.record.clone()).collect()
    }

    pub fn envelopes(&self) -> Vec<Envelope> {
        self.records().iter().map(|record| Envelope::open(&record.data).unwrap()).collect()
    }

    /// Every event, in the order of its records.
    pub fn events(&self) -> Vec<Vec<u8>> {
        self.envelopes()
            .iter()
            .flat_map(|envelope| envelope.elements().map(<[u8]>::to_vec).collect::<Vec<_>>())
            .collect()
    }

    fn store(&self, record: PutRecord) -> PutVerdict {
        let mut records = self.records.lock().unwrap();
        let key = record.explicit_hash_key.unwrap_or_else(|| hash_key(&record.partition_key));
        let shard = ShardId::numbered(shard_of_hash_key(key, SHARDS));
        let sequence = records.iter().filter(|other| other.shard == shard).count() as u64 + 1;
        let arrival = self.arrival.load(Ordering::SeqCst);
        records.push(Kept { shard: shard.clone(), sequence, arrival, record });
        PutVerdict::Stored { shard, sequence: SequenceNumber::from(sequence) }
    }

    /// The records of a shard that it still holds, and the number of its newest.
    fn held(&self, shard: &ShardId) -> (Vec<Kept>, u64) {
        let records = self.records.lock().unwrap();
        let all: Vec<_> = records.iter().filter(|kept| kept.shard == *shard).cloned().collect();
        let newest = all.len() as u64;
        (all.into_iter().skip(self.trimmed.load(Ordering::SeqCst)).collect(), newest)
    }
}

#[async_trait]
impl Stream for MemoryStream {
    async fn append(&self, batch: PutBatch) -> Result<Vec<PutVerdict>, PortError> {
        let fate = self.fates.lock().unwrap().pop_front();
        let (stored, refusal) = match fate {
            None => (usize::MAX, Refusal::Full),
            Some(Fate::Fails(advice)) => return Err(PortError::new(advice, "/secret/path: injected")),
            Some(Fate::Refuses(stored, refusal)) => (stored, refusal),
            Some(Fate::Waits) => {
                self.gate.acquire().await.unwrap().forget();
                (usize::MAX, Refusal::Full)
            }
        };
        let verdicts = batch.records.into_iter().enumerate().map(|(index, record)| {
            if index < stored { self.store(record) } else { PutVerdict::Refused(refusal.clone()) }
        });
        Ok(verdicts.collect())
    }

    /// Reads without waiting.
    async fn read(
        &self,
        shard: &ShardId,
        after: Option<SequenceNumber>,
        max_bytes: usize,
        _: Duration,
    ) -> Result<ReadPage, PortError> {
        let (held, newest) = self.held(shard);
        let after = after.map(|after| after.as_u64().unwrap());
        let gone = held.first().is_some_and(|oldest| after.is_some_and(|after| after + 1 < oldest.sequence));
        if gone || after > Some(newest) {
            return Err(PortError::new(Advice::Stop, format!("/secret/path: {after:?} is not here")));
        }
        let mut page = ReadPage::default();
        let mut bytes = 0;
        for kept in held.into_iter().filter(|kept| after.is_none_or(|after| kept.sequence > after)) {
            bytes += kept.record.data.len();
            if bytes > max_bytes && !page.records.is_empty() {
                page.more = true;
                break;
            }
            page.records.push(StreamRecord {
                identity: RecordIdentity { shard: kept.shard, sequence: kept.sequence.into(), subsequence: 0 },
                arrival: kept.arrival,
                partition_key: kept.record.partition_key,
                data: kept.record.data,
            });
        }
        Ok(page)
    }

    async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
        let state = |number| {
            let shard = ShardId::numbered(number);
            let (held, newest) = self.held(&shard);
            let oldest = held.first().map(|kept| kept.sequence.into());
            ShardState { shard, oldest, newest: (newest > 0).then(|| newest.into()) }
        };
        Ok((0..SHARDS).map(state).collect())
    }
}
