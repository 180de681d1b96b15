//! The bytes of keys and values.
//!
//! ```text
//! place         dataset | 00 | bucket u16 | time bucket i64 | max time i64 | min time i64 | part u16 | batch (32 hexadecimal digits)
//! known         version 04 | rows u32 | expires at i64 | put i64, u16 | 01 | of each source of the chunk's rows, a mark u16
//! name          batch | dataset | 00 | bucket u16 | time bucket i64 | part u16
//! put           when i64, and which u16 of those that lie there: of a put by itself 0
//! ```
//!
//! The highest bit of a part says that the chunk is clustered. `00` in the place of the `01`, and no marks: of which sources its rows are is not known.
//!
//! So the chunks of a bucket lie one after the other by their newest rows, and a read of the newest is a walk over neighbours; the names of
//! a batch's chunks lie together, for they are looked for together.
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

pub(super) const VERSION: u8 = 4;

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
    let mut place = bucket_prefix(&chunk.dataset, chunk.bucket);
    place.extend_from_slice(&ordered(chunk.time_bucket));
    place.extend_from_slice(&times(chunk));
    place.extend_from_slice(&chunk.part.to_be_bytes());
    place.extend_from_slice(chunk.batch.as_str().as_bytes());
    place
}

/// What a chunk is found by when it is put again, perhaps with other times.
pub(super) fn name(chunk: &HotChunk) -> Vec<u8> {
    let mut name = chunk.batch.as_str().as_bytes().to_vec();
    name.extend(bucket_prefix(&chunk.dataset, chunk.bucket));
    name.extend_from_slice(&ordered(chunk.time_bucket));
    name.extend_from_slice(&chunk.part.to_be_bytes());
    name
}

const BATCH_BYTES: usize = 32;
const PART_BYTES: usize = size_of::<u16>();
/// How many bytes of a place come after its times.
const PART_AND_BATCH_BYTES: usize = PART_BYTES + BATCH_BYTES;
/// How many bytes of a place its two times take.
const TIMES_BYTES: usize = 2 * size_of::<Micros>();

/// The times within a chunk's place.
pub(super) fn times(chunk: &HotChunk) -> [u8; TIMES_BYTES] {
    let mut times = [0; TIMES_BYTES];
    times[..8].copy_from_slice(&ordered(chunk.max_time));
    times[8..].copy_from_slice(&ordered(chunk.min_time));
    times
}

/// Where the chunk of this name with these times lies.
pub(super) fn place_of(name: &[u8], times: [u8; TIMES_BYTES]) -> Result<Vec<u8>, HotIndexError> {
    let split = || {
        let (batch, rest) = name.split_at_checked(BATCH_BYTES)?;
        let (until_time_bucket, part) = rest.split_at_checked(rest.len().checked_sub(PART_BYTES)?)?;
        Some([until_time_bucket, &times, part, batch].concat())
    };
    split().ok_or(HotIndexError::Damaged("a chunk's name"))
}

/// The name of the chunk that lies here.
pub(super) fn name_of(place: &[u8]) -> Result<Vec<u8>, HotIndexError> {
    let split = || {
        let (rest, part_and_batch) = place.split_at_checked(place.len().checked_sub(PART_AND_BATCH_BYTES)?)?;
        let (until_time_bucket, _times) = rest.split_at_checked(rest.len().checked_sub(TIMES_BYTES)?)?;
        let (part, batch) = part_and_batch.split_at_checked(PART_BYTES)?;
        Some([batch, until_time_bucket, part].concat())
    };
    split().ok_or(HotIndexError::Damaged(A_PLACE))
}

/// The part of a chunk that is clustered has this bit.
const CLUSTERED: u16 = 1 << 15;

/// The part of so manieth of the chunks that a group is clustered to.
pub(super) fn clustered_part(number: u16) -> u16 {
    CLUSTERED | number
}

