//! The port of the hot index.

use std::sync::Arc;

use async_trait::async_trait;

use super::PortError;
use crate::clock::Micros;
use crate::hot::{BUCKETS, HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts, Waiting};

/// A [`HotIndex`] as it was at a moment. Keep it for one read: what is forgotten meanwhile takes room.
#[async_trait]
pub trait HotSnapshot: Send + Sync {
    /// As [`HotIndex::newest`], of that moment.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError>;
}

/// The index of the newest rows.
#[async_trait]
pub trait HotIndex: Send + Sync {
    /// Stores chunks, each over one of the same key. Visible to reads when it returns, or told of by [`waiting`](Self::waiting) until it is; not
    /// necessarily durable, see [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// When not all of them were stored; storing them again is harmless.
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError>;

    /// Makes every chunk durable that was put before.
    ///
    /// # Errors
    ///
    /// When that failed.
    async fn flush(&self) -> Result<(), PortError>;

    /// Into how many buckets its chunks are to be spread: [`bucket_of`](crate::hot::bucket_of) is asked with it, by who writes and who reads.
    fn buckets(&self) -> u16 {
        BUCKETS
    }

    /// Chunks out of the buckets and the range asked for, by their newest row, the newest first: some, and where to go on.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError>;

    /// The index as it is now, for the questions of one read; `None`: the index itself may be asked each of them, for a row that is visible in it
    /// never comes to lie in a chunk with newer rows.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn snapshot(&self) -> Result<Option<Arc<dyn HotSnapshot>>, PortError> {
        Ok(None)
    }

    /// The chunks of a dataset from a position on, in the order in which they were put: the order in which they became visible, so that
    /// what is put after this returns lies at or after [`Puts::up_to`]. A chunk that is put again leaves its position for a later one.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError>;

    /// What waits of this dataset: chunks that a put has taken and that are not visible yet, but for those that have expired at `now`. Who asks
    /// before reading rows knows what may be missing from them: what is not told of here was visible when this was asked. An index that
    /// has every chunk when a put returns has nothing to tell.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn waiting(&self, _dataset: &str, _now: Micros) -> Result<Vec<Waiting>, PortError> {
        Ok(Vec::new())
    }

    /// Where what [`puts`](Self::puts) tells of ends now: nothing will be put before it any more. It is of about the time now, however long nothing
    /// was put.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn puts_end(&self) -> Result<PutPosition, PortError>;

    /// The event time since which the index holds every event of the dataset that it should; `None`: it never was complete.
    ///
    /// # Errors
    ///
    /// When the index cannot be asked.
    async fn complete_since(&self, dataset: &str) -> Result<Option<Micros>, PortError>;

    /// Moves the mark that [`complete_since`](Self::complete_since) returns.
    ///
    /// # Errors
    ///
    /// When the mark could not be stored.
    async fn set_complete_since(&self, dataset: &str, since: Micros) -> Result<(), PortError>;

    /// Forgets chunks that have expired at `now`; says how many.
    ///
    /// # Errors
    ///
    /// When that failed; what is left is filtered on read.
    async fn expire(&self, now: Micros) -> Result<usize, PortError>;
}
