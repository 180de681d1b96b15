//! The commit queue on one machine: in memory, in order, bounded.
//!
//! It need not outlive the process: after a crash the log is read again from where the lake ends, and the same messages are
//! made anew.

use std::time::Duration;

use alluvium_core::ports::{Advice, CommitQueue, Delivery, PortError};
use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

/// A bounded first-in, first-out queue of commit messages.
#[derive(Debug)]
pub struct LocalCommitQueue {
    sender: mpsc::Sender<String>,
    receiver: Mutex<mpsc::Receiver<String>>,
}

impl LocalCommitQueue {
    /// A queue of at most `capacity` messages.
    pub fn new(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

#[async_trait]
impl CommitQueue for LocalCommitQueue {
    async fn enqueue(&self, path: &str) -> Result<(), PortError> {
        let closed = |_| PortError::new(Advice::Stop, "the commit queue is closed: the committer has stopped");
        self.sender.send(path.to_owned()).await.map_err(closed)
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, PortError> {
        let mut paths = Vec::new();
        let mut receiver = self.receiver.lock().await;
        // A time-out is no failure: there was nothing to take.
        let _ = tokio::time::timeout(wait, receiver.recv_many(&mut paths, max)).await;
        Ok(paths.into_iter().map(|path| Delivery { receipt: path.clone(), path }).collect())
    }

    async fn acknowledge(&self, _receipt: &str) -> Result<(), PortError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alluvium_core::contract::commit_queue;

    use super::*;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        commit_queue::all(&LocalCommitQueue::new(64)).await;
    }

    #[tokio::test]
    async fn a_full_queue_makes_its_sender_wait() {
        let queue = LocalCommitQueue::new(1);
        queue.enqueue("first").await.unwrap();
        let second = tokio::time::timeout(Duration::from_millis(20), queue.enqueue("second")).await;
        assert!(second.is_err(), "there was no room");
        assert_eq!(queue.receive(10, Duration::ZERO).await.unwrap().len(), 1);
        queue.enqueue("second").await.unwrap();
    }
}
