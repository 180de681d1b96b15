//! From sorted rows to one Parquet data file.
//!
//! Encodings: times and integers as packed deltas, doubles split into byte streams, texts plain, and a dictionary wherever a
//! sample of the column shows that values repeat. Pages are compressed with zstd. Statistics stand in the page index for every
//! column that a query can filter by. The bytes depend on the rows alone: no time, no version, no machine.

use alluvium_core::BatchIdentity;
use alluvium_core::dataset::fingerprint;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use rustc_hash::{FxBuildHasher, FxHashSet};
use std::hash::{BuildHasher, Hash};
use std::io::Write;

use crate::rows::primitive;

/// Rows of one row group: enough that a column chunk compresses well, few enough that a reader needs little memory.
pub(crate) const ROW_GROUP_ROWS: usize = 128 * 1024;
const PAGE_BYTES: usize = 256 * 1024;
const ZSTD_LEVEL: i32 = 1;
/// How many values of a column are looked at, to see whether they repeat.
const SAMPLE: usize = 512;
/// Texts that nothing filters by.
const WITHOUT_STATISTICS: [&str; 3] = ["extra", "detail", "original"];

/// Encodes a whole data file.
///
/// # Errors
///
/// When the writer refuses the rows, which would be a defect.
pub(crate) fn data_file(rows: &RecordBatch, batch: &BatchIdentity) -> Result<Bytes, ParquetError> {
    let mut bytes = Vec::with_capacity(64 * 1024 + rows.num_rows() * 32);
    let mut writer = writer(&mut bytes, rows, Some(batch))?;
    writer.write(rows)?;
    writer.close()?;
    Ok(bytes.into())
}

/// A writer for rows like these, the first of the file.
///
/// # Errors
///
/// When Parquet cannot hold the columns, or the output cannot be written.
pub(crate) fn writer<W: Write + Send>(
    output: W,
    first: &RecordBatch,
    batch: Option<&BatchIdentity>,
) -> Result<ArrowWriter<W>, ParquetError> {
    let options = ArrowWriterOptions::new().with_properties(properties(first, batch)?).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(output, first.schema(), options)
}

fn properties(rows: &RecordBatch, batch: Option<&BatchIdentity>) -> Result<WriterProperties, ParquetError> {
    let schema = rows.schema();
    let batch = batch.map(|batch| KeyValue::new("alluvium.batch".to_owned(), batch.to_string()));
    let fingerprint = KeyValue::new("alluvium.schema".to_owned(), fingerprint(&schema));
    let mut properties = WriterProperties::builder()
        .set_created_by("alluvium".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(batch.into_iter().chain([fingerprint]).collect()))
        .set_sorting_columns(Some(sorted_by(&schema)));
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        properties = layout(properties, field.name(), column);
    }
    Ok(properties.build())
}

/// `source`, `event_time`: ascending.
fn sorted_by(schema: &SchemaRef) -> Vec<SortingColumn> {
    ["source", "event_time"]
        .iter()
        .filter_map(|name| schema.index_of(name).ok())
        .map(|column| SortingColumn { column_idx: column as i32, descending: false, nulls_first: false })
        .collect()
}

fn layout(properties: WriterPropertiesBuilder, name: &str, column: &ArrayRef) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(name);
    let encoding = match column.data_type() {
        DataType::Float64 => Encoding::BYTE_STREAM_SPLIT,
        DataType::Int64 | DataType::Timestamp(..) | DataType::Date32 => Encoding::DELTA_BINARY_PACKED,
        _ => Encoding::PLAIN,
    };
    let dictionary = match name {
        "event_id" | "event_time" => false,
        _ => repeats(column),
    };
    let properties = properties.set_column_encoding(path.clone(), encoding);
    let properties = properties.set_column_dictionary_enabled(path.clone(), dictionary);
    if WITHOUT_STATISTICS.contains(&name) {
        return properties.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    properties
}

/// Whether the values of a column repeat so often that a dictionary pays, told by a sample spread over all rows.
fn repeats(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            sample_repeats(column, |row| texts.value(row))
        }
        DataType::Float64 => {
            let numbers = primitive::<Float64Type>(column);
            sample_repeats(column, |row| numbers.value(row).to_bits())
        }
        DataType::Int64 => {
            let numbers = primitive::<Int64Type>(column);
            sample_repeats(column, |row| numbers.value(row))
        }
        DataType::Timestamp(..) => {
            let times = primitive::<TimestampMicrosecondType>(column);
            sample_repeats(column, |row| times.value(row))
        }
        DataType::Date32 => {
            let days = primitive::<Date32Type>(column);
            sample_repeats(column, |row| days.value(row))
        }
        _ => false,
    }
}

fn sample_repeats<V: Hash>(column: &ArrayRef, value: impl Fn(usize) -> V) -> bool {
    let step = column.len().div_ceil(SAMPLE).max(1);
    let rows = (0..column.len()).step_by(step).filter(|row| column.is_valid(*row));
    let (mut seen, mut looked_at) = (FxHashSet::default(), 0);
    for row in rows {
        looked_at += 1;
        seen.insert(FxBuildHasher.hash_one(value(row)));
    }
    seen.len() * 2 <= looked_at
}

#[cfg(test)]
mod tests;
