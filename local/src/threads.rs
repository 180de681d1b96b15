//! Threads for work that others must not wait for.

use std::future::Future;
use std::io;

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
    wanted: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Threads {
    /// Those that are described so.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub(crate) fn new(mut described: Builder) -> io::Result<Self> {
        let (begun, has_begun) = std::sync::mpsc::sync_channel(1);
        let (wanted, unwanted) = oneshot::channel();
        let (has_ended, ended) = oneshot::channel();
        let wait_for_them = move || {
            let runtime = match described.enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(begun.send(Err(error))),
            };
            // Whoever has stopped waiting for an answer wants them no more, which is told below.
            let _ = begun.send(Ok(runtime.handle().clone()));
            // It only ever fails, because nothing is sent.
            let _ = unwanted.blocking_recv();
            drop(runtime);
            let _ = has_ended.send(());
        };
        std::thread::Builder::new().name("threads-end".to_owned()).spawn(wait_for_them)?;
        let handle = has_begun.recv().map_err(|_| io::Error::other("the thread that begins them panicked"))??;
        Ok(Self { handle, wanted, ended })
    }

    /// Begins work on them.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(work)
    }

    /// Cancels what runs on them, and waits until nothing does, blocking work included.
    pub(crate) async fn end(self) {
        drop(self.wanted);
        // Without an answer the thread that waited is gone, and with it the others.
        let _ = self.ended.await;
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
