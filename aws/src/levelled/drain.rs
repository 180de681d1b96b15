//! Writing what waits.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::hot::HotChunk;
use alluvium_core::ports::{Advice, DataFiles, PortError};
use tokio::time::Instant;

use super::{Notes, OfferedIndex, Pace, parcel};
use crate::dynamo::write_units;
use crate::retry::Retries;
use crate::timer::{RealTime, Timer};

/// The first pause before chunks are offered again that were refused, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The most chunks that are put at once.
const PUT_CHUNKS: usize = 25;

/// Drains parcels into the hot index, at a pace.
pub struct Drain {
    /// The index.
    pub hot: Arc<dyn OfferedIndex>,
    /// Where it is noted what waits.
    pub notes: Arc<dyn Notes>,
    /// Where parcels are stored.
    pub files: Arc<dyn DataFiles>,
    /// How fast.
    pub pace: Pace,
    /// The time, for what has expired.
    pub clock: Arc<dyn Clock>,
    /// How long it is between tries.
    pub retries: Retries,
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drain").field("pace", &self.pace).finish_non_exhaustive()
    }
}

/// What became of a parcel's chunks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// How many were put.
    pub chunks: usize,
    /// How many had expired before their turn came: their events are in the lake.
    pub expired: usize,
}

impl Drain {
    /// Puts a parcel's chunks, and notes that it is drained.
    ///
    /// # Errors
    ///
    /// When it could not be read, or not be put before `deadline`; draining it again is harmless.
    pub async fn drain(&self, path: &str, deadline: Instant) -> Result<Drained, PortError> {
        self.drain_in(&RealTime, path, deadline).await
    }

    pub(super) async fn drain_in(
        &self,
        timer: &impl Timer,
        path: &str,
        deadline: Instant,
    ) -> Result<Drained, PortError> {
        let parcel::Unpacked { chunks, datasets, .. } = parcel::unpack(path, &self.files.get(path).await?)?;
        let now = self.clock.now_micros();
        let (chunks, expired): (Vec<_>, Vec<_>) = chunks.into_iter().partition(|chunk| chunk.expires_at > now);
        let drained = Drained { chunks: chunks.len(), expired: expired.len() };
        for some in self.portions(chunks) {
            self.put(timer, some, deadline).await?;
        }
        for dataset in &datasets {
            self.notes.drained(dataset, path).await?;
        }
        Ok(drained)
    }

    /// Cuts chunks into what is put at once: a second's worth at most, unless it is one.
    fn portions(&self, chunks: Vec<HotChunk>) -> Vec<Vec<HotChunk>> {
        let mut portions: Vec<Vec<HotChunk>> = Vec::new();
        let mut units = 0;
        for chunk in chunks {
            let more = write_units(&chunk);
            match portions.last_mut() {
                Some(last) if last.len() < PUT_CHUNKS && units + more <= self.pace.units_per_second() => {
                    units += more;
                    last.push(chunk);
                }
                _ => {
                    units = more;
                    portions.push(vec![chunk]);
                }
            }
        }
        portions
    }

    async fn put(&self, timer: &impl Timer, chunks: Vec<HotChunk>, deadline: Instant) -> Result<(), PortError> {
        let mut pauses = self.retries.pauses(PAUSES.0, PAUSES.1);
        let mut left = chunks;
        loop {
            if !self.pace.take(timer, left.iter().map(write_units).sum(), deadline).await {
                let message = format!("no time was left for {} chunks at the pace that is set", left.len());
                return Err(PortError::new(Advice::BackOff, message));
            }
            left = self.hot.offer(left).await?;
            if left.is_empty() {
                return Ok(());
            }
            let again = timer.now() + pauses.next().expect("pauses have no end");
            if again >= deadline {
                let message = format!("the hot index still takes none of {} chunks", left.len());
                return Err(PortError::new(Advice::BackOff, message));
            }
            timer.sleep_until(again).await;
        }
    }
}
