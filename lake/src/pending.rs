//! Commit messages that are stored, and whose batches are not in.

use alluvium_core::clock::Micros;
use alluvium_core::commit::MESSAGES_FOLDER;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectMeta};

use crate::batches::{BatchStanding, Batches};
use crate::error::{LakeError, Result};
use crate::reader::LakeReader;
use crate::state::IdentityBits;

/// A commit message as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredMessage {
    pub(crate) batch: IdentityBits,
    /// Its path under the lake's root.
    pub(crate) path: String,
    pub(crate) stored_at: Micros,
}

/// The path of a batch's message.
pub(crate) fn path(batch: &IdentityBits) -> String {
    format!("{MESSAGES_FOLDER}/{batch}.json")
}

/// The batch whose message has this path under the lake's root; `None`: that is no message's path.
pub(crate) fn batch_of(path: &str) -> Option<IdentityBits> {
    let name = path.strip_prefix(MESSAGES_FOLDER)?.strip_prefix('/')?;
    IdentityBits::of_digits(name.strip_suffix(".json")?)
}

/// All commit messages that are stored, by path.
pub(crate) async fn stored(reader: &LakeReader) -> Result<Vec<StoredMessage>> {
    let listed: Vec<ObjectMeta> = match reader.store().list(Some(&Path::from(MESSAGES_FOLDER))).try_collect().await {
        Ok(listed) => listed,
        Err(Error::NotFound { .. }) => Vec::new(),
        Err(source) => {
            return Err(LakeError::Store {
                doing: "list",
                path: format!("{}/{MESSAGES_FOLDER}", reader.root()),
                source,
            });
        }
    };
    let message = |object: ObjectMeta| {
        let path = String::from(object.location);
        Some(StoredMessage { batch: batch_of(&path)?, path, stored_at: object.last_modified.timestamp_micros() })
    };
    let mut messages: Vec<_> = listed.into_iter().filter_map(message).collect();
    messages.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(messages)
}

/// Those whose batches are not in, or only in part. List them before the batches are loaded: what is committed meanwhile is in then.
pub(crate) fn uncommitted<'a>(
    stored: &'a [StoredMessage],
    batches: &'a Batches,
) -> impl Iterator<Item = &'a StoredMessage> {
    stored.iter().filter(|message| batches.standing(message.batch) != BatchStanding::In)
}
