//! Reads one shard and makes batches of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alluvium_core::ports::{Advice, ReadPage, Stream};
use alluvium_core::{SequenceNumber, ShardId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::FirehoseError;
use super::buffer::Buffer;
use super::chance::Chance;
use super::cut::{Batch, Cutter};
use super::idle::Idle;
use super::progress::FirehoseProgress;
use super::settings::FirehoseSettings;

/// The longest pause between two reads of which the first failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the readers of all shards share.
pub(super) struct Shared {
    pub(super) stream: Arc<dyn Stream>,
    pub(super) settings: Arc<FirehoseSettings>,
    pub(super) cutter: Cutter,
    pub(super) idle: Idle,
    pub(super) chance: Arc<Chance>,
    pub(super) progress: Arc<FirehoseProgress>,
    pub(super) stop: CancellationToken,
}

/// The reader of one shard.
pub(super) struct ShardReader {
    shared: Arc<Shared>,
    /// The shard's place among all.
    at: usize,
    shard: ShardId,
    after: Option<SequenceNumber>,
    buffer: Buffer,
    ready: VecDeque<Batch>,
}

impl ShardReader {
    pub(super) fn new(shared: Arc<Shared>, at: usize, shard: ShardId, after: Option<SequenceNumber>) -> Self {
        let buffer = Buffer::new(shared.settings.buffer_bytes, shared.settings.buffer);
        Self { shared, at, shard, after, buffer, ready: VecDeque::new() }
    }

    /// The next batch; `None` when the loop was told to stop or the stream is idle, and nothing is left in the buffer.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, FirehoseError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            self.gather().await?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let records = self.buffer.take(Instant::now());
            self.shared.progress.stream_records.fetch_add(records.len() as u64, Ordering::Relaxed);
            self.ready.extend(self.shared.cutter.cut(records));
        }
    }

    /// Reads until the buffer is full or due, or no more is to come.
    async fn gather(&mut self) -> Result<(), FirehoseError> {
        loop {
            let due = self.buffer.due();
            if self.buffer.is_full() || self.shared.stop.is_cancelled() || due.is_some_and(|due| Instant::now() >= due)
            {
                return Ok(());
            }
            let Some(page) = self.read().await? else { return Ok(()) };
            let now = Instant::now();
            self.shared.idle.note(self.at, !page.records.is_empty(), now);
            if let Some(last) = page.records.last() {
                self.after = Some(last.identity.sequence);
            }
            self.buffer.add(page.records, now);
            if page.more {
                continue;
            }
            if self.shared.idle.is_over(now) {
                return Ok(());
            }
            let again = now + self.shared.settings.poll;
            self.pause_until(self.buffer.due().map_or(again, |due| due.min(again))).await;
        }
    }

    /// The next page; `None`: the loop was told to stop while the stream could not be read.
    async fn read(&self) -> Result<Option<ReadPage>, FirehoseError> {
        let mut failures = 0;
        loop {
            let most_bytes = self.shared.settings.buffer_bytes;
            match self.shared.stream.read(&self.shard, self.after, most_bytes, Duration::ZERO).await {
                Ok(page) => return Ok(Some(page)),
                Err(error) if error.advice == Advice::Stop => return Err(FirehoseError::Stream(error)),
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(shard = %self.shard, %error, "the stream could not be read; trying until it can");
                    }
                    let pause = self.shared.chance.pause(self.shared.settings.poll, failures).min(LONGEST_PAUSE);
                    failures += 1;
                    self.pause_until(Instant::now() + pause).await;
                }
            }
            if self.shared.stop.is_cancelled() {
                return Ok(None);
            }
        }
    }

    async fn pause_until(&self, then: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(then) => {}
            () = self.shared.stop.cancelled() => {}
        }
    }
}
