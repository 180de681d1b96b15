//! Rows as one Parquet file that any engine reads: DuckDB, Athena, Spark, pyarrow.
//!
//! An engine's results have types that others lack (views, dictionaries, times to the nanosecond, unsigned numbers). [`portable`] says which
//! type a column is written in. The same rows as CSV: [`csv`](crate::csv).

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, StringArray};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

/// A row group is closed when it takes so many bytes: what a writer holds in memory, about.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// Rows that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Two columns have one name, which engines refuse to read.
    #[error("two columns are called `{0}`; name one of them otherwise, with `as`")]
    SameName(String),
    /// A value cannot be written.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// The file cannot be written.
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

/// Writes rows as Parquet, compressed by zstd, block by block: a result of any size takes as much memory as one row group.
pub struct ParquetWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    columns: SchemaRef,
}

impl<W: Write + Send> std::fmt::Debug for ParquetWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl<W: Write + Send> ParquetWriter<W> {
    /// Begins a file for rows with these columns. `about` goes into its footer, as names and values.
    ///
    /// # Errors
    ///
    /// When two columns have one name, or Parquet has no type for one.
    pub fn new(output: W, columns: &Schema, about: &[(&str, String)]) -> Result<Self, ExportError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = columns.fields().iter().find(|field| !names.insert(field.name().as_str())) {
            return Err(ExportError::SameName(twice.name().clone()));
        }
        let fields: Vec<_> = columns.fields().iter().map(|field| portable_field(field)).collect();
        let columns = Arc::new(Schema::new(fields));
        let about = about.iter().map(|(name, value)| KeyValue::new((*name).to_owned(), value.clone())).collect();
        let properties = WriterProperties::builder()
            .set_created_by("alluvium".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(about))
            .build();
        // Arrow's own schema would have some readers give the types that a column had in Arrow.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        Ok(Self { writer: ArrowWriter::try_new_with_options(output, columns.clone(), options)?, columns })
    }

    /// Writes rows.
    ///
    /// # Errors
    ///
    /// When they have other columns, or the output takes no more.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ExportError> {
        let columns = rows.columns().iter().zip(self.columns.fields());
        let columns = columns.map(|(column, field)| as_portable(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        self.writer.write(&RecordBatch::try_new(self.columns.clone(), columns)?)?;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Ends the file and gives the output back.
    ///
    /// # Errors
    ///
    /// When the output takes no more.
    pub fn finish(self) -> Result<W, ExportError> {
        Ok(self.writer.into_inner()?)
    }
}

/// The type that a column of this type is written in.
///
/// | of | as |
/// |---|---|
/// | text and bytes of every kind, and nothing but nulls | text, bytes; text |
/// | unsigned numbers | the next larger signed one; 64 bits as `decimal(20, 0)` |
/// | times, of any unit | µs, UTC where they have a time zone |
/// | dictionaries and run-ends | what they stand for |
/// | objects and lists | the same of what they hold |
/// | intervals, durations, times of day, and what else there is | text |
pub fn portable(kind: &DataType) -> DataType {
    match kind {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8
        | DataType::Binary => kind.clone(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| Arc::from("UTC")))
        }
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, values) => portable(values),
        DataType::RunEndEncoded(_, values) => portable(values.data_type()),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| portable_field(field)).collect()),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            // Apache Parquet, "Logical Types": the items of a list are called so.
            DataType::List(Arc::new(Field::new("element", portable(item.data_type()), true)))
        }
        _ => DataType::Utf8,
    }
}

fn portable_field(field: &Field) -> FieldRef {
    // A first block without nulls says nothing of those behind it.
    Arc::new(Field::new(field.name(), portable(field.data_type()), true))
}

fn as_portable(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == kind {
        return Ok(Arc::clone(column));
    }
    if can_cast_types(column.data_type(), kind) {
        return cast(column, kind);
    }
    let options = FormatOptions::new();
    let shown = ArrayFormatter::try_new(column, &options)?;
    let text = |row| column.is_valid(row).then(|| shown.value(row).try_to_string()).transpose();
    let texts: Vec<Option<String>> = (0..column.len()).map(text).collect::<Result<_, _>>()?;
    cast(&(Arc::new(StringArray::from(texts)) as ArrayRef), kind)
}

#[cfg(test)]
mod tests;
