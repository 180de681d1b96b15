//! The threads that statements compute on: their own, so that one that computes without a pause keeps nobody else waiting, and a node that
//! stops need not wait for it.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

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
        let runtime = Builder::new_multi_thread().worker_threads(count).thread_name("sql").enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    /// Begins work on them.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.0.as_ref().expect("it is taken out when this is dropped").spawn(work).abort_handle()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
