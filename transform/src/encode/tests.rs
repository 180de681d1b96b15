#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::{Dataset, DatasetName, Datasets};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::UInt32Type;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ConvertedType, Encoding, LogicalType, TimeUnit};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::*;
use crate::draft::Draft;
use crate::judge::judge;
use crate::plan::Plan;
use crate::rows::{Rows, SortedRows};
use crate::scan::scan_event;
use crate::sources::Sources;
use crate::tape::Tape;

/// What is told of the batch; the file's writer looks at it no further.
const BATCH: &str = "{\"version\":1}";
const ARRIVAL: i64 = 1_700_000_000_000_000;

/// Sorted rows of the dataset `telemetry`, made of these events.
fn telemetry(events: impl IntoIterator<Item = String>) -> RecordBatch {
    plain(&sorted(events).batch)
}

/// The rows with the columns that the dataset declares, without dictionaries.
fn plain(rows: &RecordBatch) -> RecordBatch {
    let datasets = Datasets::load(None, None).unwrap();
    let schema = datasets.get("telemetry").unwrap().columns();
    let columns = schema.fields().iter().zip(rows.columns());
    let columns = columns.map(|(field, column)| cast(column, field.data_type()).unwrap()).collect();
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

fn sorted(events: impl IntoIterator<Item = String>) -> SortedRows {
    let datasets = Datasets::load(None, None).unwrap();
    let dataset = datasets.get("telemetry").unwrap();
    let (plan, mut rows) = (Plan::compile(dataset, None).unwrap(), Rows::new(dataset));
    let (mut tape, mut draft, mut sources) = (Tape::default(), Draft::default(), Sources::default());
    let owner = sources.owner("anna");
    for event in events {
        scan_event(&event, 64, &mut tape).unwrap();
        judge(&mut draft, &plan, &event, &tape, ARRIVAL).unwrap();
        let id = draft.resolve(&event, draft.id.unwrap()).to_owned();
        let source = sources.source(owner, draft.resolve(&event, draft.source.unwrap()));
        rows.push(&draft, &event, &id, ARRIVAL);
        rows.push_source(source);
    }
    rows.sort(&sources).unwrap()
}

fn many() -> RecordBatch {
    telemetry((0..5000_u64).map(|n| {
        let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!(
            r#"{{"id":"{mixed:016x}","source":"pump-{}","type":"reading","time":{},"value":{}.5,"lat":0.{mixed},"status":"ok","note":{n}}}"#,
            mixed % 20,
            1_699_990_000 + mixed % 10_000,
            mixed % 50,
        )
    }))
}

fn data_file(rows: &RecordBatch) -> Result<Bytes, ParquetError> {
    let datasets = Datasets::load(None, None).unwrap();
    let layout = Layout::of(datasets.get("telemetry").unwrap());
    let mut bytes = Vec::new();
    let mut file = FileWriter::new(&mut bytes, &layout)?;
    file.write_row_group(rows)?;
    let encoded = file.finish_of_batch(BATCH)?;
    assert_eq!((encoded.rows, encoded.bytes), (rows.num_rows() as u64, bytes.len() as u64));
    Ok(bytes.into())
}

fn metadata(file: &Bytes) -> Arc<ParquetMetaData> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    ArrowReaderMetadata::load(file, options).unwrap().metadata().clone()
}

fn column<'a>(metadata: &'a ParquetMetaData, name: &str) -> &'a parquet::file::metadata::ColumnChunkMetaData {
    let columns = metadata.row_group(0).columns();
    columns.iter().find(|column| column.column_path().string() == name).unwrap()
}

#[test]
fn a_file_reads_back_with_the_same_columns_and_rows() {
    let rows = many();
    let file = data_file(&rows).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().with_batch_size(10_000).build().unwrap();
    let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0], rows);
    assert_eq!(read[0].schema_ref(), rows.schema_ref());
}

