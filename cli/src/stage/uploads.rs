//! Uploads on a stage, as far as an erasure has to do with them.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::uploads::{STOPS, UploadLimits};
use alluvium_aws::{S3Uploads, config};
use alluvium_core::SystemClock;
use alluvium_lake::StoreErasure;

use super::OnStage;
use crate::output;

/// Uploads that are not loaded yet, as a report names them.
const STORE: &str = "uploaded files";

impl OnStage {
    /// Forgets the uploads of an owner, or of an owner and a dataset: what lies in them would come in after an erasure. When it returns nothing of
    /// them is put into the stream any more. What is reported of it; `None`: the stage has no uploads.
    ///
    /// # Errors
    ///
    /// When they cannot be removed, or new ones come all the time.
    pub async fn forget_uploads(&self, owner: &str, dataset: Option<&str>) -> anyhow::Result<Option<StoreErasure>> {
        let Some(uploads) = self.uploads() else { return Ok(None) };
        output::note(format!("waiting {} s or more for what may be loading an uploaded file", STOPS.as_secs()));
        Ok(Some(reported(uploads.forget_owner(owner, dataset).await?)))
    }

    /// How many uploads that would forget.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn count_uploads(&self, owner: &str, dataset: Option<&str>) -> anyhow::Result<Option<StoreErasure>> {
        let Some(uploads) = self.uploads() else { return Ok(None) };
        Ok(Some(reported(uploads.count_owner(owner, dataset).await?)))
    }

    fn uploads(&self) -> Option<S3Uploads> {
        let (root, table) = self.stage.uploads.clone()?;
        Some(S3Uploads::new(
            (config::s3(&self.aws), root),
            (aws_sdk_dynamodb::Client::new(&self.aws), table),
            UploadLimits::NONE,
            Duration::ZERO,
            Arc::new(SystemClock),
        ))
    }
}

fn reported(uploads: u64) -> StoreErasure {
    StoreErasure { store: STORE.to_owned(), files: Some(uploads), is_done: true, ..StoreErasure::default() }
}
