//! The lake's object store on one machine: an object is visible only once its bytes are durable, and durable when the call that
//! stored it returns.
//!
//! `object_store`'s own local backend syncs nothing, so that a power cut can leave a name without its bytes, and a commit
//! without its data files. [`SyncedStore`] reads through that backend and does all its writing itself, through a [`Disk`]: the
//! bytes go to a file in a staging folder, are synced, get their name by a link or rename, and the folder is synced.

mod data_files;
mod staging;
mod upload;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
};

pub use data_files::StoreFiles;

use crate::disk::Disk;
use staging::{Publish, Staging};
use upload::StagedUpload;

const STORE: &str = "SyncedStore";
/// How many objects are removed at once.
const CONCURRENT_REMOVALS: usize = 8;

/// An object store over one folder whose every write is durable when it returns. See the [module](self).
///
/// Only one may be open on a folder at a time; clones share it. Not supported: attributes, and [`PutMode::Update`]. A removal is not durable by itself: a power cut may bring the object
/// back.
#[derive(Debug, Clone)]
pub struct SyncedStore {
    staging: Arc<Staging>,
    reads: LocalFileSystem,
}

impl SyncedStore {
    /// Opens the store over `root`, which is made if only it is missing. Removes what unfinished writes left, and syncs every
    /// folder: a killed process may have left names that are visible and not durable. Blocks.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made, read or synced.
    pub fn open(disk: Arc<dyn Disk>, root: &FilePath) -> io::Result<Self> {
        let staging = Arc::new(Staging::open(disk, root)?);
        let reads = LocalFileSystem::new_with_prefix(staging.root()).map_err(io::Error::other)?;
        Ok(Self { staging, reads })
    }

    fn file_path(&self, location: &Path) -> Result<PathBuf> {
        if location.parts().next().is_some_and(|part| part.as_ref() == staging::FOLDER) {
            let source = format!("`{}` is where unfinished writes are kept", staging::FOLDER).into();
            return Err(Error::NotSupported { source });
        }
        self.reads.path_to_filesystem(location)
    }

    /// Runs blocking work, and says in the store's words why it failed.
    async fn blocking<T: Send + 'static>(
        &self,
        location: &Path,
        work: impl FnOnce(&Staging) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let staging = Arc::clone(&self.staging);
        let done = tokio::task::spawn_blocking(move || work(&staging)).await?;
        done.map_err(|error| store_error(location, error))
    }
}

fn store_error(location: &Path, error: io::Error) -> Error {
    let path = location.to_string();
    match error.kind() {
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: error.into() },
        io::ErrorKind::NotFound => Error::NotFound { path, source: error.into() },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: error.into() },
        _ => Error::Generic { store: STORE, source: format!("cannot store {path}: {error}").into() },
    }
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() }
}

impl fmt::Display for SyncedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.staging.root().display())
    }
}

#[async_trait]
impl ObjectStore for SyncedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if !opts.attributes.is_empty() {
            return Err(not_implemented("`put_opts` with attributes"));
        }
        let publish = match opts.mode {
            PutMode::Create => Publish::IfAbsent,
            PutMode::Overwrite => Publish::InPlace,
            PutMode::Update(_) => return Err(not_implemented("`put_opts` with mode `PutMode::Update`")),
        };
        let to = self.file_path(location)?;
        self.blocking(location, move |staging| staging.put(&to, payload.iter(), publish)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        if !opts.attributes.is_empty() {
            return Err(not_implemented("`put_multipart_opts` with attributes"));
        }
        let to = self.file_path(location)?;
        let staged = self.blocking(location, |staging| staging.create()).await?;
        Ok(Box::new(StagedUpload::new(Arc::clone(&self.staging), staged, to, location.clone())))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.reads.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.reads.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .map(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let path = store.file_path(&location)?;
                    store.blocking(&location, move |staging| staging.remove(&path)).await?;
                    Ok(location)
                }
            })
            .buffered(CONCURRENT_REMOVALS)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        // What is in the staging folder has names that the local backend leaves out.
        self.reads.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.reads.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.reads.list_with_delimiter(prefix).await?;
        listed.common_prefixes.retain(|prefix| prefix.as_ref() != staging::FOLDER);
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let publish = match options.mode {
            CopyMode::Create => Publish::IfAbsent,
            CopyMode::Overwrite => Publish::InPlace,
        };
        let (source, target) = (self.file_path(from)?, self.file_path(to)?);
        self.blocking(to, move |staging| staging.copy(&source, &target, publish)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let publish = match options.target_mode {
            RenameTargetMode::Create => Publish::IfAbsent,
            RenameTargetMode::Overwrite => Publish::InPlace,
        };
        let (source, target) = (self.file_path(from)?, self.file_path(to)?);
        self.blocking(to, move |staging| staging.rename(&source, &target, publish)).await
    }
}

#[cfg(test)]
mod tests;
