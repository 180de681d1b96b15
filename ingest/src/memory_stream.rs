//! A stream in memory whose verdicts a test decides.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use alluvium_core::envelope::Envelope;
use alluvium_core::ports::{Advice, PortError, PutVerdict, ReadPage, Refusal, ShardState, Stream};
use alluvium_core::record::{hash_key, shard_of_hash_key};
use alluvium_core::{PutBatch, PutRecord, SequenceNumber, ShardId};
use async_trait::async_trait;
use tokio::sync::Semaphore;

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

/// Two shards of records, and fates for the next batches; without one a batch is stored.
#[derive(Debug)]
pub struct MemoryStream {
    records: Mutex<Vec<(ShardId, PutRecord)>>,
    fates: Mutex<VecDeque<Fate>>,
    pub gate: Semaphore,
}

impl Default for MemoryStream {
    fn default() -> Self {
        Self { records: Mutex::default(), fates: Mutex::default(), gate: Semaphore::new(0) }
    }
}

impl MemoryStream {
    pub fn fated(fates: impl IntoIterator<Item = Fate>) -> Self {
        Self { fates: Mutex::new(fates.into_iter().collect()), ..Self::default() }
    }

    pub fn records(&self) -> Vec<PutRecord> {
        self.records.lock().unwrap().iter().map(|(_, record)| record.clone()).collect()
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
        let shard = ShardId::numbered(shard_of_hash_key(hash_key(&record.partition_key), 2));
        let before = records.iter().filter(|(other, _)| *other == shard).count() as u64;
        records.push((shard.clone(), record));
        PutVerdict::Stored { shard, sequence: SequenceNumber::from(before + 1) }
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

    async fn read(&self, _: &ShardId, _: Option<SequenceNumber>, _: usize, _: Duration) -> Result<ReadPage, PortError> {
        Err(PortError::new(Advice::Stop, "the gateway does not read"))
    }

    async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
        Err(PortError::new(Advice::Stop, "the gateway does not ask for shards"))
    }
}
