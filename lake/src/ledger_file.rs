//! The data files of the table `ledger`: ledger entries and removals as rows of Parquet, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::dataset::ledger_columns;
use alluvium_core::identity::content_hash;
use alluvium_core::{BatchIdentity, LedgerEntry, Removal};
use arrow::array::{
    Array, AsArray as _, Int64Array, RecordBatch, RecordBatchReader as _, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::columns::conform;

/// What rows of the ledger say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LedgerRows {
    /// What batches brought.
    pub(crate) entries: Vec<LedgerEntry>,
    /// What maintenance took out.
    pub(crate) removals: Vec<Removal>,
}

impl LedgerRows {
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.removals.len()
    }

    pub(crate) fn extend(&mut self, more: &Self) {
        self.entries.extend_from_slice(&more.entries);
        self.removals.extend_from_slice(&more.removals);
    }
}

/// How many columns the files have that were written before there were removals.
const COLUMNS_WITHOUT_REMOVALS: usize = 11;
/// And before events were counted that came again by a redrive.
const COLUMNS_WITHOUT_REDRIVEN: usize = 14;

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

/// Encodes entries and removals, in this order, one row each.
pub(crate) fn encode(rows: &LedgerRows, committed_at: Micros) -> LedgerFile {
    let bytes = write(&record_batch(rows, committed_at));
    let entries = rows.entries.iter().map(|entry| format!("{} {}\n", entry.batch, entry.dataset));
    let covered: String =
        entries.chain(rows.removals.iter().map(|gone| format!("{} {}\n", gone.work, gone.table))).collect();
    let name = format!("{}-{}.parquet", content_hash(covered.as_bytes()), content_hash(&bytes));
    LedgerFile { name, bytes, rows: rows.len() as u64 }
}

/// The rows of several files as one file, in the same order: its bytes, and how many rows it has.
pub(crate) fn merge(files: impl IntoIterator<Item = Bytes>) -> Result<(Bytes, u64), NoLedgerFile> {
    let mut batches = Vec::new();
    for file in files {
        for batch in batches_of(file)? {
            batches.push(conform(&batch?, &ledger_columns())?);
        }
    }
    let rows = concat_batches(&ledger_columns(), &batches)?;
    Ok((write(&rows), rows.num_rows() as u64))
}

/// The rows of a file, if its columns are those of the ledger.
fn batches_of(bytes: Bytes) -> Result<ParquetRecordBatchReader, NoLedgerFile> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
    let (expected, found) = (ledger_columns(), reader.schema());
    let (expected, found) = (&expected.fields()[..], &found.fields()[..]);
    let known = [COLUMNS_WITHOUT_REMOVALS, COLUMNS_WITHOUT_REDRIVEN, expected.len()];
    if known.iter().any(|columns| found == &expected[..*columns]) { Ok(reader) } else { Err(NoLedgerFile::Columns) }
}

/// Reads the rows back, entries and removals in the order in which they stand.
pub(crate) fn decode(bytes: Bytes) -> Result<LedgerRows, NoLedgerFile> {
    let mut rows = LedgerRows::default();
    for batch in batches_of(bytes)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            match removal(&batch, row)? {
                Some(removal) => rows.removals.push(removal),
                None => rows.entries.push(entry(&batch, row)?),
            }
        }
    }
    Ok(rows)
}

fn record_batch(rows: &LedgerRows, committed_at: Micros) -> RecordBatch {
    let LedgerRows { entries, removals } = rows;
    let zeros: Vec<LedgerEntry> = removals.iter().map(without_events).collect();
    let entries: Vec<&LedgerEntry> = entries.iter().chain(&zeros).collect();
    let nothing = entries.len() - removals.len();
    let text = |value: &dyn Fn(&LedgerEntry) -> String| -> Arc<dyn Array> {
        Arc::new(StringArray::from_iter_values(entries.iter().map(|entry| value(entry))))
    };
    let count = |value: &dyn Fn(&LedgerEntry) -> u64| -> Arc<dyn Array> {
        Arc::new(Int64Array::from_iter_values(entries.iter().map(|entry| number(value(entry)))))
    };
    let time = |value: &dyn Fn(&LedgerEntry) -> Micros| -> Arc<dyn Array> {
        let values = entries.iter().map(|entry| value(entry));
        Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
    };
    let removed = |value: &dyn Fn(&Removal) -> u64| -> Arc<dyn Array> {
        let values = removals.iter().map(|removal| Some(number(value(removal))));
        Arc::new(Int64Array::from_iter(std::iter::repeat_n(None, nothing).chain(values)))
    };
    let redriven = entries.iter().map(|entry| entry.redriven.map(number));
    let columns: Vec<Arc<dyn Array>> = vec![
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
        removed(&|removal| removal.duplicates),
        removed(&|removal| removal.expired),
        removed(&|removal| removal.erased),
        Arc::new(Int64Array::from_iter(redriven)),
    ];
    RecordBatch::try_new(ledger_columns(), columns).expect("the columns are built in the order and types of the table")
}

fn number(count: u64) -> i64 {
    i64::try_from(count).expect("no batch and no table has 2^63 events or bytes")
}

/// A removal as an entry: it brought nothing.
fn without_events(removal: &Removal) -> LedgerEntry {
    LedgerEntry {
        batch: parse_identity(&removal.work, 0).expect("an identity is a text"),
        dataset: removal.table.clone(),
        received: 0,
        written: 0,
        filtered: 0,
        dead: 0,
        bytes: 0,
        dead_by_reason: BTreeMap::new(),
        redriven: None,
        arrival: removal.at,
        covers: Vec::new(),
    }
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
        redriven: match batch.column_by_name("redriven") {
            Some(column) if column.is_valid(row) => Some(count("redriven")?),
            _ => None,
        },
        arrival: batch.column(place("arrival")).as_primitive::<TimestampMicrosecondType>().value(row),
        covers: parse("covers", text("covers"), row)?,
    })
}

/// What a row says that maintenance took out; `None`: it is an entry.
fn removal(batch: &RecordBatch, row: usize) -> Result<Option<Removal>, NoLedgerFile> {
    if batch.num_columns() == COLUMNS_WITHOUT_REMOVALS || batch["duplicates"].is_null(row) {
        return Ok(None);
    }
    let LedgerEntry { batch: work, dataset: table, arrival: at, .. } = entry(batch, row)?;
    let count = |column: &'static str| {
        let value = batch[column].as_primitive::<Int64Type>().value(row);
        u64::try_from(value).map_err(|_| NoLedgerFile::Negative { column, row })
    };
    let (duplicates, expired, erased) = (count("duplicates")?, count("expired")?, count("erased")?);
    Ok(Some(Removal { work: work.to_string(), table, duplicates, expired, erased, at }))
}

fn parse_identity(text: &str, row: usize) -> Result<BatchIdentity, NoLedgerFile> {
    serde_json::from_value(text.into()).map_err(|source| NoLedgerFile::Json { column: "batch", row, source })
}

fn parse<T: DeserializeOwned>(column: &'static str, text: &str, row: usize) -> Result<T, NoLedgerFile> {
    serde_json::from_str(text).map_err(|source| NoLedgerFile::Json { column, row, source })
}

#[cfg(test)]
mod tests;
