//! Reading the newest chunks without reading more than them.
//!
//! A query reads, and costs, up to 1 MB whatever it returns, and a bucket's newest chunks may be a few kilobytes. So a first query
//! for a single item finds each bucket's newest time bucket, and a second reads of that time bucket, in those buckets only whose newest it is, from
//! the newest chunk downwards until it has as many as were asked for. An answer has chunks of that one time bucket alone.
//!
//! A key tells the time of its chunk's newest row, so whatever was not read is no newer than the last that was. Where a time bucket holds a chunk of
//! a release whose keys did not, all of it is read.

use std::cmp::Reverse;
use std::pin::pin;

use alluvium_core::clock::Micros;
use alluvium_core::hot::{BUCKETS, HotChunk, HotQuery, Newest, TIME_BUCKET_MICROS, sort_key_prefix, time_bucket_of};
use alluvium_core::ports::PortError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{DynamoHotIndex, item};
use crate::error::port_error;

/// How many queries are on their way at once.
const QUERIES_AT_ONCE: usize = 16;

/// How many chunks are read at once at the least: of those that have expired or are out of range, many may follow each other.
const FEW: usize = 16;

/// What comes after every sort key that begins with something and before those that begin with what follows: keys are hexadecimal digits, `#` and `!`.
const PAST: char = '~';

impl DynamoHotIndex {
    pub(super) async fn newest_chunks(&self, query: &HotQuery) -> Result<Newest, PortError> {
        if query.from > query.to.min(query.below) {
            return Ok(Newest::default());
        }
        let buckets: Vec<u16> = query.bucket.map_or_else(|| (0..BUCKETS).collect(), |bucket| vec![bucket]);
        let mut heads = self.heads(query, buckets, query.to.min(query.below)).await?;
        while let Some(newest) = heads.iter().map(|head| head.time_bucket).max() {
            let (holders, rest): (Vec<Head>, Vec<Head>) =
                heads.into_iter().partition(|head| head.time_bucket == newest);
            let Kept { mut chunks, dropped, .. } = self.read(query, holders.clone()).await?;
            if !chunks.is_empty() {
                chunks.sort_by(|a, b| {
                    let key = |chunk: &HotChunk| (chunk.bucket, chunk.sort_key());
                    b.max_time.cmp(&a.max_time).then_with(|| key(a).cmp(&key(b)))
                });
                // A chunk never spans two time buckets: whatever is left ends before this one begins.
                let below = dropped.or(newest.checked_sub(1).filter(|below| *below >= query.from));
                return Ok(Newest { chunks, below });
            }
            // Removed since they were found; look for what comes before.
            heads = rest;
            if let Some(before) = newest.checked_sub(1) {
                let holders = holders.into_iter().map(|head| head.bucket).collect();
                heads.extend(self.heads(query, holders, before).await?);
            }
        }
        Ok(Newest::default())
    }

    /// For each bucket the newest time bucket, from that of `last` downwards, in which it holds any chunk that is wanted.
    async fn heads(&self, query: &HotQuery, buckets: Vec<u16>, last: Micros) -> Result<Vec<Head>, PortError> {
        let heads =
            stream::iter(buckets).map(|bucket| self.head(query, bucket, last)).buffer_unordered(QUERIES_AT_ONCE);
        heads.try_filter_map(async |head| Ok(head)).try_collect().await
    }

