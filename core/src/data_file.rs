//! How rows become a data file: what maintenance needs of the transform's encoders.

use std::fmt;

use arrow::record_batch::RecordBatch;

/// A data file could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("a data file of `{table}` cannot be encoded: {source}")]
pub struct DataFileError {
    /// The table.
    pub table: String,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What became of a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFile {
    /// Its last bytes, those that were not taken before.
    pub end: Vec<u8>,
    /// The bytes of all of it.
    pub size_bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Its statistics: the JSON text of a Delta `add` action.
    pub stats: String,
}

/// The format of data files: the same for those of the transform and those of maintenance, so that encodings, statistics, and what
/// is told of which column are decided once.
pub trait DataFileFormat: fmt::Debug + Send + Sync {
    /// Begins a file of a dataset's table, or of `dead_letters`.
    ///
    /// # Errors
    ///
    /// When there is no such table, or Parquet cannot hold its columns.
    fn begin(&self, table: &str) -> Result<Box<dyn DataFileWriter>, DataFileError>;
}

/// A data file that is being written, row group by row group.
pub trait DataFileWriter: Send {
    /// Writes rows with the table's columns, in the order that the file is to have, as one row group or several.
    ///
    /// # Errors
    ///
    /// When Parquet refuses the rows, which would be a defect.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), DataFileError>;

    /// The bytes of the file that are complete and have not been taken before.
    fn take(&mut self) -> Vec<u8>;

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn finish(self: Box<Self>) -> Result<EncodedFile, DataFileError>;
}
