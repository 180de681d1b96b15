//! The threads that statements compute on: their own, so that one that computes without a pause keeps nobody else waiting, and a node that
//! stops need not wait for it.

use std::future::Future;

use alluvium_core::ports::{Advice, PortError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// The stack of each, of which only what is used takes memory. Parsing and planning go as deep as an expression does, some kilobytes a level in
/// an unoptimised build: `1+1+…` of the longest statement fits several times over.
const STACK_BYTES: usize = 512 * 1024 * 1024;

/// A few threads. Dropping it leaves what still runs on them to itself.
///
/// One more thread waits for them to end, because somebody has to: a thread that is let go while it ends is looked at by glibc after its stack
/// is gone (glibc bug 19951), and stacks as large as these are given back at once.
#[derive(Debug)]
pub(super) struct Threads {
    handle: Handle,
    /// Dropped with this, which is what the thread that waits is told by.
    _wanted: oneshot::Sender<()>,
}

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
        let handle = runtime.handle().clone();
        let (wanted, unwanted) = oneshot::channel();
        std::thread::Builder::new().name("sql-end".to_owned()).spawn(move || {
            // It only ever fails, because nothing is sent.
            let _ = unwanted.blocking_recv();
            drop(runtime);
        })?;
        Ok(Self { handle, _wanted: wanted })
    }

    /// Begins work on them.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.handle.spawn(work).abort_handle()
    }

    /// Does something there that needs their stack, and waits for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, PortError> {
        let done = self.handle.spawn(work).await;
        done.map_err(|error| PortError::because(Advice::Stop, "the statement could not be read", error))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// How many threads of this process have a name that begins so.
    fn named(prefix: &str) -> usize {
        let names = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
            // A thread may have ended since the folder was read.
            std::fs::read_to_string(task.unwrap().path().join("comm")).ok()
        });
        names.filter(|name| name.starts_with(prefix)).count()
    }

    #[test]
    fn threads_that_nobody_wants_end_and_one_that_computes_keeps_nobody_waiting() {
        let threads = Threads::new(2).unwrap();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        threads.spawn(async move {
            begun.send(()).unwrap();
            let _ = ended.recv();
        });
        has_begun.recv().unwrap();
        drop(threads);
        // Dropping them did not wait for what still runs.
        assert!(named("sql") > 0);
        drop(end);
        let deadline = Instant::now() + Duration::from_secs(30);
        while named("sql") > 0 {
            assert!(Instant::now() < deadline, "{} threads are left", named("sql"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
