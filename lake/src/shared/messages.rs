//! Commit messages by the paths that the queue carries.

use std::sync::Arc;

use alluvium_core::CommitMessage;
use alluvium_core::commit::{CommitMessageError, MESSAGES_FOLDER};
use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::SharedLake;
use crate::error::{LakeError, Result};
use crate::pending::batch_of;
use crate::state::IdentityBits;

/// How many messages are read at a time.
const READ_AHEAD: usize = 16;

/// The largest message that is read. One of a batch of 6 MB for a hundred datasets has some hundred KB.
const MAX_MESSAGE_BYTES: u64 = 8 * 1024 * 1024;

impl SharedLake {
    /// Reads the messages that lie at these paths under the lake's root, in their order.
    ///
    /// # Errors
    ///
    /// Each by itself: [`LakeError::UnreadableMessage`] when there is none, or something else; [`LakeError::NewerMessage`] when a newer
    /// release wrote it; [`LakeError::Store`] when the store failed.
    pub async fn read_messages(&self, paths: &[String]) -> Vec<Result<CommitMessage>> {
        read_all(&self.store, self.root.as_str().trim_end_matches('/'), paths).await
    }
}

/// As [`SharedLake::read_messages`]; `root` is the lake's URL without a slash at its end.
pub(crate) async fn read_all(store: &Arc<dyn ObjectStore>, root: &str, paths: &[String]) -> Vec<Result<CommitMessage>> {
    // Collected, so that whoever reads may do so on another thread.
    let reads: Vec<_> = paths.iter().map(|path| read(store, root, path)).collect();
    futures::stream::iter(reads).buffered(READ_AHEAD).collect().await
}

async fn read(store: &Arc<dyn ObjectStore>, root: &str, path: &str) -> Result<CommitMessage> {
    let unreadable = |problem: String| LakeError::UnreadableMessage { path: path.chars().take(200).collect(), problem };
    let Some(batch) = batch_of(path) else {
        return Err(unreadable(format!("expected a path like {MESSAGES_FOLDER}/<identity>.json")));
    };
    let failed = |source| {
        let path = format!("{root}/{path}");
        LakeError::Store { doing: "read", path, source }
    };
    let found = match store.get(&Path::from(path)).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => {
            return Err(unreadable(
                "there is none. It is stored before its path is enqueued, so it was removed".to_owned(),
            ));
        }
        Err(source) => return Err(failed(source)),
    };
    if found.meta.size > MAX_MESSAGE_BYTES {
        let size = found.meta.size;
        return Err(unreadable(format!("it has {size} bytes, more than the {MAX_MESSAGE_BYTES} that are read")));
    }
    let bytes = found.bytes().await.map_err(failed)?;
    let message = CommitMessage::decode(&bytes).map_err(|error| match error {
        CommitMessageError::Version(_) => LakeError::NewerMessage { path: path.to_owned(), problem: error.to_string() },
        CommitMessageError::Damaged(_) => unreadable(error.to_string()),
    })?;
    if IdentityBits::of(&message.batch) != Some(batch) {
        return Err(unreadable(format!("it is the message of batch {}", message.batch)));
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
