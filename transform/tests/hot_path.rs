//! `docs/hot-path.md`: the files and names that it leads a reader to are there, and its event becomes the row that it shows.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_core::{Datasets, DeliveryBatch, RecordIdentity, StreamRecord};
use alluvium_transform::{Transform, TransformSettings};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const PAGE: &str = include_str!("../../docs/hot-path.md");

/// Words in code that name a thing of ours, and where they may stand instead of `transform/src`.
const ELSEWHERE: [&str; 2] = ["core/src", "lake/src"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every text of the page in backticks that stands in a line of prose or of a table.
fn in_code() -> Vec<&'static str> {
    let mut fenced = false;
    let prose = PAGE.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && !line.starts_with("```")
    });
    prose.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The source text of a folder, without its tests.
fn source(folder: &Path) -> String {
    let mut text = String::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            text += &source(&path);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            text += &std::fs::read_to_string(&path).unwrap();
        }
    }
    text
}

#[test]
fn every_file_that_the_page_names_is_there() {
    let is_path = |word: &&str| word.ends_with(".rs") || word.ends_with(".md") || word.ends_with(".json");
    let named: Vec<&str> = in_code().into_iter().filter(is_path).collect();
    assert!(named.len() > 40, "the page names its files: {named:?}");
    let root = root();
    let folders = [root.join("transform/src"), root.join("transform"), root.clone()];
    let missing: Vec<&&str> =
        named.iter().filter(|name| !folders.iter().any(|folder| folder.join(name).is_file())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_function_and_type_that_the_page_names_is_there() {
    let root = root();
    let source = source(&root.join("transform/src")) + &ELSEWHERE.map(|folder| source(&root.join(folder))).concat();
    let defined = |name: &str| {
        let kinds = ["fn", "struct", "enum", "const", "mod", "type"];
        kinds.iter().any(|kind| {
            source.match_indices(&format!("{kind} {name}")).any(|(at, found)| {
                let next = source[at + found.len()..].chars().next();
                next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
            })
        })
    };
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let paths: Vec<&str> =
        in_code().into_iter().filter(|word| word.contains("::") && word.split("::").all(is_name)).collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths.iter().filter(|path| !path.starts_with("Cell::")) {
        for part in path.split("::") {
            assert!(defined(part), "`{path}`: no `{part}` in the code");
        }
    }
    let types =
        in_code().into_iter().filter(|word| is_name(word) && word.starts_with(|c: char| c.is_ascii_uppercase()));
    let types: Vec<&str> = types.filter(|word| *word != "Cel").collect();
    assert!(types.len() > 10, "{types:?}");
    for name in types {
        assert!(defined(name), "no `{name}` in the code");
    }
}

/// The row that the page's event becomes.
fn row() -> RecordBatch {
    let event = PAGE.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    // Lines would be elements of their own.
    let data = event.replace('\n', "").into_bytes();
    let record = StreamRecord {
        identity: RecordIdentity::of_direct_put("1"),
        arrival: 1_769_860_900_000_000,
        partition_key: String::new(),
        data: data.into(),
    };
    let datasets = Arc::new(Datasets::load(None, Some("telemetry")).unwrap());
    let transform = Transform::new(datasets, TransformSettings::default()).unwrap();
    let output = transform.run(&DeliveryBatch { records: vec![record] }).unwrap();
    assert_eq!(output.files.len(), 1);
    let reader = ParquetRecordBatchReaderBuilder::try_new(output.files[0].bytes.clone()).unwrap().build().unwrap();
    reader.map(Result::unwrap).next().unwrap()
}

#[test]
fn the_event_of_the_page_becomes_the_row_of_the_page() {
    let row = row();
    let shown = |name: &str| {
        let column = row.column_by_name(name).unwrap();
        if column.is_null(0) {
            return "null".to_owned();
        }
        match column.data_type() {
            DataType::Utf8 => format!("`{}`", column.as_string::<i32>().value(0)),
            DataType::Float64 => column.as_primitive::<Float64Type>().value(0).to_string(),
            DataType::Timestamp(..) => {
                let micros = column.as_primitive::<TimestampMicrosecondType>().value(0);
                let time = jiff::Timestamp::from_microsecond(micros).unwrap();
                format!("{} UTC", time.strftime("%Y-%m-%d %H:%M:%S%.f"))
            }
            _ => {
                let days = column.as_primitive::<arrow::datatypes::Date32Type>().value(0);
                jiff::Timestamp::from_second(i64::from(days) * 86_400).unwrap().strftime("%Y-%m-%d").to_string()
            }
        }
    };
    let mut lines = PAGE.lines().skip_while(|line| !line.starts_with("| event_id |"));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    let (names, values) = (cells(lines.next().unwrap()), cells(lines.nth(1).unwrap()));
    assert_eq!(names.len(), 10);
    for (name, value) in names.into_iter().zip(values).filter(|(name, _)| *name != "…") {
        assert_eq!(shown(name), value, "{name}");
    }
}
