//! Gathers a stream's records into delivery batches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::ports::{ReadPage, Stream};
use alluvium_core::{DeliveryBatch, SequenceNumber, ShardId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CutPoints, DeliveryError, DeliverySettings, StartingPoints};

/// How long an idle batcher waits for a record before it looks again whether it should stop.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// How often a batch that is not full looks for more records.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Batcher {
    stream: Arc<dyn Stream>,
    settings: DeliverySettings,
    shards: Vec<(ShardId, Option<SequenceNumber>)>,
    cuts: CutPoints,
    ready: VecDeque<DeliveryBatch>,
    drain: CancellationToken,
}

impl Batcher {
    pub(super) fn new(
        stream: Arc<dyn Stream>,
        settings: DeliverySettings,
        shards: StartingPoints,
        cuts: CutPoints,
        drain: CancellationToken,
    ) -> Self {
        Self { stream, settings, shards, cuts, ready: VecDeque::new(), drain }
    }

    /// The next batch; `None` when it was told to drain and nothing is left.
    pub(super) async fn next(&mut self) -> Result<Option<DeliveryBatch>, DeliveryError> {
        while self.ready.is_empty() && !self.cuts.is_empty() {
            self.read_up_to_the_cuts().await?;
        }
        match self.ready.pop_front() {
            Some(batch) => Ok(Some(batch)),
            None => self.gather().await,
        }
    }

    /// After a crash: one page of each shard that still has a cut before it, divided there.
    async fn read_up_to_the_cuts(&mut self) -> Result<(), DeliveryError> {
        for shard in self.cuts.shards() {
            let at = self.shards.iter().position(|(known, _)| *known == shard);
            let at = at.expect("the node checked at start that every mark is of a shard of this log");
            let page = self.read(at, self.settings.buffer_bytes, Duration::ZERO).await?;
            assert!(!page.records.is_empty(), "the node checked at start that the log reaches every mark");
            self.advance(at, &page);
            self.ready.extend(self.cuts.divide(&shard, page.records));
        }
        Ok(())
    }

    /// One batch of all shards: full, or as old as it may become, or all there is while draining.
    async fn gather(&mut self) -> Result<Option<DeliveryBatch>, DeliveryError> {
        let mut batch = DeliveryBatch::default();
        let mut bytes = 0;
        let mut deadline = None;
        loop {
            let mut more = false;
            for at in 0..self.shards.len() {
                let room = self.settings.buffer_bytes.saturating_sub(bytes);
                if room == 0 {
                    break;
                }
                let page = self.read(at, room, Duration::ZERO).await?;
                self.advance(at, &page);
                more |= page.more;
                bytes += page.records.iter().map(|record| record.data.len()).sum::<usize>();
                batch.records.extend(page.records);
            }
            let draining = self.drain.is_cancelled();
            if bytes >= self.settings.buffer_bytes || (draining && !more && !batch.records.is_empty()) {
                return Ok(Some(batch));
            }
            if more {
                continue;
            }
            if batch.records.is_empty() {
                if draining {
                    return Ok(None);
                }
                self.wait_for_a_record().await?;
                continue;
            }
            let now = Instant::now();
            let deadline = *deadline.get_or_insert(now + self.settings.buffer);
            if now >= deadline {
                return Ok(Some(batch));
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline.min(now + LOOK_AGAIN)) => {}
                () = self.drain.cancelled() => {}
            }
        }
    }

    /// Returns when any shard has a record, the drain begins, or a while has passed.
    async fn wait_for_a_record(&self) -> Result<(), DeliveryError> {
        let reads = (0..self.shards.len()).map(|at| self.read(at, 1, IDLE_WAIT));
        tokio::select! {
            (page, _, _) = futures::future::select_all(reads.map(Box::pin)) => page.map(drop),
            () = self.drain.cancelled() => Ok(()),
        }
    }

    async fn read(&self, at: usize, max_bytes: usize, wait: Duration) -> Result<ReadPage, DeliveryError> {
        let (shard, after) = &self.shards[at];
        self.stream.read(shard, *after, max_bytes, wait).await.map_err(DeliveryError::Stream)
    }

    fn advance(&mut self, at: usize, page: &ReadPage) {
        if let Some(last) = page.records.last() {
            self.shards[at].1 = Some(last.identity.sequence);
        }
    }
}
