//! The newest chunks, over one bucket or all.

use std::collections::BinaryHeap;

use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery, Newest};
use redb::{AccessGuard, Database, Range, ReadableDatabase as _};

use super::error::HotIndexError;
use super::layout::{self, Header, Place};
use super::{BUCKETS, CHUNKS};

/// A chunk's place, and its header and block.
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

/// As many chunks as the query asks for, and those of the last one's time.
pub(super) fn newest(database: &Database, query: &HotQuery) -> Result<Newest, HotIndexError> {
    if query.from > query.to.min(query.below) {
        return Ok(Newest::default());
    }
    let chunks = database.begin_read()?.open_table(CHUNKS)?;
    let mut heads = BinaryHeap::new();
    for bucket in query.bucket.map_or(0..BUCKETS, |bucket| bucket..bucket + 1) {
        let (first, past_last) = layout::bucket_range(query, bucket);
        heads.extend(Head::of(bucket, chunks.range(first.as_slice()..past_last.as_slice())?.rev())?);
    }
    let mut found: Vec<HotChunk> = Vec::new();
    while let Some(Head { max_time, min_time, bucket, entry: (place, value), rest }) = heads.pop() {
        // They come by their newest row, the newest first.
        if max_time < query.from {
            break;
        }
        if found.len() >= query.most && found.last().is_some_and(|last| max_time < last.max_time) {
            return Ok(Newest { chunks: found, below: Some(max_time) });
        }
        let is_of = query.source.map_or(Ok(true), |source| Header::may_hold(value.value(), source))?;
        if min_time <= query.to && is_of {
            let header = Header::read(value.value())?;
            if header.expires_at > query.now {
                found.push(layout::chunk(place.value(), header, value.value())?);
            }
        }
        heads.extend(Head::of(bucket, rest)?);
    }
    Ok(Newest { chunks: found, below: None })
}
