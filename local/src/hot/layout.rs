//! The bytes of keys and values.
//!
//! ```text
//! chunk key     dataset | 00 | bucket u16 | time bucket i64 | part u16 | batch (32 hexadecimal digits)
//! chunk value   version 02 | rows u32 | min time i64 | max time i64 | expires at i64 | put at i64 | block
//! time key      dataset | 00 | bucket u16 | time bucket i64 | max time i64 | min time i64 | part u16 | batch
//! expiry key    expires at i64 | chunk key
//! put key       dataset | 00 | bucket u16 | put at i64 | the rest of the chunk key
//! ```
//!
//! In version 01 nothing said when a chunk was put, and it has no put key.
//!
//! Numbers are big-endian; the sign bit of an `i64` in a key is inverted, so that the order of bytes is that of numbers.

use alluvium_core::BatchIdentity;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery, time_bucket_of};
use bytes::Bytes;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;

use super::error::HotIndexError;

const VERSION: u8 = 2;
/// The version that does not say when a chunk was put, as is written of one of which nobody knows.
const WITHOUT_PUT: u8 = 1;

fn ordered(time: Micros) -> [u8; 8] {
    ((time as u64) ^ (1 << 63)).to_be_bytes()
}

fn from_ordered(bytes: [u8; 8]) -> Micros {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as Micros
}

fn bucket_prefix(dataset: &str, bucket: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(dataset.len() + 64);
    key.extend_from_slice(dataset.as_bytes());
    key.push(0);
    key.extend_from_slice(&bucket.to_be_bytes());
    key
}

/// Where a chunk lies.
pub(super) fn chunk_key(chunk: &HotChunk) -> Vec<u8> {
    let mut key = bucket_prefix(&chunk.dataset, chunk.bucket);
    key.extend_from_slice(&ordered(chunk.time_bucket));
    key.extend_from_slice(&chunk.part.to_be_bytes());
    key.extend_from_slice(chunk.batch.as_str().as_bytes());
    key
}

/// How many bytes of a time key stand between what it has in common with the chunk's key: the two times.
const TIMES_BYTES: usize = 2 * 8;
/// How many bytes of a chunk's key come after its time bucket.
const PART_AND_BATCH_BYTES: usize = 2 + 32;

/// Where it is noted which times a chunk has, given its key.
pub(super) fn time_key(chunk_key: &[u8], header: &Header) -> Vec<u8> {
    let (until_time_bucket, part_and_batch) = chunk_key.split_at(chunk_key.len().saturating_sub(PART_AND_BATCH_BYTES));
    let mut key = Vec::with_capacity(chunk_key.len() + TIMES_BYTES);
    key.extend_from_slice(until_time_bucket);
    key.extend_from_slice(&ordered(header.max_time));
    key.extend_from_slice(&ordered(header.min_time));
    key.extend_from_slice(part_and_batch);
    key
}

/// A time key, read back.
pub(super) struct TimeKey {
    pub(super) chunk_key: Vec<u8>,
    pub(super) max_time: Micros,
    pub(super) min_time: Micros,
}

impl TimeKey {
    pub(super) fn read(key: &[u8]) -> Result<Self, HotIndexError> {
        Self::split(key).ok_or(HotIndexError::Damaged("where a chunk's times are noted"))
    }

    fn split(key: &[u8]) -> Option<Self> {
        let (rest, part_and_batch) = key.split_at_checked(key.len().checked_sub(PART_AND_BATCH_BYTES)?)?;
        let (rest, min_time) = rest.split_last_chunk()?;
        let (until_time_bucket, max_time) = rest.split_last_chunk()?;
        Some(Self {
            chunk_key: [until_time_bucket, part_and_batch].concat(),
            max_time: from_ordered(*max_time),
            min_time: from_ordered(*min_time),
        })
    }
}

/// The time keys of one bucket that a query may want, from the time bucket `oldest` on: the first, and the first past them.
pub(super) fn bucket_range(query: &HotQuery, bucket: u16, oldest: Micros) -> (Vec<u8>, Vec<u8>) {
    let mut first = bucket_prefix(&query.dataset, bucket);
    let mut past_last = first.clone();
    first.extend_from_slice(&ordered(oldest));
    // A key goes on after its time bucket with times and a part, so this is greater than all of that time bucket.
    past_last.extend_from_slice(&ordered(time_bucket_of(query.to)));
    past_last.extend_from_slice(&[u8::MAX; TIMES_BYTES + 3]);
    (first, past_last)
}

/// A chunk's key, read back.
pub(super) struct ChunkKey {
    pub(super) bucket: u16,
    pub(super) time_bucket: Micros,
    part: u16,
    batch: BatchIdentity,
}

impl ChunkKey {
    pub(super) fn read(key: &[u8]) -> Result<Self, HotIndexError> {
        Self::split(key).ok_or(HotIndexError::Damaged("a chunk's key"))
    }

    fn split(key: &[u8]) -> Option<Self> {
        let after_dataset = key.iter().position(|byte| *byte == 0)? + 1;
        let (bucket, rest) = key[after_dataset..].split_first_chunk()?;
        let (time_bucket, rest) = rest.split_first_chunk()?;
        let (part, batch) = rest.split_first_chunk()?;
        let batch: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
            std::str::from_utf8(batch).ok()?.into_deserializer();
        Some(Self {
            bucket: u16::from_be_bytes(*bucket),
            time_bucket: from_ordered(*time_bucket),
            part: u16::from_be_bytes(*part),
            batch: BatchIdentity::deserialize(batch).ok()?,
        })
    }
}

