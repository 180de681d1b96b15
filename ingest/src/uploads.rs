//! Files in: an upload is asked for, its content is put, and what lies in it is loaded into the stream.
//!
//! ```text
//! POST   /v1/uploads               {"dataset": …, "format": …, "name": …}   201: where the content is to be put, and until when
//! PUT    /v1/uploads/{id}/content  the file as it is; gzip or zstd are told by their first bytes   202
//! GET    /v1/uploads/{id}          how far it is
//! GET    /v1/uploads               the newest ones
//! DELETE /v1/uploads/{id}          takes it back
//! ```
//!
//! - Content is answered for once it is whole and durable; whatever breaks off before leaves nothing.
//! - It is loaded by one loader, in the background, through the stream's own `append`, as a request's events are: in envelopes that carry
//!   the owner and the dataset. The owner is whoever asked for the upload, or whom an admin named, and never what the content says (AU-1).
//! - An event without an id gets one from the content's hash and its line. So loading the same bytes again makes no second event, whether a
//!   crash came between or the same file was put twice; and how far loading is, is kept beside the content.
//! - A line that cannot be an event goes into the stream as it is: the transform makes it a dead letter. Only a line that is longer than an
//!   event may be is left out, and counted.
//!
//! The routes ask a store ([`UploadStore`](alluvium_core::UploadStore)), and loading a keeper ([`UploadKeeper`]). Of a node both are [`Uploads`]: a
//! folder, and a background task. On AWS the store is S3 and DynamoDB, the link is S3's, and a function loads; `docs/uploads.md` has what differs.
//!
//! An upload is its owner's: to another caller without the role `data.admin` it is as unknown as one that never was.

mod content;
mod folder;
mod format;
mod loader;
mod loading;
mod openapi;
mod problem;
mod reader;
mod receive;
mod routes;
mod settings;
mod store;
mod table;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alluvium_core::ports::{Advice, PortError, Stream};
use alluvium_core::upload::{Upload, UploadState, UploadStoreError};
use alluvium_core::{Caller, Clock, Datasets, Problem};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::IngestError;
use crate::gate::Gate;
use folder::Folder;
use problem::UploadProblem;
use table::Table;

pub use alluvium_core::upload::{OddLine, UploadFormat, UploadStatus};
pub use content::{Content, Fault, content_hash};
pub use loading::{Loading, Stopped, UploadKeeper};
pub use openapi::openapi;
pub use routes::{Desk, UploadTarget, desk_router, router};
pub use settings::UploadSettings;

/// Makes a call's target, given its method and path, one that lets through whoever has it as this caller.
pub type SignTarget = dyn Fn(&str, &str, Option<&Caller>) -> Result<String, Problem> + Send + Sync;

/// Says how long the oldest event that is not yet committed has waited.
pub type CommitLag = dyn Fn() -> Duration + Send + Sync;

/// What uploads need of the others.
#[derive(Clone)]
pub struct UploadParts {
    /// Where events go.
    pub stream: Arc<dyn Stream>,
    /// The datasets that there are.
    pub datasets: Arc<Datasets>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes links.
    pub sign: Arc<SignTarget>,
    /// Says whether the others keep up.
    pub lag: Arc<CommitLag>,
}

/// All uploads of a node. Clones share them.
#[derive(Clone)]
pub struct Uploads {
    shared: Arc<Shared>,
}

