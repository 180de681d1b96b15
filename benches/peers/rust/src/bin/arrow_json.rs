//! The peer in Rust: what one writes with the crates arrow-json and parquet, and no further code.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use alluvium_peers::Measured;
use arrow::array::{ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::json::ReaderBuilder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::json;

/// The level that every tool is given.
const ZSTD_LEVEL: i32 = 1;
/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8 * 1024;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [events, output] = &arguments[..] else {
        anyhow::bail!("usage: arrow_json EVENTS OUTPUT");
    };
    let measured = Measured::start()?;
    let schema = event_schema();
    let input = BufReader::with_capacity(1024 * 1024, File::open(events)?);
    let reader = ReaderBuilder::new(schema.clone()).with_batch_size(BATCH_ROWS).build(input)?;
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    let rows = flat(&concat_batches(&schema, &batches)?)?;
    drop(batches);
    let sorted = sorted(&rows)?;
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?)).build();
    let mut writer = ArrowWriter::try_new(File::create(output)?, sorted.schema(), Some(properties))?;
    writer.write(&sorted)?;
    writer.close()?;
    measured.report(json!({"version": arrow::ARROW_VERSION}))
}

/// An event as it is in the file.
fn event_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Float64, true);
    let data = Fields::from(vec![
        number("value"),
        text("unit"),
        number("battery"),
        text("status"),
        number("lat"),
        number("lon"),
        text("firmware"),
    ]);
    // The name "UTC" would need a database of time zones.
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    Arc::new(Schema::new(vec![
        text("id"),
        text("source"),
        text("type"),
        Field::new("time", time, true),
        Field::new("data", DataType::Struct(data), true),
    ]))
}

/// The same rows with the fields of `data` as columns of their own.
fn flat(events: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let named = ["event_id", "source", "type", "event_time"].into_iter().zip(events.columns());
    let data: &StructArray = events.column(4).as_struct();
    let fields = data.column_names().into_iter().zip(data.columns());
    let columns = named.chain(fields).map(|(name, column)| (name, column.clone(), true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The rows by source and time.
fn sorted(rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let key = |column: usize| SortColumn { values: rows.column(column).clone(), options: None };
    let order = lexsort_to_indices(&[key(1), key(3)], None)?;
    let columns = rows.columns().iter().map(|column| take(column, &order, None));
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}
