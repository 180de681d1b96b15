//! A store at which others get their turn.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use tokio::runtime::Handle;

use super::Dice;

/// Passes everything on; before and after each read and write, other tasks may run, as the dice say.
#[derive(Debug, Clone)]
pub(crate) struct Yielding {
    inner: Arc<dyn ObjectStore>,
    dice: Arc<Mutex<Dice>>,
    /// Where its connections are driven, if it has any.
    driven_by: Option<Handle>,
}

impl Yielding {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, seed: u64) -> Self {
        Self { inner, dice: Arc::new(Mutex::new(Dice(seed))), driven_by: None }
    }

    /// As a store behind connections that a task of this runtime drives, whoever asks.
    pub(crate) fn driven_by(self, runtime: Handle) -> Self {
        Self { driven_by: Some(runtime), ..self }
    }

    async fn others(&self) {
        let turns = self.dice.lock().unwrap().below(6);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        if let Some(runtime) = &self.driven_by {
            runtime.spawn(async {}).await.unwrap();
        }
    }

    async fn between<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.others().await;
        let done = call.await;
        self.others().await;
        done
    }
}

impl fmt::Display for Yielding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Yielding")
    }
}

#[async_trait]
impl ObjectStore for Yielding {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.between(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.between(self.inner.put_multipart_opts(location, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.between(self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                store.between(store.inner.delete(&location)).await.map(|()| location)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.between(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.between(self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.between(self.inner.rename_opts(from, to, options)).await
    }
}
