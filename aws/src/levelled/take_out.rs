//! Taking rows out of what waits, so that no drain brings them into the index, and then out of the index.
//!
//! 1. Each parcel that holds such rows is stored anew without them, under its own path and only if it is as it was read. So whoever drains it
//!    later finds none, from whichever of its messages: the first, one that comes again, one out of the dead-letter queue. A batch that comes
//!    again and makes the same parcel finds it there, and stores nothing.
//! 2. A drain that had read a parcel before may still put what it read. It ends with its invocation, which is waited for: [`DRAIN`] after
//!    the last parcel was stored anew, by this call or by one that was interrupted.
//! 3. The index is looked through: what drains brought into it by then leaves it.
//!
//! What a drain does not put is noted as drained all the same, under every dataset that the parcel was noted under.

#[cfg(feature = "store")]
mod stored;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{ErasableHotIndex, HotChunk, Left, Screen, TakeOut, TakenOut};
use alluvium_core::ports::{Advice, PortError};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::parcel::{self, Unpacked};
use crate::timer::{RealTime, Timer};
#[cfg(feature = "store")]
pub use stored::StoredParcels;

/// How long a drain may go on after it has read a parcel: as long as Lambda lets the function `hot-writer` run (`infra/modules/levelling`: 60 s),
/// and for a request that is on its way then.
pub const DRAIN: Duration = Duration::from_secs(75);

/// How many parcels are looked into at once.
const AT_ONCE: usize = 8;

/// How often a parcel that others keep storing anew is looked into again.
const ATTEMPTS: u32 = 10;

/// A parcel as it was read.
#[derive(Debug, Clone)]
pub struct StoredParcel {
    /// All of it.
    pub bytes: Bytes,
    /// When it was stored.
    pub stored_at: Micros,
    /// Which of the objects it was that there have been under its path.
    pub tag: Option<String>,
}

/// Where parcels are stored, for who takes rows out of them.
#[async_trait]
pub trait Parcels: Send + Sync {
    /// The paths of those that were stored at this time or later.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    async fn stored_since(&self, since: Micros) -> Result<Vec<String>, PortError>;

    /// One of them; `None`: it is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    async fn read(&self, path: &str) -> Result<Option<StoredParcel>, PortError>;

    /// Stores others in the place of the bytes that were read; says whether it did: not, if there are others already.
    ///
    /// # Errors
    ///
    /// When that failed; it may have been done.
    async fn replace(&self, path: &str, read: &StoredParcel, bytes: Bytes) -> Result<bool, PortError>;
}

/// [`ErasableHotIndex`] of an index whose chunks may wait in parcels.
pub struct BufferedHotIndex {
    /// The index itself.
    pub hot: Arc<dyn ErasableHotIndex>,
    /// What waits for it, or did.
    pub parcels: Arc<dyn Parcels>,
    /// How long a drain may go on after it has read a parcel: [`DRAIN`].
    pub drain: Duration,
    /// The time, as parcels are stored by.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for BufferedHotIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BufferedHotIndex").finish_non_exhaustive()
    }
}

/// What one parcel was found to be.
#[derive(Debug, Default)]
struct Looked {
    /// It holds such rows, or held them until now.
    held: bool,
    /// When rows were last taken out of it, if ever.
    rewritten_at: Option<Micros>,
}

#[async_trait]
impl ErasableHotIndex for BufferedHotIndex {
    async fn take_out(&self, mode: TakeOut, stored_since: Micros, screen: &Screen<'_>) -> Result<TakenOut, PortError> {
        self.take_out_in(&RealTime, mode, stored_since, screen).await
    }
}

impl BufferedHotIndex {
    pub(super) async fn take_out_in(
        &self,
        timer: &impl Timer,
        mode: TakeOut,
        stored_since: Micros,
        screen: &Screen<'_>,
    ) -> Result<TakenOut, PortError> {
        let paths = self.parcels.stored_since(stored_since).await?;
        let mut looked = stream::iter(paths)
            .map(|path| async move { self.take_out_of(&path, mode, screen).await })
            .buffer_unordered(AT_ONCE);
        let (mut waiting_objects, mut rewritten_at, mut failure) = (0, None, None);
        while let Some(one) = looked.next().await {
            match one {
                Ok(one) => {
                    waiting_objects += u64::from(one.held);
                    rewritten_at = rewritten_at.max(one.rewritten_at);
                }
                // A parcel that cannot be read holds up neither the others nor the index.
                Err(error) => _ = failure.get_or_insert(error),
            }
        }
        if let (TakeOut::Remove, Some(at)) = (mode, rewritten_at) {
            let passed = Duration::from_micros(u64::try_from(self.clock.now_micros() - at).unwrap_or_default());
            timer.sleep_until(timer.now() + self.drain.saturating_sub(passed)).await;
        }
        let taken = self.hot.take_out(mode, stored_since, screen).await?;
        failure.map_or(Ok(TakenOut { waiting_objects, ..taken }), Err)
    }

    async fn take_out_of(&self, path: &str, mode: TakeOut, screen: &Screen<'_>) -> Result<Looked, PortError> {
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.parcels.read(path).await? else { return Ok(Looked::default()) };
            let Unpacked { chunks, datasets, is_rewritten } = parcel::unpack(path, &stored.bytes)?;
            let rewritten_at = is_rewritten.then_some(stored.stored_at);
            let mut held = false;
            let mut left = Vec::with_capacity(chunks.len());
            for chunk in chunks {
                match screen(&chunk)? {
                    Left::All => left.push(chunk),
                    Left::Without(_, stays) => {
                        held = true;
                        // The key tells it: a drain is to write over what an earlier one wrote.
                        left.extend(stays.map(|stays| HotChunk { max_time: chunk.max_time, ..stays }));
                    }
                }
            }
            if !held || mode == TakeOut::Count {
                return Ok(Looked { held, rewritten_at });
            }
            if self.parcels.replace(path, &stored, parcel::rewritten(datasets, &left)).await? {
                return Ok(Looked { held, rewritten_at: Some(self.clock.now_micros()) });
            }
        }
        let message = format!("the parcel `{path}` was stored anew {ATTEMPTS} times while rows were taken out of it");
        Err(PortError::new(Advice::Retry, message))
    }
}

#[cfg(test)]
mod tests;
