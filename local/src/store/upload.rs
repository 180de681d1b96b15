//! An upload in parts, as durable as a put when it is complete.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::staging::{Publish, Staged, Staging};
use super::{STORE, store_error};

/// One upload.
#[derive(Debug)]
pub(super) struct StagedUpload {
    staging: Arc<Staging>,
    /// `None` once it was completed or aborted.
    staged: Option<Arc<Staged>>,
    to: PathBuf,
    location: Path,
    next_offset: u64,
}

impl StagedUpload {
    pub(super) fn new(staging: Arc<Staging>, staged: Staged, to: PathBuf, location: Path) -> Self {
        Self { staging, staged: Some(Arc::new(staged)), to, location, next_offset: 0 }
    }
}

fn ended() -> Error {
    Error::Generic { store: STORE, source: "the upload was completed or aborted before".into() }
}

#[async_trait]
impl MultipartUpload for StagedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.next_offset;
        self.next_offset += data.content_length() as u64;
        let (staged, location) = (self.staged.clone(), self.location.clone());
        async move {
            let staged = staged.ok_or_else(ended)?;
            let write = move || {
                let mut offset = offset;
                data.iter().try_for_each(|part| {
                    let written = staged.file.write_at(offset, part);
                    offset += part.len() as u64;
                    written
                })
            };
            tokio::task::spawn_blocking(write).await?.map_err(|error| store_error(&location, error))
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.staged.take().ok_or_else(ended)?;
        let (staging, to) = (Arc::clone(&self.staging), self.to.clone());
        let published = tokio::task::spawn_blocking(move || match Arc::try_unwrap(staged) {
            Ok(staged) => staging.publish(staged, &to, Publish::InPlace),
            Err(staged) => {
                staging.discard(&staged.path);
                Err(io::Error::other("a part was still being written when the upload was completed"))
            }
        });
        published.await?.map_err(|error| store_error(&self.location, error))?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.staged.take().ok_or_else(ended)?;
        let staging = Arc::clone(&self.staging);
        Ok(tokio::task::spawn_blocking(move || staging.discard(&staged.path)).await?)
    }
}

impl Drop for StagedUpload {
    fn drop(&mut self) {
        if let Some(staged) = self.staged.take() {
            self.staging.discard(&staged.path);
        }
    }
}
