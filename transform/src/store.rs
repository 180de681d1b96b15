//! The order in which a batch's output is stored: data files, hot chunks, commit message.
//!
//! A commit message names only files that are there, so no committer adds one that is not; and a batch that can be committed can
//! be read in the hot index too. Whoever stores the output may die between any two calls: the batch then comes again, and each of
//! its objects bears the same name.

use std::future::Future;

use alluvium_core::CommitMessage;
use alluvium_core::ports::{DataFiles, HotIndex, PortError};
use futures::future::{BoxFuture, try_join_all};

use crate::{BatchOutput, DataFile};

/// How storage calls that fail are tried again.
pub trait Persevere: Sync {
    /// Makes the call until it succeeds or another try makes no sense. `what` says in logs what is being stored.
    ///
    /// # Errors
    ///
    /// The call's own, when it is given up.
    fn persevere<T, F>(
        &self,
        what: &str,
        call: impl FnMut() -> F + Send,
    ) -> impl Future<Output = Result<T, PortError>> + Send
    where
        F: Future<Output = Result<T, PortError>> + Send,
        T: Send;
}

impl BatchOutput {
    /// Stores everything but the commit message's path in the queue, which is for whoever calls this to enqueue, in its own order.
    /// Returns the message.
    ///
    /// # Errors
    ///
    /// When a call was given up. What is stored by then is an orphan until the batch comes again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves what an error leaves.
    pub fn store<'a>(
        self,
        files: &'a dyn DataFiles,
        hot: &'a dyn HotIndex,
        storing: &'a impl Persevere,
    ) -> BoxFuture<'a, Result<CommitMessage, PortError>> {
        let Self { files: data_files, chunks, message } = self;
        Box::pin(async move {
            let puts = data_files.iter().map(|DataFile { path, bytes }| {
                let put = move || files.put_if_absent(path, bytes.clone());
                storing.persevere(path, put)
            });
            try_join_all(puts).await?;
            storing.persevere("hot chunks", || hot.put(chunks.clone())).await?;
            let (path, encoded) = (message.path(), message.encode());
            storing.persevere(&path, || files.put_if_absent(&path, encoded.clone())).await?;
            Ok(message)
        })
    }
}

#[cfg(test)]
mod tests;