struct Shared {
    folder: Folder,
    parts: UploadParts,
    settings: UploadSettings,
    table: Mutex<Table>,
    puts: Gate,
    /// That there may be something to load.
    work: Notify,
    /// Which upload is being loaded.
    loading: watch::Sender<Option<String>>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Uploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uploads").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Uploads {
    /// The uploads in `folder`, which is made if it is not there; the caller holds the lock of the data folder that it is part of. Blocks.
    ///
    /// # Errors
    ///
    /// When a setting cannot be used, or the folder not be read or written.
    pub fn open(folder: PathBuf, parts: UploadParts, settings: UploadSettings) -> Result<Self, IngestError> {
        settings.check()?;
        describe_metrics();
        let unreadable = |source| IngestError::Unreadable { file: folder.clone(), source };
        let (folder, found) = Folder::open(folder.clone()).map_err(unreadable)?;
        let shared = Shared {
            folder,
            parts,
            table: Mutex::new(Table::of(found)),
            puts: Gate::of(settings.concurrent_puts),
            settings,
            work: Notify::new(),
            loading: watch::Sender::default(),
            stop: CancellationToken::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Takes no file in from now on, breaks off those that are arriving, and ends [`load`](Self::load) soon. What is not loaded yet is
    /// loaded after the next start.
    pub fn stop(&self) {
        self.shared.puts.shut();
        self.shared.stop.cancel();
    }

    /// Forgets every upload of an owner, or of an owner and a dataset, and their content. When it returns no more of their events come into
    /// the stream.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub async fn forget_owner(&self, owner: &str, dataset: Option<&str>) -> Result<(), IngestError> {
        let ids = self.table().remove_of(owner, dataset);
        let mut loading = self.shared.loading.subscribe();
        let others = |current: &Option<String>| current.as_ref().is_none_or(|current| !ids.contains(current));
        // The sender lives as long as this.
        let _ = loading.wait_for(others).await;
        let shared = self.shared.clone();
        let removed = tokio::task::spawn_blocking(move || ids.iter().try_for_each(|id| shared.folder.remove(id))).await;
        let unremoved = |source| IngestError::Unreadable { file: PathBuf::from("uploads"), source };
        removed.map_err(|error| unremoved(std::io::Error::other(error)))?.map_err(unremoved)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does file work off the async runtime.
    async fn with_folder<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Folder) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, UploadStoreError> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || work(&shared.folder)).await;
        match done {
            Ok(done) => done
                .map_err(|error| PortError::because(Advice::Retry, format!("cannot {doing} an upload"), error).into()),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going down and has not begun the work.
            Err(_) => Err(UploadStoreError::Stopping),
        }
    }

    /// The same; what fails is said in the log.
    async fn on_disk<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Folder) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, UploadProblem> {
        self.with_folder(doing, work).await.map_err(|error| UploadProblem::of_store(doing, error))
    }

    /// Forgets what is past its time, and removes its files.
    async fn forget_old(&self) {
        let now = self.shared.parts.clock.now_micros();
        let old = self.table().remove_old(now, &self.shared.settings);
        if !old.is_empty() {
            // Said in the log; what stays behind is found by the next start.
            let _ = self.on_disk("remove", move |folder| old.iter().try_for_each(|id| folder.remove(id))).await;
        }
    }
}

/// Forgets the uploads of an owner, or of an owner and a dataset, in a folder that nobody has open; there need not be one. Blocks.
///
/// # Errors
///
/// When the folder cannot be read or a file not be removed.
pub fn forget_owner(folder: &Path, owner: &str, dataset: Option<&str>) -> Result<(), IngestError> {
    if !folder.exists() {
        return Ok(());
    }
    let unreadable = |source| IngestError::Unreadable { file: folder.to_owned(), source };
    let (folder, found) = Folder::open(folder.to_owned()).map_err(unreadable)?;
    let mut theirs = found.iter().filter(|upload| table::is_of(upload, owner, dataset));
    theirs.try_for_each(|upload| folder.remove(&upload.id)).map_err(unreadable)
}

/// Counts an upload that has ended, and says so in the log.
pub(crate) fn outcome(upload: &Upload) {
    let outcome = if upload.state == UploadState::Failed { "failed" } else { "done" };
    metrics::counter!("alluvium_uploads_total", "state" => outcome).increment(1);
    tracing::info!(
        upload = upload.id,
        dataset = upload.dataset,
        outcome,
        accepted = upload.accepted,
        odd = upload.odd,
        error = upload.error,
        "an upload has ended"
    );
}

fn describe_metrics() {
    metrics::describe_counter!("alluvium_uploads_total", "Uploads that have ended, by how: done or failed.");
    metrics::describe_counter!(
        "alluvium_upload_bytes_total",
        metrics::Unit::Bytes,
        "Bytes of the files that were put whole, as they were put."
    );
}

#[cfg(test)]
mod tests;
