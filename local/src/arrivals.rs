//! What comes in, read from the log and decoded as the transform decodes it: the same rows that the tables get, before they do.
//!
//! Whoever follows is at some positions of the log. What comes after them is decoded once and kept for a moment, so that any number of
//! followers at the end of the log costs one decoding; one who resumes from earlier positions is given other pieces, one at a time, until
//! it has caught up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium_core::arrivals::{Arrivals, Arrived, Next, Positions};
use alluvium_core::ports::{Advice, PortError, Stream};
use alluvium_core::{DeliveryBatch, ReasonCode, SequenceNumber, ShardId, StreamRecord};
use alluvium_transform::{DataFile, Transform};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::future::select_all;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio_util::sync::CancellationToken;

use crate::erasure::Erased;
use crate::log::Log;

/// How much of each shard is decoded at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// How many pieces are kept for others at the same positions, and how much memory they may take.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 64 * 1024 * 1024;
/// How far the records of a piece may expand together; those of one that go further are decoded in parts.
pub const EXPANDED_BYTES: usize = 32 * 1024 * 1024;

/// [`Arrivals`] of a log.
#[derive(Debug)]
pub struct LogArrivals {
    log: Arc<Log>,
    transform: Arc<Transform>,
    erased: Erased,
    /// Cancelled when nothing more is to be waited for.
    ending: CancellationToken,
    /// The latest pieces, by the positions before them.
    kept: Mutex<VecDeque<(Positions, Arc<Arrived>)>>,
    /// Held by who decodes: one at a time, so that followers take one core at the most.
    decoding: tokio::sync::Mutex<()>,
}

/// What a look into the log found.
enum Found {
    Piece(Arc<Arrived>),
    Nothing,
    Gone,
}

impl LogArrivals {
    /// What comes into `log`, without the rows of those who are being erased, until `ending` is cancelled. `transform` decodes it, and is one that
    /// lets a batch expand to [`EXPANDED_BYTES`] and no further.
    pub fn new(log: Arc<Log>, transform: Arc<Transform>, erased: Erased, ending: CancellationToken) -> Self {
        Self { log, transform, erased, ending, kept: Mutex::default(), decoding: tokio::sync::Mutex::default() }
    }

    fn kept(&self, positions: &Positions) -> Option<Arc<Arrived>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(before, _)| before == positions).map(|(_, piece)| piece.clone())
    }

    fn keep(&self, before: &Positions, piece: &Arc<Arrived>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((before.clone(), piece.clone()));
        let bytes = |piece: &Arrived| piece.rows.iter().map(|(_, rows)| rows.get_array_memory_size()).sum::<usize>();
        while kept.len() > KEPT || kept.iter().map(|(_, piece)| bytes(piece)).sum::<usize>() > KEPT_BYTES {
            kept.pop_front();
        }
    }

    /// The piece after these positions, if there is any.
    async fn look(&self, positions: &Positions) -> Result<Found, PortError> {
        let _decoding = self.decoding.lock().await;
        let shards = self.log.shards().await?;
        if shards.iter().any(|state| is_gone(positions.of(&state.shard), state.oldest, state.newest)) {
            return Ok(Found::Gone);
        }
        if let Some(piece) = self.kept(positions) {
            return Ok(Found::Piece(piece));
        }
        let mut records = Vec::new();
        for state in shards {
            let page = self.log.read(&state.shard, positions.of(&state.shard), PIECE_BYTES, Duration::ZERO).await?;
            records.extend(page.records);
        }
        if records.is_empty() {
            return Ok(Found::Nothing);
        }
        let transform = self.transform.clone();
        let decoded = tokio::task::spawn_blocking(move || decode(&transform, DeliveryBatch { records })).await;
        let (records, rows) =
            decoded.map_err(|error| PortError::because(Advice::Stop, "decoding panicked", error))??;
        let mut after = positions.clone();
        for record in records {
            after.set(record.identity.shard, record.identity.sequence);
        }
        let piece = Arc::new(Arrived { positions: after, rows });
        self.keep(positions, &piece);
        Ok(Found::Piece(piece))
    }

    /// A piece without the rows of those who are being erased, now.
    fn screened(&self, piece: Arc<Arrived>) -> Result<Arc<Arrived>, PortError> {
        if self.erased.is_empty() {
            return Ok(piece);
        }
        let rows = piece.rows.iter().map(|(table, rows)| Ok((table.clone(), self.erased.screen_rows(table, rows)?)));
        Ok(Arc::new(Arrived { positions: piece.positions.clone(), rows: rows.collect::<Result<_, PortError>>()? }))
    }

    /// Waits until any shard holds something after these positions; `false`: none did in time.
    async fn more(&self, positions: &Positions, wait: Duration) -> Result<bool, PortError> {
        let shards = self.log.shards().await?;
        let reads = shards
            .iter()
            .map(|state| Box::pin(async { self.log.read(&state.shard, positions.of(&state.shard), 1, wait).await }));
        let (first, ..) = select_all(reads).await;
        Ok(!first?.records.is_empty())
    }
}

