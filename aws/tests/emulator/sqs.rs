//! The commit queue.

use std::collections::BTreeSet;
use std::time::Duration;

use alluvium_aws::SqsCommitQueue;
use alluvium_core::contract::commit_queue as contract;
use alluvium_core::ports::{Advice, CommitQueue};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use crate::endpoint;

/// A queue of one's own.
struct TestQueue {
    client: Client,
    url: String,
    queue: SqsCommitQueue,
}

impl TestQueue {
    /// A queue that hides a message for so many seconds after it was delivered.
    async fn create(hidden: &str) -> Self {
        let client = Client::new(&endpoint::config().await);
        let create = client.create_queue().queue_name(endpoint::unique("queue"));
        let created = create.attributes(QueueAttributeName::VisibilityTimeout, hidden).send().await.unwrap();
        let url = created.queue_url().unwrap().to_owned();
        let queue = SqsCommitQueue::new(client.clone(), &url);
        Self { client, url, queue }
    }

    async fn remove(self) {
        self.client.delete_queue().queue_url(&self.url).send().await.unwrap();
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let test = TestQueue::create("60").await;
    contract::all(&test.queue).await;
    test.remove().await;
}

#[tokio::test]
async fn one_receive_takes_more_than_one_call_carries() {
    let test = TestQueue::create("60").await;
    let paths: BTreeSet<_> = (0..23).map(|n| format!("commits/{n}")).collect();
    for path in &paths {
        test.queue.enqueue(path).await.unwrap();
    }
    let mut taken = BTreeSet::new();
    // A service of many servers may give fewer than it holds; both emulators give all.
    let first = test.queue.receive(100, Duration::from_secs(5)).await.unwrap();
    assert!(first.len() > 10, "{}", first.len());
    taken.extend(first.into_iter().map(|delivery| delivery.path));
    assert_eq!(taken, paths);
    test.remove().await;
}

#[tokio::test]
async fn a_message_comes_again_until_it_is_acknowledged() {
    let test = TestQueue::create("1").await;
    test.queue.enqueue("commits/once").await.unwrap();
    let first = test.queue.receive(10, Duration::from_secs(5)).await.unwrap().remove(0);
    let again = test.queue.receive(10, Duration::from_secs(10)).await.unwrap().remove(0);
    assert_eq!((&first.path, &again.path), (&"commits/once".to_owned(), &"commits/once".to_owned()));
    test.queue.acknowledge(&again.receipt).await.unwrap();
    assert_eq!(test.queue.receive(10, Duration::from_millis(2500)).await.unwrap(), []);
    test.remove().await;
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_an_error_that_stops() {
    let test = TestQueue::create("1").await;
    let gone = test.queue.clone();
    test.remove().await;
    let error = gone.enqueue("commits/lost").await.unwrap_err();
    assert_eq!(error.advice, Advice::Stop, "{error}");
    assert!(error.message.contains("commits/lost") && error.message.contains("alluvium-queue"), "{error}");
}
