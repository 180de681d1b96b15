//! One invocation: the batch transformed, its output stored and enqueued, every record answered.

mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alluvium_aws::retry::Retries;
use alluvium_aws::trace::{STEP, Stage, follow};
use alluvium_aws::{Metrics, metrics};
use alluvium_core::Clock;
use alluvium_core::commit::MESSAGES_FOLDER;
use alluvium_core::ports::{Advice, CommitQueue, DataFiles, HotIndex, PortError};
use alluvium_transform::firehose::{Invocation, InvocationError};
use alluvium_transform::{Persevere, Transform, TransformError};
use lambda_runtime::Diagnostic;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug_span};

/// How long before its deadline an invocation gives storage up: what it then says reaches Firehose in time.
const SPARE: Duration = Duration::from_secs(5);

/// What invocations work on.
pub struct Handler {
    /// What makes rows of records.
    pub transform: Transform,
    /// Where data files and commit messages go.
    pub files: Arc<dyn DataFiles>,
    /// Where hot chunks go.
    pub hot: Arc<dyn HotIndex>,
    /// Where the paths of commit messages go.
    pub queue: Arc<dyn CommitQueue>,
    /// How long it is between tries.
    pub retries: Retries,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// An invocation that Firehose is to repeat. It then comes with the same records, and leaves the same objects.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// It cannot be answered record by record.
    #[error(transparent)]
    Invocation(#[from] InvocationError),
    /// The transform broke one of its own invariants.
    #[error("the transform failed on a batch: {0}")]
    Transform(#[from] TransformError),
    /// Storage failed for as long as there was time.
    #[error("a batch could not be stored: {0}")]
    Storage(#[from] PortError),
}

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Self {
        let error_type = match error {
            HandlerError::Invocation(_) => "Alluvium.Invocation",
            HandlerError::Transform(_) => "Alluvium.Transform",
            HandlerError::Storage(_) => "Alluvium.Storage",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// What [`BatchOutput::store`](alluvium_transform::BatchOutput::store) calls the put of the chunks.
const HOT_CHUNKS: &str = "hot chunks";
const QUEUE: &str = "the commit queue";

impl Handler {
    /// Answers an event. Everything that came of it is stored before any record is said to be (IN-1). `metrics` gets what there is to
    /// report, also of an event that fails.
    ///
    /// # Errors
    ///
    /// When the event cannot be answered, or its output could not be stored before `deadline`; never for what a record holds.
    pub async fn handle(
        &self,
        event: Vec<u8>,
        deadline: Instant,
        metrics: &mut Metrics,
    ) -> Result<Vec<u8>, HandlerError> {
        let invocation = debug_span!(target: STEP, "decode").in_scope(|| Invocation::read(event))?;
        let batch = invocation.batch();
        report::received(metrics, batch);
        let oldest = batch.records.iter().map(|record| record.arrival).min();
        let begun = Instant::now();
        let output = debug_span!(target: STEP, "transform", records = batch.records.len())
            .in_scope(|| self.transform.run_invocation(&invocation))?;
        metrics.millis("TransformMilliseconds", begun.elapsed());
        let storing =
            UntilDeadline { retries: &self.retries, deadline: deadline - SPARE, chunks: output.chunks.len() as u64 };
        let message = output.store(&*self.files, &*self.hot, &storing).await?;
        let path = message.path();
        storing.persevere(QUEUE, || self.queue.enqueue(&path)).await?;
        report::stored(metrics, &message, oldest, self.clock.now_micros());
        follow(Stage::Transform, message.traces.iter().map(|request| (request, message.batch.as_str())));
        Ok(invocation.stored())
    }
}

/// Tries each storage call until the invocation has no time left. Each is a step, and each failure is counted.
struct UntilDeadline<'a> {
    retries: &'a Retries,
    deadline: Instant,
    /// How many chunks there are for the hot index.
    chunks: u64,
}

impl UntilDeadline<'_> {
    fn note(&self, what: &str, error: &PortError) {
        metrics::note("StorageFailures", 1);
        if what == HOT_CHUNKS && error.advice == Advice::BackOff {
            metrics::note("HotThrottled", self.chunks);
        }
    }
}

impl Persevere for UntilDeadline<'_> {
    async fn persevere<T, F>(&self, what: &str, mut call: impl FnMut() -> F + Send) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>> + Send,
        T: Send,
    {
        let step = step(what);
        let unanswered = AtomicU64::new(0);
        let call = || {
            unanswered.fetch_add(1, Ordering::Relaxed);
            let answer = call();
            async {
                let answer = answer.await;
                unanswered.fetch_sub(1, Ordering::Relaxed);
                answer.inspect_err(|error| self.note(what, error))
            }
        };
        let outcome = self.retries.until(self.deadline, what, call).instrument(step.clone()).await;
        if outcome.is_err() {
            step.record("fault", true);
        }
        // The last one, if it was dropped for want of time.
        metrics::note("StorageFailures", unanswered.into_inner());
        outcome
    }
}

/// The step that a storage call is.
fn step(what: &str) -> Span {
    match what.split_once('/') {
        Some((MESSAGES_FOLDER, _)) => debug_span!(target: STEP, "store message", fault = Empty),
        Some((dataset, _)) => debug_span!(target: STEP, "store file", of = dataset, fault = Empty),
        None if what == HOT_CHUNKS => debug_span!(target: STEP, "store hot", fault = Empty),
        None => debug_span!(target: STEP, "enqueue", fault = Empty),
    }
}

#[cfg(test)]
mod tests;
