//! Both files of a result, in memory while they are written.

use std::io::{self, Write};

use alluvium_core::clock::Micros;
use alluvium_core::csv::CsvWriter;
use alluvium_core::export::{ExportError, ParquetWriter, portable};
use alluvium_core::report::{FileFacts, ReportResult};
use alluvium_core::{Report, Window};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::table;

/// Rows that make no result.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// They cannot be written.
    #[error("the rows cannot be written: {0}")]
    Rows(#[from] ExportError),
    /// There are too many.
    #[error("the result has more than {0} bytes; select fewer rows or columns, or aggregate")]
    TooLarge(usize),
}

impl From<ArrowError> for ResultError {
    fn from(error: ArrowError) -> Self {
        Self::Rows(error.into())
    }
}

pub(super) struct Files {
    csv: CsvWriter<Growing>,
    parquet: ParquetWriter<Growing>,
    /// The columns as a table declares them.
    columns: String,
    rows: u64,
    most_bytes: usize,
}

impl Files {
    pub(super) fn begin(
        report: &Report,
        window: Window,
        first: &[RecordBatch],
        most_bytes: usize,
    ) -> Result<Self, ResultError> {
        let columns = first.first().map_or_else(|| Schema::empty().into(), RecordBatch::schema);
        let about = [
            ("alluvium.report", report.name.to_string()),
            ("alluvium.from", time(window.start)),
            ("alluvium.to", time(window.end)),
        ];
        // One byte more than allowed is told by the writers' own errors, and looked at for its reason here.
        let growing = || Growing { bytes: Vec::new(), most: most_bytes };
        // Parquet first: it is the one that refuses columns.
        let parquet = ParquetWriter::new(growing(), &columns, &about)?;
        let csv = CsvWriter::new(growing(), columns.fields().iter().map(|field| field.name().as_str()))?;
        let declared = columns.fields().iter().map(|field| (field.name().as_str(), portable(field.data_type())));
        Ok(Self { csv, parquet, columns: table::columns(declared), rows: 0, most_bytes })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), ResultError> {
        let most = self.most_bytes;
        self.csv.write_rows(rows).map_err(|error| too_large_or(error.into(), most))?;
        self.parquet.write(rows).map_err(|error| too_large_or(error, most))?;
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    /// The result, its columns as a table declares them, and the bytes of CSV and Parquet.
    pub(super) fn finish(
        self,
        window: Window,
        made_at: Micros,
    ) -> Result<(ReportResult, String, (Bytes, Bytes)), ResultError> {
        let most = self.most_bytes;
        let csv = self.csv.finish().map_err(|error| too_large_or(error.into(), most))?;
        let parquet = self.parquet.finish().map_err(|error| too_large_or(error, most))?;
        let (csv, parquet) = (Bytes::from(csv.bytes), Bytes::from(parquet.bytes));
        let result = ReportResult {
            from: window.start,
            to: window.end,
            made_at,
            rows: self.rows,
            csv: facts(&csv),
            parquet: facts(&parquet),
        };
        Ok((result, self.columns, (csv, parquet)))
    }
}

fn time(time: Micros) -> String {
    alluvium_core::report::WindowId(time).to_string()
}

fn facts(bytes: &[u8]) -> FileFacts {
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    FileFacts { bytes: bytes.len() as u64, sha256 }
}

fn too_large_or(error: ExportError, most_bytes: usize) -> ResultError {
    if error.to_string().contains(FULL) { ResultError::TooLarge(most_bytes) } else { error.into() }
}

/// What a full file says.
const FULL: &str = "the file is full";

/// Bytes up to a limit.
struct Growing {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::Error::other(FULL));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
