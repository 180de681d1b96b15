//! Whose rows are erased: which rows of a table, and which of the hot index.

use std::sync::Arc;

use alluvium_core::DatasetName;
use alluvium_core::clock::Micros;
use alluvium_core::hot::HotChunk;
use alluvium_core::hot_block::{EXPANDED_BYTES, HotBlockError, HotBlockWriter, read_block};
use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch, max, min, not};
use arrow::datatypes::{DataType, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A block of one event may expand to more than one of several.
const BLOCK_BYTES: usize = 4 * EXPANDED_BYTES;

/// The rows of one owner that arrived up to a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The owner.
    pub owner: String,
    /// The last `ingest_time` that goes: when the erasure was asked for.
    pub until: Micros,
    /// The one dataset whose rows go, with its dead letters and those of no dataset, which may turn out to be its; `None`: all.
    pub dataset: Option<String>,
}

impl Target {
    /// Whether rows of a table may be among them.
    pub(crate) fn concerns(&self, table: &str) -> bool {
        table == DatasetName::dead_letters().as_str()
            || table != DatasetName::ledger().as_str() && self.dataset.as_deref().is_none_or(|dataset| dataset == table)
    }

    /// Which rows of a table they are.
    fn among(&self, table: &str, rows: &RecordBatch) -> BooleanArray {
        let owners = rows["owner"].as_string::<i32>();
        let arrivals = rows["ingest_time"].as_primitive::<TimestampMicrosecondType>();
        let is_dead_letters = table == DatasetName::dead_letters().as_str();
        let datasets =
            rows.column_by_name("dataset").filter(|_| is_dead_letters).map(|column| column.as_string::<i32>());
        let is_of_dataset = |row: usize| match (&self.dataset, datasets) {
            (Some(dataset), Some(datasets)) => datasets.is_null(row) || datasets.value(row) == dataset,
            _ => true,
        };
        let is_theirs =
            |row: usize| owners.value(row) == self.owner && arrivals.value(row) <= self.until && is_of_dataset(row);
        (0..rows.num_rows()).map(|row| Some(is_theirs(row))).collect()
    }
}

/// Which rows of a table belong to any of these.
fn among(targets: &[Target], table: &str, rows: &RecordBatch) -> Result<BooleanArray, ArrowError> {
    let none = BooleanArray::from(vec![false; rows.num_rows()]);
    targets.iter().try_fold(none, |known, target| arrow::compute::or(&known, &target.among(table, rows)))
}

/// The rows of a table without theirs.
pub(super) fn without(targets: &[Target], table: &str, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    filter_record_batch(rows, &not(&among(targets, table, rows)?)?)
}

/// The rows of a table without those of any of these.
///
/// # Errors
///
/// When the rows do not have the table's columns.
pub fn screen_rows(targets: &[Target], table: &str, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let targets: Vec<_> = targets.iter().filter(|target| target.concerns(table)).cloned().collect();
    without(&targets, table, rows)
}

/// How many rows of a data file are theirs.
pub(super) fn count(targets: &[Target], table: &str, file: Bytes) -> Result<u64, ArrowError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["owner", "ingest_time", "dataset"]);
    let batches = builder.with_projection(mask).build()?;
    batches.map(|rows| Ok(among(targets, table, &rows?)?.true_count() as u64)).sum()
}

/// What an erasure leaves of a chunk of the hot index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screened {
    /// It has none of the rows.
    AsItWas,
    /// It has so many of them, and this is without; `None`: nothing is left.
    Without(u64, Option<HotChunk>),
}

/// A chunk of the hot index without the rows of any of these.
///
/// # Errors
///
/// When the chunk's block is damaged.
pub fn screen_chunk(targets: &[Target], chunk: &HotChunk) -> Result<Screened, HotBlockError> {
    let targets: Vec<_> = targets.iter().filter(|target| target.concerns(&chunk.dataset)).cloned().collect();
    if targets.is_empty() {
        return Ok(Screened::AsItWas);
    }
    let rows = read_block(&chunk.block, BLOCK_BYTES)?;
    let left = without(&targets, &chunk.dataset, &rows)?;
    let erased = (rows.num_rows() - left.num_rows()) as u64;
    if erased == 0 {
        return Ok(Screened::AsItWas);
    }
    let times = left["event_time"].as_primitive::<TimestampMicrosecondType>();
    let (Some(min_time), Some(max_time)) = (min(times), max(times)) else {
        return Ok(Screened::Without(erased, None));
    };
    let block = HotBlockWriter::default().write(&with_dictionaries(&left)?)?;
    let left = HotChunk { rows: left.num_rows() as u32, min_time, max_time, block, ..chunk.clone() };
    Ok(Screened::Without(erased, Some(left)))
}

/// The rows with texts that repeat as dictionaries, so that their block is no larger for it than the one that they were in.
fn with_dictionaries(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let dictionary = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let shared = match column.data_type() {
            DataType::Utf8 => Some(cast(column, &dictionary)?),
            _ => None,
        };
        match shared.filter(|shared| shared.as_any_dictionary().values().len() * 2 <= rows.num_rows()) {
            Some(shared) => {
                fields.push(Arc::new(field.as_ref().clone().with_data_type(dictionary.clone())));
                columns.push(shared);
            }
            None => {
                fields.push(field.clone());
                columns.push(column.clone());
            }
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
