//! What was put, in its order: keys from the table's index, and then the chunks.
//!
//! What the index says may be old, so a chunk is read from the table itself, and left out if it was put again since: it comes later then.

use std::collections::HashMap;

use alluvium_core::clock::micros;
use alluvium_core::hot::{BUCKETS, HotChunk, PutPosition, PutQuery, Puts};
use alluvium_core::ports::{Advice, PortError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::DynamoHotIndex;
use super::item::{self, Item};
use crate::error::port_error;

/// How many queries are on their way at once.
const QUERIES_AT_ONCE: usize = 16;

/// The most items of one request. Amazon DynamoDB API Reference, `BatchGetItem`; what goes beyond its 16 MB comes back.
const REQUEST_ITEMS: usize = 100;

/// How often in a row none of a request's items may be answered.
const FRUITLESS: u32 = 5;

/// A chunk as the index knows it.
struct Noted {
    position: PutPosition,
    bucket: u16,
    key: Item,
}

impl DynamoHotIndex {
    /// Before this position nothing will be put any more that is not told of already.
    pub(super) fn settled(&self) -> PutPosition {
        PutPosition::at(self.clock.now_micros().saturating_sub(micros(self.settle)))
    }

    pub(super) async fn chunks_put(&self, query: &PutQuery) -> Result<Puts, PortError> {
        // Before the queries: what is put meanwhile in a bucket that was asked already must not be passed.
        let settled = self.settled();
        let nothing = Puts { chunks: Vec::new(), up_to: query.from.clone(), more: false };
        if settled <= query.from {
            return Ok(nothing);
        }
        let buckets: Vec<u16> = query.bucket.map_or_else(|| (0..BUCKETS).collect(), |bucket| vec![bucket]);
        let noted = stream::iter(buckets).map(|bucket| self.noted(query, bucket, &settled));
        let noted: Vec<Vec<Noted>> = noted.buffer_unordered(QUERIES_AT_ONCE).try_collect().await?;
        let mut noted: Vec<Noted> = noted.into_iter().flatten().collect();
        noted.sort_by(|a, b| a.position.cmp(&b.position));
        let more = noted.len() > query.most;
        noted.truncate(query.most);
        let last = noted.last().map(|noted| noted.position.past());
        let up_to = if more { last.unwrap_or(settled) } else { settled };
        Ok(Puts { chunks: self.current(query, noted).await?, up_to, more })
    }

    /// What the index has of a bucket from the position asked for and before this one: one more than wanted at the most.
    async fn noted(&self, query: &PutQuery, bucket: u16, before: &PutPosition) -> Result<Vec<Noted>, PortError> {
        let text = |position: &PutPosition| AttributeValue::S(position.to_string());
        let wanted = query.most.saturating_add(1);
        let asked = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(item::PUTS)
            .key_condition_expression("#pk = :pk AND #put BETWEEN :from AND :before")
            .expression_attribute_names("#pk", item::PK)
            .expression_attribute_names("#put", item::PUT)
            .expression_attribute_values(":pk", AttributeValue::S(item::bucket_key(&query.dataset, bucket)))
            .expression_attribute_values(":from", text(&query.from))
            .expression_attribute_values(":before", text(before))
            .limit(i32::try_from(wanted).unwrap_or(i32::MAX));
        let mut items = asked.into_paginator().items().send();
        let mut noted = Vec::new();
        while noted.len() < wanted {
            let Some(found) = items.next().await else { break };
            let found = found.map_err(|error| {
                port_error(format!("asking what was put of `{}`, bucket {bucket}, in {self}", query.dataset), error)
            })?;
            let position = position(&found)?;
            let key = found.into_iter().filter(|(name, _)| [item::PK, item::SK].contains(&name.as_str())).collect();
            noted.push(Noted { position, bucket, key });
        }
        Ok(noted)
    }

    /// The chunks that still are where the index has them, and have not expired.
    async fn current(&self, query: &PutQuery, noted: Vec<Noted>) -> Result<Vec<(PutPosition, HotChunk)>, PortError> {
        let mut items: HashMap<String, Item> = HashMap::with_capacity(noted.len());
        for some in noted.chunks(REQUEST_ITEMS) {
            self.read_items(some.iter().map(|noted| noted.key.clone()).collect(), &mut items).await?;
        }
        let mut chunks = Vec::with_capacity(noted.len());
        for Noted { position, bucket, .. } in noted {
            let Some(item) = items.remove(position.as_str()) else { continue };
            let chunk = item::chunk(&query.dataset, bucket, item)?;
            if chunk.expires_at > query.now {
                chunks.push((position, chunk));
            }
        }
        Ok(chunks)
    }

    /// Reads the items of these keys, by where they were put.
    async fn read_items(&self, keys: Vec<Item>, items: &mut HashMap<String, Item>) -> Result<(), PortError> {
        let mut pauses = self.retries.pauses(super::put::PAUSES.0, super::put::PAUSES.1);
        let mut fruitless = 0;
        let mut left = keys;
        while !left.is_empty() {
            let asked = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let asked = asked.map_err(|error| PortError::because(Advice::Stop, "chunks cannot be asked for", error))?;
            let got = self.client.batch_get_item().request_items(&self.table, asked).send().await;
            let got = got.map_err(|error| port_error(format!("reading chunks from {self}"), error))?;
            let found = got.responses.and_then(|mut found| found.remove(&self.table)).unwrap_or_default();
            fruitless = if found.is_empty() { fruitless + 1 } else { 0 };
            for item in found {
                items.insert(position(&item)?.to_string(), item);
            }
            left = got.unprocessed_keys.and_then(|mut left| left.remove(&self.table)).map_or(vec![], |left| left.keys);
            if left.is_empty() {
                break;
            }
            if fruitless == FRUITLESS {
                let message = format!("DynamoDB answered none of {} items {FRUITLESS} times in a row", left.len());
                return Err(PortError::new(Advice::BackOff, message));
            }
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
        Ok(())
    }
}

fn position(item: &Item) -> Result<PutPosition, PortError> {
    item::text(item, item::PUT)?.parse().map_err(|_| item::damaged(item::PUT, "a position"))
}
