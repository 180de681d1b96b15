//! The uploads of a node as a store: its table, and its folder.

use alluvium_core::Caller;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::upload::{Upload, UploadStore, UploadStoreError};
use async_trait::async_trait;

use super::Uploads;

#[async_trait]
impl UploadStore for Uploads {
    async fn add(&self, upload: &Upload) -> Result<(), UploadStoreError> {
        if self.shared.stop.is_cancelled() {
            return Err(UploadStoreError::Stopping);
        }
        self.forget_old().await;
        self.table().add(upload.clone(), &self.shared.settings)?;
        let kept = upload.clone();
        let kept = self.with_folder("keep", move |folder| folder.keep(&kept)).await;
        if kept.is_err() {
            self.table().remove(&upload.id);
        }
        kept
    }

    /// A path of this node, with what lets whoever has it put the content there.
    async fn target(&self, upload: &Upload, caller: Option<&Caller>) -> Result<String, UploadStoreError> {
        let target = format!("/v1/uploads/{}/content", upload.id);
        (self.shared.parts.sign)("PUT", &target, caller)
            .map_err(|problem| PortError::new(Advice::Stop, problem.detail).into())
    }

    async fn get(&self, id: &str) -> Result<Option<Upload>, UploadStoreError> {
        Ok(self.table().get(id).cloned())
    }

    async fn newest(&self, owner: Option<&str>, most: usize) -> Result<Vec<Upload>, UploadStoreError> {
        Ok(self.table().newest(most, |upload| owner.is_none_or(|owner| upload.owner == owner)))
    }

    async fn remove(&self, upload: &Upload) -> Result<(), UploadStoreError> {
        let id = upload.id.clone();
        self.table().remove(&id);
        // Whoever is at work on it finds it gone, and removes what comes after this.
        self.with_folder("remove", move |folder| folder.remove(&id)).await
    }
}
