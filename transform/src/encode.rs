//! From sorted rows to one Parquet data file.
//!
//! Encodings: times and integers as packed deltas, doubles split into byte streams, texts plain, and a dictionary wherever a
//! sample of the column shows that values repeat. Pages are compressed with zstd. Statistics stand in the page index for every
//! column that a query can filter by. The bytes depend on the rows alone: no time, no version, no machine.

mod layout;

use std::hash::{BuildHasher, Hash};
use std::io::{Write, sink};
use std::sync::Arc;

use alluvium_core::BatchIdentity;
use alluvium_core::dataset::fingerprint;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use rustc_hash::{FxBuildHasher, FxHashSet};

use crate::rows::primitive;
use crate::stats::FileStatistics;

pub(crate) use layout::Layout;

/// Rows of one row group: enough that a column chunk compresses well, few enough that a reader needs little memory.
pub(crate) const ROW_GROUP_ROWS: usize = 128 * 1024;
const PAGE_BYTES: usize = 256 * 1024;
const ZSTD_LEVEL: i32 = 1;
/// How many values of a column are looked at, to see whether they repeat.
const SAMPLE: usize = 512;

/// A data file that is being written, row group by row group.
pub(crate) struct FileWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    layout: Layout,
    statistics: FileStatistics,
}

/// What became of a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// Its rows.
    pub(crate) rows: u64,
    /// Its bytes.
    pub(crate) bytes: u64,
    /// Its statistics as the JSON text of a Delta `add` action.
    pub(crate) statistics: String,
}

impl<W: Write + Send> FileWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// When Parquet cannot hold the columns, or the output cannot be written.
    pub(crate) fn new(output: W, layout: &Layout, batch: Option<&BatchIdentity>) -> Result<Self, ParquetError> {
        let schema = ArrowSchemaConverter::new().convert(&layout.columns)?;
        let batch = batch.map(|batch| KeyValue::new("alluvium.batch".to_owned(), batch.to_string()));
        let fingerprint = KeyValue::new("alluvium.schema".to_owned(), fingerprint(&layout.columns));
        let properties = WriterProperties::builder()
            .set_created_by("alluvium".to_owned())
            .set_key_value_metadata(Some(batch.into_iter().chain([fingerprint]).collect()))
            .set_sorting_columns(Some(sorting_columns(layout, &schema)));
        let file = SerializedFileWriter::new(output, schema.root_schema_ptr(), Arc::new(properties.build()))?;
        Ok(Self { file, layout: layout.clone(), statistics: FileStatistics::new(layout) })
    }

    /// Writes rows, sorted, as one row group, or as several when there are more than [`ROW_GROUP_ROWS`]; none of no rows.
    ///
    /// # Errors
    ///
    /// When the output cannot be written, or Parquet refuses the rows, which would be a defect.
    pub(crate) fn write_row_group(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        self.statistics.add(rows);
        for first in (0..rows.num_rows()).step_by(ROW_GROUP_ROWS) {
            let rows = rows.slice(first, ROW_GROUP_ROWS.min(rows.num_rows() - first));
            let chunks = chunks(&rows, &self.layout, self.file.schema_descr())?;
            let mut row_group = self.file.next_row_group()?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut row_group)?;
            }
            row_group.close()?;
        }
        Ok(())
    }

    /// Writes the file's end.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub(crate) fn finish(mut self) -> Result<Encoded, ParquetError> {
        self.file.finish()?;
        Ok(Encoded {
            rows: self.statistics.rows(),
            bytes: self.file.bytes_written() as u64,
            statistics: self.statistics.json(),
        })
    }
}

/// Where the columns that rows are sorted by stand among the leaves of the schema; ascending, nulls first as the sort has it.
fn sorting_columns(layout: &Layout, schema: &SchemaDescriptor) -> Vec<SortingColumn> {
    let leaf = |name: &String| {
        let mut leaves = schema.columns().iter();
        leaves.position(|column| column.path().parts().len() == 1 && column.name() == name)
    };
    let known = layout.sorted_by.iter().map_while(leaf);
    known.map(|leaf| SortingColumn { column_idx: leaf as i32, descending: false, nulls_first: false }).collect()
}

/// Encodes the columns of one row group, leaf by leaf.
fn chunks(
    rows: &RecordBatch,
    layout: &Layout,
    schema: &SchemaDescriptor,
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let properties = properties(rows, layout, schema)?;
    let schema = schema.root_schema().clone();
    let file = SerializedFileWriter::new(sink(), Arc::new(schema), Arc::new(properties))?;
    let mut writers = ArrowRowGroupWriterFactory::new(&file, rows.schema()).create_column_writers(0)?.into_iter();
    let mut chunks = Vec::new();
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        for leaf in compute_leaves(field, column)? {
            let mut writer = writers.next().expect("a writer for each leaf");
            writer.write(&leaf)?;
            chunks.push(writer.close()?);
        }
    }
    Ok(chunks)
}

/// How the columns of these rows are encoded.
fn properties(
    rows: &RecordBatch,
    layout: &Layout,
    schema: &SchemaDescriptor,
) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page);
    for leaf in schema.columns().iter().filter(|leaf| layout.is_silent(&leaf.path().string())) {
        properties = properties.set_column_statistics_enabled(leaf.path().clone(), EnabledStatistics::None);
    }
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let path = ColumnPath::from(field.name().as_str());
        let encoding = match column.data_type() {
            DataType::Float64 => Encoding::BYTE_STREAM_SPLIT,
            DataType::Int64 | DataType::Timestamp(..) | DataType::Date32 => Encoding::DELTA_BINARY_PACKED,
            DataType::Struct(_) | DataType::List(_) => continue,
            _ => Encoding::PLAIN,
        };
        let dictionary = match field.name().as_str() {
            "event_id" | "event_time" => false,
            _ => repeats(column),
        };
        properties = properties.set_column_encoding(path.clone(), encoding);
        properties = properties.set_column_dictionary_enabled(path, dictionary);
    }
    Ok(properties.build())
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
