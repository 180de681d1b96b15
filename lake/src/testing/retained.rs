//! A stream that still holds what a queue's batches were made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alluvium_core::ports::{PortError, PutVerdict, ReadPage, ShardState, Stream};
use alluvium_core::{PutBatch, RecordIdentity, SequenceNumber, ShardId, StreamRecord};
use async_trait::async_trait;

use super::{Queue, dataset_of};
use crate::RecordReader;

/// Records by shard. The data of each says the numbers that tell its events' fates, one of each user record in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retained {
    pub(crate) shards: BTreeMap<ShardId, BTreeMap<SequenceNumber, Vec<u64>>>,
    /// Whether every other page is empty.
    pub(crate) hesitates: bool,
    pub(crate) reads: Arc<AtomicU64>,
    /// Whether it says its newest records.
    pub(crate) tells_newest: bool,
}

impl Retained {
    pub(crate) fn of(queue: &Queue) -> Self {
        let mut retained = Self { tells_newest: true, ..Self::default() };
        let mut records: Vec<_> = queue.batches.iter().flatten().collect();
        records.sort();
        records.dedup();
        for (RecordIdentity { shard, sequence, .. }, number) in records {
            if !shard.is_direct_put() {
                let shard = retained.shards.entry(shard.clone()).or_default();
                shard.entry(*sequence).or_default().push(*number);
            }
        }
        retained
    }

    /// Forgets the oldest records of a shard.
    pub(crate) fn forget(&mut self, shard: u32, records: usize) {
        let shard = self.shards.get_mut(&ShardId::numbered(shard)).unwrap();
        for _ in 0..records {
            shard.pop_first();
        }
    }
}

fn numbers(record: &StreamRecord) -> Vec<u64> {
    let numbers = std::str::from_utf8(&record.data).unwrap().split(',').filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().unwrap()).collect()
}

#[async_trait]
impl Stream for Retained {
    async fn append(&self, _: PutBatch) -> Result<Vec<PutVerdict>, PortError> {
        unreachable!("an audit only reads")
    }

    async fn read(
        &self,
        shard: &ShardId,
        after: Option<SequenceNumber>,
        _max_bytes: usize,
        _wait: Duration,
    ) -> Result<ReadPage, PortError> {
        let left = self.shards[shard].iter().filter(|(sequence, _)| after.is_none_or(|after| **sequence > after));
        let mut left: Vec<_> = left.collect();
        let all = left.len();
        let reads = self.reads.fetch_add(1, Ordering::Relaxed);
        left.truncate(if self.hesitates && reads.is_multiple_of(2) { 0 } else { 3 });
        let records = left.iter().map(|(sequence, numbers)| StreamRecord {
            identity: RecordIdentity { shard: shard.clone(), sequence: **sequence, subsequence: 0 },
            arrival: 0,
            partition_key: "a".to_owned(),
            data: numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",").into(),
        });
        let records: Vec<_> = records.collect();
        Ok(ReadPage { more: records.len() < all, records })
    }

    async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
        let state = |(shard, records): (&ShardId, &BTreeMap<SequenceNumber, _>)| ShardState {
            shard: shard.clone(),
            oldest: None,
            newest: records.keys().last().copied().filter(|_| self.tells_newest),
        };
        Ok(self.shards.iter().map(state).collect())
    }
}

impl RecordReader for Retained {
    fn identities(&self, record: &StreamRecord) -> Vec<RecordIdentity> {
        (0..numbers(record).len() as u64).map(|index| record.identity.user_record(index)).collect()
    }

    fn received(&self, records: Vec<StreamRecord>) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for dataset in records.iter().flat_map(numbers).filter_map(dataset_of) {
            *counts.entry(dataset.to_owned()).or_default() += 1;
        }
        counts
    }
}
