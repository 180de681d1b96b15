//! The threads that statements compute on: their own, so that one that computes without a pause keeps nobody else waiting, and a node that
//! stops need not wait for it.

use std::future::Future;

use alluvium_core::ports::{Advice, PortError};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

/// The stack of each, of which only what is used takes memory. Parsing and planning go as deep as an expression does, some kilobytes a level in
/// an unoptimised build: `1+1+…` of the longest statement fits several times over.
const STACK_BYTES: usize = 512 * 1024 * 1024;

/// A few threads. Dropping it leaves what still runs on them to itself.
#[derive(Debug)]
pub(super) struct Threads(Option<Runtime>);

impl Threads {
    /// So many threads.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub(super) fn new(count: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name("sql")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Begins work on them.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.runtime().spawn(work).abort_handle()
    }

    /// Does something there that needs their stack, and waits for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, PortError> {
        let done = self.runtime().spawn(work).await;
        done.map_err(|error| PortError::because(Advice::Stop, "the statement could not be read", error))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("it is taken out when this is dropped")
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
