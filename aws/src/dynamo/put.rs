//! Writing chunks, many to a request and several requests at a time.
//!
//! Each request says when it puts its chunks, and who asks what was put is told of that only [`SETTLE`](super::SETTLE) later. So a request that
//! took longer than half of that may be told of too late: it is made once more, at a new time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::hot::{HotChunk, PutPosition};
use alluvium_core::limits::HOT_ITEM_BYTES;
use alluvium_core::ports::{Advice, PortError};
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{DynamoHotIndex, item};
use crate::error::port_error;

/// The most items of one request. Amazon DynamoDB API Reference, `BatchWriteItem`.
const REQUEST_ITEMS: usize = 25;
/// The most bytes of one request. Amazon DynamoDB API Reference, `BatchWriteItem`: 16 MB.
const REQUEST_BYTES: usize = 16 * 1000 * 1000;
// So that counting items is enough.
const _: () = assert!(REQUEST_ITEMS * HOT_ITEM_BYTES <= REQUEST_BYTES);

/// How many requests are on their way at once: what one invocation writes goes out in one or two rounds.
const REQUESTS_AT_ONCE: usize = 8;

/// The first pause before items are offered again that were not taken, and the longest.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How often in a row none of a request's items may be taken before the put fails: pauses of 11 to 22 seconds together.
const FRUITLESS: u32 = 9;

/// The pauses before chunks are offered again that may wait elsewhere. Each is lengthened by up to as much again: 50 to 100 ms, then 100 to 200.
const OFFERED_AGAIN: usize = 2;

impl DynamoHotIndex {
    /// Writes chunks; of those with the same key the last one.
    pub(super) async fn put_chunks(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        let requests = requests(chunks)?;
        stream::iter(requests)
            .map(|request| self.write(request))
            .buffer_unordered(REQUESTS_AT_ONCE)
            .try_collect::<()>()
            .await
    }

    /// Writes those chunks that the table takes at the first try or soon after, and returns the others.
    pub(super) async fn offer_chunks(&self, chunks: Vec<HotChunk>) -> Result<Vec<HotChunk>, PortError> {
        let requests = requests(chunks)?;
        let left = stream::iter(requests).map(|request| {
            let pauses = self.retries.pauses(PAUSES.0, PAUSES.1).take(OFFERED_AGAIN);
            offered(request.chunks, pauses, |chunks| self.send(chunks, Tries::One))
        });
        let left: Vec<Vec<HotChunk>> = left.buffer_unordered(REQUESTS_AT_ONCE).try_collect().await?;
        Ok(left.into_iter().flatten().collect())
    }

    /// Makes one request; returns the chunks that have to be put again.
    async fn send(&self, chunks: Vec<HotChunk>, tries: Tries) -> Result<Vec<HotChunk>, PortError> {
        let at = self.clock.now_micros();
        let items = chunks.iter().map(|chunk| put_at(at, chunk)).collect::<Result<Vec<_>, _>>()?;
        let write = self.client.batch_write_item().request_items(&self.table, items);
        let sent = match tries {
            Tries::AsTheSdkHasIt => write.send().await,
            Tries::One => {
                let once = Config::builder().retry_config(RetryConfig::disabled());
                write.customize().config_override(once).send().await
            }
        };
        let sent = sent.map_err(|error| port_error(format!("writing chunks to {self}"), error))?;
        if self.settle > Duration::ZERO && self.clock.now_micros() - at > micros(self.settle / 2) {
            return Ok(chunks);
        }
        let left = sent.unprocessed_items.and_then(|mut left| left.remove(&self.table)).unwrap_or_default();
        Ok(left_of(chunks, &left))
    }

    async fn write(&self, request: Request) -> Result<(), PortError> {
        let pauses = || self.retries.pauses(PAUSES.0, PAUSES.1);
        let sent = until_taken(request.chunks, pauses, |chunks| self.send(chunks, Tries::AsTheSdkHasIt));
        sent.await.map_err(|mut error| {
            error.message = format!("{} ({self}, beginning with `{}`)", error.message, request.name);
            error
        })
    }
}

/// How often a request is made before it is answered.
#[derive(Debug, Clone, Copy)]
enum Tries {
    /// Again after pauses that grow to seconds: for whoever can wait.
    AsTheSdkHasIt,
    /// Once: that it is throttled is to be known at once.
    One,
}

