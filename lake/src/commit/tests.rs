#![allow(clippy::unwrap_used)]

use alluvium_core::BatchIdentity;

use super::*;
use crate::table::add_action;
use crate::testing::{empty_entry, range};

fn commit() -> Commit {
    let batch = BatchIdentity::of([]);
    let entry = empty_entry(&batch, "readings", &[range(0, 1, 5)]);
    let stats = r#"{"numRecords":5}"#.to_owned();
    let mark = Transaction::new(AppId::Mark(ShardId::numbered(0)), 5);
    let actions = vec![add_action("a.parquet", 7, stats, 1_000_000), Action::Txn(mark)];
    Commit { actions, ledger: vec![entry], ..Commit::default() }
}

#[test]
fn what_was_written_is_read() {
    let written = commit();
    let read = Commit::decode(&written.encode(Operation::Append, 2_000_000)).unwrap();
    assert_eq!(read.ledger, written.ledger);
    assert_eq!(read.adds().map(|add| (add.path.as_str(), add.size)).collect::<Vec<_>>(), [("a.parquet", 7)]);
    assert_eq!(read.marks().collect::<Vec<_>>(), [(ShardId::numbered(0), 5.into())]);
}

#[test]
fn every_truncation_is_noticed() {
    let whole = commit().encode(Operation::Append, 0);
    for length in 0..whole.len() {
        assert!(Commit::decode(&whole[..length]).is_err(), "cut at {length}");
    }
    assert!(Commit::decode(&vec![0; whole.len()]).is_err(), "a file of zeros, as some file systems leave it");
}

#[test]
fn app_ids_survive_the_round_trip_and_others_are_foreign() {
    for id in [AppId::Mark(ShardId::numbered(3)), AppId::Position(ShardId::new("s/1")), AppId::Copied("notes".into())] {
        assert_eq!(id.to_string().parse::<AppId>().unwrap(), id);
    }
    assert!("spark-job-7".parse::<AppId>().is_err());
}
