//! Writing chunks, many to a request and several requests at a time.

use std::collections::HashMap;
use std::time::Duration;

use alluvium_core::hot::HotChunk;
use alluvium_core::limits::HOT_ITEM_BYTES;
use alluvium_core::ports::{Advice, PortError};
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
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How often in a row none of a request's items may be taken before the put fails: pauses of 11 to 22 seconds together.
const FRUITLESS: u32 = 9;

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

    async fn write(&self, request: Request) -> Result<(), PortError> {
        let pauses = || self.retries.pauses(PAUSES.0, PAUSES.1);
        let sent = until_taken(request.items, pauses, |items| async {
            let sent = self.client.batch_write_item().request_items(&self.table, items).send().await;
            let sent = sent.map_err(|error| port_error(format!("writing chunks to {self}"), error))?;
            Ok(sent.unprocessed_items.and_then(|mut left| left.remove(&self.table)).unwrap_or_default())
        });
        sent.await.map_err(|mut error| {
            error.message = format!("{} ({self}, beginning with `{}`)", error.message, request.name);
            error
        })
    }
}

/// What goes into one request.
#[derive(Debug)]
struct Request {
    /// The first item's keys: what it is known by.
    name: String,
    items: Vec<WriteRequest>,
}

/// Puts chunks into requests. A request may not hold a key twice: the last chunk of a key takes the place of those before.
fn requests(chunks: Vec<HotChunk>) -> Result<Vec<Request>, PortError> {
    let mut places: HashMap<(String, String), usize> = HashMap::with_capacity(chunks.len());
    let mut distinct: Vec<HotChunk> = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let key = (item::bucket_key(&chunk.dataset, chunk.bucket), chunk.sort_key());
        let place = *places.entry(key).or_insert(distinct.len());
        match distinct.get_mut(place) {
            Some(before) => *before = chunk,
            None => distinct.push(chunk),
        }
    }
    let mut requests: Vec<Request> = Vec::new();
    for chunk in distinct {
        let name = format!("{} {}", item::bucket_key(&chunk.dataset, chunk.bucket), chunk.sort_key());
        let put = PutRequest::builder().set_item(Some(item::of_chunk(chunk)?)).build();
        let put = put.map_err(|error| PortError::because(Advice::Stop, "a chunk cannot be written", error))?;
        let put = WriteRequest::builder().put_request(put).build();
        match requests.last_mut().filter(|request| request.items.len() < REQUEST_ITEMS) {
            Some(request) => request.items.push(put),
            None => requests.push(Request { name, items: vec![put] }),
        }
    }
    Ok(requests)
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
