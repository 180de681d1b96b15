#![allow(clippy::unwrap_used)]

use alluvium_core::BatchIdentity;

use super::*;
use crate::testing::range;

fn message(covers: &[ShardRange]) -> CommitMessage {
    CommitMessage::new(BatchIdentity::of([]), covers.to_vec(), Vec::new(), Vec::new())
}

fn marks(of: &[(u32, u64)]) -> Marks {
    of.iter().map(|(shard, mark)| (ShardId::numbered(*shard), (*mark).into())).collect()
}

#[test]
fn a_batch_lies_above_or_below_all_marks_or_is_refused() {
    let both = message(&[range(0, 5, 9), range(1, 3, 4)]);
    assert_eq!(standing(&both, &marks(&[]), "it").unwrap(), Standing::Above);
    assert_eq!(standing(&both, &marks(&[(0, 4)]), "it").unwrap(), Standing::Above);
    assert_eq!(standing(&both, &marks(&[(0, 9), (1, 4)]), "it").unwrap(), Standing::Below);
    assert_eq!(standing(&both, &marks(&[(0, 20), (1, 4)]), "it").unwrap(), Standing::Below);
    for straddled in [&[(0, 5)][..], &[(0, 9)], &[(0, 8), (1, 4)], &[(1, 3)]] {
        assert!(standing(&both, &marks(straddled), "it").is_err(), "{straddled:?}");
    }
}

#[test]
fn a_message_must_cover_records_and_fit_a_transaction() {
    let problem = |covers: &[ShardRange]| {
        let message = message(covers);
        Cycle::new(std::slice::from_ref(&message), &Marks::new()).unwrap_err().to_string()
    };
    assert!(problem(&[]).contains("covers no record"));
    assert!(problem(&[range(0, 5, 4)]).contains("no runs"));
    assert!(problem(&[range(0, 1, u64::MAX)]).contains("63 bits"));
    assert_eq!(Cycle::new(&[message(&[range(0, 1, 1)])], &Marks::new()).unwrap().batches.len(), 1);
}
