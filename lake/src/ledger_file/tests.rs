#![allow(clippy::unwrap_used)]

use alluvium_core::{BatchIdentity, ReasonCode};

use super::*;
use crate::testing::{empty_entry, range};

fn rows() -> LedgerRows {
    let batch = BatchIdentity::of([]);
    let mut one = empty_entry(&batch, "readings", &[range(0, 1, 5), range(1, 8, 8)]);
    (one.received, one.written, one.filtered, one.dead, one.bytes) = (10, 6, 1, 3, 999);
    one.dead_by_reason = [(ReasonCode::NotJson, 2), (ReasonCode::TooDeep, 1)].into();
    one.redriven = Some(2);
    let work = "00c0ffee00c0ffee00c0ffee00c0ffee".to_owned();
    let gone = Removal { work, table: "readings".to_owned(), duplicates: 2, expired: 3, erased: 4, at: 7 };
    LedgerRows { entries: vec![one, empty_entry(&batch, "notes", &[range(0, 6, 7)])], removals: vec![gone] }
}

/// The rows as a release wrote them that had this many columns.
fn of_before(mut rows: LedgerRows, columns: usize) -> (LedgerRows, Bytes) {
    if columns <= COLUMNS_WITHOUT_REMOVALS {
        rows.removals.clear();
    }
    rows.entries.iter_mut().for_each(|entry| entry.redriven = None);
    let batch = record_batch(&rows, 5).project(&(0..columns).collect::<Vec<_>>()).unwrap();
    (rows, write(&batch))
}

#[test]
fn a_file_of_a_release_before_is_read() {
    for columns in [COLUMNS_WITHOUT_REMOVALS, COLUMNS_WITHOUT_REDRIVEN] {
        let (rows, bytes) = of_before(rows(), columns);
        assert_eq!(decode(bytes).unwrap(), rows, "of {columns} columns");
    }
}

#[test]
fn rows_survive_the_round_trip() {
    let file = encode(&rows(), 5);
    assert_eq!(file.rows, 3);
    assert_eq!(decode(file.bytes).unwrap(), rows());
}

#[test]
fn files_are_merged_with_those_of_releases_before() {
    let (mut expected, old) = of_before(rows(), COLUMNS_WITHOUT_REMOVALS);
    let (bytes, count) = merge([old, encode(&rows(), 6).bytes]).unwrap();
    expected.extend(&rows());
    assert_eq!((decode(bytes.clone()).unwrap(), count), (expected, 5));
    let committed = batches_of(bytes).unwrap().next().unwrap().unwrap()["committed_at"].clone();
    assert_eq!(
        committed.as_primitive::<TimestampMicrosecondType>().values(),
        &[5, 5, 6, 6, 6],
        "when each was copied stays"
    );
}

#[test]
fn the_name_follows_what_the_file_holds() {
    let file = encode(&rows(), 5);
    assert!(BatchIdentity::from_data_file_name(&file.name).is_some(), "{}", file.name);
    assert_eq!(encode(&rows(), 5).name, file.name);
    let (identity, _) = file.name.split_once('-').unwrap();
    assert!(encode(&rows(), 6).name.starts_with(identity), "the same rows, committed at another time");
    let fewer = LedgerRows { entries: rows().entries, removals: Vec::new() };
    assert!(!encode(&fewer, 5).name.starts_with(identity));
}

#[test]
fn other_bytes_are_refused() {
    let file = encode(&rows(), 5);
    assert!(decode(file.bytes.slice(..file.bytes.len() - 1)).is_err());
    assert!(decode(Bytes::from_static(b"PAR1")).is_err());
}
