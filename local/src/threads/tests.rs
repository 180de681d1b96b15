#![allow(clippy::unwrap_used)]

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

/// The system forgets a thread a moment after whoever waits for it is told.
fn wait_until_none_is_named(prefix: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while named(prefix) > 0 {
        assert!(Instant::now() < deadline, "{} threads are left", named(prefix));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn some_threads() -> Threads {
    let mut described = Builder::new_multi_thread();
    described.worker_threads(2).thread_name("some");
    Threads::new(described).unwrap()
}

#[tokio::test]
async fn their_end_is_that_of_blocking_work_too() {
    let threads = some_threads();
    let (end, ended) = std::sync::mpsc::sync_channel::<()>(1);
    let (begun, has_begun) = oneshot::channel();
    let working = threads.spawn(async move {
        tokio::task::spawn_blocking(move || {
            begun.send(()).unwrap();
            let _ = ended.recv();
        })
        .await
    });
    has_begun.await.unwrap();
    working.abort();
    let end_of_all = threads.end();
    tokio::pin!(end_of_all);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut end_of_all).await.is_err(), "it still works");
    drop(end);
    end_of_all.await;
    wait_until_none_is_named("some");
}

#[test]
fn threads_that_nobody_wants_end_and_one_that_computes_keeps_nobody_waiting() {
    let threads = some_threads();
    let (begun, has_begun) = std::sync::mpsc::sync_channel(1);
    let (end, ended) = std::sync::mpsc::sync_channel::<()>(1);
    threads.spawn(async move {
        begun.send(()).unwrap();
        let _ = ended.recv();
    });
    has_begun.recv().unwrap();
    drop(threads);
    // Dropping them did not wait for what still runs.
    assert!(named("some") > 0);
    drop(end);
    wait_until_none_is_named("some");
}
