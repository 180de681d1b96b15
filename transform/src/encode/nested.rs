//! Columns of structs and lists, which go through the `parquet` crate's own writer.

use std::io::sink;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescriptor;

use super::chunk::ZSTD_LEVEL;
use super::layout::Layout;
use super::pages::{PAGE_BYTES, PAGE_ROWS};

/// What is known of a nested column before its values.
pub(super) struct Nested {
    field: Arc<Field>,
    leaves: usize,
    factory: ArrowRowGroupWriterFactory,
}

impl Nested {
    pub(super) fn new(field: &Arc<Field>, layout: &Layout) -> Result<Self, ParquetError> {
        let alone: SchemaRef = Arc::new(Schema::new(vec![field.clone()]));
        let schema = ArrowSchemaConverter::new().convert(&alone)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_data_page_size_limit(PAGE_BYTES)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_statistics_enabled(EnabledStatistics::Page);
        for leaf in schema.columns() {
            let path = leaf.path().clone();
            if layout.is_silent(&path.string()) {
                properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
            }
            // Where the crate's writer gives up its dictionary.
            properties = properties.set_column_encoding(path, without_dictionary(leaf));
        }
        // The writers of a column chunk come from a file; this one is never written.
        let file = SerializedFileWriter::new(sink(), schema.root_schema_ptr(), Arc::new(properties.build()))?;
        let factory = ArrowRowGroupWriterFactory::new(&file, alone);
        Ok(Self { field: field.clone(), leaves: schema.num_columns(), factory })
    }

    /// How many columns Parquet makes of it.
    pub(super) fn leaves(&self) -> usize {
        self.leaves
    }

    /// Encodes the column's values in one row group, leaf by leaf.
    pub(super) fn encode(&self, values: &ArrayRef) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let writers = self.factory.create_column_writers(0)?;
        let leaves = compute_leaves(&self.field, values)?;
        let encode = |(mut writer, leaf): (parquet::arrow::arrow_writer::ArrowColumnWriter, _)| {
            writer.write(&leaf)?;
            writer.close()
        };
        writers.into_iter().zip(leaves).map(encode).collect()
    }
}

fn without_dictionary(leaf: &ColumnDescriptor) -> Encoding {
    match leaf.physical_type() {
        Type::INT32 | Type::INT64 => Encoding::DELTA_BINARY_PACKED,
        Type::BYTE_ARRAY => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        _ => Encoding::PLAIN,
    }
}
