//! The bytes of an aggregate in the format of the Kinesis Producer Library.
//!
//! ```text
//! byte 0..4   magic  F3 89 9A C2
//! then        a protobuf message `AggregatedRecord`: 1 partition keys, 2 explicit hash keys in decimal, 3 records
//! last 16     the MD5 of that message
//! ```
//!
//! The two tables stand before the records, as the library itself writes them.
//!
//! Source: amazon-kinesis-producer, "KPL Aggregated Record Format".

use md5::{Digest, Md5};
use rustc_hash::FxHashMap;

use super::key_table::Keys;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const MD5_BYTES: usize = 16;

/// What stands around the message.
pub(super) const FRAME_BYTES: usize = MAGIC.len() + MD5_BYTES;

/// The partition key of an aggregate that travels by an explicit hash key: one byte, since the records have keys of their own.
pub(super) const PARTITION_KEY: &str = "a";

const PARTITION_KEY_TABLE: u8 = 1 << 3 | LENGTH_DELIMITED;
const HASH_KEY_TABLE: u8 = 2 << 3 | LENGTH_DELIMITED;
const RECORD: u8 = 3 << 3 | LENGTH_DELIMITED;
const KEY_INDEX: u8 = 1 << 3;
const HASH_KEY_INDEX: u8 = 2 << 3;
const DATA: u8 = 3 << 3 | LENGTH_DELIMITED;
const LENGTH_DELIMITED: u8 = 2;

/// The bytes of a number as protobuf writes it.
fn varint_bytes(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

fn write_varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The bytes of a table's line, or of a record's data.
fn field_bytes(bytes: usize) -> usize {
    1 + varint_bytes(bytes) + bytes
}

fn write_field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    write_varint(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// The explicit hash keys of an aggregate, each held once and written in decimal.
#[derive(Debug, Default)]
pub(super) struct HashKeyTable {
    numbers: FxHashMap<u128, u32>,
    written: Vec<u8>,
}

impl HashKeyTable {
    pub(super) fn find(&self, hash_key: u128) -> Option<u32> {
        self.numbers.get(&hash_key).copied()
    }

    /// Adds a hash key that [`find`](Self::find) does not find; its number.
    pub(super) fn add(&mut self, hash_key: u128) -> u32 {
        let number = self.numbers.len() as u32;
        write_field(HASH_KEY_TABLE, hash_key.to_string().as_bytes(), &mut self.written);
        self.numbers.insert(hash_key, number);
        number
    }

    pub(super) fn bytes(&self) -> usize {
        self.written.len()
    }

    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.written.clear();
    }
}

/// The bytes that a new partition key takes in its table.
pub(super) fn key_bytes(key: &str) -> usize {
    field_bytes(key.len())
}

/// The bytes that a new explicit hash key takes in its table, at most.
pub(super) fn hash_key_bytes(hash_key: u128) -> usize {
    field_bytes(hash_key.checked_ilog10().map_or(1, |log| log as usize + 1))
}

/// A record's bytes within its field.
fn record_body_bytes(key: u32, hash_key: Option<u32>, data: usize) -> usize {
    1 + varint_bytes(key as usize) + hash_key.map_or(0, |number| 1 + varint_bytes(number as usize)) + field_bytes(data)
}

/// The bytes that a record takes.
pub(super) fn record_bytes(key: u32, hash_key: Option<u32>, data: usize) -> usize {
    field_bytes(record_body_bytes(key, hash_key, data))
}

/// Writes a record; where its data begins.
pub(super) fn write_record(key: u32, hash_key: Option<u32>, data: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(RECORD);
    write_varint(record_body_bytes(key, hash_key, data.len()), out);
    out.push(KEY_INDEX);
    write_varint(key as usize, out);
    if let Some(number) = hash_key {
        out.push(HASH_KEY_INDEX);
        write_varint(number as usize, out);
    }
    write_field(DATA, data, out);
    out.len() - data.len()
}

/// Puts an aggregate together; also where the records begin in it.
pub(super) fn finish(keys: &Keys, hash_keys: &HashKeyTable, records: &[u8]) -> (Vec<u8>, usize) {
    let key_table: usize = keys.iter().map(key_bytes).sum();
    let mut out = Vec::with_capacity(FRAME_BYTES + key_table + hash_keys.bytes() + records.len());
    out.extend_from_slice(&MAGIC);
    keys.iter().for_each(|key| write_field(PARTITION_KEY_TABLE, key.as_bytes(), &mut out));
    out.extend_from_slice(&hash_keys.written);
    let begin = out.len();
    out.extend_from_slice(records);
    let digest = Md5::digest(&out[MAGIC.len()..]);
    out.extend_from_slice(&digest);
    (out, begin)
}
