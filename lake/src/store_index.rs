//! The object index as small objects beside the lake's tables: `_index/<table>/<file>.index` (ADR 25).

use std::sync::Arc;

use alluvium_core::IndexEntry;
use alluvium_core::ports::{Advice, ObjectIndex, PortError};
use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _};

const FOLDER: &str = "_index";
const ENDING: &str = ".index";
/// How many entries are read, stored or removed at a time.
const AT_ONCE: usize = 16;

/// [`ObjectIndex`] over an object store that is rooted at the lake.
#[derive(Debug, Clone)]
pub struct StoreIndex {
    store: Arc<dyn ObjectStore>,
}

impl StoreIndex {
    /// The index of the lake in this store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// Reads an entry; `None`: it has gone since it was listed, or it cannot be read and counts as missing.
    async fn read(&self, path: Path) -> Result<Option<IndexEntry>, PortError> {
        let bytes = match self.store.get(&path).await {
            Ok(found) => found.bytes().await.map_err(failed("read", &path))?,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        Ok(IndexEntry::decode(&bytes)
            .inspect_err(|error| tracing::warn!(%path, %error, "an index entry is left out"))
            .ok())
    }
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

fn place(table: &str, path: &str) -> Path {
    Path::from(format!("{FOLDER}/{table}/{path}{ENDING}"))
}

#[async_trait]
impl ObjectIndex for StoreIndex {
    async fn put(&self, entries: Vec<IndexEntry>) -> Result<(), PortError> {
        let puts = entries.into_iter().map(|entry| {
            let store = self.store.clone();
            async move {
                let path = place(&entry.table, &entry.path);
                store.put(&path, entry.encode().into()).await.map_err(failed("store", &path)).map(drop)
            }
        });
        futures::stream::iter(puts.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn entries(&self, table: &str, after: Option<&str>, max: usize) -> Result<Vec<IndexEntry>, PortError> {
        let mut names = self.paths(table).await?;
        names.retain(|name| after.is_none_or(|after| name.as_str() > after));
        names.sort_unstable();
        names.truncate(max);
        let reads: Vec<_> = names.iter().map(|name| self.read(place(table, name))).collect();
        let read: Vec<_> = futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn paths(&self, table: &str) -> Result<Vec<String>, PortError> {
        let folder = Path::from(format!("{FOLDER}/{table}"));
        let listed = self.store.list(Some(&folder)).try_collect().await;
        let listed: Vec<ObjectMeta> = match listed {
            Err(Error::NotFound { .. }) => Vec::new(),
            listed => listed.map_err(failed("list", &folder))?,
        };
        let names = listed.iter().filter_map(|object| object.location.filename()?.strip_suffix(ENDING));
        Ok(names.map(str::to_owned).collect())
    }

    async fn remove(&self, table: &str, paths: Vec<String>) -> Result<(), PortError> {
        let removals = paths.into_iter().map(|path| {
            let (store, path) = (self.store.clone(), place(table, &path));
            async move {
                match store.delete(&path).await {
                    Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(failed("delete", &path)(error)),
                }
            }
        });
        futures::stream::iter(removals.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alluvium_core::contract::object_index as contract;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        contract::all(&StoreIndex::new(Arc::new(InMemory::new()))).await;
    }

    #[tokio::test]
    async fn a_damaged_entry_counts_as_missing() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        store.put(&place("readings", "a.parquet"), "something else".into()).await.unwrap();
        assert_eq!(StoreIndex::new(store).entries("readings", None, 10).await.unwrap(), []);
    }
}
