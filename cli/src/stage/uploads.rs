//! Uploads on a stage, as far as an erasure has to do with them.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::uploads::UploadLimits;
use alluvium_aws::{S3Uploads, config};
use alluvium_core::SystemClock;
use alluvium_lake::StoreErasure;

use super::OnStage;
use crate::output;

/// How long whoever loads an upload may go on before it is found out that it was taken back: what is kept every two seconds, and one put.
const STOPS: Duration = Duration::from_secs(15);

/// Uploads that are not loaded yet, as a report names them.
const STORE: &str = "uploaded files";

impl OnStage {
    /// Forgets the uploads of an owner, or of an owner and a dataset: what lies in them would come in after an erasure. What is reported of it;
    /// `None`: the stage has no uploads.
    ///
    /// # Errors
    ///
    /// When they cannot be removed.
    pub async fn forget_uploads(&self, owner: &str, dataset: Option<&str>) -> anyhow::Result<Option<StoreErasure>> {
        let Some((root, table)) = self.stage.uploads.clone() else { return Ok(None) };
        let uploads = S3Uploads::new(
            (config::s3(&self.aws), root),
            (aws_sdk_dynamodb::Client::new(&self.aws), table),
            UploadLimits::NONE,
            Duration::ZERO,
            Arc::new(SystemClock),
        );
        let forgotten = uploads.forget_owner(owner, dataset).await?;
        if forgotten.was_loading {
            output::note(format!("waiting {} s for what is loading an uploaded file", STOPS.as_secs()));
            tokio::time::sleep(STOPS).await;
        }
        let files = Some(forgotten.uploads);
        Ok(Some(StoreErasure { store: STORE.to_owned(), files, is_done: true, ..StoreErasure::default() }))
    }
}
