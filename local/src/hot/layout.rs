//! The bytes of keys and values.
//!
//! ```text
//! place         dataset | 00 | bucket u16 | time bucket i64 | max time i64 | min time i64 | part u16 | batch (32 hexadecimal digits)
//! chunk         place -> version 03 | rows u32 | expires at i64 | put at i64 | marks u16 | of each source of its rows, a mark u16 | block
//! chunk's name  dataset | 00 | bucket u16 | time bucket i64 | part u16 | batch -> max time i64 | min time i64
//! expiry key    expires at i64 | place
//! put key       dataset | 00 | bucket u16 | put at i64 | the rest of the place
//! ```
//!
//! `FFFF` marks: of which sources its rows are is not known.
//!
//! So the chunks of a bucket lie one after the other by their newest rows, and a read of the newest is a walk over neighbours.
//!
//! Numbers are big-endian; the sign bit of an `i64` in a key is inverted, so that the order of bytes is that of numbers.

use alluvium_core::BatchIdentity;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery, SourceMark, time_bucket_of};
use alluvium_core::hot_block::{EXPANDED_BYTES, sources_of};
use bytes::Bytes;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;

use super::error::HotIndexError;

const VERSION: u8 = 3;

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
pub(super) fn place(chunk: &HotChunk) -> Vec<u8> {
    place_of(&name(chunk), times(chunk))
}

/// What a chunk is found by when it is put again, perhaps with other times.
pub(super) fn name(chunk: &HotChunk) -> Vec<u8> {
    let mut name = bucket_prefix(&chunk.dataset, chunk.bucket);
    name.extend_from_slice(&ordered(chunk.time_bucket));
    name.extend_from_slice(&chunk.part.to_be_bytes());
    name.extend_from_slice(chunk.batch.as_str().as_bytes());
    name
}

/// How many bytes of a name come after its time bucket.
const PART_AND_BATCH_BYTES: usize = 2 + 32;
/// How many bytes of a place stand between what it has in common with the chunk's name: the two times.
const TIMES_BYTES: usize = 2 * 8;

/// The times within a chunk's place.
pub(super) fn times(chunk: &HotChunk) -> [u8; TIMES_BYTES] {
    let mut times = [0; TIMES_BYTES];
    times[..8].copy_from_slice(&ordered(chunk.max_time));
    times[8..].copy_from_slice(&ordered(chunk.min_time));
    times
}

/// Where the chunk of this name with these times lies.
pub(super) fn place_of(name: &[u8], times: [u8; TIMES_BYTES]) -> Vec<u8> {
    let (until_time_bucket, part_and_batch) = name.split_at(name.len().saturating_sub(PART_AND_BATCH_BYTES));
    [until_time_bucket, &times, part_and_batch].concat()
}

/// The name of the chunk that lies here.
pub(super) fn name_of(place: &[u8]) -> Result<Vec<u8>, HotIndexError> {
    let at = place.len().checked_sub(PART_AND_BATCH_BYTES).ok_or(HotIndexError::Damaged(A_PLACE))?;
    let (rest, part_and_batch) = place.split_at(at);
    let until_time_bucket = rest.len().checked_sub(TIMES_BYTES).ok_or(HotIndexError::Damaged(A_PLACE))?;
    Ok([&rest[..until_time_bucket], part_and_batch].concat())
}

/// What is damaged where no chunk can lie.
const A_PLACE: &str = "where a chunk lies";

/// The places of one bucket that a query may want: the first, and the first past them.
pub(super) fn bucket_range(query: &HotQuery, bucket: u16) -> (Vec<u8>, Vec<u8>) {
    let mut first = bucket_prefix(&query.dataset, bucket);
    let mut past_last = first.clone();
    first.extend_from_slice(&ordered(time_bucket_of(query.from)));
    // Of the time bucket in which the wanted times end, chunks may have rows that are newer.
    let last = time_bucket_of(query.to);
    let (last, newest) = if time_bucket_of(query.below) > last {
        (last, Micros::MAX)
    } else {
        (time_bucket_of(query.below), query.below)
    };
    past_last.extend_from_slice(&ordered(last));
    past_last.extend_from_slice(&ordered(newest));
    // A place goes on with another time, a part and a batch, which is none of these bytes.
    past_last.extend_from_slice(&[u8::MAX; 8 + 3]);
    (first, past_last)
}

/// A place, read back.
pub(super) struct Place {
    bucket: u16,
    time_bucket: Micros,
    pub(super) max_time: Micros,
    pub(super) min_time: Micros,
    part: u16,
    batch: BatchIdentity,
}

impl Place {
    /// The times of a place: the newest row's, and the oldest row's.
    pub(super) fn times(place: &[u8]) -> Result<(Micros, Micros), HotIndexError> {
        let split = || {
            let rest = &place[..place.len().checked_sub(PART_AND_BATCH_BYTES)?];
            let (rest, min_time) = rest.split_last_chunk()?;
            let (_, max_time) = rest.split_last_chunk()?;
            Some((from_ordered(*max_time), from_ordered(*min_time)))
        };
        split().ok_or(HotIndexError::Damaged(A_PLACE))
    }

    fn read(place: &[u8]) -> Result<Self, HotIndexError> {
        Self::split(place).ok_or(HotIndexError::Damaged(A_PLACE))
    }

    fn split(place: &[u8]) -> Option<Self> {
        let after_dataset = place.iter().position(|byte| *byte == 0)? + 1;
        let (bucket, rest) = place[after_dataset..].split_first_chunk()?;
        let (time_bucket, rest) = rest.split_first_chunk()?;
        let (max_time, rest) = rest.split_first_chunk()?;
        let (min_time, rest) = rest.split_first_chunk()?;
        let (part, batch) = rest.split_first_chunk()?;
        let batch: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
            std::str::from_utf8(batch).ok()?.into_deserializer();
        Some(Self {
            bucket: u16::from_be_bytes(*bucket),
            time_bucket: from_ordered(*time_bucket),
            max_time: from_ordered(*max_time),
            min_time: from_ordered(*min_time),
            part: u16::from_be_bytes(*part),
            batch: BatchIdentity::deserialize(batch).ok()?,
        })
    }
}

