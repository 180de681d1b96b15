//! The transform as a function in this process: what the deployed one does, without a network in between.

use std::sync::Arc;

use alluvium_core::ports::{Advice, CommitQueue, DataFiles, Function, HotIndex, PortError};
use alluvium_transform::firehose::Invocation;
use alluvium_transform::{Persevere, Transform};
use async_trait::async_trait;
use bytes::Bytes;

/// Reads an event, transforms its records, stores what comes out in the order that storing has (data files, hot chunks, commit
/// message, queue), and says of every record that it is stored.
///
/// It tries nothing again: whoever invokes it does.
pub struct InProcess {
    /// What makes rows of records.
    pub transform: Arc<Transform>,
    /// Where data files and commit messages go.
    pub files: Arc<dyn DataFiles>,
    /// Where hot chunks go.
    pub hot: Arc<dyn HotIndex>,
    /// Where the paths of commit messages go.
    pub queue: Arc<dyn CommitQueue>,
}

#[async_trait]
impl Function for InProcess {
    async fn invoke(&self, payload: Bytes) -> Result<Bytes, PortError> {
        let transform = self.transform.clone();
        let transformed = tokio::task::spawn_blocking(move || {
            let invocation = Invocation::read(payload.into())
                .map_err(|error| PortError::because(Advice::Stop, "the event cannot be answered", error))?;
            let output = transform
                .run_invocation(&invocation)
                .map_err(|error| PortError::because(Advice::Stop, "the transform failed on an event", error))?;
            Ok::<_, PortError>((invocation, output))
        });
        let panicked = |error| PortError::because(Advice::Retry, "the transform panicked on an event", error);
        let (invocation, output) = transformed.await.map_err(panicked)??;
        let message = output.store(&*self.files, &*self.hot, &Once).await?;
        self.queue.enqueue(&message.path()).await?;
        Ok(invocation.stored().into())
    }
}

/// Makes each call once: a failed invocation is made again by whoever invokes.
struct Once;

impl Persevere for Once {
    async fn persevere<T, F>(&self, _: &str, mut call: impl FnMut() -> F + Send) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>> + Send,
        T: Send,
    {
        call().await
    }
}
