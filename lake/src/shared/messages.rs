//! Commit messages by the paths that the queue carries.

use alluvium_core::CommitMessage;
use alluvium_core::commit::MESSAGES_FOLDER;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::SharedLake;
use crate::error::{LakeError, Result};
use crate::state::IdentityBits;

/// How many messages are read at a time.
const READ_AHEAD: usize = 16;

/// The largest message that is read. One of a batch of 6 MB for a hundred datasets has some hundred KB.
const MAX_MESSAGE_BYTES: u64 = 8 * 1024 * 1024;

/// The path of a batch's message.
pub(super) fn path(batch: &IdentityBits) -> String {
    format!("{MESSAGES_FOLDER}/{batch}.json")
}

impl SharedLake {
    /// Reads the messages that lie at these paths under the lake's root, in their order.
    ///
    /// # Errors
    ///
    /// Each by itself: [`LakeError::UnreadableMessage`] when there is none, or something else; [`LakeError::Store`] when the store
    /// failed.
    pub async fn read_messages(&self, paths: &[String]) -> Vec<Result<CommitMessage>> {
        // Collected, so that whoever commits may do so on another thread.
        let reads: Vec<_> = paths.iter().map(|path| self.read_message(path)).collect();
        futures::stream::iter(reads).buffered(READ_AHEAD).collect().await
    }

    async fn read_message(&self, path: &str) -> Result<CommitMessage> {
        let unreadable =
            |problem: String| LakeError::UnreadableMessage { path: path.chars().take(200).collect(), problem };
        let name = path.strip_prefix(MESSAGES_FOLDER).and_then(|rest| rest.strip_prefix('/'));
        let batch = name.and_then(|name| name.strip_suffix(".json")).and_then(IdentityBits::of_digits);
        let Some(batch) = batch else {
            return Err(unreadable(format!("expected a path like {MESSAGES_FOLDER}/<identity>.json")));
        };
        let failed = |source| {
            let path = format!("{}/{path}", self.root.as_str().trim_end_matches('/'));
            LakeError::Store { doing: "read", path, source }
        };
        let found = match self.store.get(&Path::from(path)).await {
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
        let message = CommitMessage::decode(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if IdentityBits::of(&message.batch) != Some(batch) {
            return Err(unreadable(format!("it is the message of batch {}", message.batch)));
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests;
