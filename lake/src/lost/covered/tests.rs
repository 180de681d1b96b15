use alluvium_core::RecordIdentity;

use super::*;
use crate::testing::{empty_entry, range};

/// The batch of some user records of one record.
fn of_one(sequence: u64, user_records: std::ops::Range<u64>) -> BatchIdentity {
    let record = |subsequence| RecordIdentity { shard: ShardId::numbered(0), sequence: sequence.into(), subsequence };
    BatchIdentity::of(&user_records.map(record).collect::<Vec<_>>())
}

/// A batch whose identity is of other records than those that it is said to cover: nothing can be told by it.
fn batch(n: u64) -> BatchIdentity {
    of_one(1_000 + n, 0..1)
}

fn covered(batches: &[(&BatchIdentity, &[ShardRange], u64)]) -> Covered {
    let mut covered = Covered::default();
    for (batch, covers, received) in batches {
        covered.add(&LedgerEntry { received: *received, ..empty_entry(batch, "a", covers) });
    }
    covered
}

#[test]
fn a_batch_is_covered_if_others_have_all_of_its_runs() {
    let one = covered(&[(&batch(1), &[range(0, 10, 20)], 11)]);
    let by = || vec![batch(1)];
    for (first, last, expected) in [
        (1, 9, Share::Nothing),
        (1, 10, Share::Unclear(by())),
        (1, 11, Share::Part(by())),
        (12, 14, Share::All(by())),
        (10, 20, Share::All(by())),
        (10, 21, Share::Part(by())),
        (9, 20, Share::Part(by())),
        (15, 15, Share::All(by())),
        (20, 25, Share::Unclear(by())),
        (10, 10, Share::Unclear(by())),
        (20, 20, Share::Unclear(by())),
        (21, 25, Share::Nothing),
    ] {
        assert_eq!(one.share(&batch(2), &[range(0, first, last)], 5), expected, "{first} to {last}");
    }
    assert_eq!(one.share(&batch(2), &[range(0, 12, 14), range(1, 1, 9)], 5), Share::Part(by()), "of one shard of two");
    assert_eq!(one.share(&batch(1), &[range(0, 10, 20)], 11), Share::Nothing, "itself");
    assert_eq!(one.share(&batch(2), &[], 5), Share::Nothing, "put directly");
}

#[test]
fn several_batches_cover_one_together_if_no_event_can_be_between_them() {
    let both = || Vec::from_iter(BTreeSet::from([batch(1), batch(3)]));
    let share = |first: (u64, u64), second: (u64, u64), events| {
        let (one, other) = ([range(0, first.0, first.1)], [range(0, second.0, second.1)]);
        covered(&[(&batch(1), &one, 7), (&batch(3), &other, 5)]).share(&batch(2), &[range(0, 1, 20)], events)
    };
    assert_eq!(share((1, 10), (10, 20), 99), Share::All(both()), "cut within a record");
    assert_eq!(share((1, 10), (11, 20), 12), Share::All(both()));
    assert_eq!(share((1, 10), (11, 20), 13), Share::Part(both()), "an event lies between them");
    assert_eq!(share((1, 10), (11, 25), 12), Share::Part(both()), "what goes beyond counts other events");
    assert_eq!(share((1, 10), (11, 19), 12), Share::Part(both()), "the last record is in none");
    assert_eq!(share((2, 10), (11, 20), 12), Share::Part(both()), "the first record is in none");
}

#[test]
fn of_one_record_the_identities_tell_what_each_batch_has() {
    let share = |ours: std::ops::Range<u64>, theirs: std::ops::Range<u64>| {
        let other = of_one(10, theirs);
        let covered = covered(&[(&other, &[range(0, 10, 10)], 1)]);
        let share = covered.share(&of_one(10, ours), &[range(0, 10, 10)], 1);
        (share, vec![other])
    };
    assert_eq!(share(0..4, 4..9).0, Share::Nothing);
    assert_eq!(share(4..9, 0..4).0, Share::Nothing);
    let (found, by) = share(2..4, 0..4);
    assert_eq!(found, Share::All(by));
    let (found, by) = share(0..4, 2..9);
    assert_eq!(found, Share::Unclear(by));
    // A record that came again at the end of a longer batch, or the first user record of an aggregate that goes on there.
    let longer = covered(&[(&batch(1), &[range(0, 10, 12)], 3)]);
    assert_eq!(longer.share(&of_one(10, 0..1), &[range(0, 10, 10)], 1), Share::Unclear(vec![batch(1)]));
}

#[test]
fn where_numbers_count_up_the_rest_is_what_no_other_batch_has() {
    let covered = covered(&[
        (&batch(1), &[range(0, 1, 10)], 1),
        (&batch(3), &[range(0, 8, 12)], 1),
        (&batch(4), &[range(0, 18, 30)], 1),
    ]);
    let rest = |first, last| {
        let (rest, by) = covered.rest(&batch(2), &[range(0, first, last)]);
        (rest, by.len())
    };
    assert_eq!(rest(1, 10), (vec![], 2));
    assert_eq!(rest(10, 12), (vec![], 2));
    assert_eq!(rest(5, 20), (vec![range(0, 13, 17)], 3));
    assert_eq!(rest(13, 17), (vec![range(0, 13, 17)], 0));
    assert_eq!(rest(25, 40), (vec![range(0, 31, 40)], 1));
}
