//! Taking content in: from a request's body to a file that is whole and durable.

use alluvium_core::upload::{Share, Upload};
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use ring::digest::{Context, SHA256};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

use super::content::hexadecimal;
use super::problem::UploadProblem;
use super::{Uploads, folder};
use crate::gate::Turned;

/// An upload whose content is arriving. Unless it becomes whole, nothing is left of it when this is dropped.
struct Arriving {
    uploads: Uploads,
    id: String,
    whole: bool,
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if self.whole {
            return;
        }
        self.uploads.table().broke_off(&self.id);
        let folder = &self.uploads.shared.folder;
        if let Err(error) = folder.remove_draft(&self.id).and_then(|()| folder.remove_content(&self.id)) {
            tracing::warn!(%error, upload = self.id, "what arrived of an upload could not be removed");
        }
    }
}

impl Arriving {
    /// Makes content that is whole durable, and lets it be loaded.
    async fn settle(mut self, upload: Upload) -> Result<Upload, UploadProblem> {
        let uploads = self.uploads.clone();
        let kept = upload.clone();
        let keep = uploads.on_disk("keep", move |folder| {
            folder.take_draft(&kept.id)?;
            folder.keep(&kept)
        });
        keep.await?;
        self.whole = true;
        if !uploads.table().update(upload.clone()) {
            // Taken back meanwhile.
            let id = upload.id.clone();
            uploads.on_disk("remove", move |folder| folder.remove(&id)).await?;
            return Err(UploadProblem::Unknown(upload.id));
        }
        metrics::counter!("alluvium_upload_bytes_total").increment(upload.bytes);
        uploads.shared.work.notify_one();
        Ok(upload)
    }
}

impl Uploads {
    /// Takes the content of an upload in. It is whole and durable, and will be loaded, when this returns.
    pub(super) async fn receive(&self, id: &str, body: &mut Body) -> Result<Upload, UploadProblem> {
        use axum::body::HttpBody as _;
        let settings = &self.shared.settings;
        let _admission = self.shared.puts.admit().map_err(|turned| match turned {
            Turned::Full => UploadProblem::TooManyPuts { limit: settings.concurrent_puts, share: Share::OfAll },
            Turned::Shut => UploadProblem::Stopping,
        })?;
        let mut upload = self.table().begin(id, settings)?;
        let arriving = Arriving { uploads: self.clone(), id: id.to_owned(), whole: false };
        if body.size_hint().lower() > settings.max_bytes {
            return Err(UploadProblem::TooLarge { limit: settings.max_bytes });
        }
        let written = timeout(settings.receive_time, self.write(id, body));
        let content = tokio::select! {
            written = written => written.map_err(|_| UploadProblem::TooSlow(settings.receive_time))??,
            () = self.shared.stop.cancelled() => return Err(UploadProblem::Stopping),
        };
        upload.receive(content.bytes, self.shared.parts.clock.now_micros());
        upload.content = Some(content.hash);
        // From here on it is not broken off by a client that waits no longer.
        match tokio::spawn(arriving.settle(upload)).await {
            Ok(settled) => settled,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(UploadProblem::Stopping),
        }
    }

    /// Writes a body into the draft.
    async fn write(&self, id: &str, body: &mut Body) -> Result<Written, UploadProblem> {
        let settings = &self.shared.settings;
        let draft = self.shared.folder.draft(id);
        let file = self.on_disk("create", move |_| folder::create(&draft)).await?;
        let mut file = tokio::fs::File::from_std(file);
        let unwritten = |error: std::io::Error| UploadProblem::not_stored("write", &error);
        let (mut hash, mut bytes) = (Context::new(&SHA256), 0);
        while let Some(frame) = next_frame(body, settings.idle_time).await? {
            let more = frame.len() as u64;
            self.table().grow(id, more, settings)?;
            hash.update(&frame);
            file.write_all(&frame).await.map_err(unwritten)?;
            bytes += more;
        }
        if bytes == 0 {
            return Err(UploadProblem::Empty);
        }
        file.flush().await.map_err(unwritten)?;
        Ok(Written { bytes, hash: hexadecimal(hash.finish()) })
    }
}

/// What was written.
struct Written {
    bytes: u64,
    /// SHA-256, in hexadecimal digits.
    hash: String,
}

/// The next bytes of a body; `None`: it is whole.
async fn next_frame(body: &mut Body, idle_time: std::time::Duration) -> Result<Option<Bytes>, UploadProblem> {
    let until = Instant::now() + idle_time;
    loop {
        let frame = tokio::time::timeout_at(until, body.frame()).await.map_err(|_| UploadProblem::Idle(idle_time))?;
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|error| UploadProblem::BrokenOff(error.to_string()))?;
        match frame.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            // Trailers, and frames of nothing, are no progress.
            _ => {}
        }
    }
}