#[test]
fn a_column_that_is_a_dictionary_gives_the_same_bytes() {
    // Sources: few, many, and too many to pay; statuses: some missing, none at all; units: none.
    for (sources, statuses) in [(3, 2), (900, 5), (4000, 900), (3000, 0)] {
        let sorted = sorted((0..6000_u64).map(|n| {
            let drawn = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            let status = match drawn % (statuses + 1) {
                0 => "null".to_owned(),
                status => format!(r#""status number {status}""#),
            };
            format!(r#"{{"id":"{n}","source":"pump-{}","time":{n},"value":1,"status":{status}}}"#, drawn % sources)
        }));
        let plain = plain(&sorted.batch);
        assert!(plain.columns().iter().all(|column| column.as_dictionary_opt::<UInt32Type>().is_none()));
        let dictionaries =
            sorted.batch.columns().iter().filter(|column| column.as_dictionary_opt::<UInt32Type>().is_some());
        assert!(dictionaries.count() >= 3, "source, type and owner at least");
        let of = |rows: &RecordBatch| {
            let mut statistics = FileStatistics::new(&Layout::with_columns(plain.schema()));
            statistics.add(rows);
            (statistics.json(), data_file(rows).unwrap())
        };
        assert!(of(&sorted.batch) == of(&plain), "{sources} sources, {statuses} statuses");
    }
}

#[test]
fn rows_are_sorted_by_source_time_and_id() {
    let event = |id: &str, source: &str, time: &str| {
        format!(r#"{{"id":"{id}","source":"{source}","time":"{time}","value":1}}"#)
    };
    let rows = telemetry([
        event("b", "two", "2023-11-01"),
        event("z", "one", "1969-12-31"),
        event("a", "two", "2023-11-01"),
        event("y", "one", "2023-11-02"),
        event("x", "one", "1970-01-01"),
    ]);
    let ids: Vec<_> = rows.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(ids, ["z", "x", "y", "a", "b"]);
    assert_eq!(rows.column_by_name("source").unwrap().as_string::<i32>().value(4), "two");
}

#[test]
fn times_are_utc_microseconds_for_every_reader() {
    let metadata = metadata(&data_file(&many()).unwrap());
    let time = column(&metadata, "event_time").column_descr().logical_type_ref().cloned();
    let utc_micros =
        LogicalType::Timestamp(parquet::basic::TimestampType { is_adjusted_to_u_t_c: true, unit: TimeUnit::MICROS });
    assert_eq!(time, Some(utc_micros));
    assert_eq!(column(&metadata, "event_date").column_descr().converted_type(), ConvertedType::DATE);
}

#[test]
fn encodings_follow_the_columns() {
    let metadata = metadata(&data_file(&many()).unwrap());
    let has = |name: &str, encoding: Encoding| column(&metadata, name).encodings().any(|used| used == encoding);
    assert!(has("event_time", Encoding::DELTA_BINARY_PACKED));
    assert!(!has("event_id", Encoding::RLE_DICTIONARY), "ids do not repeat");
    assert!(!has("lat", Encoding::RLE_DICTIONARY), "numbers that do not repeat");
    assert!(has("event_id", Encoding::DELTA_LENGTH_BYTE_ARRAY));
    for repeating in ["source", "type", "owner", "status", "value", "ingest_time"] {
        assert!(has(repeating, Encoding::RLE_DICTIONARY), "{repeating}");
    }
    let all = metadata.row_group(0).columns();
    assert!(all.iter().all(|column| matches!(column.compression(), Compression::ZSTD(_))));
}

#[test]
fn the_footer_names_the_batch_the_columns_and_the_order_and_no_time() {
    let rows = many();
    let metadata = metadata(&data_file(&rows).unwrap());
    let file = metadata.file_metadata();
    let pairs: Vec<_> = file
        .key_value_metadata()
        .unwrap()
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.clone().unwrap()))
        .collect();
    let mut statistics = FileStatistics::new(&Layout::with_columns(rows.schema()));
    statistics.add(&rows);
    let expected = [
        ("alluvium.schema", fingerprint(rows.schema_ref())),
        ("alluvium.batch", BATCH.to_owned()),
        ("alluvium.stats", statistics.json()),
    ];
    assert_eq!(pairs, expected);
    assert_eq!(file.created_by(), Some("alluvium"));
    let sorted: Vec<_> = metadata.row_group(0).sorting_columns().unwrap().iter().map(|by| by.column_idx).collect();
    assert_eq!(sorted, [1, 3]);
}

#[test]
fn the_page_index_has_statistics_of_what_is_filtered_by() {
    let metadata = metadata(&data_file(&many()).unwrap());
    assert!(metadata.offset_index().is_some() && metadata.column_index().is_some());
    let source = column(&metadata, "source").statistics().unwrap();
    assert_eq!((source.min_bytes_opt(), source.max_bytes_opt()), (Some(&b"pump-0"[..]), Some(&b"pump-9"[..])));
    assert_eq!(column(&metadata, "battery").statistics().unwrap().null_count_opt(), Some(5000));
    for silent in ["owner", "extra"] {
        assert!(column(&metadata, silent).statistics().is_none(), "{silent}");
        assert!(column(&metadata, silent).column_index_offset().is_none(), "{silent}");
    }
}

#[test]
fn nothing_is_told_of_owners_pseudonyms_and_what_was_not_declared() {
    let schema = r#"{
        "type": "object",
        "properties": {
            "user": {"type": "string"},
            "level": {"type": "number"},
            "person": {
                "type": "object",
                "properties": {"email": {"type": "string"}, "age": {"type": "integer"}}
            }
        },
        "x-alluvium": {"pseudonymise": ["user", "person.email"]}
    }"#;
    let dataset = Dataset::from_schema(DatasetName::new("persons").unwrap(), schema).unwrap();
    let layout =
        Layout { bloom_filters: ["source", "user"].map(str::to_owned).into_iter().collect(), ..Layout::of(&dataset) };
    let rows = golden::rows::made(&layout.columns, 0..300);
    let mut bytes = Vec::new();
    let mut file = FileWriter::new(&mut bytes, &layout).unwrap();
    file.write_row_group(&rows).unwrap();
    let told_by_the_log = file.finish().unwrap().statistics;
    let metadata = metadata(&bytes.into());
    for silent in ["owner", "extra", "user", "person.email"] {
        let column = column(&metadata, silent);
        assert!(column.statistics().is_none(), "{silent}");
        assert!(column.column_index_offset().is_none(), "{silent}");
        assert!(column.bloom_filter_offset().is_none(), "{silent}");
        assert!(!told_by_the_log.contains(&format!("\"{silent}\"")), "{silent}: {told_by_the_log}");
    }
    for told in ["source", "level", "person.age"] {
        assert!(column(&metadata, told).statistics().is_some(), "{told}");
    }
    assert!(column(&metadata, "source").bloom_filter_offset().is_some());
    assert!(told_by_the_log.contains("\"level\""));
}

