//! Where delivery batches end: by size in the ordinary case, and at every table's skip mark after a crash.

use std::collections::BTreeMap;

use alluvium_core::{DeliveryBatch, SequenceNumber, ShardId, StreamRecord};

/// What is left to do for each shard before its records can be mixed with those of others.
///
/// After a crash between two tables' commits, some tables hold records that others do not. Until a shard is past the newest mark
/// of any table, its batches hold its records alone and end at every mark, so that each batch lies wholly above or wholly
/// below each table's mark and the committer skips whole batches, never rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CutPoints {
    by_shard: BTreeMap<ShardId, Vec<SequenceNumber>>,
}

impl CutPoints {
    /// The marks of all tables that lie after the position from which each shard is read.
    pub fn new(
        marks: impl IntoIterator<Item = (ShardId, SequenceNumber)>,
        position: impl Fn(&ShardId) -> Option<SequenceNumber>,
    ) -> Self {
        let mut by_shard: BTreeMap<ShardId, Vec<SequenceNumber>> = BTreeMap::new();
        for (shard, mark) in marks {
            if position(&shard).is_none_or(|position| mark > position) {
                by_shard.entry(shard).or_default().push(mark);
            }
        }
        for cuts in by_shard.values_mut() {
            cuts.sort_unstable();
            cuts.dedup();
        }
        Self { by_shard }
    }

    /// Whether no cut is left: batches may mix shards.
    pub fn is_empty(&self) -> bool {
        self.by_shard.is_empty()
    }

    /// Divides one page of records of one shard at its cuts, and forgets the cuts that it passes.
    pub fn divide(&mut self, shard: &ShardId, records: Vec<StreamRecord>) -> Vec<DeliveryBatch> {
        let Some(newest) = records.last().map(|record| record.identity.sequence) else {
            return Vec::new();
        };
        let cuts = self.by_shard.get(shard).cloned().unwrap_or_default();
        let mut batches = Vec::new();
        let mut rest = records;
        for cut in &cuts {
            let above = rest.partition_point(|record| record.identity.sequence <= *cut);
            let tail = rest.split_off(above);
            if !rest.is_empty() {
                batches.push(DeliveryBatch { records: rest });
            }
            rest = tail;
        }
        if !rest.is_empty() {
            batches.push(DeliveryBatch { records: rest });
        }
        if let Some(cuts) = self.by_shard.get_mut(shard) {
            cuts.retain(|cut| *cut > newest);
            if cuts.is_empty() {
                self.by_shard.remove(shard);
            }
        }
        batches
    }

    /// The shards that still have a cut before them.
    pub fn shards(&self) -> Vec<ShardId> {
        self.by_shard.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use alluvium_core::RecordIdentity;
    use bytes::Bytes;

    use super::*;

    fn records(sequences: std::ops::RangeInclusive<u64>) -> Vec<StreamRecord> {
        let record = |sequence: u64| StreamRecord {
            identity: RecordIdentity { shard: ShardId::numbered(0), sequence: sequence.into(), subsequence: 0 },
            arrival: 0,
            partition_key: "k".to_owned(),
            data: Bytes::new(),
        };
        sequences.map(record).collect()
    }

    fn lengths(batches: &[DeliveryBatch]) -> Vec<usize> {
        batches.iter().map(|batch| batch.records.len()).collect()
    }

    #[test]
    fn batches_end_at_every_mark_after_the_position() {
        let shard = ShardId::numbered(0);
        let marks = [3_u64, 7, 7, 9].map(|mark| (shard.clone(), mark.into()));
        let mut cuts = CutPoints::new(marks, |_| Some(3.into()));
        assert_eq!(lengths(&cuts.divide(&shard, records(4..=8))), [4, 1]);
        assert_eq!(cuts.shards(), std::slice::from_ref(&shard), "the mark at 9 is still to come");
        assert_eq!(lengths(&cuts.divide(&shard, records(9..=12))), [1, 3]);
        assert!(cuts.is_empty());
        assert_eq!(lengths(&cuts.divide(&shard, records(13..=20))), [8]);
    }

    #[test]
    fn a_mark_at_the_end_of_a_page_leaves_no_empty_batch() {
        let shard = ShardId::numbered(0);
        let mut cuts = CutPoints::new([(shard.clone(), 5.into())], |_| None);
        assert_eq!(lengths(&cuts.divide(&shard, records(1..=5))), [5]);
        assert!(cuts.is_empty());
        assert!(cuts.divide(&shard, Vec::new()).is_empty());
    }
}
