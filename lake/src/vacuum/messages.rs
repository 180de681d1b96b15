//! Commit messages: those that a file still waits for, and those that are too old to be named.

use alluvium_core::BatchIdentity;
use alluvium_core::clock::micros;
use alluvium_core::commit::MESSAGES_FOLDER;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt as _};

use super::{Counted, VacuumMode, written_at};
use crate::ages;
use crate::error::{LakeError, Result};
use crate::upkeep::Upkeep;

impl Upkeep {
    /// Deletes the commit messages that are older than 29 days, which nothing names any more (ADR 12).
    ///
    /// # Errors
    ///
    /// When the store fails. What is not deleted by then is left for the next time.
    pub async fn vacuum_messages(&self, mode: VacuumMode) -> Result<Counted> {
        let oldest = self.clock.now_micros() - micros(ages::MESSAGE);
        let listed = self.reader.store().list(Some(&Path::from(MESSAGES_FOLDER))).try_collect().await;
        let listed: Vec<ObjectMeta> = match listed {
            Err(Error::NotFound { .. }) => Vec::new(),
            listed => listed.map_err(|source| self.failed("list", MESSAGES_FOLDER, source))?,
        };
        let mut stale = Counted::default();
        for message in listed.iter().filter(|message| is_message(message) && written_at(message) <= oldest) {
            if mode == VacuumMode::Delete {
                match self.reader.store().delete(&message.location).await {
                    Ok(()) | Err(Error::NotFound { .. }) => {}
                    Err(source) => return Err(self.failed("delete", message.location.as_ref(), source)),
                }
            }
            stale.add(message);
        }
        Ok(stale)
    }

    /// Whether there is a commit message of the batch that a data file is of. Only that one can name it.
    pub(super) async fn has_message(&self, data_file: &str) -> Result<bool> {
        let Some(batch) = BatchIdentity::from_data_file_name(data_file) else { return Ok(false) };
        let path = format!("{MESSAGES_FOLDER}/{batch}.json");
        match self.reader.store().head(&Path::from(path.as_str())).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(self.failed("look for", &path, source)),
        }
    }

    fn failed(&self, doing: &'static str, path: &str, source: Error) -> LakeError {
        LakeError::Store { doing, path: format!("{}/{path}", self.reader.root()), source }
    }
}

fn is_message(object: &ObjectMeta) -> bool {
    object.location.as_ref().ends_with(".json")
}
