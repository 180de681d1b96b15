//! The committer's loop: every few seconds, the batches that were stored since go into the tables.
//!
//! One cycle: make the hot index durable, commit the batches to the lake, let the log forget what the lake now holds, remove
//! the commit messages. With no batch there, the ledger copies what maintenance has committed. A cycle that fails is tried again;
//! while it fails the queue fills, delivery waits, the log grows, and at its limit the gateway tells its clients to come back later.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alluvium_core::ports::{Advice, CommitQueue, DataFiles, Delivery, HotIndex, PortError};
use alluvium_core::{CommitMessage, SequenceNumber, ShardId};
use alluvium_lake::Lake;
use tokio_util::sync::CancellationToken;

use crate::delivery::until_stored;
use crate::log::Log;

/// When commits happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitterSettings {
    /// How long batches gather before they are committed together.
    pub interval: Duration,
    /// How many batches one commit takes at the most; with more waiting, the next one follows at once.
    pub max_batches: usize,
}

/// What the committer works on.
pub struct Committer {
    /// The tables.
    pub lake: Lake,
    /// Where the paths of commit messages come from.
    pub queue: Arc<dyn CommitQueue>,
    /// Where the messages are stored.
    pub files: Arc<dyn DataFiles>,
    /// Made durable before the position moves on.
    pub hot: Arc<dyn HotIndex>,
    /// Trimmed after the position has moved on.
    pub log: Arc<Log>,
    /// When commits happen.
    pub settings: CommitterSettings,
    /// What the loop has done so far, for others to watch.
    pub progress: Arc<CommitProgress>,
}

/// What a committer has done since it started.
#[derive(Debug, Default)]
pub struct CommitProgress {
    /// Events in the lake's ledger, out of those that this process delivered.
    pub events: AtomicU64,
    /// Commit cycles.
    pub cycles: AtomicU64,
    /// How often tables got rows; raised before what they are of counts as committed.
    pub commits: AtomicU64,
    /// Up to where each shard is committed; a shard that is missing has nothing in the lake.
    positions: Mutex<BTreeMap<ShardId, SequenceNumber>>,
}

impl CommitProgress {
    /// Up to where a shard is committed; `None`: nothing of it is.
    pub fn position(&self, shard: &ShardId) -> Option<SequenceNumber> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).get(shard).copied()
    }

    /// Says up to where every shard is committed.
    pub(crate) fn set_positions(&self, positions: impl IntoIterator<Item = (ShardId, SequenceNumber)>) {
        *self.positions.lock().unwrap_or_else(PoisonError::into_inner) = positions.into_iter().collect();
    }
}

impl Committer {
    /// Commits until `finish` is cancelled and the queue is empty.
    ///
    /// # Errors
    ///
    /// When the lake refuses for good: a table was changed by somebody else, or a message is damaged.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave some tables ahead of others; the next start continues each where it is.
    pub async fn run(mut self, finish: CancellationToken) -> Result<(), PortError> {
        describe_metrics();
        loop {
            // Asked before the queue is, so that what was enqueued before `finish` is never left in it.
            let finishing = finish.is_cancelled();
            let deliveries = self.queue.receive(self.settings.max_batches, Duration::ZERO).await?;
            if !deliveries.is_empty() {
                self.cycle(&deliveries).await?;
            } else if finishing {
                return Ok(());
            } else {
                self.keep_up().await?;
            }
            if deliveries.len() < self.settings.max_batches && !finishing {
                tokio::select! {
                    () = tokio::time::sleep(self.settings.interval) => {}
                    () = finish.cancelled() => {}
                }
            }
        }
    }

    async fn cycle(&mut self, deliveries: &[Delivery]) -> Result<(), PortError> {
        let started = Instant::now();
        let mut messages = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let bytes = until_stored(&delivery.path, || self.files.get(&delivery.path)).await?;
            let damaged = |error| PortError::because(Advice::Stop, format!("commit message {}", delivery.path), error);
            messages.push(CommitMessage::decode(&bytes).map_err(damaged)?);
        }
        until_stored("the hot index", || self.hot.flush()).await?;
        self.commit(&messages).await?;
        self.progress.commits.fetch_add(1, Ordering::Release);
        let positions = self.lake.positions();
        self.progress.set_positions(positions.clone());
        for (shard, position) in positions {
            // What could not be trimmed now is trimmed after the next commit.
            if let Err(error) = self.log.trim(&shard, position).await {
                tracing::warn!(%shard, %error, "the log could not be trimmed");
            }
        }
        for delivery in deliveries {
            until_stored(&delivery.path, || self.files.delete(&delivery.path)).await?;
            self.queue.acknowledge(&delivery.receipt).await?;
        }
        self.count(&messages, started);
        Ok(())
    }

    async fn commit(&mut self, messages: &[CommitMessage]) -> Result<(), PortError> {
        let mut pause = Duration::from_millis(100);
        loop {
            match self.lake.commit(messages).await {
                Ok(_) => return Ok(()),
                Err(error) if error.advice() == Advice::Stop => {
                    return Err(PortError::because(Advice::Stop, "the commit was refused", error));
                }
                Err(error) => {
                    // Some of the tables may have got theirs.
                    self.progress.commits.fetch_add(1, Ordering::Release);
                    tracing::warn!(%error, "a commit failed; trying again, nothing is lost meanwhile");
                    metrics::counter!("alluvium_commit_failures_total").increment(1);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(10));
                }
            }
        }
    }

    /// Copies into the ledger what maintenance has committed. What fails now is tried again in the next round.
    async fn keep_up(&mut self) -> Result<(), PortError> {
        match self.lake.keep_up().await {
            Ok(_) => Ok(()),
            Err(error) if error.advice() == Advice::Stop => {
                Err(PortError::because(Advice::Stop, "the ledger cannot follow the tables", error))
            }
            Err(error) => {
                tracing::warn!(%error, "the ledger could not follow the tables; it is tried again");
                Ok(())
            }
        }
    }

    fn count(&self, messages: &[CommitMessage], started: Instant) {
        let events: u64 = messages.iter().flat_map(|message| &message.ledger).map(|entry| entry.received).sum();
        self.progress.events.fetch_add(events, Ordering::Relaxed);
        self.progress.cycles.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("alluvium_events_committed_total").increment(events);
        metrics::histogram!("alluvium_commit_seconds").record(started.elapsed().as_secs_f64());
    }
}

fn describe_metrics() {
    metrics::describe_counter!("alluvium_events_committed_total", "Events in the lake's ledger.");
    metrics::describe_counter!("alluvium_commit_failures_total", "Commit cycles that failed and were tried again.");
    metrics::describe_histogram!("alluvium_commit_seconds", metrics::Unit::Seconds, "One commit cycle.");
}
