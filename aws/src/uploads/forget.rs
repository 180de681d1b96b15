//! Forgetting all uploads of an owner, for an erasure.

use std::time::Duration;

use alluvium_core::ports::{Advice, OwnerKey, PortError};
use aws_sdk_dynamodb::types::ReturnValue;
use aws_sdk_s3::types::{DeleteMarkerEntry, ObjectVersion};

use super::S3Uploads;
use super::item::{Kept, by_id};
use crate::error::port_error;
use crate::timer::{RealTime, Timer};

/// How long whoever loads an upload may go on once it was taken back: it looks a second before each put, and a put is given up after 20 s, its
/// pauses beside. The table's index has caught up by then too.
pub const STOPS: Duration = Duration::from_secs(30);

/// How often it is looked for uploads before it is given up.
const PASSES: usize = 5;

/// What one pass has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// How many uploads.
    pub uploads: u64,
    /// How many versions of their content, and of content of which nothing is known.
    pub contents: u64,
}

impl S3Uploads {
    /// Forgets every upload of an owner, or of an owner and a dataset, and removes all that was put for them, older versions too. It needs rights that
    /// no function has: to list and delete versions, and to delete items. It takes [`STOPS`] at least: when it returns there was nothing for that long, so
    /// nobody loads any of it. How many uploads they were.
    ///
    /// # Errors
    ///
    /// When something cannot be read or removed, or there are new ones each time that it looks.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves what is not forgotten yet, which may be loaded still. Call it again.
    pub async fn forget_owner(&self, owner: &str, dataset: Option<&str>) -> Result<u64, PortError> {
        until_none_is_left(&RealTime, async || self.forget_once(owner, dataset).await).await
    }

    /// How many uploads that would forget. One that was asked for within the last second may be overlooked, for the table's index is behind.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn count_owner(&self, owner: &str, dataset: Option<&str>) -> Result<u64, PortError> {
        let (mut uploads, mut after) = (0, None);
        loop {
            let (page, more) = self.page(Some(owner), None, after).await?;
            uploads += page.iter().filter(|kept| is_of(kept, dataset)).count() as u64;
            after = more;
            if after.is_none() {
                return Ok(uploads);
            }
        }
    }

    /// One pass of that: what it removes may be loaded for [`STOPS`] more, and one that was asked for within the last second may be overlooked.
    ///
    /// # Errors
    ///
    /// When something cannot be read or removed.
    pub async fn forget_once(&self, owner: &str, dataset: Option<&str>) -> Result<Forgotten, PortError> {
        let mut forgotten = Forgotten::default();
        let mut after = None;
        loop {
            let (page, more) = self.page(Some(owner), None, after).await?;
            for Kept { upload, .. } in page.into_iter().filter(|kept| is_of(kept, dataset)) {
                let delete = self.dynamo.delete_item().table_name(&self.table).set_key(Some(by_id(&upload.id)));
                let deleted = delete.return_values(ReturnValue::AllOld).send().await;
                let deleted =
                    deleted.map_err(|error| port_error(format!("cannot remove an upload from {self}"), error))?;
                // The index may name one still that is gone.
                forgotten.uploads += u64::from(deleted.attributes.is_some());
                forgotten.contents += self.remove_versions(&self.key(&upload)?).await?;
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
            forgotten.contents += self.remove_versions(&prefix).await?;
        }
        Ok(forgotten)
    }

    /// Removes every version of every object whose key begins so, and what says that there was one. How many versions they were.
    async fn remove_versions(&self, prefix: &str) -> Result<u64, PortError> {
        let mut removed = 0;
        loop {
            let list = self.s3.list_object_versions().bucket(self.root.bucket()).prefix(prefix);
            let listed = list.send().await.map_err(|error| port_error(format!("cannot list {}", self.root), error))?;
            let version = |found: &ObjectVersion| found.key.clone().zip(found.version_id.clone());
            let marker = |found: &DeleteMarkerEntry| found.key.clone().zip(found.version_id.clone());
            let versions = listed.versions().iter().filter_map(version);
            let found: Vec<_> = versions.chain(listed.delete_markers().iter().filter_map(marker)).collect();
            if found.is_empty() {
                return Ok(removed);
            }
            removed += listed.versions().len() as u64;
            for (key, version) in found {
                self.remove_content(&key, Some(&version)).await?;
            }
        }
    }
}

fn is_of(kept: &Kept, dataset: Option<&str>) -> bool {
    dataset.is_none_or(|dataset| kept.upload.dataset == dataset)
}

/// Goes on until a pass removes nothing, with [`STOPS`] between passes: what one removed may have been about to be put, and what the index did not
/// name yet may be loaded. How many uploads all of them removed.
async fn until_none_is_left(
    timer: &impl Timer,
    pass: impl AsyncFn() -> Result<Forgotten, PortError>,
) -> Result<u64, PortError> {
    let mut uploads = pass().await?.uploads;
    for _ in 1..PASSES {
        timer.sleep_until(timer.now() + STOPS).await;
        let forgotten = pass().await?;
        if forgotten == Forgotten::default() {
            return Ok(uploads);
        }
        uploads += forgotten.uploads;
    }
    let problem = format!(
        "{PASSES} times it was looked for uploads of the owner, and each time there were new ones; \
         stop whoever sends them, and try again"
    );
    Err(PortError::new(Advice::Retry, problem))
}

#[cfg(test)]
mod tests;
