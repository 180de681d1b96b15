//! A second opinion on what an entry holds: a decoder that shares nothing with the encoder.

use std::io::Read;

use alluvium_core::PutRecord;
use alluvium_core::record::hash_key;
use md5::{Digest, Md5};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Record>,
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
}

/// A user record as a consumer sees it. Lines have no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) key: Option<String>,
    pub(super) hash_key: Option<u128>,
    pub(super) data: Vec<u8>,
}

/// The user records of a record that may be a KPL aggregate.
pub(super) fn kpl(record: &PutRecord) -> Vec<Decoded> {
    let own = || record.explicit_hash_key.unwrap_or_else(|| hash_key(&record.partition_key));
    let Some(rest) = record.data.strip_prefix(&[0xF3, 0x89, 0x9A, 0xC2]) else {
        let key = Some(record.partition_key.clone());
        return vec![Decoded { key, hash_key: Some(own()), data: record.data.to_vec() }];
    };
    let (message, digest) = rest.split_at(rest.len() - 16);
    assert_eq!(Md5::digest(message).as_slice(), digest);
    let aggregate = AggregatedRecord::decode(message).unwrap();
    // As the library writes it: nothing else, in this order, each key once.
    assert_eq!(aggregate.encode_to_vec(), message);
    assert!(aggregate.records.len() > 1, "a lone record travels plain");
    let decoded = aggregate.records.iter().map(|record| {
        let key = &aggregate.partition_key_table[record.partition_key_index as usize];
        let explicit = record.explicit_hash_key_index.map(|index| &aggregate.explicit_hash_key_table[index as usize]);
        let hash_key = explicit.map_or_else(|| hash_key(key), |explicit| explicit.parse().unwrap());
        Decoded { key: Some(key.clone()), hash_key: Some(hash_key), data: record.data.clone() }
    });
    decoded.collect()
}

/// The lines of a record that may be compressed.
pub(super) fn lines(record: &PutRecord) -> Vec<Decoded> {
    let mut text = record.data.to_vec();
    if text.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        let decoder = zstd::stream::Decoder::new(&*record.data).unwrap();
        text.clear();
        decoder.take(16 << 20).read_to_end(&mut text).unwrap();
    }
    let text = text.strip_suffix(b"\n").expect("lines end");
    // Test data with a line break inside says so by its first byte, and travels alone.
    if text.starts_with(b"[") {
        return vec![Decoded { key: None, hash_key: None, data: text.to_vec() }];
    }
    text.split(|byte| *byte == b'\n').map(|line| Decoded { key: None, hash_key: None, data: line.to_vec() }).collect()
}