#[test]
fn bloom_filters_stand_where_the_dataset_wants_them_and_know_their_values() {
    let schema = r#"{"properties": {"room": {"type": "string"}, "note": {"type": "string"}},
        "x-alluvium": {"bloom_filters": ["event_id", "room"]}}"#;
    let dataset = Dataset::from_schema(DatasetName::new("rooms").unwrap(), schema).unwrap();
    let layout = Layout::of(&dataset);
    let rows = golden::rows::made(&layout.columns, 0..300);
    let mut bytes = Vec::new();
    let mut file = FileWriter::new(&mut bytes, &layout).unwrap();
    file.write_row_group(&rows).unwrap();
    file.finish().unwrap();
    let file = Bytes::from(bytes);
    let metadata = metadata(&file);
    for (name, filtered) in [("event_id", true), ("source", true), ("room", true), ("note", false), ("type", false)] {
        let column = column(&metadata, name);
        let filter = parquet::bloom_filter::Sbbf::read_from_column_chunk(column, &file).unwrap();
        assert_eq!(filter.is_some(), filtered, "{name}");
        let Some(filter) = filter else { continue };
        let values = rows.column_by_name(name).unwrap().as_string::<i32>();
        assert!(values.iter().flatten().all(|value| filter.check(value)), "{name}");
        let strangers = (0..1000).filter(|n| filter.check(format!("stranger {n}").as_str())).count();
        assert!(strangers < 50, "{name}: {strangers} of 1000");
    }
}
