//! The loader of a node: one upload after the other, in the background.

use std::fs::File;
use std::time::Duration;

use alluvium_core::upload::{Upload, UploadState};
use async_trait::async_trait;

use super::loading::{Loading, Stopped, UploadKeeper};
use super::{Uploads, outcome};

/// How often it is looked for what is past its time.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How often it is looked whether the others have caught up.
const LAG_AGAIN: Duration = Duration::from_millis(250);
/// How long after a failure the disk is asked again.
const TRY_DISK_AGAIN: Duration = Duration::from_secs(5);

impl Uploads {
    /// Loads what there is to load, until [`stop`](Self::stop) is called or the stream takes nothing any more. Run it once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; what was put last is put again by the next start, with the same ids.
    pub async fn load(self) {
        while !self.shared.stop.is_cancelled() {
            self.forget_old().await;
            let next = self.table().next();
            let Some(upload) = next else {
                tokio::select! {
                    () = self.shared.work.notified() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    () = self.shared.stop.cancelled() => {}
                }
                continue;
            };
            let id = upload.id.clone();
            self.shared.loading.send_replace(Some(id.clone()));
            let loaded = self.load_one(upload).await;
            match loaded {
                Ok(()) => {}
                Err(Stopped::TakenBack) => {
                    let _ = self.on_disk("remove", move |folder| folder.remove(&id)).await;
                }
                Err(Stopped::ForNow) => break,
            }
            self.shared.loading.send_replace(None);
        }
        self.shared.loading.send_replace(None);
    }

    async fn load_one(&self, mut upload: Upload) -> Result<(), Stopped> {
        upload.state = UploadState::Loading;
        self.keep(&upload).await?;
        let error = self.load_content(&mut upload).await?;
        upload.end(self.shared.parts.clock.now_micros(), error);
        outcome(&upload);
        self.keep(&upload).await?;
        let id = upload.id;
        // Said in the log; what stays behind is found by the next start.
        let _ = self.on_disk("remove", move |folder| folder.remove_content(&id)).await;
        Ok(())
    }

    /// Loads the content; says why it ended before its end, if it did.
    async fn load_content(&self, upload: &mut Upload) -> Result<Option<String>, Stopped> {
        let Some(dataset) = self.shared.parts.datasets.get(&upload.dataset) else {
            return Ok(Some(format!("the dataset `{}` is here no more", upload.dataset)));
        };
        let path = self.shared.folder.content(&upload.id);
        let content = match tokio::task::spawn_blocking(move || File::open(path)).await {
            Ok(Ok(content)) => Box::new(content),
            Ok(Err(error)) => return Ok(Some(format!("the file cannot be read: {error}"))),
            Err(_) => return Err(Stopped::ForNow),
        };
        let loading = Loading { stream: &*self.shared.parts.stream, keeper: self, settings: &self.shared.settings };
        loading.load(content, upload, dataset).await
    }

    fn still_there(&self, upload: &Upload) -> Result<(), Stopped> {
        if self.table().get(&upload.id).is_some() { Ok(()) } else { Err(Stopped::TakenBack) }
    }

    async fn sleep(&self, time: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.shared.stop.cancelled() => Err(Stopped::ForNow),
        }
    }
}

#[async_trait]
impl UploadKeeper for Uploads {
    /// Waits while commits are too far behind.
    async fn turn(&self, upload: &Upload, _: u64) -> Result<(), Stopped> {
        while (self.shared.parts.lag)() > self.shared.settings.most_lag {
            self.pause(upload, LAG_AGAIN).await?;
        }
        if self.shared.stop.is_cancelled() { Err(Stopped::ForNow) } else { Ok(()) }
    }

    async fn pause(&self, upload: &Upload, time: Duration) -> Result<(), Stopped> {
        self.sleep(time).await?;
        self.still_there(upload)
    }

    async fn check(&self, upload: &Upload) -> Result<(), Stopped> {
        self.still_there(upload)
    }

    /// Keeps how far an upload is, and tells of it.
    async fn keep(&self, upload: &Upload) -> Result<(), Stopped> {
        self.still_there(upload)?;
        loop {
            let kept = upload.clone();
            if self.on_disk("keep", move |folder| folder.keep(&kept)).await.is_ok() {
                break;
            }
            self.sleep(TRY_DISK_AGAIN).await?;
        }
        if self.table().update(upload.clone()) { Ok(()) } else { Err(Stopped::TakenBack) }
    }
}
