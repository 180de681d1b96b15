//! The port for data files and commit messages, over any object store.

use std::sync::Arc;

use alluvium_core::ports::{Advice, DataFiles, PortError, Put};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};

/// [`DataFiles`] over an object store, which must be durable when it says so: [`SyncedStore`](super::SyncedStore) is.
#[derive(Debug, Clone)]
pub struct StoreFiles {
    store: Arc<dyn ObjectStore>,
}

impl StoreFiles {
    /// Data files under the root of this store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }
}

fn parse(path: &str) -> Result<Path, PortError> {
    let parsed = Path::parse(path);
    parsed.map_err(|error| PortError::because(Advice::Stop, format!("`{path}` is no path of an object"), error))
}

fn failed(doing: &str, path: &Path) -> impl FnOnce(Error) -> PortError + use<> {
    let what = format!("cannot {doing} {path}");
    move |error| {
        let advice = match error {
            Error::Generic { .. } | Error::JoinError { .. } => Advice::Retry,
            _ => Advice::Stop,
        };
        PortError::because(advice, what, error)
    }
}

#[async_trait]
impl DataFiles for StoreFiles {
    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<Put, PortError> {
        let path = parse(path)?;
        match self.store.put_opts(&path, bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(Put::Written),
            Err(Error::AlreadyExists { .. }) => Ok(Put::AlreadyThere),
            Err(error) => Err(failed("store", &path)(error)),
        }
    }

    async fn get(&self, path: &str) -> Result<Bytes, PortError> {
        let path = parse(path)?;
        let object = self.store.get(&path).await.map_err(failed("read", &path))?;
        object.bytes().await.map_err(failed("read", &path))
    }

    async fn delete(&self, path: &str) -> Result<(), PortError> {
        let path = parse(path)?;
        match self.store.delete(&path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("remove", &path)(error)),
        }
    }
}
