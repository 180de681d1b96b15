//! Data files that are written anew: the rows in the order in which they were, changed or left out.

use std::sync::Arc;

use alluvium_core::{DataFileFormat, EncodedFile, IndexEntry};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use crate::columns::conform;
use crate::compact::{is_new, numbers_of_keys};
use crate::contents::Contents;
use crate::error::{LakeError, Result};
use crate::filter::{KeyFilter, KeyNumber, path_of};
use crate::log::TableLog;
use crate::reader::ActiveFile;
use crate::rewrite::NewFile;
use crate::upkeep::blocking;

/// How the name of a file begins that was written anew before compaction has seen its rows.
pub(crate) const REWRITTEN: &str = "rewritten";

/// What becomes of the rows of a row group.
pub(crate) type Change = Arc<dyn Fn(&RecordBatch) -> std::result::Result<RecordBatch, ArrowError> + Send + Sync>;

/// Writes files of one table anew.
#[derive(Clone)]
pub(crate) struct Anew {
    pub(crate) log: TableLog,
    pub(crate) format: Arc<dyn DataFileFormat>,
    /// The table's columns; those that came after a file was written are null.
    pub(crate) columns: SchemaRef,
    pub(crate) change: Change,
    /// What is being done, when it fails: "write marked rows".
    pub(crate) doing: &'static str,
}

/// A file that was written anew.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) file: NewFile,
    /// Its entry of the object index.
    pub(crate) entry: IndexEntry,
}

/// What is gathered of the rows of a new file.
#[derive(Default)]
struct Gathered {
    contents: Contents,
    keys: Vec<u64>,
    number: KeyNumber,
}

impl Anew {
    /// Writes a file of the table anew under another name, with a key filter if it had been compacted; `None`: no row is left.
    pub(crate) async fn rewrite(
        &self,
        file: &ActiveFile,
        bytes: Bytes,
        work: &str,
        number: usize,
    ) -> Result<Option<Written>> {
        let path = name(file, work, number);
        let Some((written, keys)) = self.write(&file.path, file.rows, bytes, &path).await? else { return Ok(None) };
        if !is_new(file)
            && let Some(filter) = KeyFilter::encode(keys)
        {
            self.log.put_if_absent(&path_of(&path), filter).await?;
        }
        Ok(Some(written))
    }

    /// Writes the rows of a file of the table to `to`, a name that nobody else gives.
    pub(crate) async fn write(
        &self,
        from: &str,
        rows: u64,
        bytes: Bytes,
        to: &str,
    ) -> Result<Option<(Written, Vec<u64>)>> {
        let table = self.log.name();
        let damaged = |error: &dyn std::fmt::Display| self.log.damaged(from, &format!("{error}; restore it"));
        let metadata = ArrowReaderMetadata::load(&bytes, Default::default()).map_err(|error| damaged(&error))?;
        let found = metadata.metadata().file_metadata().num_rows();
        if u64::try_from(found) != Ok(rows) {
            return Err(damaged(&format!("it has {found} rows, {rows} were expected")));
        }
        let mut upload = self.log.upload(to);
        let mut writer = self.format.begin(table).map_err(LakeError::upkeep(self.doing, table))?;
        let mut gathered = Gathered::default();
        let mut is_empty = true;
        for row_group in 0..metadata.metadata().num_row_groups() {
            let (source, metadata) = (bytes.clone(), metadata.clone());
            let (columns, change) = (self.columns.clone(), self.change.clone());
            let changed = blocking(table, move || change(&read_row_group(source, metadata, row_group, &columns)?));
            let changed = changed.await?.map_err(|error| damaged(&error))?;
            if changed.num_rows() == 0 {
                continue;
            }
            is_empty = false;
            let encoding = blocking(table, move || {
                gathered.add(&changed);
                writer.write(&changed).map(|()| (writer, gathered))
            });
            (writer, gathered) = encoding.await?.map_err(LakeError::upkeep(self.doing, table))?;
            upload.write(writer.take().into()).await?;
        }
        if is_empty {
            return Ok(None);
        }
        let EncodedFile { end, size_bytes, stats, .. } =
            blocking(table, move || writer.finish()).await?.map_err(LakeError::upkeep(self.doing, table))?;
        upload.write(end.into()).await?;
        upload.finish().await?;
        let entry = gathered.contents.entry(table, to, size_bytes);
        let file = NewFile { path: to.to_owned(), size_bytes, stats };
        Ok(Some((Written { file, entry }, gathered.keys)))
    }
}

impl Gathered {
    fn add(&mut self, rows: &RecordBatch) {
        self.contents.add(rows);
        self.keys.extend(numbers_of_keys(rows, &mut self.number));
    }
}

/// A name that is no batch's, and tells compaction of the rows what the old one did: whether it has seen them.
fn name(file: &ActiveFile, work: &str, number: usize) -> String {
    let first = if is_new(file) { REWRITTEN } else { file.path.split('_').next().unwrap_or_default() };
    format!("{first}_{work}_{number}.parquet")
}

/// A row group with the columns that the table has now, as one RecordBatch.
fn read_row_group(
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    row_group: usize,
    columns: &SchemaRef,
) -> std::result::Result<RecordBatch, ArrowError> {
    let rows = metadata.metadata().row_group(row_group).num_rows() as usize;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata);
    let batches = builder.with_row_groups(vec![row_group]).with_batch_size(rows.max(1)).build()?;
    let batches = batches.collect::<std::result::Result<Vec<_>, _>>()?;
    let whole = batches.iter().map(|rows| conform(rows, columns));
    concat_batches(columns, &whole.collect::<std::result::Result<Vec<_>, _>>()?)
}
