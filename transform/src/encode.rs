//! From sorted rows to one Parquet data file, row group by row group.
//!
//! Flat columns are encoded here (`column` tells by which encoder); nested ones by the `parquet` crate. Footer, page
//! headers and indexes are the crate's for all of them. Times, integers and lengths of texts are packed deltas, doubles
//! are plain, and a dictionary stands wherever values repeat: encodings that every reader in use knows (ADR 0008).
//! Pages are compressed with zstd. Statistics stand in the footer and in the page index for every column of which
//! anything may be told (`Layout`). The bytes depend on the rows alone: no time, no version, no machine.

mod bloom;
mod bounds;
mod chunk;
mod column;
mod delta;
mod dictionary;
mod hybrid;
mod layout;
mod nested;
mod number;
mod pages;
mod text;
mod validity;

use std::io::Write;
use std::sync::Arc;

use alluvium_core::dataset::fingerprint;
use alluvium_core::footer::{BATCH_KEY, SCHEMA_KEY, STATS_KEY};
use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::Field;
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use crate::rows::order::ASCENDING;
use crate::stats::FileStatistics;

use bloom::Bloom;
use chunk::{Told, Zstd};
use column::Column;
use dictionary::Repeats;
use nested::Nested;

pub(crate) use layout::Layout;

/// Rows of one row group: enough that a dictionary pays, few enough that a reader needs little memory.
pub(crate) const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Columns whose values are known not to repeat.
const DISTINCT: [&str; 2] = ["event_id", "event_time"];

/// A data file that is being written, row group by row group.
pub(crate) struct FileWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<TopLevel>,
    zstd: Zstd,
    statistics: FileStatistics,
}

/// A column of the RecordBatch.
enum TopLevel {
    Flat(Column),
    Nested(Nested),
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
    pub(crate) fn new(output: W, layout: &Layout) -> Result<Self, ParquetError> {
        let schema = ArrowSchemaConverter::new().convert(&layout.columns)?;
        let fingerprint = KeyValue::new(SCHEMA_KEY.to_owned(), fingerprint(&layout.columns));
        let properties = WriterProperties::builder()
            .set_created_by("alluvium".to_owned())
            .set_key_value_metadata(Some(vec![fingerprint]))
            .set_sorting_columns(Some(sorting_columns(layout, &schema)));
        let file = SerializedFileWriter::new(output, schema.root_schema_ptr(), Arc::new(properties.build()))?;
        let columns = columns(layout, &schema)?;
        Ok(Self { file, columns, zstd: Zstd::new()?, statistics: FileStatistics::new(layout) })
    }

    /// Writes rows, sorted, as one row group, or as several when there are more than [`ROW_GROUP_ROWS`]; none of no
    /// rows.
    ///
    /// # Errors
    ///
    /// When the output cannot be written, or Parquet refuses the rows, which would be a defect.
    pub(crate) fn write_row_group(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        self.statistics.add(rows);
        for first in (0..rows.num_rows()).step_by(ROW_GROUP_ROWS) {
            let rows = rows.slice(first, ROW_GROUP_ROWS.min(rows.num_rows() - first));
            let mut row_group = self.file.next_row_group()?;
            for (column, values) in self.columns.iter().zip(rows.columns()) {
                match column {
                    TopLevel::Flat(column) => {
                        let (pages, closed) = column.encode(values, &mut self.zstd)?;
                        row_group.append_column(&pages, closed)?;
                    }
                    TopLevel::Nested(column) => {
                        for chunk in column.encode(values)? {
                            chunk.append_to_row_group(&mut row_group)?;
                        }
                    }
                }
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
    pub(crate) fn finish(self) -> Result<Encoded, ParquetError> {
        let statistics = self.statistics.json();
        self.end(statistics)
    }

    /// Writes the end of a file of a batch, with what its files say of it (see [`alluvium_core::footer`]).
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub(crate) fn finish_of_batch(mut self, batch: &str) -> Result<Encoded, ParquetError> {
        let statistics = self.statistics.json();
        for (key, value) in [(BATCH_KEY, batch), (STATS_KEY, &statistics)] {
            self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value.to_owned()));
        }
        self.end(statistics)
    }

    fn end(mut self, statistics: String) -> Result<Encoded, ParquetError> {
        self.file.finish()?;
        Ok(Encoded { rows: self.statistics.rows(), bytes: self.file.bytes_written() as u64, statistics })
    }
}

/// Where the columns that rows are sorted by stand among the leaves of the schema, and how they are compared.
fn sorting_columns(layout: &Layout, schema: &SchemaDescriptor) -> Vec<SortingColumn> {
    let leaf = |name: &String| {
        let mut leaves = schema.columns().iter();
        leaves.position(|column| column.path().parts().len() == 1 && column.name() == name)
    };
    let known = layout.sorted_by.iter().map_while(leaf);
    let SortOptions { descending, nulls_first } = ASCENDING;
    known.map(|leaf| SortingColumn { column_idx: leaf as i32, descending, nulls_first }).collect()
}

/// How each column of the RecordBatch is encoded.
fn columns(layout: &Layout, schema: &SchemaDescriptor) -> Result<Vec<TopLevel>, ParquetError> {
    let mut leaves = schema.columns().iter();
    let of = |field: &Arc<Field>| {
        if !column::is_flat(field.data_type()) {
            let nested = Nested::new(field, layout)?;
            leaves.by_ref().take(nested.leaves()).for_each(drop);
            return Ok(TopLevel::Nested(nested));
        }
        let name = field.name().as_str();
        let leaf = leaves.next().expect("a flat column is one leaf").clone();
        let told = if layout.is_silent(name) { Told::Nothing } else { Told::Bounds };
        let filtered = told == Told::Bounds && layout.bloom_filters.contains(name);
        let bloom = if filtered { Bloom::Filter } else { Bloom::None };
        let repeats = if DISTINCT.contains(&name) { Repeats::Never } else { Repeats::Perhaps };
        Ok(TopLevel::Flat(Column { leaf, told, bloom, repeats }))
    };
    layout.columns.fields().iter().map(of).collect()
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod measure;
#[cfg(test)]
mod tests;
