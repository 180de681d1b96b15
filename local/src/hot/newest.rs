//! The newest chunks, over one bucket or all.

use std::collections::BinaryHeap;

use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery, Newest};
use redb::{AccessGuard, Range, ReadTransaction};

use super::error::HotIndexError;
use super::layout::{self, Known, Place};
use super::{BLOCKS, BUCKETS, CHUNKS, tables};

/// A chunk of more rows than this is as many as it could be cut into, so that an answer stays as small as it was asked for.
const ROWS_OF_ONE: usize = 128;

/// A chunk's place, and what is known of it.
type Entry<'a> = (AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>);

/// The newest chunk of a bucket that was not looked at yet, and those after it.
struct Head<'a> {
    max_time: Micros,
    min_time: Micros,
    bucket: u16,
    entry: Entry<'a>,
    rest: std::iter::Rev<Range<'a, &'static [u8], &'static [u8]>>,
}

impl<'a> Head<'a> {
    fn of(
        bucket: u16,
        mut rest: std::iter::Rev<Range<'a, &'static [u8], &'static [u8]>>,
    ) -> Result<Option<Self>, HotIndexError> {
        let Some(entry) = rest.next().transpose()? else { return Ok(None) };
        let (max_time, min_time) = Place::times(entry.0.value())?;
        Ok(Some(Self { max_time, min_time, bucket, entry, rest }))
    }

    fn place(&self) -> (Micros, u16) {
        (self.max_time, self.bucket)
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

/// As many chunks as the query asks for, and those of the last one's time. `None`: more than `most_passed` others would have to be passed, which
/// are not of the source, have no row within the wanted times, or have expired.
pub(super) fn newest(
    reading: &ReadTransaction,
    query: &HotQuery,
    most_passed: usize,
) -> Result<Option<Newest>, HotIndexError> {
    if query.from > query.to.min(query.below) {
        return Ok(Some(Newest::default()));
    }
    let (chunks, blocks) = (reading.open_table(CHUNKS)?, reading.open_table(BLOCKS)?);
    let mut heads = BinaryHeap::new();
    for bucket in query.bucket.map_or(0..BUCKETS, |bucket| bucket..bucket + 1) {
        let (first, past_last) = layout::bucket_range(query, bucket);
        heads.extend(Head::of(bucket, chunks.range(first.as_slice()..past_last.as_slice())?.rev())?);
    }
    let mut found: Vec<HotChunk> = Vec::new();
    let (mut weight, mut passed) = (0, 0);
    while let Some(Head { max_time, min_time, bucket, entry: (place, known), rest }) = heads.pop() {
        // They come by their newest row, the newest first.
        if max_time < query.from {
            break;
        }
        if weight >= query.most && found.last().is_some_and(|last| max_time < last.max_time) {
            return Ok(Some(Newest { chunks: found, below: Some(max_time) }));
        }
        let is_of = query.source.map_or(Ok(true), |source| Known::may_hold(known.value(), source))?;
        let wanted = if min_time <= query.to && is_of {
            Some(Known::read(known.value())?).filter(|known| known.expires_at > query.now)
        } else {
            None
        };
        if let Some(known) = wanted {
            weight += (known.rows as usize).div_ceil(ROWS_OF_ONE).max(1);
            found.push(tables::chunk(place.value(), known, &blocks)?);
        } else if passed == most_passed {
            return Ok(None);
        } else {
            passed += 1;
        }
        heads.extend(Head::of(bucket, rest)?);
    }
    Ok(Some(Newest { chunks: found, below: None }))
}