    async fn head(&self, query: &HotQuery, bucket: u16, last: Micros) -> Result<Option<Head>, PortError> {
        let (first, last_bucket) = (time_bucket_of(query.from), time_bucket_of(last));
        if first > last_bucket {
            return Ok(None);
        }
        // What lies above it in its time bucket was answered before, or is too new: it is passed over without being read.
        if last < Micros::MAX && query.below <= last {
            let prefix = sort_key_prefix(last_bucket);
            let of_before = Keys { first: item::after_those_by_time(last_bucket), last: past(&prefix) };
            let by_time = Keys { first: sort_key_prefix(first), last: past(&item::by_time(last_bucket, last)) };
            let (of_before, by_time) =
                try_join(self.first_key(query, bucket, of_before), self.first_key(query, bucket, by_time)).await?;
            return of_before.or(by_time).map(|key| Head::of(bucket, &key)).transpose();
        }
        let keys = Keys { first: sort_key_prefix(first), last: past(&sort_key_prefix(last_bucket)) };
        let key = self.first_key(query, bucket, keys).await?;
        key.map(|key| Head::of(bucket, &key)).transpose()
    }

    /// The last key, which is the newest, of a chunk that is wanted.
    async fn first_key(&self, query: &HotQuery, bucket: u16, keys: Keys) -> Result<Option<String>, PortError> {
        let asked = self.query(query, bucket, keys).projection_expression(item::SK);
        // Most often the newest chunk is wanted. Where it is not (all of a source's may have expired), pages of 1 MB find one.
        let mut limit = Some(1);
        let mut start = None;
        loop {
            let page = asked.clone().set_limit(limit).set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| self.unreadable(query, bucket, error))?;
            if let Some(found) = page.items().first() {
                return Ok(Some(item::text(found, item::SK)?.to_owned()));
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(None);
            }
            limit = None;
        }
    }

    /// The newest chunks wanted of one time bucket.
    async fn read(&self, query: &HotQuery, holders: Vec<Head>) -> Result<Kept, PortError> {
        let read = stream::iter(holders).map(|head| self.read_bucket(query, head));
        let mut read = pin!(read.buffer_unordered(QUERIES_AT_ONCE));
        let mut all = Kept::of(query.most);
        while let Some(kept) = read.try_next().await? {
            all.dropped = all.dropped.max(kept.dropped);
            kept.chunks.into_iter().for_each(|chunk| all.keep(chunk));
        }
        // What is not newer than one that was dropped is not all there is of its time.
        all.chunks.retain(|chunk| all.dropped.is_none_or(|dropped| chunk.max_time > dropped));
        Ok(all)
    }

    /// The newest chunks wanted of one bucket's time bucket, and no more pages of it than they take.
    async fn read_bucket(&self, query: &HotQuery, head: Head) -> Result<Kept, PortError> {
        let Head { bucket, time_bucket, is_by_time } = head;
        let asked = self.query(query, bucket, head.keys(query));
        // One more than is wanted tells where what was not read begins.
        let wanted = query.most.saturating_add(1).max(FEW);
        let limit = is_by_time.then(|| i32::try_from(wanted).unwrap_or(i32::MAX));
        let mut kept = Kept::of(query.most);
        let mut start = None;
        loop {
            let page = asked.clone().set_limit(limit).set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| self.unreadable(query, bucket, error))?;
            for found in page.items.unwrap_or_default() {
                kept.keep(item::chunk(&query.dataset, bucket, found)?);
            }
            start = page.last_evaluated_key;
            let Some(key) = &start else { return Ok(kept) };
            let reached = item::max_time_of_sort_key(item::text(key, item::SK)?).filter(|_| is_by_time);
            if let Some(reached) = reached
                && kept.newer_than(reached) >= query.most.max(1)
            {
                kept.dropped = kept.dropped.max(Some(reached));
                return Ok(kept);
            }
            debug_assert!(reached.is_none_or(|reached| time_bucket_of(reached) == time_bucket));
        }
    }

    /// A query, backwards in time, for the chunks wanted of one bucket with these keys.
    fn query(&self, query: &HotQuery, bucket: u16, keys: Keys) -> QueryFluentBuilder {
        let number = |time: Micros| AttributeValue::N(time.to_string());
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :first AND :last")
            .filter_expression("#expires > :now AND #min <= :to AND #max BETWEEN :from AND :below")
            .expression_attribute_names("#pk", item::PK)
            .expression_attribute_names("#sk", item::SK)
            .expression_attribute_names("#expires", item::EXPIRES)
            .expression_attribute_names("#min", item::MIN_TIME)
            .expression_attribute_names("#max", item::MAX_TIME)
            .expression_attribute_values(":pk", AttributeValue::S(item::bucket_key(&query.dataset, bucket)))
            .expression_attribute_values(":first", AttributeValue::S(keys.first))
            .expression_attribute_values(":last", AttributeValue::S(keys.last))
            .expression_attribute_values(":now", number(query.now))
            .expression_attribute_values(":from", number(query.from))
            .expression_attribute_values(":to", number(query.to))
            .expression_attribute_values(":below", number(query.below))
    }

    fn unreadable(
        &self,
        query: &HotQuery,
        bucket: u16,
        error: aws_sdk_dynamodb::error::SdkError<aws_sdk_dynamodb::operation::query::QueryError>,
    ) -> PortError {
        port_error(format!("reading `{}`, bucket {bucket}, from {self}", query.dataset), error)
    }
}

