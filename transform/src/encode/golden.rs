//! The golden files: what a data file says of itself, held to a committed description.
//!
//! `testdata/golden/NAME.parquet` is a file as it was written once, `NAME.txt` its description: schema, encodings,
//! pages, row groups, order, statistics, bloom filters and page index, but no bytes, which another version of zstd may
//! change. A file that is written today must have the same description, and the committed one must still have the same
//! rows. After a change that is meant, `ALLUVIUM_BLESS=1 cargo test -p alluvium-transform golden` writes both anew.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod describe;
pub(super) mod rows;

use std::fs;
use std::path::PathBuf;

use alluvium_core::{BatchFooter, BatchIdentity, Dataset, DatasetName, Datasets, RecordIdentity, ShardId};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{FileWriter, Layout};

const NESTED: &str = r#"{
    "type": "object",
    "properties": {
        "room": {"type": "string"},
        "position": {
            "type": "object",
            "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}, "floor": {"type": "integer"}}
        },
        "samples": {"type": "array", "items": {"type": "number"}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "alarms": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "code": {"type": "string"},
                    "since": {"type": "string", "format": "date-time"},
                    "open": {"type": "boolean"}
                }
            }
        },
        "count": {"type": "integer"},
        "on": {"type": "boolean"},
        "installed": {"type": "string", "format": "date"}
    }
}"#;

fn telemetry() -> Layout {
    Layout::of(Datasets::load(None, None).unwrap().get("telemetry").unwrap())
}

fn nested() -> Layout {
    Layout::of(&Dataset::from_schema(DatasetName::new("rooms").unwrap(), NESTED).unwrap())
}

/// Asserts that a file of these row groups is as it was.
fn assert_golden(name: &str, layout: &Layout, row_groups: &[RecordBatch]) {
    let mut file = Vec::new();
    let mut writer = FileWriter::new(&mut file, layout).unwrap();
    for rows in row_groups {
        writer.write_row_group(rows).unwrap();
    }
    let record = RecordIdentity { shard: ShardId::numbered(0), sequence: 1.into(), subsequence: 0 };
    let footer = BatchFooter::new(BatchIdentity::of([&record]), Vec::new(), vec!["golden".to_owned()], &[]);
    let encoded = writer.finish_of_batch(&footer.encode()).unwrap();
    let file = Bytes::from(file);
    let described = format!("{}delta statistics: {}\n", describe::file(&file), encoded.statistics);

    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden"));
    let (data, description) = (folder.join(format!("{name}.parquet")), folder.join(format!("{name}.txt")));
    if std::env::var_os("ALLUVIUM_BLESS").is_some() {
        fs::write(&data, &file).unwrap();
        fs::write(&description, &described).unwrap();
    }
    let expected = fs::read_to_string(&description).unwrap();
    for (line, (found, expected)) in described.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of {}", line + 1, description.display());
    }
    assert_eq!(described.lines().count(), expected.lines().count(), "{}", description.display());

    let golden = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(fs::read(&data).unwrap())).unwrap();
    let golden: Vec<RecordBatch> = golden.build().unwrap().map(Result::unwrap).collect();
    let all = |batches: &[RecordBatch]| concat_batches(&layout.columns, batches).unwrap();
    assert_eq!(all(&golden), all(row_groups), "{}", data.display());
}

#[test]
fn golden_flat_columns() {
    let layout = telemetry();
    assert_golden("flat", &layout, &[rows::made(&layout.columns, 0..400)]);
}

#[test]
fn golden_several_row_groups() {
    let layout = telemetry();
    let row_groups = [0..150, 150..151, 151..300].map(|range| rows::made(&layout.columns, range));
    assert_golden("row-groups", &layout, &row_groups);
}

#[test]
fn golden_several_pages() {
    let layout = telemetry();
    let (wanted, all) = (["source", "event_time", "status", "value"], rows::made(&layout.columns, 0..25_000));
    let places: Vec<usize> = wanted.iter().map(|name| layout.columns.index_of(name).unwrap()).collect();
    let rows = all.project(&places).unwrap();
    assert_golden("pages", &Layout { columns: rows.schema(), ..layout }, &[rows]);
}

#[test]
fn golden_nested_columns() {
    let layout = nested();
    assert_golden("nested", &layout, &[rows::made(&layout.columns, 0..200)]);
}

#[test]
fn golden_columns_of_nulls() {
    for (name, layout) in [("nulls-flat", telemetry()), ("nulls-nested", nested())] {
        assert_golden(name, &layout, &[rows::without_values(&layout.columns, 0..30)]);
    }
}

#[test]
fn golden_no_rows() {
    assert_golden("empty", &telemetry(), &[]);
}

#[test]
fn golden_dead_letters() {
    let layout = Layout::dead_letters();
    assert_golden("dead-letters", &layout, &[rows::made(&layout.columns, 0..60)]);
}