/// What goes into one request.
#[derive(Debug)]
struct Request {
    /// The first item's keys: what it is known by.
    name: String,
    chunks: Vec<HotChunk>,
}

/// Puts chunks into requests. A request may not hold a key twice: the last chunk of a key takes the place of those before.
fn requests(chunks: Vec<HotChunk>) -> Result<Vec<Request>, PortError> {
    let mut places: HashMap<(String, String), usize> = HashMap::with_capacity(chunks.len());
    let mut distinct: Vec<HotChunk> = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let key = (item::bucket_key(&chunk.dataset, chunk.bucket), item::sort_key(&chunk));
        let place = *places.entry(key).or_insert(distinct.len());
        match distinct.get_mut(place) {
            Some(before) => *before = chunk,
            None => distinct.push(chunk),
        }
    }
    let mut requests: Vec<Request> = Vec::new();
    for chunk in distinct {
        let name = format!("{} {}", item::bucket_key(&chunk.dataset, chunk.bucket), item::sort_key(&chunk));
        // Whether it fits is found out before anything is sent.
        item::of_chunk(chunk.clone(), &PutPosition::of(0, &chunk))?;
        match requests.last_mut().filter(|request| request.chunks.len() < REQUEST_ITEMS) {
            Some(request) => request.chunks.push(chunk),
            None => requests.push(Request { name, chunks: vec![chunk] }),
        }
    }
    Ok(requests)
}

fn put_at(at: Micros, chunk: &HotChunk) -> Result<WriteRequest, PortError> {
    let item = item::of_chunk(chunk.clone(), &PutPosition::of(at, chunk))?;
    let put = PutRequest::builder().set_item(Some(item)).build();
    let put = put.map_err(|error| PortError::because(Advice::Stop, "a chunk cannot be written", error))?;
    Ok(WriteRequest::builder().put_request(put).build())
}

/// Those of a request's chunks that came back.
fn left_of(mut chunks: Vec<HotChunk>, left: &[WriteRequest]) -> Vec<HotChunk> {
    let key = |name| move |put: &PutRequest| put.item().get(name).and_then(|value| value.as_s().ok()).cloned();
    let keys = left.iter().filter_map(|request| {
        let put = request.put_request()?;
        Some((key(item::PK)(put)?, key(item::SK)(put)?))
    });
    let keys: HashSet<(String, String)> = keys.collect();
    chunks.retain(|chunk| keys.contains(&(item::bucket_key(&chunk.dataset, chunk.bucket), item::sort_key(chunk))));
    chunks
}

/// Sends items, and those that came back again after each of the pauses; returns what is left of them then. A request that is throttled leaves
/// them all.
async fn offered<T, F>(
    items: Vec<T>,
    mut pauses: impl Iterator<Item = Duration>,
    mut send: impl FnMut(Vec<T>) -> F,
) -> Result<Vec<T>, PortError>
where
    T: Clone,
    F: Future<Output = Result<Vec<T>, PortError>>,
{
    let mut left = items;
    loop {
        match send(left.clone()).await {
            Ok(still) => left = still,
            Err(error) if error.advice == Advice::BackOff => {}
            Err(error) => return Err(error),
        }
        match pauses.next() {
            Some(pause) if !left.is_empty() => tokio::time::sleep(pause).await,
            _ => return Ok(left),
        }
    }
}

/// Sends items, and those that came back again, until none do. Pauses begin anew when any item was taken.
async fn until_taken<T, F, P>(
    mut items: Vec<T>,
    pauses: impl Fn() -> P,
    mut send: impl FnMut(Vec<T>) -> F,
) -> Result<(), PortError>
where
    F: Future<Output = Result<Vec<T>, PortError>>,
    P: Iterator<Item = Duration>,
{
    let mut pause = pauses();
    let mut fruitless = 0;
    loop {
        let offered = items.len();
        items = send(items).await?;
        if items.is_empty() {
            return Ok(());
        }
        if items.len() < offered {
            fruitless = 0;
            pause = pauses();
        } else {
            fruitless += 1;
        }
        if fruitless == FRUITLESS {
            let message = format!(
                "DynamoDB took none of {offered} items {FRUITLESS} times in a row: they are written faster than the table takes them"
            );
            return Err(PortError::new(Advice::BackOff, message));
        }
        tokio::time::sleep(pause.next().unwrap_or_default()).await;
    }
}

#[cfg(test)]
mod tests;
