//! Whether the records of a batch came again in another one.
//!
//! A delivery that failed may come again cut otherwise. Then files of the first time lie there whole, under an identity that no table
//! has, and their rows are in by other files.

use std::collections::HashMap;

use alluvium_core::{BatchIdentity, SequenceNumber, ShardId, ShardRange};

/// The runs of records of batches that are in, or on their way.
#[derive(Debug, Default)]
pub(super) struct Covered {
    runs: HashMap<ShardId, Vec<(SequenceNumber, SequenceNumber, BatchIdentity)>>,
}

impl Covered {
    pub(super) fn add(&mut self, batch: &BatchIdentity, covers: &[ShardRange]) {
        for ShardRange { shard, first, last } in covers {
            let runs = self.runs.entry(shard.clone()).or_default();
            // The entries of one batch follow each other.
            if runs.last().is_none_or(|(_, _, other)| other != batch) {
                runs.push((*first, *last, batch.clone()));
            }
        }
    }

    /// Another batch that has records of these runs.
    pub(super) fn by(&self, batch: &BatchIdentity, covers: &[ShardRange]) -> Option<&BatchIdentity> {
        let share = |range: &ShardRange| {
            let mut runs = self.runs.get(&range.shard)?.iter();
            let shared =
                runs.find(|(first, last, other)| other != batch && overlap((range.first, range.last), (*first, *last)));
            shared.map(|(_, _, other)| other)
        };
        covers.iter().find_map(share)
    }
}

type Run = (SequenceNumber, SequenceNumber);

/// Where deliveries take aggregated records apart, one batch may end and the next begin within the same record.
fn overlap(one: Run, other: Run) -> bool {
    let (first, last) = (one.0.max(other.0), one.1.min(other.1));
    let is_cut_there = one != other && (one.1 == other.0 || other.1 == one.0);
    first < last || first == last && !is_cut_there
}

#[cfg(test)]
mod tests {
    use alluvium_core::RecordIdentity;

    use super::*;
    use crate::testing::range;

    fn batch(n: u64) -> BatchIdentity {
        BatchIdentity::of(&[RecordIdentity { shard: ShardId::numbered(0), sequence: n.into(), subsequence: 0 }])
    }

    #[test]
    fn runs_that_share_more_than_a_record_at_which_they_were_cut_overlap() {
        let mut covered = Covered::default();
        covered.add(&batch(1), &[range(0, 10, 20)]);
        for (first, last, expected) in [
            (1, 9, false),
            (1, 10, false),
            (1, 11, true),
            (12, 14, true),
            (10, 20, true),
            (20, 25, false),
            (20, 20, false),
        ] {
            let by = covered.by(&batch(2), &[range(1, 1, 99), range(0, first, last)]);
            assert_eq!(by, expected.then_some(&batch(1)), "{first} to {last}");
        }
        assert_eq!(covered.by(&batch(1), &[range(0, 10, 20)]), None, "itself");
        covered.add(&batch(3), &[range(0, 30, 30)]);
        assert_eq!(covered.by(&batch(2), &[range(0, 30, 30)]), Some(&batch(3)), "one record, twice");
    }
}
