//! A store that dies with its process.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// Whether the write at which the process dies still happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    BeforeTheWrite,
    AfterTheWrite,
}

/// Passes everything on until a number of writes is reached; then nothing works any more.
#[derive(Debug, Clone)]
pub(crate) struct Crashing {
    inner: Arc<dyn ObjectStore>,
    crash: Crash,
    writes_left: Arc<AtomicI64>,
}

impl Crashing {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, crash: Crash, at_write: i64) -> Self {
        Self { inner, crash, writes_left: Arc::new(AtomicI64::new(at_write)) }
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.writes_left.load(Ordering::SeqCst) <= 0
    }

    fn alive(&self) -> Result<()> {
        if self.has_crashed() { Err(dead()) } else { Ok(()) }
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T>>) -> Result<T> {
        match self.writes_left.fetch_sub(1, Ordering::SeqCst) {
            left if left > 1 => write.await,
            1 if self.crash == Crash::AfterTheWrite => {
                write.await?;
                Err(dead())
            }
            _ => Err(dead()),
        }
    }
}

fn dead() -> object_store::Error {
    object_store::Error::Generic { store: "Crashing", source: "the process has died".into() }
}

impl fmt::Display for Crashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Crashing")
    }
}

#[async_trait]
impl ObjectStore for Crashing {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.write(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.write(self.inner.put_multipart_opts(location, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.alive()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                store.write(store.inner.delete(&location)).await.map(|()| location)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.alive() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.alive()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.write(self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.write(self.inner.rename_opts(from, to, options)).await
    }
}
