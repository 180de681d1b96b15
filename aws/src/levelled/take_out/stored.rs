//! Parcels in the lake's bucket.

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{Advice, PortError};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion};

use super::super::FOLDER;
use super::{Parcels, StoredParcel};

/// How far the store's clock may be from anybody else's.
const SKEW: Micros = 15 * 60 * 1_000_000;

/// [`Parcels`] in a store that is rooted at the lake.
#[derive(Debug, Clone)]
pub struct StoredParcels(Arc<dyn ObjectStore>);

impl StoredParcels {
    /// Those of the lake at the root of this store, which puts on the condition of an entity tag.
    pub fn new(lake: Arc<dyn ObjectStore>) -> Self {
        Self(lake)
    }
}

fn failed(doing: &'static str, path: &str) -> impl FnOnce(Error) -> PortError {
    let what = format!("cannot {doing} `{path}`");
    |error| {
        let advice = match &error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } | Error::NotImplemented { .. } => {
                Advice::Stop
            }
            _ => Advice::Retry,
        };
        PortError::because(advice, what, error)
    }
}

#[async_trait]
impl Parcels for StoredParcels {
    async fn stored_since(&self, since: Micros) -> Result<Vec<String>, PortError> {
        let since = since.saturating_sub(SKEW);
        let listed: Vec<_> =
            self.0.list(Some(&Path::from(FOLDER))).try_collect().await.map_err(failed("list", FOLDER))?;
        let wanted = listed.into_iter().filter(|object| object.last_modified.timestamp_micros() >= since);
        Ok(wanted.map(|object| object.location.to_string()).filter(|path| path.ends_with(".chunks")).collect())
    }

    async fn read(&self, path: &str) -> Result<Option<StoredParcel>, PortError> {
        let got = match self.0.get(&Path::from(path)).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            got => got.map_err(failed("read", path))?,
        };
        let (stored_at, tag) = (got.meta.last_modified.timestamp_micros(), got.meta.e_tag.clone());
        Ok(Some(StoredParcel { bytes: got.bytes().await.map_err(failed("read", path))?, stored_at, tag }))
    }

    async fn replace(&self, path: &str, read: &StoredParcel, bytes: Bytes) -> Result<bool, PortError> {
        let mode = PutMode::Update(UpdateVersion { e_tag: read.tag.clone(), version: None });
        match self.0.put_opts(&Path::from(path), bytes.into(), PutOptions::from(mode)).await {
            Ok(_) => Ok(true),
            Err(Error::Precondition { .. } | Error::AlreadyExists { .. } | Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("store", path)(error)),
        }
    }
}