/// Whether records after the last one that was seen have left the log already.
fn is_gone(seen: Option<SequenceNumber>, oldest: Option<SequenceNumber>, newest: Option<SequenceNumber>) -> bool {
    let number = |sequence: Option<SequenceNumber>| sequence.and_then(SequenceNumber::as_u64);
    // One that does not fit no record has: reading after it says so.
    let seen = seen.map_or(0, |seen| seen.as_u64().unwrap_or(u64::MAX));
    match number(oldest) {
        Some(oldest) => seen.saturating_add(1) < oldest,
        // It holds none: those up to the newest are gone.
        None => number(newest).is_some_and(|newest| seen < newest),
    }
}

/// By dataset.
type Rows = Vec<(String, RecordBatch)>;

/// The first records of a batch, all of them unless they expand too far together, and their rows by dataset, in the order of their arrival.
fn decode(transform: &Transform, mut batch: DeliveryBatch) -> Result<(Vec<StreamRecord>, Rows), PortError> {
    let failed = |error: &dyn std::error::Error| {
        PortError::new(Advice::Stop, format!("what came in cannot be decoded: {error}"))
    };
    let output = loop {
        let output = transform.run(&batch).map_err(|error| failed(&error))?;
        let expands =
            output.message.ledger.iter().any(|entry| entry.dead_by_reason.contains_key(&ReasonCode::ExpandsTooFar));
        if !expands || batch.records.len() == 1 {
            break output;
        }
        batch.records.truncate(batch.records.len() / 2);
    };
    let rows = output.files.into_iter().map(|DataFile { path, bytes }| {
        let table = path.split('/').next().unwrap_or_default().to_owned();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| failed(&error))?;
        let columns = reader.schema().clone();
        let reader = reader.build().map_err(|error| failed(&error))?;
        let rows = reader.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
        let rows = concat_batches(&columns, &rows).map_err(|error| failed(&error))?;
        let order = sort_to_indices(&rows["ingest_time"], None, None).map_err(|error| failed(&error))?;
        Ok((table, take_record_batch(&rows, &order).map_err(|error| failed(&error))?))
    });
    Ok((batch.records, rows.collect::<Result<_, PortError>>()?))
}

#[async_trait]
impl Arrivals for LogArrivals {
    async fn newest(&self) -> Result<Positions, PortError> {
        let shards = self.log.shards().await?;
        Ok(shards.into_iter().filter_map(|state| Some((state.shard, state.newest?))).collect())
    }

    async fn after(&self, positions: &Positions, wait: Duration) -> Result<Next, PortError> {
        let known: Vec<ShardId> = self.log.shards().await?.into_iter().map(|state| state.shard).collect();
        if let Some(unknown) = positions.shards().find(|shard| !known.contains(shard)) {
            return Err(PortError::new(Advice::Stop, format!("the log has no shard `{unknown}`")));
        }
        for last_look in [false, true] {
            if self.ending.is_cancelled() {
                return Ok(Next::Ended);
            }
            match self.look(positions).await? {
                Found::Piece(piece) => return Ok(Next::Arrived(self.screened(piece)?)),
                Found::Gone => return Ok(Next::Gone),
                Found::Nothing if last_look => break,
                Found::Nothing => {}
            }
            let more = tokio::select! {
                more = self.more(positions, wait) => more?,
                () = self.ending.cancelled() => return Ok(Next::Ended),
            };
            if !more {
                break;
            }
        }
        Ok(Next::Nothing)
    }
}

#[cfg(test)]
mod tests;
