//! Aggregated records: any bytes behind the magic bytes, and aggregates as producers write them.

use alluvium_core::DeliveryBatch;
use md5::{Digest, Md5};

use crate::delivery::{record, run, run_one};
use crate::event::FEW_COLUMNS;
use crate::pick::Pick;

const MAGIC: &[u8] = b"\xF3\x89\x9A\xC2";

/// Any bytes as an aggregated record. The first byte says how they are used.
pub fn aggregate(bytes: &[u8]) {
    let mut pick = Pick(bytes);
    match pick.byte() {
        way if way % 4 == 0 => drop(run_one(&FEW_COLUMNS, [MAGIC, pick.rest()].concat())),
        way if way % 4 == 1 => drop(run_one(&FEW_COLUMNS, sealed(pick.rest()))),
        way => found_again(pick, way / 4),
    }
}

/// The bytes between the magic bytes and their MD5.
fn sealed(message: &[u8]) -> Vec<u8> {
    [MAGIC, message, &Md5::digest(message)].concat()
}

/// User records in one aggregate become what they become one by one.
fn found_again(mut pick: Pick<'_>, form: u8) {
    let mut user_records = Vec::new();
    while !pick.0.is_empty() && user_records.len() < 32 {
        let length = usize::from(pick.byte()).min(pick.0.len());
        let (one, rest) = pick.0.split_at(length);
        user_records.push(one);
        pick.0 = rest;
    }
    // One that is an aggregate itself is taken apart too, and takes more than one subsequence number.
    if user_records.iter().any(|one| one.starts_with(MAGIC)) {
        user_records.clear();
    }
    let aggregated = match form & 1 {
        0 => message(&user_records, form),
        // Two aggregates in one, sent by mistake.
        _ => {
            let (one, other) = user_records.split_at(user_records.len() / 2);
            let nested = [sealed(&message(one, form)), sealed(&message(other, form))];
            message(&nested.each_ref().map(Vec::as_slice), form)
        }
    };
    let outcome = run_one(&FEW_COLUMNS, sealed(&aggregated));
    let apart = user_records.iter().zip(0..).map(|(data, subsequence)| record(1, subsequence, data.to_vec()));
    let apart = run(&FEW_COLUMNS, &DeliveryBatch { records: apart.collect() });
    assert!(outcome.rows == apart.rows, "an aggregate is its user records: {:?} {:?}", outcome.rows, apart.rows);
}

/// An `AggregatedRecord` of protobuf, written by hand; `form` says which of its optional parts it has.
fn message(user_records: &[&[u8]], form: u8) -> Vec<u8> {
    let mut message = Vec::new();
    for key in ["key", "another key"] {
        field(&mut message, 1, key.as_bytes());
    }
    if form & 2 != 0 {
        field(&mut message, 2, b"340282366920938463463374607431768211455");
    }
    for (data, index) in user_records.iter().zip(0_u64..) {
        let mut user_record = vec![8];
        varint(&mut user_record, index % 2);
        if form & 4 != 0 {
            user_record.extend([16, 0]);
        }
        field(&mut user_record, 3, data);
        if form & 8 != 0 {
            field(&mut user_record, 4, b"\x0A\x01t");
        }
        field(&mut message, 3, &user_record);
    }
    message
}

/// A field with a length, of protobuf's wire type 2.
fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
