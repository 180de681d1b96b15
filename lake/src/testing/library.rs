//! The Delta library's own reading of the tables, as a second opinion.

use std::sync::Arc;

use deltalake_core::DeltaTable;
use deltalake_core::logstore::{StorageConfig, default_logstore};
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use url::Url;

use super::{DEAD, LEDGER, NOTES, READINGS, root};
use crate::LakeReader;

pub(crate) async fn library_table(store: &Arc<dyn ObjectStore>, name: &str) -> DeltaTable {
    let table: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(store.clone(), name));
    let url = Url::parse(&format!("memory:///{name}/")).unwrap();
    let mut table = DeltaTable::new(default_logstore(table, store.clone(), &url, &StorageConfig::default()));
    table.load().await.unwrap();
    table
}

/// Asserts that the library finds the version, columns, files and rows of every table that our reader finds.
pub(crate) async fn assert_the_library_reads_the_same(store: &Arc<dyn ObjectStore>) {
    let reader = LakeReader::new(store.clone(), root());
    for name in [READINGS, NOTES, DEAD, LEDGER] {
        let (ours, theirs) = (reader.snapshot(name).await.unwrap(), library_table(store, name).await);
        let state = theirs.snapshot().unwrap();
        assert_eq!(ours.version, theirs.version().unwrap(), "{name}");
        assert_eq!(ours.columns, state.snapshot().arrow_schema(), "{name}");
        let mut files: Vec<_> =
            state.log_data().iter().map(|file| (file.path().into_owned(), file.num_records())).collect();
        files.sort();
        let ours: Vec<_> = ours.files.iter().map(|file| (file.path.clone(), Some(file.rows as usize))).collect();
        assert_eq!(ours, files, "{name}");
        assert_eq!(state.protocol().min_reader_version(), 1);
        assert_eq!(state.protocol().min_writer_version(), 2);
    }
}
