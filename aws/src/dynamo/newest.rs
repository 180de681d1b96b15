//! Reading the newest chunks without reading more than them.
//!
//! A query reads, and costs, up to 1 MB whatever it returns, and a bucket's newest chunks may be a few kilobytes. So a first query
//! for a single item finds each bucket's newest time bucket, and a second reads that time bucket, in those buckets only whose
//! newest it is. An answer has chunks of that one alone; and of those, whose keys do not come by their rows' times, no more are kept than about
//! as many as were asked for.

use std::cmp::Reverse;
use std::pin::pin;

use alluvium_core::clock::Micros;
use alluvium_core::hot::{BUCKETS, HotChunk, HotQuery, Newest, sort_key_prefix, time_bucket_of};
use alluvium_core::ports::PortError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{DynamoHotIndex, item};
use crate::error::port_error;

/// How many queries are on their way at once.
const QUERIES_AT_ONCE: usize = 16;

/// What comes after every sort key of a time bucket and before those of the next: keys are hexadecimal digits and `#`.
const PAST: char = '~';

impl DynamoHotIndex {
    pub(super) async fn newest_chunks(&self, query: &HotQuery) -> Result<Newest, PortError> {
        if query.from > query.to.min(query.below) {
            return Ok(Newest::default());
        }
        let buckets: Vec<u16> = query.bucket.map_or_else(|| (0..BUCKETS).collect(), |bucket| vec![bucket]);
        let mut heads = self.heads(query, buckets, time_bucket_of(query.to.min(query.below))).await?;
        while let Some(newest) = heads.iter().map(|head| head.time_bucket).max() {
            let (holders, rest): (Vec<Head>, Vec<Head>) =
                heads.into_iter().partition(|head| head.time_bucket == newest);
            let holders: Vec<u16> = holders.into_iter().map(|head| head.bucket).collect();
            let Kept { mut chunks, dropped, .. } = self.read(query, holders.clone(), newest).await?;
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
                heads.extend(self.heads(query, holders, time_bucket_of(before)).await?);
            }
        }
        Ok(Newest::default())
    }

    /// For each bucket the newest time bucket, from `last` downwards, in which it holds any chunk that is wanted.
    async fn heads(&self, query: &HotQuery, buckets: Vec<u16>, last: Micros) -> Result<Vec<Head>, PortError> {
        let heads =
            stream::iter(buckets).map(|bucket| self.head(query, bucket, last)).buffer_unordered(QUERIES_AT_ONCE);
        heads.try_filter_map(async |head| Ok(head)).try_collect().await
    }

    async fn head(&self, query: &HotQuery, bucket: u16, last: Micros) -> Result<Option<Head>, PortError> {
        let first = time_bucket_of(query.from);
        if first > last {
            return Ok(None);
        }
        let asked = self.query(query, bucket, (first, last)).projection_expression(item::SK);
        // Most often the newest chunk is wanted. Where it is not (all of a source's may have expired), pages of 1 MB find one.
        let mut limit = Some(1);
        let mut start = None;
        loop {
            let page = asked.clone().set_limit(limit).set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| self.unreadable(query, bucket, error))?;
            if let Some(found) = page.items().first() {
                let key = item::text(found, item::SK)?;
                let time_bucket =
                    item::time_bucket_of_sort_key(key).ok_or_else(|| item::damaged(item::SK, "a sort key"))?;
                return Ok(Some(Head { bucket, time_bucket }));
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(None);
            }
            limit = None;
        }
    }

    /// The newest chunks wanted of one time bucket.
    async fn read(&self, query: &HotQuery, buckets: Vec<u16>, time_bucket: Micros) -> Result<Kept, PortError> {
        let read = stream::iter(buckets).map(async |bucket| {
            let asked = self.query(query, bucket, (time_bucket, time_bucket));
            let mut items = asked.into_paginator().items().send();
            let mut kept = Kept::of(query.most);
            while let Some(found) = items.next().await {
                let found = found.map_err(|error| self.unreadable(query, bucket, error))?;
                kept.keep(item::chunk(&query.dataset, bucket, found)?);
            }
            Ok::<_, PortError>(kept)
        });
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

    /// A query, backwards in time, for the chunks wanted of one bucket in time buckets within these two, both included.
    fn query(&self, query: &HotQuery, bucket: u16, (first, last): (Micros, Micros)) -> QueryFluentBuilder {
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
            .expression_attribute_values(":first", AttributeValue::S(sort_key_prefix(first)))
            .expression_attribute_values(":last", AttributeValue::S(format!("{}{PAST}", sort_key_prefix(last))))
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

/// Where a bucket's newest chunk lies.
#[derive(Debug, Clone, Copy)]
struct Head {
    bucket: u16,
    time_bucket: Micros,
}

#[cfg(test)]
mod tests;
