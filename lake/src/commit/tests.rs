#![allow(clippy::unwrap_used)]

use alluvium_core::BatchIdentity;

use super::*;
use crate::state::IdentityBits;
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
    let batch = AppId::Batch(IdentityBits::of_digits("000102030405060708090a0b0c0d0e0f").unwrap());
    assert_eq!(batch.to_string(), "alluvium/batch/000102030405060708090a0b0c0d0e0f");
    let marks =
        [AppId::Mark(ShardId::numbered(3)), AppId::Position(ShardId::new("s/1")), AppId::Copied("notes".into())];
    for id in marks.into_iter().chain([batch]) {
        assert_eq!(id.to_string().parse::<AppId>().unwrap(), id);
    }
    for foreign in ["spark-job-7", "alluvium/batch/", "alluvium/batch/000102030405060708090A0B0C0D0E0F"] {
        assert!(foreign.parse::<AppId>().is_err(), "{foreign}");
    }
}

#[test]
fn a_note_says_what_its_batches_feed_and_one_without_batches_is_as_it_was() {
    let batch = BatchIdentity::of([]);
    let file = |table: &str| format!("{table}/{batch}-{batch}.parquet");
    let fed = BatchNote { batch: batch.clone(), files: vec![file("notes"), file("readings")] };
    let alone = BatchNote { batch: batch.clone(), files: Vec::new() };
    assert_eq!(fed.tables(), BTreeSet::from(["notes".to_owned(), "readings".to_owned()]));
    assert_eq!(alone.tables(), BTreeSet::from(["dead_letters".to_owned()]));
    let written = Commit { batches: vec![fed, alone], ..commit() };
    assert_eq!(Commit::decode(&written.encode(Operation::Append, 0)).unwrap().batches, written.batches);

    let as_before = commit().encode(Operation::Append, 0);
    assert!(!std::str::from_utf8(&as_before).unwrap().contains("batches"));
    assert_eq!(Commit::decode(&as_before).unwrap().batches, []);
}
