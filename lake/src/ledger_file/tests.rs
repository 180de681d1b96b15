#![allow(clippy::unwrap_used)]

use alluvium_core::{BatchIdentity, ReasonCode};

use super::*;
use crate::testing::{empty_entry, range};

fn entries() -> Vec<LedgerEntry> {
    let batch = BatchIdentity::of([]);
    let mut one = empty_entry(&batch, "readings", &[range(0, 1, 5), range(1, 8, 8)]);
    (one.received, one.written, one.filtered, one.dead, one.bytes) = (10, 6, 1, 3, 999);
    one.dead_by_reason = [(ReasonCode::NotJson, 2), (ReasonCode::TooDeep, 1)].into();
    vec![one, empty_entry(&batch, "notes", &[range(0, 6, 7)])]
}

#[test]
fn entries_survive_the_round_trip() {
    let file = encode(&entries(), 5);
    assert_eq!(file.rows, 2);
    assert_eq!(decode(file.bytes).unwrap(), entries());
}

#[test]
fn the_name_follows_what_the_file_holds() {
    let file = encode(&entries(), 5);
    assert!(BatchIdentity::from_data_file_name(&file.name).is_some(), "{}", file.name);
    assert_eq!(encode(&entries(), 5).name, file.name);
    let (identity, _) = file.name.split_once('-').unwrap();
    assert!(encode(&entries(), 6).name.starts_with(identity), "the same rows, committed at another time");
    assert!(!encode(&entries()[..1], 5).name.starts_with(identity));
}

#[test]
fn other_bytes_are_refused() {
    let file = encode(&entries(), 5);
    assert!(decode(file.bytes.slice(..file.bytes.len() - 1)).is_err());
    assert!(decode(Bytes::from_static(b"PAR1")).is_err());
}
