//! Data files for maintenance: as the transform writes them, of rows that are in the lake already.

use std::sync::Arc;

use alluvium_core::{DataFileError, DataFileFormat, DataFileWriter, DatasetName, Datasets, EncodedFile};
use arrow::array::RecordBatch;

use crate::encode::{FileWriter, Layout};
use crate::growing::Growing;

/// Writes data files of the tables of these datasets, and of `dead_letters`.
#[derive(Debug, Clone)]
pub struct DataFiles {
    datasets: Arc<Datasets>,
}

impl DataFiles {
    /// For these datasets.
    pub fn new(datasets: Arc<Datasets>) -> Self {
        Self { datasets }
    }
}

impl DataFileFormat for DataFiles {
    fn begin(&self, table: &str) -> Result<Box<dyn DataFileWriter>, DataFileError> {
        let layout = match self.datasets.get(table) {
            Some(dataset) => Layout::of(dataset),
            None if table == DatasetName::dead_letters().as_str() => Layout::dead_letters(),
            None => {
                let source = format!("there is no dataset `{table}`").into();
                return Err(DataFileError { table: table.to_owned(), source });
            }
        };
        let bytes = Growing::default();
        let writer = FileWriter::new(bytes.clone(), &layout).map_err(failed(table))?;
        Ok(Box::new(Writing { table: table.to_owned(), bytes, writer }))
    }
}

struct Writing {
    table: String,
    bytes: Growing,
    writer: FileWriter<Growing>,
}

impl DataFileWriter for Writing {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), DataFileError> {
        self.writer.write_row_group(rows).map_err(failed(&self.table))
    }

    fn take(&mut self) -> Vec<u8> {
        self.bytes.take()
    }

    fn finish(self: Box<Self>) -> Result<EncodedFile, DataFileError> {
        let encoded = self.writer.finish().map_err(failed(&self.table))?;
        Ok(EncodedFile {
            end: self.bytes.take(),
            size_bytes: encoded.bytes,
            rows: encoded.rows,
            stats: encoded.statistics,
        })
    }
}

fn failed(table: &str) -> impl FnOnce(parquet::errors::ParquetError) -> DataFileError + use<'_> {
    move |source| DataFileError { table: table.to_owned(), source: source.into() }
}
