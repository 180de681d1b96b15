//! One invocation: the batch transformed, its output stored and enqueued, every record answered.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::retry::Retries;
use alluvium_core::CommitMessage;
use alluvium_core::ports::{CommitQueue, DataFiles, HotIndex, PortError};
use alluvium_transform::firehose::{Invocation, InvocationError};
use alluvium_transform::{Persevere, Transform, TransformError};
use lambda_runtime::Diagnostic;
use tokio::time::Instant;

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

impl Handler {
    /// Answers an event. Everything that came of it is stored before any record is said to be (IN-1).
    ///
    /// # Errors
    ///
    /// When the event cannot be answered, or its output could not be stored before `deadline`; never for what a record holds.
    pub async fn handle(&self, event: Vec<u8>, deadline: Instant) -> Result<Vec<u8>, HandlerError> {
        let invocation = Invocation::read(event)?;
        let output = self.transform.run_invocation(&invocation)?;
        let storing = UntilDeadline { retries: &self.retries, deadline: deadline - SPARE };
        let message = output.store(&*self.files, &*self.hot, &storing).await?;
        let path = message.path();
        storing.persevere("the commit queue", || self.queue.enqueue(&path)).await?;
        log(&message);
        Ok(invocation.stored())
    }
}

/// Tries each storage call until the invocation has no time left.
struct UntilDeadline<'a> {
    retries: &'a Retries,
    deadline: Instant,
}

impl Persevere for UntilDeadline<'_> {
    async fn persevere<T, F>(&self, what: &str, call: impl FnMut() -> F + Send) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>> + Send,
        T: Send,
    {
        self.retries.until(self.deadline, what, call).await
    }
}

/// One line for each batch: what the ledger says of it.
fn log(message: &CommitMessage) {
    for entry in &message.ledger {
        tracing::info!(
            batch = %message.batch,
            dataset = entry.dataset,
            received = entry.received,
            written = entry.written,
            filtered = entry.filtered,
            dead = entry.dead,
            "stored"
        );
    }
}

#[cfg(test)]
mod tests;
