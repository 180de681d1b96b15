//! Load levelling: chunks that the hot index's table does not take at the moment wait in a buffer, and are written at a set rate.
//!
//! Chunks are *taken* in this order, and the put returns after the last step:
//!
//! 1. They are offered to the table. What it refuses goes on, as *parcels* of a second's work or so, see [`parcel`].
//! 2. The parcel is stored in the lake's bucket.
//! 3. Its path is enqueued.
//! 4. It is noted as waiting, for each of its datasets, unless it has been noted as drained already.
//!
//! A parcel is *drained* ([`Drain`]) in this one, however often its message arrives:
//!
//! 5. Its chunks are put, at a position of that moment (ADR 22), but for those that have expired.
//! 6. In one transaction it is noted as drained and no longer as waiting.
//! 7. The message is acknowledged.
//!
//! So from when a put has returned until it expires, **each of its chunks is in the index or noted as waiting**: by 4 there was a note of one or
//! the other kind when it returned; a note of the drained is made by 6 alone, which comes after 5; and a note of the waiting is removed by
//! nothing else. A reader asks for the notes first and reads the chunks then ([`HotIndex::waiting`]), so it misses nothing that it is not told of
//! (QR-1). And every note has a message in the queue, for 3 comes before 4: whoever dies in between leaves a message without a note, which is
//! harmless, and never a note that nobody takes back.
//!
//! **Erasure** takes rows out of parcels too, [`BufferedHotIndex`]: it stores them anew under their own paths, so that the orders above are
//! what they were.

mod drain;
mod pace;
mod parcel;
mod take_out;

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts, Waiting};
use alluvium_core::ports::{CommitQueue, DataFiles, HotIndex, PortError};
use async_trait::async_trait;
use futures::future::try_join_all;

use crate::metrics;

pub use drain::{Drain, Drained};
pub use pace::Pace;
pub use parcel::FOLDER;
use parcel::Parcel;
#[cfg(feature = "store")]
pub use take_out::StoredParcels;
pub use take_out::{BufferedHotIndex, DRAIN, Parcels, StoredParcel};

/// A hot index that says at once what it does not take, instead of waiting until it does.
#[async_trait]
pub trait OfferedIndex: HotIndex {
    /// Puts the chunks that the index takes within a moment, and returns the others: they may have been put as well.
    ///
    /// # Errors
    ///
    /// When it failed for another reason than that more is written than it takes. Some may have been put.
    async fn offer(&self, chunks: Vec<HotChunk>) -> Result<Vec<HotChunk>, PortError>;
}

/// What waits of one dataset in one parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The dataset.
    pub dataset: String,
    /// The parcel's path under the lake's root.
    pub parcel: String,
    /// Where its chunks belong.
    pub waiting: Waiting,
    /// When the last of them expires.
    pub expires_at: Micros,
}

/// Where it is noted what waits. [`HotIndex::waiting`] tells of it.
#[async_trait]
pub trait Notes: Send + Sync {
    /// Notes that this waits, unless it was drained already.
    ///
    /// # Errors
    ///
    /// When that failed; noting it again is harmless.
    async fn wait(&self, note: &Note) -> Result<(), PortError>;

    /// Notes that what a parcel has of a dataset was drained, and no longer that it waits: both at once.
    ///
    /// # Errors
    ///
    /// When that failed; noting it again is harmless.
    async fn drained(&self, dataset: &str, parcel: &str) -> Result<(), PortError>;
}

/// [`HotIndex`] whose puts never wait for the table.
#[derive(Clone)]
pub struct LevelledHotIndex {
    /// The index. It tells of what waits.
    pub hot: Arc<dyn OfferedIndex>,
    /// Where it is noted what waits.
    pub notes: Arc<dyn Notes>,
    /// Where parcels are stored.
    pub files: Arc<dyn DataFiles>,
    /// Where their paths are enqueued.
    pub buffer: Arc<dyn CommitQueue>,
}

impl std::fmt::Debug for LevelledHotIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LevelledHotIndex").finish_non_exhaustive()
    }
}

impl LevelledHotIndex {
    /// Steps 2 to 4.
    async fn take(&self, parcel: Parcel) -> Result<(), PortError> {
        self.files.put_if_absent(&parcel.path, parcel.bytes.clone()).await?;
        self.buffer.enqueue(&parcel.path).await?;
        try_join_all(parcel.notes().iter().map(|note| self.notes.wait(note))).await?;
        Ok(())
    }
}

#[async_trait]
impl HotIndex for LevelledHotIndex {
    /// A put that fails may leave chunks in the index and parcels in the buffer; those of the next try are others then, and harmless.
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        let refused = self.hot.offer(chunks).await?;
        if refused.is_empty() {
            return Ok(());
        }
        let throttled = refused.len();
        let parcels = Parcel::pack(refused);
        let count = parcels.len();
        try_join_all(parcels.into_iter().map(|parcel| self.take(parcel))).await?;
        metrics::note("HotThrottled", throttled as u64);
        metrics::note("HotLevelled", throttled as u64);
        tracing::warn!(
            HotLevelled = throttled,
            parcels = count,
            "the hot index is throttled; chunks wait in the buffer"
        );
        Ok(())
    }

    async fn flush(&self) -> Result<(), PortError> {
        self.hot.flush().await
    }

    fn buckets(&self) -> u16 {
        self.hot.buckets()
    }

    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        self.hot.newest(query).await
    }

    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError> {
        self.hot.puts(query).await
    }

    async fn waiting(&self, dataset: &str, now: Micros) -> Result<Vec<Waiting>, PortError> {
        self.hot.waiting(dataset, now).await
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        self.hot.puts_end().await
    }

    async fn complete_since(&self, dataset: &str) -> Result<Option<Micros>, PortError> {
        self.hot.complete_since(dataset).await
    }

    async fn set_complete_since(&self, dataset: &str, since: Micros) -> Result<(), PortError> {
        self.hot.set_complete_since(dataset, since).await
    }

    async fn expire(&self, now: Micros) -> Result<usize, PortError> {
        self.hot.expire(now).await
    }
}

#[cfg(test)]
mod tests;
