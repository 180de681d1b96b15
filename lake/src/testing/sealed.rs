//! Data files that say of their batch what those of the transform say.

use std::sync::Arc;

use alluvium_core::footer::{BATCH_KEY, SCHEMA_KEY, STATS_KEY};
use alluvium_core::identity::content_hash;
use alluvium_core::{BatchFooter, CommitMessage, DataFileEntry};
use arrow::array::{Int64Array, RecordBatch};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

/// What a file says under the batch's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    All,
    /// The identity alone, as earlier builds had it.
    Identity,
}

/// Puts Parquet files with footers in the place of a batch's files, and returns the message about those. Its old message goes.
pub(crate) async fn sealed(store: &Arc<dyn ObjectStore>, message: &CommitMessage, told: Told) -> CommitMessage {
    let tables = message.files.iter().map(|file| file.dataset.clone()).collect();
    let footer = BatchFooter::new(message.batch.clone(), message.covers.clone(), tables, &message.ledger);
    let batch = if told == Told::All { footer.encode() } else { message.batch.to_string() };
    let mut files = Vec::new();
    for file in &message.files {
        let numbers = Int64Array::from_iter_values(0..file.rows as i64);
        let rows = RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        for (key, value) in [(SCHEMA_KEY, &file.schema), (BATCH_KEY, &batch), (STATS_KEY, &file.stats)] {
            writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value.clone()));
        }
        let bytes = writer.into_inner().unwrap();
        let path = format!("{}/{}-{}.parquet", file.dataset, message.batch, content_hash(&bytes));
        let size_bytes = bytes.len() as u64;
        store.put(&Path::from(path.as_str()), bytes.into()).await.unwrap();
        store.delete(&Path::from(file.path.as_str())).await.unwrap();
        files.push(DataFileEntry { path, size_bytes, ..file.clone() });
    }
    store.delete(&Path::from(message.path())).await.unwrap();
    CommitMessage::new(message.batch.clone(), message.covers.clone(), files, message.ledger.clone())
}
