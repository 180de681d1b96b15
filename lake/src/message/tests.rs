#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{empty_entry, range};

fn message(covers: &[alluvium_core::ShardRange]) -> CommitMessage {
    CommitMessage::new(BatchIdentity::of([]), covers.to_vec(), Vec::new(), Vec::new())
}

#[test]
fn the_runs_of_a_message_must_be_runs() {
    let problem = |covers: &[alluvium_core::ShardRange]| check(&message(covers)).unwrap_err().to_string();
    assert!(problem(&[range(0, 5, 4)]).contains("no runs"));
    assert!(problem(&[range(0, 1, 1), range(0, 2, 2)]).contains("no runs"));
    check(&message(&[range(0, 1, 1)])).unwrap();
    check(&message(&[])).unwrap();
}

#[test]
fn numbers_that_nobody_counted_are_refused_before_they_are_added_up() {
    let with = |change: &dyn Fn(&mut LedgerEntry)| {
        let mut message = message(&[range(0, 1, 5)]);
        let mut entry = empty_entry(&message.batch, "readings", &message.covers);
        change(&mut entry);
        message.ledger = vec![entry];
        check(&message)
    };
    with(&|_| {}).unwrap();
    with(&|entry| (entry.received, entry.filtered) = (5, 5)).unwrap();
    for huge in [u64::MAX, 1 << 63] {
        with(&|entry| (entry.received, entry.filtered) = (huge, huge)).unwrap_err();
        with(&|entry| (entry.written, entry.filtered) = (huge, huge)).unwrap_err();
        with(&|entry| entry.bytes = huge).unwrap_err();
    }
}