/// What stands before a chunk's block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    rows: u32,
    pub(super) min_time: Micros,
    pub(super) max_time: Micros,
    pub(super) expires_at: Micros,
    /// `None`: nobody knows when.
    pub(super) put_at: Option<Micros>,
}

impl Header {
    /// Of a chunk that is put at this time.
    pub(super) fn of(chunk: &HotChunk, put_at: Option<Micros>) -> Self {
        let HotChunk { rows, min_time, max_time, expires_at, .. } = *chunk;
        Self { rows, min_time, max_time, expires_at, put_at }
    }

    fn bytes(&self) -> usize {
        1 + 4 + 8 + 8 + 8 + self.put_at.map_or(0, |_| 8)
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, HotIndexError> {
        let damaged = || HotIndexError::Damaged("a chunk's header");
        let (version, rest) = value.split_first().ok_or_else(damaged)?;
        if !matches!(*version, VERSION | WITHOUT_PUT) {
            return Err(HotIndexError::Version(*version));
        }
        let (rows, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (min_time, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (max_time, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (expires_at, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let put_at = match *version {
            VERSION => Some(Micros::from_be_bytes(*rest.first_chunk().ok_or_else(damaged)?)),
            _ => None,
        };
        Ok(Self {
            put_at,
            rows: u32::from_be_bytes(*rows),
            min_time: Micros::from_be_bytes(*min_time),
            max_time: Micros::from_be_bytes(*max_time),
            expires_at: Micros::from_be_bytes(*expires_at),
        })
    }
}

/// The header and block of a chunk that was put at this time.
pub(super) fn chunk_value(chunk: &HotChunk, put_at: Option<Micros>) -> Vec<u8> {
    let mut value = Vec::with_capacity(64 + chunk.block.len());
    value.push(if put_at.is_some() { VERSION } else { WITHOUT_PUT });
    value.extend_from_slice(&chunk.rows.to_be_bytes());
    for time in [chunk.min_time, chunk.max_time, chunk.expires_at].into_iter().chain(put_at) {
        value.extend_from_slice(&time.to_be_bytes());
    }
    value.extend_from_slice(&chunk.block);
    value
}

/// Puts a chunk together again.
pub(super) fn chunk(dataset: &str, key: ChunkKey, header: Header, value: &[u8]) -> HotChunk {
    HotChunk {
        dataset: dataset.to_owned(),
        bucket: key.bucket,
        time_bucket: key.time_bucket,
        batch: key.batch,
        part: key.part,
        rows: header.rows,
        min_time: header.min_time,
        max_time: header.max_time,
        expires_at: header.expires_at,
        block: Bytes::copy_from_slice(&value[header.bytes()..]),
    }
}

/// Puts a chunk together again out of its key and value alone.
pub(super) fn whole_chunk(key: &[u8], value: &[u8]) -> Result<HotChunk, HotIndexError> {
    let dataset = key.split(|byte| *byte == 0).next().and_then(|name| std::str::from_utf8(name).ok());
    let dataset = dataset.ok_or(HotIndexError::Damaged("a chunk's key"))?;
    Ok(chunk(dataset, ChunkKey::read(key)?, Header::read(value)?, value))
}

/// Where it is noted that a chunk expires.
pub(super) fn expiry_key(expires_at: Micros, chunk_key: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(8 + chunk_key.len());
    key.extend_from_slice(&ordered(expires_at));
    key.extend_from_slice(chunk_key);
    key
}

/// The first key past those of chunks that have expired at `now`.
pub(super) fn expiry_past(now: Micros) -> Vec<u8> {
    let mut key = ordered(now).to_vec();
    // A dataset's name is ASCII.
    key.push(u8::MAX);
    key
}

/// The chunk's key within an expiry key.
pub(super) fn chunk_key_of_expiry(key: &[u8]) -> Result<&[u8], HotIndexError> {
    key.get(8..).ok_or(HotIndexError::Damaged("an expiry key"))
}

/// How many bytes of a chunk's key say in which bucket of which dataset it lies.
fn prefix_bytes(chunk_key: &[u8]) -> Result<usize, HotIndexError> {
    let after_dataset = chunk_key.iter().position(|byte| *byte == 0).map(|end| end + 1 + size_of::<u16>());
    after_dataset.filter(|end| *end <= chunk_key.len()).ok_or(HotIndexError::Damaged("a chunk's key"))
}

/// Where it is noted that a chunk was put at this time.
pub(super) fn put_key(at: Micros, chunk_key: &[u8]) -> Result<Vec<u8>, HotIndexError> {
    let (prefix, rest) = chunk_key.split_at(prefix_bytes(chunk_key)?);
    Ok([prefix, ordered(at).as_slice(), rest].concat())
}

/// When the chunk was put that a put key notes, and its key.
pub(super) fn split_put_key(key: &[u8]) -> Result<(Micros, Vec<u8>), HotIndexError> {
    let (prefix, rest) = key.split_at(prefix_bytes(key)?);
    let (at, rest) = rest.split_first_chunk().ok_or(HotIndexError::Damaged("the order of its chunks"))?;
    Ok((from_ordered(*at), [prefix, rest].concat()))
}

/// The put keys of a bucket from this time on: the first, and the first past them.
pub(super) fn put_range(dataset: &str, bucket: u16, from: Micros) -> (Vec<u8>, Vec<u8>) {
    let prefix = bucket_prefix(dataset, bucket);
    let first = [prefix.as_slice(), ordered(from).as_slice()].concat();
    (first, [prefix.as_slice(), [u8::MAX; 9].as_slice()].concat())
}