/// What stands before a chunk's block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    rows: u32,
    pub(super) expires_at: Micros,
    pub(super) put_at: Micros,
    /// Where the block begins.
    block: usize,
}

/// What says that sources are not known, and so no number of marks.
const UNKNOWN: u16 = u16::MAX;

impl Header {
    /// What stands before the marks.
    const BYTES: usize = 1 + 4 + 8 + 8 + 2;

    /// Of a chunk that is put at this time.
    pub(super) fn of(chunk: &HotChunk, put_at: Micros) -> Self {
        Self { rows: chunk.rows, expires_at: chunk.expires_at, put_at, block: 0 }
    }

    /// Whether the chunk of this value may have rows of a source.
    pub(super) fn may_hold(value: &[u8], source: SourceMark) -> Result<bool, HotIndexError> {
        let marks = Self::marks(value).ok_or(HotIndexError::Damaged("a chunk's header"))?;
        Ok(marks.is_none_or(|marks| marks.chunks_exact(2).any(|mark| mark == source.0.to_be_bytes())))
    }

    /// The marks of a value; within it `None`: they are not known.
    fn marks(value: &[u8]) -> Option<Option<&[u8]>> {
        let (head, rest) = value.split_at_checked(Self::BYTES)?;
        match u16::from_be_bytes(*head.last_chunk()?) {
            UNKNOWN => Some(None),
            count => Some(Some(rest.get(..usize::from(count) * 2)?)),
        }
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, HotIndexError> {
        let damaged = || HotIndexError::Damaged("a chunk's header");
        let (version, rest) = value.split_first().ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(HotIndexError::Version(*version));
        }
        let (rows, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (expires_at, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let put_at = rest.first_chunk().ok_or_else(damaged)?;
        let marks = Self::marks(value).ok_or_else(damaged)?;
        Ok(Self {
            block: Self::BYTES + marks.map_or(0, <[u8]>::len),
            rows: u32::from_be_bytes(*rows),
            expires_at: Micros::from_be_bytes(*expires_at),
            put_at: Micros::from_be_bytes(*put_at),
        })
    }
}

/// The header and block of a chunk.
pub(super) fn chunk_value(chunk: &HotChunk, header: Header) -> Vec<u8> {
    let marks = sources_of(&chunk.block, EXPANDED_BYTES).filter(|marks| marks.len() < usize::from(UNKNOWN));
    let marks_bytes = marks.as_ref().map_or(0, |marks| 2 * marks.len());
    let mut value = Vec::with_capacity(Header::BYTES + marks_bytes + chunk.block.len());
    value.push(VERSION);
    value.extend_from_slice(&header.rows.to_be_bytes());
    value.extend_from_slice(&header.expires_at.to_be_bytes());
    value.extend_from_slice(&header.put_at.to_be_bytes());
    value.extend_from_slice(&marks.as_ref().map_or(UNKNOWN, |marks| marks.len() as u16).to_be_bytes());
    value.extend(marks.into_iter().flatten().flat_map(|mark| mark.0.to_be_bytes()));
    value.extend_from_slice(&chunk.block);
    value
}

/// Puts a chunk together again out of its place and value.
pub(super) fn chunk(place: &[u8], header: Header, value: &[u8]) -> Result<HotChunk, HotIndexError> {
    let dataset = place.split(|byte| *byte == 0).next().and_then(|name| std::str::from_utf8(name).ok());
    let dataset = dataset.ok_or(HotIndexError::Damaged(A_PLACE))?.to_owned();
    let Place { bucket, time_bucket, max_time, min_time, part, batch } = Place::read(place)?;
    let (rows, expires_at) = (header.rows, header.expires_at);
    let block = Bytes::copy_from_slice(&value[header.block..]);
    Ok(HotChunk { dataset, bucket, time_bucket, batch, part, rows, min_time, max_time, expires_at, block })
}

/// Where it is noted that a chunk expires.
pub(super) fn expiry_key(expires_at: Micros, place: &[u8]) -> Vec<u8> {
    [&ordered(expires_at), place].concat()
}

/// The first key past those of chunks that have expired at `now`.
pub(super) fn expiry_past(now: Micros) -> Vec<u8> {
    let mut key = ordered(now).to_vec();
    // A dataset's name is ASCII.
    key.push(u8::MAX);
    key
}

/// Where the chunk lies that an expiry key notes.
pub(super) fn place_of_expiry(key: &[u8]) -> Result<&[u8], HotIndexError> {
    key.get(8..).ok_or(HotIndexError::Damaged("an expiry key"))
}

/// How many bytes of a place say in which bucket of which dataset it is.
fn prefix_bytes(place: &[u8]) -> Result<usize, HotIndexError> {
    let after_dataset = place.iter().position(|byte| *byte == 0).map(|end| end + 1 + size_of::<u16>());
    after_dataset.filter(|end| *end <= place.len()).ok_or(HotIndexError::Damaged(A_PLACE))
}

/// Where it is noted that the chunk of this place was put at this time.
pub(super) fn put_key(at: Micros, place: &[u8]) -> Result<Vec<u8>, HotIndexError> {
    let (prefix, rest) = place.split_at(prefix_bytes(place)?);
    Ok([prefix, ordered(at).as_slice(), rest].concat())
}

/// When the chunk was put that a put key notes, and where it lies.
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
