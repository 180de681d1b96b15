#![allow(clippy::unwrap_used)]

use object_store::memory::InMemory;

use super::*;
use crate::testing::{READINGS, TestStream, Yielding, drive, root};

#[tokio::test]
async fn a_hint_saves_listing_what_a_checkpoint_stands_for_and_a_wrong_one_does_no_harm() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    drive(&store, &store, &TestStream::new([200, 100]), 7).await.unwrap();
    let log = TableLog::new(&store, &root(), READINGS);
    let all = log.list().await.unwrap();
    let newest = *all.checkpoints.keys().last().unwrap();
    let since = log.list_since_checkpoint().await.unwrap();
    assert_eq!(since.checkpoints.keys().collect::<Vec<_>>(), [&newest]);
    assert_eq!(since.commits, all.commits.clone().split_off(&newest));
    assert_eq!(since.newest(), all.newest());

    let hint = Path::from("readings/_delta_log/_last_checkpoint");
    for wrong in [format!(r#"{{"version":{},"size":1}}"#, newest + 1), "{".to_owned()] {
        store.put(&hint, wrong.into()).await.unwrap();
        assert_eq!(log.list_since_checkpoint().await.unwrap().commits, all.commits);
    }
    store.delete(&hint).await.unwrap();
    assert_eq!(log.list_since_checkpoint().await.unwrap().commits, all.commits);
}

/// Where a function has one thread, it waits for the checkpoint on the thread that has to drive the store's connections meanwhile.
#[test]
fn a_checkpoint_is_written_on_a_runtime_of_one_thread() {
    let (done, is_done) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let written = runtime.block_on(async {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let driven: Arc<dyn ObjectStore> = Arc::new(Yielding::new(store, 1).driven_by(Handle::current()));
            drive(&driven, &driven, &TestStream::new([200, 100]), 7).await.unwrap();
            TableLog::new(&driven, &root(), READINGS).hinted_checkpoint().await.unwrap()
        });
        done.send(written).unwrap();
    });
    let written = is_done.recv_timeout(std::time::Duration::from_secs(120));
    assert!(written.expect("the thread waits for what it has to do itself").is_some());
}