/// The newest of some chunks: as many as are wanted, or some more.
struct Kept {
    most: usize,
    /// With so many of them the oldest are dropped.
    full: usize,
    chunks: Vec<HotChunk>,
    /// The newest row of all that were dropped.
    dropped: Option<Micros>,
}

impl Kept {
    fn of(most: usize) -> Self {
        let most = most.max(1);
        Self { most, full: most.saturating_mul(2), chunks: Vec::new(), dropped: None }
    }

    /// How many of those that are kept are newer than this.
    fn newer_than(&self, time: Micros) -> usize {
        self.chunks.iter().filter(|chunk| chunk.max_time > time).count()
    }

    fn keep(&mut self, chunk: HotChunk) {
        self.chunks.push(chunk);
        if self.chunks.len() < self.full {
            return;
        }
        self.chunks.sort_by_key(|chunk| Reverse(chunk.max_time));
        let last = self.chunks[self.most - 1].max_time;
        // Those of one time stay together.
        let kept = self.chunks.partition_point(|chunk| chunk.max_time >= last);
        self.dropped = self.dropped.max(self.chunks.get(kept).map(|chunk| chunk.max_time));
        self.chunks.truncate(kept);
        self.full = kept.saturating_mul(2);
    }
}

/// Sort keys between these two, both included.
struct Keys {
    first: String,
    last: String,
}

fn past(prefix: &str) -> String {
    format!("{prefix}{PAST}")
}

/// Where a bucket's newest chunk lies.
#[derive(Debug, Clone, Copy)]
struct Head {
    bucket: u16,
    time_bucket: Micros,
    /// Whether the keys of all chunks that are wanted tell their time.
    is_by_time: bool,
}

impl Head {
    fn of(bucket: u16, key: &str) -> Result<Self, PortError> {
        let time_bucket = item::time_bucket_of_sort_key(key).ok_or_else(|| item::damaged(item::SK, "a sort key"))?;
        // A key that does not comes last, and so first here.
        Ok(Self { bucket, time_bucket, is_by_time: item::max_time_of_sort_key(key).is_some() })
    }

    /// The keys of what is wanted of it.
    fn keys(&self, query: &HotQuery) -> Keys {
        let all = sort_key_prefix(self.time_bucket);
        if !self.is_by_time {
            return Keys { last: past(&all), first: all };
        }
        let in_it = |time: Micros| time_bucket_of(time) == self.time_bucket;
        let first = if in_it(query.from) { item::by_time(self.time_bucket, query.from) } else { all };
        let last =
            if in_it(query.below) { query.below } else { self.time_bucket.saturating_add(TIME_BUCKET_MICROS - 1) };
        Keys { first, last: past(&item::by_time(self.time_bucket, last)) }
    }
}

#[cfg(test)]
mod tests;
