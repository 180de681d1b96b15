#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::Outcome;
use crate::testing::{Crash, Crashing, Queue, assert_shared_complete, open_shared};

#[tokio::test]
async fn each_path_has_its_own_outcome_and_bad_ones_hold_no_other_back() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut queue = Queue::default();
    let first = queue.deliver(&store, &[(0, 1, 20)]).await;
    let last = queue.deliver(&store, &[(0, 21, 40)]).await;
    let put = |name: &str, bytes: Vec<u8>| {
        let path = format!("{MESSAGES_FOLDER}/{name}.json");
        let store = store.clone();
        async move {
            store.put(&Path::from(path.as_str()), bytes.into()).await.unwrap();
            path
        }
    };
    let name = |digit: char| digit.to_string().repeat(32);
    let newer = String::from_utf8(first.encode().to_vec()).unwrap().replacen("\"version\":1", "\"version\":2", 1);
    let paths = [
        first.path(),
        put(&name('1'), b"{\"version\":1,".to_vec()).await,
        put(&name('2'), newer.into_bytes()).await,
        put(&name('3'), last.encode().to_vec()).await,
        put(&name('4'), vec![b' '; MAX_MESSAGE_BYTES as usize + 1]).await,
        format!("{MESSAGES_FOLDER}/{}.json", name('5')),
        "readings/_delta_log/00000000000000000000.json".to_owned(),
        format!("{MESSAGES_FOLDER}/../{}.json", name('6')),
        String::new(),
        last.path(),
    ];
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let commit = lake.commit_paths(&paths).await;
    assert!(commit.failure.is_none(), "{commit:?}");
    let said = [
        "",
        "not a commit message",
        "version 2 is newer",
        "it is the message of batch",
        "bytes, more than",
        "there is none",
        "expected a path",
        "expected a path",
        "expected a path",
        "",
    ];
    for ((outcome, said), path) in commit.outcomes.iter().zip(said).zip(&paths) {
        match outcome {
            Outcome::Refused(error) => {
                let error = error.to_string();
                assert!(!said.is_empty() && error.contains(said) && error.contains(path.as_str()), "{path}: {error}");
            }
            outcome => assert!(said.is_empty() && outcome.is_done(), "{path}: {outcome:?}"),
        }
    }
    assert_shared_complete(&store, &queue).await;
    store.head(&Path::from(first.path())).await.expect("messages stay, for they may be delivered again");
}

#[tokio::test]
async fn a_message_that_the_store_does_not_give_is_unfinished_and_not_refused() {
    let disk: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    open_shared(&disk).await.unwrap();
    let mut queue = Queue::default();
    let good = queue.deliver(&disk, &[(0, 1, 20)]).await;
    let store: Arc<dyn ObjectStore> = Arc::new(Crashing::new(disk.clone(), Crash::BeforeTheWrite, 1));
    let (mut lake, _) = open_shared(&store).await.unwrap();
    store.put(&Path::from("the write that it dies of"), "".into()).await.unwrap_err();
    let commit = lake.commit_paths(&[good.path(), "no path".to_owned()]).await;
    assert!(matches!(commit.outcomes[..], [Outcome::Unfinished, Outcome::Refused(_)]), "{commit:?}");
    assert!(matches!(commit.failure, Some(LakeError::Store { .. })), "{commit:?}");
}
