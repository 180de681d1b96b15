//! The delivery loop: what Firehose does on AWS. It hands the log's records to the transform in batches, stores what comes out,
//! and enqueues the commit message.
//!
//! For each batch, in this order: data files, hot chunks, commit message ([`BatchOutput::store`]), queue. Batches are transformed and stored several at a
//! time and enqueued in stream order, so that the committer sees each shard without a gap. A storage call that fails is
//! tried again until it succeeds or the node stops: the log still holds the records (IN-1), and when it is full the gateway
//! says so to its clients.

mod batcher;
mod cut;
mod retry;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alluvium_core::ports::{CommitQueue, DataFiles, HotIndex, PortError, Stream};
use alluvium_core::{DeliveryBatch, SequenceNumber, ShardId};
use alluvium_transform::{BatchOutput, Transform, TransformError};
use futures::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::erasure::Erased;
use batcher::Batcher;
pub use cut::CutPoints;
pub use retry::{UntilStored, until_stored};

/// How records are gathered into batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySettings {
    /// A batch is delivered when it holds this many bytes.
    pub buffer_bytes: usize,
    /// A batch is delivered when this long has passed since its first record was read.
    pub buffer: Duration,
    /// How many batches are transformed and stored at a time.
    pub concurrency: usize,
}

/// What the delivery loop works on.
pub struct Delivery {
    /// Where records come from.
    pub stream: Arc<dyn Stream>,
    /// What makes rows of them.
    pub transform: Arc<Transform>,
    /// Where data files and commit messages go.
    pub files: Arc<dyn DataFiles>,
    /// Where hot chunks go.
    pub hot: Arc<dyn HotIndex>,
    /// Where the paths of commit messages go.
    pub queue: Arc<dyn CommitQueue>,
    /// How records are gathered.
    pub settings: DeliverySettings,
    /// Whose rows the hot index is not to have.
    pub erased: Erased,
    /// What the loop has done so far, for others to watch.
    pub progress: Arc<DeliveryProgress>,
}

/// What a delivery loop has done since it started.
#[derive(Debug, Default)]
pub struct DeliveryProgress {
    /// Batches stored and enqueued.
    pub batches: AtomicU64,
    /// Events in them.
    pub events: AtomicU64,
    /// Events that became dead letters.
    pub dead: AtomicU64,
}

/// Where the delivery of one shard begins.
pub type StartingPoints = Vec<(ShardId, Option<SequenceNumber>)>;

/// Why the delivery loop ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The stream cannot be read.
    #[error("the log cannot be read: {0}")]
    Stream(#[source] PortError),
    /// Storage refused for good, or the node was stopped at once.
    #[error("a delivery batch could not be stored: {0}")]
    Storage(#[source] PortError),
    /// The transform broke one of its own invariants.
    #[error("the transform failed on a batch: {0}")]
    Transform(#[from] TransformError),
    /// The transform panicked.
    #[error("the transform panicked on a batch: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

impl Delivery {
    /// Delivers until `drain` is cancelled and everything that the stream held by then is delivered.
    ///
    /// # Errors
    ///
    /// When the log is damaged, storage refuses for good, or the transform fails; what was not enqueued is still in the log.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: stored files that were not enqueued are orphans, and their records are delivered
    /// again at the next start.
    pub async fn run(
        self,
        from: StartingPoints,
        cuts: CutPoints,
        drain: CancellationToken,
    ) -> Result<(), DeliveryError> {
        describe_metrics();
        let batcher = Batcher::new(self.stream.clone(), self.settings.clone(), from, cuts, drain);
        let batches = futures::stream::try_unfold(batcher, |mut batcher| async {
            Ok::<_, DeliveryError>(batcher.next().await?.map(|batch| (batch, batcher)))
        });
        let this = &self;
        batches
            .map_ok(|batch| async move { this.store(batch).await })
            .try_buffered(self.settings.concurrency.max(1))
            .try_for_each(|path| async move { this.queue.enqueue(&path).await.map_err(DeliveryError::Storage) })
            .await
    }

    /// Transforms one batch and stores what comes out; returns the commit message's path.
    async fn store(&self, batch: DeliveryBatch) -> Result<String, DeliveryError> {
        let started = Instant::now();
        let transform = self.transform.clone();
        let mut output: BatchOutput = tokio::task::spawn_blocking(move || transform.run(&batch)).await??;
        metrics::histogram!("alluvium_transform_seconds").record(started.elapsed().as_secs_f64());
        output.chunks = self.erased.screen(output.chunks).map_err(DeliveryError::Storage)?;
        let message = output.store(&*self.files, &*self.hot, &UntilStored).await.map_err(DeliveryError::Storage)?;
        self.count(&message);
        Ok(message.path())
    }

    fn count(&self, message: &alluvium_core::CommitMessage) {
        let received: u64 = message.ledger.iter().map(|entry| entry.received).sum();
        let dead: u64 = message.ledger.iter().map(|entry| entry.dead).sum();
        self.progress.batches.fetch_add(1, Ordering::Relaxed);
        self.progress.events.fetch_add(received, Ordering::Relaxed);
        self.progress.dead.fetch_add(dead, Ordering::Relaxed);
        metrics::counter!("alluvium_batches_total").increment(1);
        for entry in &message.ledger {
            let dataset = entry.dataset.clone();
            metrics::counter!("alluvium_events_transformed_total", "dataset" => dataset).increment(entry.received);
            for (reason, count) in &entry.dead_by_reason {
                let labels = [("dataset", entry.dataset.clone()), ("reason", reason.as_str().to_owned())];
                metrics::counter!("alluvium_dead_letters_total", &labels).increment(*count);
            }
        }
    }
}

fn describe_metrics() {
    metrics::describe_counter!("alluvium_batches_total", "Delivery batches stored and enqueued.");
    metrics::describe_counter!("alluvium_events_transformed_total", "Events that left the transform, by dataset.");
    metrics::describe_counter!(
        "alluvium_dead_letters_total",
        "Events that became dead letters, by dataset (`dead_letters`: none) and reason code."
    );
    metrics::describe_counter!("alluvium_storage_failures_total", "Storage calls that failed and were tried again.");
    metrics::describe_histogram!(
        "alluvium_transform_seconds",
        metrics::Unit::Seconds,
        "The transform of one delivery batch."
    );
}
