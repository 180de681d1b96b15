//! Forgetting all uploads of an owner, for an erasure.

use alluvium_core::clock::Micros;
use alluvium_core::ports::{OwnerKey, PortError};
use aws_sdk_s3::types::{DeleteMarkerEntry, ObjectVersion};

use super::S3Uploads;
use super::item::{Kept, by_id};
use crate::error::port_error;

/// What was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// How many uploads.
    pub uploads: u64,
    /// Whether any of them was being loaded: whoever does stops within seconds.
    pub was_loading: bool,
}

impl S3Uploads {
    /// Forgets every upload of an owner, or of an owner and a dataset, and removes all that was put for them, older versions too. It needs rights that
    /// no function has: to list and delete versions, and to delete items. One that was asked for within the last second may be overlooked, for the table's
    /// index is behind.
    ///
    /// # Errors
    ///
    /// When something cannot be read or removed.
    pub async fn forget_owner(&self, owner: &str, dataset: Option<&str>) -> Result<Forgotten, PortError> {
        let now: Micros = self.clock.now_micros();
        let mut forgotten = Forgotten::default();
        let mut after = None;
        loop {
            let (page, more) = self.page(Some(owner), None, after).await?;
            for Kept { upload, lease, .. } in page {
                if dataset.is_some_and(|dataset| upload.dataset != dataset) {
                    continue;
                }
                let delete = self.dynamo.delete_item().table_name(&self.table).set_key(Some(by_id(&upload.id)));
                delete
                    .send()
                    .await
                    .map_err(|error| port_error(format!("cannot remove an upload from {self}"), error))?;
                self.remove_versions(&self.key(&upload)?).await?;
                forgotten.uploads += 1;
                forgotten.was_loading |= lease.is_some_and(|lease| lease.until > now);
            }
            after = more;
            if after.is_none() {
                break;
            }
        }
        if dataset.is_none() {
            let folder = OwnerKey::of(owner);
            let prefix = match self.root.prefix() {
                "" => format!("{}/", folder.as_str()),
                prefix => format!("{prefix}/{}/", folder.as_str()),
            };
            self.remove_versions(&prefix).await?;
        }
        Ok(forgotten)
    }

    /// Removes every version of every object whose key begins so, and what says that there was one.
    async fn remove_versions(&self, prefix: &str) -> Result<(), PortError> {
        loop {
            let list = self.s3.list_object_versions().bucket(self.root.bucket()).prefix(prefix);
            let listed = list.send().await.map_err(|error| port_error(format!("cannot list {}", self.root), error))?;
            let version = |found: &ObjectVersion| found.key.clone().zip(found.version_id.clone());
            let marker = |found: &DeleteMarkerEntry| found.key.clone().zip(found.version_id.clone());
            let versions = listed.versions().iter().filter_map(version);
            let found: Vec<_> = versions.chain(listed.delete_markers().iter().filter_map(marker)).collect();
            if found.is_empty() {
                return Ok(());
            }
            for (key, version) in found {
                self.remove_content(&key, Some(&version)).await?;
            }
        }
    }
}
