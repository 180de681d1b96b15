//! Threads for work that others must not wait for.

use std::future::Future;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Some threads, and those for blocking work beside them. Dropping it leaves what still runs on them to itself, and cancels the rest.
///
/// One more thread waits for them to end, because somebody has to: a thread that is let go while it ends is looked at by glibc after its stack
/// is gone (glibc bug 19951), and large stacks are given back at once.
#[derive(Debug)]
pub(crate) struct Threads {
    handle: Handle,
    /// Dropped with this, which is what the thread that waits is told by.
    _wanted: oneshot::Sender<()>,
}

impl Threads {
    /// Those that are described so.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub(crate) fn new(described: &mut Builder) -> std::io::Result<Self> {
        let runtime = described.enable_all().build()?;
        let handle = runtime.handle().clone();
        let (wanted, unwanted) = oneshot::channel();
        std::thread::Builder::new().name("threads-end".to_owned()).spawn(move || {
            // It only ever fails, because nothing is sent.
            let _ = unwanted.blocking_recv();
            drop(runtime);
        })?;
        Ok(Self { handle, _wanted: wanted })
    }

    /// Begins work on them.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(work)
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
        let threads = Threads::new(Builder::new_multi_thread().worker_threads(2).thread_name("some")).unwrap();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        threads.spawn(async move {
            begun.send(()).unwrap();
            let _ = ended.recv();
        });
        has_begun.recv().unwrap();
        drop(threads);
        // Dropping them did not wait for what still runs.
        assert!(named("some") > 0);
        drop(end);
        let deadline = Instant::now() + Duration::from_secs(30);
        while named("some") > 0 {
            assert!(Instant::now() < deadline, "{} threads are left", named("some"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
