//! The data files of the table `ledger`: ledger entries as rows of Parquet, and back.

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::dataset::ledger_columns;
use alluvium_core::identity::content_hash;
use alluvium_core::{BatchIdentity, LedgerEntry};
use arrow::array::{Array, AsArray as _, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One ledger data file, ready to be stored.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    /// Its name, which is its path relative to the table: `<identity>-<content>.parquet`, both hashes, the identity over the
    /// batches and datasets of its rows.
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
    pub(crate) rows: u64,
}

/// Bytes that are no ledger data file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLedgerFile {
    #[error("not Parquet, or cut short: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    #[error("its rows cannot be read: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("its columns are not those of the table `ledger`")]
    Columns,
    #[error("column `{column}` of row {row}: {source}")]
    Json { column: &'static str, row: usize, source: serde_json::Error },
    #[error("column `{column}` of row {row} is negative")]
    Negative { column: &'static str, row: usize },
}

/// Encodes entries, in this order, one row each.
pub(crate) fn encode(entries: &[LedgerEntry], committed_at: Micros) -> LedgerFile {
    let bytes = write(&record_batch(entries, committed_at));
    let covered: String = entries.iter().map(|entry| format!("{} {}\n", entry.batch, entry.dataset)).collect();
    let name = format!("{}-{}.parquet", content_hash(covered.as_bytes()), content_hash(&bytes));
    LedgerFile { name, bytes, rows: entries.len() as u64 }
}

/// Reads the entries back, in the order of the rows.
pub(crate) fn decode(bytes: Bytes) -> Result<Vec<LedgerEntry>, NoLedgerFile> {
    let mut entries = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
        let batch = batch?;
        if batch.schema().fields() != ledger_columns().fields() {
            return Err(NoLedgerFile::Columns);
        }
        for row in 0..batch.num_rows() {
            entries.push(entry(&batch, row)?);
        }
    }
    Ok(entries)
}

fn record_batch(entries: &[LedgerEntry], committed_at: Micros) -> RecordBatch {
    let text = |value: &dyn Fn(&LedgerEntry) -> String| -> Arc<dyn Array> {
        Arc::new(StringArray::from_iter_values(entries.iter().map(value)))
    };
    let count = |value: &dyn Fn(&LedgerEntry) -> u64| -> Arc<dyn Array> {
        let value = |entry| i64::try_from(value(entry)).expect("no batch has 2^63 events or bytes");
        Arc::new(Int64Array::from_iter_values(entries.iter().map(value)))
    };
    let time = |value: &dyn Fn(&LedgerEntry) -> Micros| -> Arc<dyn Array> {
        Arc::new(TimestampMicrosecondArray::from_iter_values(entries.iter().map(value)).with_timezone("UTC"))
    };
    let columns = vec![
        text(&|entry| entry.batch.to_string()),
        text(&|entry| entry.dataset.clone()),
        count(&|entry| entry.received),
        count(&|entry| entry.written),
        count(&|entry| entry.filtered),
        count(&|entry| entry.dead),
        count(&|entry| entry.bytes),
        text(&|entry| json(&entry.dead_by_reason)),
        text(&|entry| json(&entry.covers)),
        time(&|entry| entry.arrival),
        time(&|_| committed_at),
    ];
    RecordBatch::try_new(ledger_columns(), columns).expect("the columns are built in the order and types of the table")
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("reasons and ranges are text and numbers")
}

fn write(batch: &RecordBatch) -> Bytes {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))
        .expect("every column type of the ledger has its like in Parquet");
    writer.write(batch).expect("memory takes every byte");
    writer.close().expect("memory takes every byte");
    bytes.into()
}

fn entry(batch: &RecordBatch, row: usize) -> Result<LedgerEntry, NoLedgerFile> {
    let names = batch.schema_ref().clone();
    let place = |name: &str| names.index_of(name).expect("the columns were compared");
    let text = |name| batch.column(place(name)).as_string::<i32>().value(row);
    let count = |column: &'static str| {
        let value = batch.column(place(column)).as_primitive::<Int64Type>().value(row);
        u64::try_from(value).map_err(|_| NoLedgerFile::Negative { column, row })
    };
    Ok(LedgerEntry {
        batch: parse_identity(text("batch"), row)?,
        dataset: text("dataset").to_owned(),
        received: count("received")?,
        written: count("written")?,
        filtered: count("filtered")?,
        dead: count("dead")?,
        bytes: count("bytes")?,
        dead_by_reason: parse("dead_by_reason", text("dead_by_reason"), row)?,
        arrival: batch.column(place("arrival")).as_primitive::<TimestampMicrosecondType>().value(row),
        covers: parse("covers", text("covers"), row)?,
    })
}

fn parse_identity(text: &str, row: usize) -> Result<BatchIdentity, NoLedgerFile> {
    serde_json::from_value(text.into()).map_err(|source| NoLedgerFile::Json { column: "batch", row, source })
}

fn parse<T: DeserializeOwned>(column: &'static str, text: &str, row: usize) -> Result<T, NoLedgerFile> {
    serde_json::from_str(text).map_err(|source| NoLedgerFile::Json { column, row, source })
}

#[cfg(test)]
mod tests;
