//! The hot index in one DynamoDB table: an item per chunk, see [`item`].
//!
//! **Reads are strongly consistent**, at twice the read units of eventually consistent ones. With those, a page could be read
//! from a copy of the table that does not have a chunk yet which the page before was read from, or the other way round: an event
//! between two pages would be returned twice or not at all, and QR-1 promises neither.
//!
//! **Expiry.** DynamoDB's TTL removes what has expired, for nothing and within days. So reads filter by the chunk's own expiry, to
//! the microsecond; TTL knows seconds only and is told the next whole one. [`HotIndex::expire`] keeps its contract by reading
//! the whole table: it is for a table without TTL, and no function calls it or may.
//!
//! **What was put** is told by an index of the table by time of put, of keys alone: it costs a write unit for each chunk. Such an index is
//! eventually consistent, and writers put at the same time as others. So nothing is told of before [`SETTLE`] has passed, and a chunk that took
//! longer to put is put again, see [`put`].
//!
//! A put is durable when it returns, so there is nothing to flush.

mod expire;
mod item;
mod newest;
mod put;
mod puts;
mod take_out;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts, Waiting};
use alluvium_core::ports::{HotIndex, PortError};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::error::port_error;
use crate::levelled::OfferedIndex;
use crate::retry::Retries;
pub(crate) use item::write_units;
pub use waiting::DynamoNotes;

/// How old a put is before it is told of. Half of it is for the request, which is made again when it takes longer, and half for the table's index,
/// which has what is written "within a fraction of a second, under normal conditions" (Amazon DynamoDB Developer Guide, "Using Global Secondary
/// Indexes"), and for clocks that differ.
pub const SETTLE: Duration = Duration::from_secs(10);

/// [`HotIndex`] over one DynamoDB table with the keys `pk` and `sk`, both strings, and a global secondary index `puts` with the keys `pk` and `put`.
#[derive(Debug, Clone)]
pub struct DynamoHotIndex {
    client: Client,
    table: String,
    clock: Arc<dyn Clock>,
    retries: Retries,
    settle: Duration,
    notes: Option<DynamoNotes>,
}

impl DynamoHotIndex {
    /// The index in this table, which is there already. `clock` says when chunks are put, `retries` paces what the table does not take at
    /// once. Nothing is asked of it yet.
    pub fn new(client: Client, table: impl Into<String>, clock: Arc<dyn Clock>, retries: Retries) -> Self {
        Self { client, table: table.into(), clock, retries, settle: SETTLE, notes: None }
    }

    /// The same index of one writer whose table has no delay: what it puts is told of at once.
    #[must_use]
    pub fn settled_at_once(self) -> Self {
        Self { settle: Duration::ZERO, ..self }
    }

    /// The same index, of chunks that may wait in a buffer: it is noted there which.
    #[must_use]
    pub fn with_notes(self, notes: DynamoNotes) -> Self {
        Self { notes: Some(notes), ..self }
    }

    /// Sets the mark that [`HotIndex::complete_since`] returns, unless the dataset has one; says whether it had none.
    ///
    /// Whoever first makes a dataset's table calls this: what was there before the mark is then never taken for complete.
    ///
    /// # Errors
    ///
    /// When the mark could not be stored; setting it again is harmless.
    pub async fn set_complete_since_if_absent(&self, dataset: &str, since: Micros) -> Result<bool, PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item::of_mark(dataset, since)));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(port_error(format!("setting the mark of `{dataset}` in {self}"), error)),
        }
    }
}

impl std::fmt::Display for DynamoHotIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the hot index's table `{}`", self.table)
    }
}

#[async_trait]
impl HotIndex for DynamoHotIndex {
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        self.put_chunks(chunks).await
    }

    async fn flush(&self) -> Result<(), PortError> {
        Ok(())
    }

    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        self.newest_chunks(&query).await
    }

    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError> {
        self.chunks_put(&query).await
    }

    async fn waiting(&self, dataset: &str, now: Micros) -> Result<Vec<Waiting>, PortError> {
        match &self.notes {
            Some(notes) => notes.waiting(dataset, now).await,
            None => Ok(Vec::new()),
        }
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        Ok(self.settled())
    }

    async fn complete_since(&self, dataset: &str) -> Result<Option<Micros>, PortError> {
        let [pk, sk] = item::mark_key(dataset);
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let got = get.key(item::PK, AttributeValue::S(pk)).key(item::SK, AttributeValue::S(sk)).send().await;
        let got = got.map_err(|error| port_error(format!("reading the mark of `{dataset}` in {self}"), error))?;
        got.item.map(|mark| item::mark(&mark)).transpose()
    }

    async fn set_complete_since(&self, dataset: &str, since: Micros) -> Result<(), PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item::of_mark(dataset, since)));
        let put = put.send().await;
        put.map_err(|error| port_error(format!("setting the mark of `{dataset}` in {self}"), error)).map(|_| ())
    }

    async fn expire(&self, now: Micros) -> Result<usize, PortError> {
        self.expire_chunks(now).await
    }
}

#[async_trait]
impl OfferedIndex for DynamoHotIndex {
    async fn offer(&self, chunks: Vec<HotChunk>) -> Result<Vec<HotChunk>, PortError> {
        self.offer_chunks(chunks).await
    }
}
