//! An object index in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

use alluvium_core::IndexEntry;
use alluvium_core::ports::{ObjectIndex, PortError};
use async_trait::async_trait;

/// Entries by table and path.
#[derive(Debug, Default)]
pub(crate) struct MemoryIndex(Mutex<BTreeMap<(String, String), IndexEntry>>);

#[async_trait]
impl ObjectIndex for MemoryIndex {
    async fn put(&self, entries: Vec<IndexEntry>) -> Result<(), PortError> {
        let keyed = entries.into_iter().map(|entry| ((entry.table.clone(), entry.path.clone()), entry));
        self.0.lock().unwrap().extend(keyed);
        Ok(())
    }

    async fn entries(&self, table: &str, after: Option<&str>, max: usize) -> Result<Vec<IndexEntry>, PortError> {
        let after = Bound::Excluded((table.to_owned(), after.unwrap_or_default().to_owned()));
        let known = self.0.lock().unwrap();
        let of_table = known.range((after, Bound::Unbounded)).take_while(|((of, _), _)| of == table);
        Ok(of_table.map(|(_, entry)| entry.clone()).take(max).collect())
    }

    async fn paths(&self, table: &str) -> Result<Vec<String>, PortError> {
        let known = self.0.lock().unwrap();
        Ok(known.keys().filter(|(of, _)| of == table).map(|(_, path)| path.clone()).collect())
    }

    async fn remove(&self, table: &str, paths: Vec<String>) -> Result<(), PortError> {
        let mut known = self.0.lock().unwrap();
        for path in paths {
            known.remove(&(table.to_owned(), path));
        }
        Ok(())
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    alluvium_core::contract::object_index::all(&MemoryIndex::default()).await;
}
