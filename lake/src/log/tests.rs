#![allow(clippy::unwrap_used)]

use object_store::memory::InMemory;

use super::*;
use crate::testing::{READINGS, TestStream, drive, root};

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