/// What the places of chunks of one bucket and time bucket share; `None`: one that is clustered lies here.
pub(super) fn group_of(place: &[u8]) -> Result<Option<&[u8]>, HotIndexError> {
    let split = || {
        let (rest, part_and_batch) = place.split_at_checked(place.len().checked_sub(PART_AND_BATCH_BYTES)?)?;
        let part = u16::from_be_bytes(*part_and_batch.first_chunk()?);
        Some((part & CLUSTERED == 0).then_some(rest.get(..rest.len().checked_sub(TIMES_BYTES)?)?))
    };
    split().ok_or(HotIndexError::Damaged(A_PLACE))
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

/// When a chunk was put, and which of those it is that were put then.
pub(super) type Put = (Micros, u16);

/// What is known of a chunk without its block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) rows: u32,
    pub(super) expires_at: Micros,
    /// When it was put, which is where its block lies.
    pub(super) put: Put,
}

/// What is damaged where nothing is known of a chunk.
const WHAT_IS_KNOWN: &str = "what is known of a chunk";

impl Known {
    /// What stands before the marks.
    const BYTES: usize = 1 + 4 + 8 + 8 + 2 + 1;

    /// Of a chunk that is put then.
    pub(super) fn of(chunk: &HotChunk, put: Put) -> Self {
        Self { rows: chunk.rows, expires_at: chunk.expires_at, put }
    }

    pub(super) fn read(known: &[u8]) -> Result<Self, HotIndexError> {
        let (version, rest) = known.split_first().ok_or(HotIndexError::Damaged(WHAT_IS_KNOWN))?;
        if *version != VERSION {
            return Err(HotIndexError::Version(*version));
        }
        let split = || {
            let (rows, rest) = rest.split_first_chunk()?;
            let (expires_at, rest) = rest.split_first_chunk()?;
            let (put_at, rest) = rest.split_first_chunk()?;
            Some(Self {
                rows: u32::from_be_bytes(*rows),
                expires_at: Micros::from_be_bytes(*expires_at),
                put: (Micros::from_be_bytes(*put_at), u16::from_be_bytes(*rest.first_chunk()?)),
            })
        };
        split().ok_or(HotIndexError::Damaged(WHAT_IS_KNOWN))
    }

    /// Its bytes, of a chunk with this block.
    pub(super) fn with_marks_of(self, block: &[u8]) -> Vec<u8> {
        let marks = sources_of(block, EXPANDED_BYTES);
        let mut known = Vec::with_capacity(Self::BYTES + 2 * marks.as_ref().map_or(0, Vec::len));
        known.push(VERSION);
        known.extend_from_slice(&self.rows.to_be_bytes());
        known.extend_from_slice(&self.expires_at.to_be_bytes());
        known.extend_from_slice(&self.put.0.to_be_bytes());
        known.extend_from_slice(&self.put.1.to_be_bytes());
        known.push(marks.is_some().into());
        known.extend(marks.into_iter().flatten().flat_map(|mark| mark.0.to_be_bytes()));
        known
    }

    /// Whether the chunk of which these bytes are known may have rows of a source.
    pub(super) fn may_hold(known: &[u8], source: SourceMark) -> Result<bool, HotIndexError> {
        let (head, marks) = known.split_at_checked(Self::BYTES).ok_or(HotIndexError::Damaged(WHAT_IS_KNOWN))?;
        Ok(head.last() == Some(&0) || marks.chunks_exact(2).any(|mark| mark == source.0.to_be_bytes()))
    }
}

/// Puts a chunk together again out of its place, what is known of it, and its block.
pub(super) fn chunk(place: &[u8], known: Known, block: &[u8]) -> Result<HotChunk, HotIndexError> {
    let dataset = place.split(|byte| *byte == 0).next().and_then(|name| std::str::from_utf8(name).ok());
    let dataset = dataset.ok_or(HotIndexError::Damaged(A_PLACE))?.to_owned();
    let Place { bucket, time_bucket, max_time, min_time, part, batch } = Place::read(place)?;
    let (rows, expires_at) = (known.rows, known.expires_at);
    let block = Bytes::copy_from_slice(block);
    Ok(HotChunk { dataset, bucket, time_bucket, batch, part, rows, min_time, max_time, expires_at, block })
}

/// Whether a chunk of this dataset, and of this bucket if one is named, lies here.
pub(super) fn lies_in(place: &[u8], dataset: &str, bucket: Option<u16>) -> bool {
    let rest = place.strip_prefix(dataset.as_bytes()).and_then(|rest| rest.strip_prefix(&[0]));
    rest.is_some_and(|rest| bucket.is_none_or(|bucket| rest.starts_with(&bucket.to_be_bytes())))
}
