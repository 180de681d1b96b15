//! What the loops run on.

use tokio::runtime::Builder;

use crate::threads::Threads;

/// How much less of a busy core a loop gets than a request, in steps of setpriority(2): a tenth.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The threads of the loops. They give way to those that answer requests, who wait for theirs.
pub(super) fn threads() -> std::io::Result<Threads> {
    let mut described = Builder::new_multi_thread();
    described.thread_name("pipeline");
    // Elsewhere it is of the whole process.
    #[cfg(target_os = "linux")]
    if let Ok(of_requests) = rustix::process::getpriority_process(None) {
        described.on_thread_start(move || {
            // By itself a thread is as nice as the one that began it. Where it cannot be nicer, it is as quick as those that answer.
            let _ = rustix::process::setpriority_process(None, of_requests + NICENESS);
        });
    }
    Threads::new(described)
}
