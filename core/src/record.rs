//! Records: the bytes that a stream holds, on their way in ([`PutBatch`]) and on their way out ([`DeliveryBatch`]).

use bytes::Bytes;
use md5::{Digest, Md5};

use crate::clock::Micros;
use crate::identity::{BatchIdentity, RecordIdentity};

/// One record on its way into a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRecord {
    /// Decides the shard: see [`hash_key`]. 1 to 256 characters, as Kinesis has it.
    pub partition_key: String,
    /// Takes the place of the partition key's hash when it is given.
    pub explicit_hash_key: Option<u128>,
    /// The record itself.
    pub data: Bytes,
}

/// Records that are put into a stream in one call. Each gets its own verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutBatch {
    /// In the order in which they are to be appended, shard by shard.
    pub records: Vec<PutRecord>,
}

/// One record as a stream holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    /// Shard, sequence number and subsequence number.
    pub identity: RecordIdentity,
    /// When the stream took it in. This, and never a clock, is `ingest_time` and the measure of "too far in the future".
    pub arrival: Micros,
    /// The key that it was put with.
    pub partition_key: String,
    /// The record itself.
    pub data: Bytes,
}

/// Records handed to the transform together, in order within each shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryBatch {
    /// The records; their order is the order of the outcomes (TR-1).
    pub records: Vec<StreamRecord>,
}

impl DeliveryBatch {
    /// The identity of this set of records.
    pub fn identity(&self) -> BatchIdentity {
        BatchIdentity::of(self.records.iter().map(|record| &record.identity))
    }

    /// The bytes of all records.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.data.len()).sum()
    }
}

/// The place of a partition key in the space of hash keys: its MD5 read as a big-endian 128-bit number.
///
/// Source: Amazon Kinesis Data Streams API Reference, `PutRecord`.
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// The shard, out of `shards` that divide the space of hash keys evenly, to which a hash key belongs.
///
/// # Panics
///
/// When `shards` is 0.
pub fn shard_of_hash_key(hash_key: u128, shards: u32) -> u32 {
    assert!(shards > 0, "a stream has at least one shard");
    let width = (u128::MAX / u128::from(shards)).wrapping_add(1);
    // With one shard the width wraps to 0: the whole space is that shard's.
    if shards == 1 { 0 } else { ((hash_key / width) as u32).min(shards - 1) }
}

/// The hash keys, first and last, that belong to a shard out of `shards` that divide their space evenly: the reverse of
/// [`shard_of_hash_key`].
///
/// # Panics
///
/// When there is no such shard.
pub fn hash_key_range(shard: u32, shards: u32) -> (u128, u128) {
    assert!(shard < shards, "shard {shard} of {shards}");
    if shards == 1 {
        return (0, u128::MAX);
    }
    let width = u128::MAX / u128::from(shards) + 1;
    let first = width * u128::from(shard);
    (first, if shard == shards - 1 { u128::MAX } else { first + (width - 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_key_is_the_md5_as_a_number() {
        assert_eq!(format!("{:032x}", hash_key("a")), "0cc175b9c0f1b6a831c399e269772661");
    }

    #[test]
    fn hash_keys_divide_evenly() {
        assert_eq!(shard_of_hash_key(0, 1), 0);
        assert_eq!(shard_of_hash_key(u128::MAX, 1), 0);
        assert_eq!(shard_of_hash_key(u128::MAX, 3), 2);
        assert_eq!(shard_of_hash_key(u128::MAX / 2 + 1, 2), 1);
        assert_eq!(shard_of_hash_key(u128::MAX / 2, 2), 0);
    }

    #[test]
    fn the_ranges_of_shards_meet_and_hold_their_own_keys() {
        for shards in [1, 2, 3, 7, 256, 1000, u32::MAX] {
            let mut next = 0;
            for shard in (0..shards.min(1000)).chain([shards - 1]) {
                let (first, last) = hash_key_range(shard, shards);
                assert!(first == next || shard >= 1000, "{shard} of {shards} begins at {first}");
                assert_eq!((shard_of_hash_key(first, shards), shard_of_hash_key(last, shards)), (shard, shard));
                next = if shard < shards - 1 { last + 1 } else { first };
            }
            assert_eq!(hash_key_range(shards - 1, shards).1, u128::MAX);
        }
    }
}
