#![allow(clippy::unwrap_used)]

mod inferred;

use alluvium_core::Datasets;
use arrow::array::AsArray;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::encode::ROW_GROUP_ROWS;

const ARRIVAL: Micros = 1_700_000_000_000_000;

fn telemetry() -> Arc<Dataset> {
    Datasets::load(None, None).unwrap().get("telemetry").unwrap().clone()
}

fn converted(input: &[u8], settings: &TransformSettings) -> (ConvertReport, Bytes) {
    let mut output = Vec::new();
    let report = convert(input, &telemetry(), settings, ARRIVAL, &mut output).unwrap();
    (report, output.into())
}

fn ids(file: &Bytes) -> Vec<String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    batches.iter().flat_map(|rows| rows.column(0).as_string::<i32>().iter().flatten().map(str::to_owned)).collect()
}

#[test]
fn lines_become_rows_and_the_report_says_what_did_not() {
    let input = "{\"id\":\"a\",\"value\":1}\n\n  \r\nnot json\n{\"id\":\"b\",\"value\":\"2\"}\r\n[1]\n{\"id\":\"c\"}\n{\"id\":\"d\",\"value\":4}";
    let (report, file) = converted(input.as_bytes(), &TransformSettings::default());
    assert_eq!((report.received, report.rows, report.dead(), report.bytes), (6, 3, 3, input.len() as u64));
    let lines: Vec<_> = report.first_dead.iter().map(|dead| (dead.line, dead.reason)).collect();
    use ReasonCode::{NotAnObject, NotJson, RequiredMissing};
    assert_eq!(lines, [(4, NotJson), (6, NotAnObject), (7, RequiredMissing)]);
    assert_eq!(ids(&file), ["a", "b", "d"]);
}

#[test]
fn the_same_file_gives_the_same_bytes_and_ids_of_its_own() {
    let input = b"{\"value\":1}\n{\"value\":1}\n";
    let (_, file) = converted(input, &TransformSettings::default());
    assert_eq!(converted(input, &TransformSettings::default()).1, file);
    let ids = ids(&file);
    assert_ne!(ids[0], ids[1], "two lines are two events");
    let (_, other) = converted(b"{\"value\":2}\n", &TransformSettings::default());
    assert!(!ids.contains(&self::ids(&other)[0]));
}

#[test]
fn a_file_without_rows_still_has_its_columns() {
    for input in [&b""[..], b"\n\n", b"nonsense"] {
        let (report, file) = converted(input, &TransformSettings::default());
        assert_eq!(report.rows, 0);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!(builder.schema().fields(), telemetry().columns().fields());
        assert_eq!(builder.metadata().file_metadata().num_rows(), 0);
    }
}

#[test]
fn a_line_past_the_limit_is_dead_and_the_next_is_read() {
    let settings = TransformSettings { event_bytes: 40, ..TransformSettings::default() };
    let exact = format!("{{\"id\":\"{}\",\"value\":1}}", "x".repeat(21));
    assert_eq!(exact.len(), 40);
    let over = format!("{{\"id\":\"{}\",\"value\":1}}", "x".repeat(22));
    let huge = "y".repeat(1 << 20);
    let input = format!("{exact}\n{over}\n{huge}\n{exact}\r\n{{\"id\":\"z\",\"value\":1}}");
    let (report, file) = converted(input.as_bytes(), &settings);
    assert_eq!((report.rows, report.dead_by_reason[&ReasonCode::TooLarge]), (3, 2));
    assert!(report.first_dead[1].detail.contains("1048577 bytes"), "{}", report.first_dead[1].detail);
    assert_eq!(ids(&file).len(), 3);
}

/// The source and the id of every row, in the order of the file.
fn places(file: &Bytes) -> Vec<(String, usize)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
    let of_batch = |rows: arrow::array::RecordBatch| {
        let (ids, sources) = (rows.column(0).as_string::<i32>().clone(), rows.column(1).as_string::<i32>().clone());
        (0..rows.num_rows()).map(move |row| (sources.value(row).to_owned(), ids.value(row).parse().unwrap()))
    };
    reader.map(Result::unwrap).flat_map(of_batch).collect()
}

fn group_rows(file: &Bytes) -> Vec<i64> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    builder.metadata().row_groups().iter().map(|group| group.num_rows()).collect()
}

#[test]
fn rows_are_sorted_over_the_whole_file() {
    let rows = ROW_GROUP_ROWS + 10;
    let line = |n: usize| format!("{{\"id\":{n},\"source\":\"s{}\",\"time\":{},\"value\":1}}\n", n % 7, rows - n);
    let input: String = (0..rows).map(line).collect();
    let (report, file) = converted(input.as_bytes(), &TransformSettings::default());
    assert_eq!(report.rows, rows as u64);
    assert_eq!(group_rows(&file), [ROW_GROUP_ROWS as i64, 10]);
    let mut expected: Vec<(String, usize)> = (0..rows).rev().map(|n| (format!("s{}", n % 7), n)).collect();
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(places(&file), expected);
}

#[test]
fn past_the_limit_rows_are_sorted_run_by_run() {
    let settings = TransformSettings { sort_bytes: 100_000, ..TransformSettings::default() };
    let line = |n: usize| format!("{{\"id\":{n},\"source\":\"s{}\",\"value\":1}}\n", n % 7);
    let input: String = (0..5000).map(line).collect();
    let (report, file) = converted(input.as_bytes(), &settings);
    assert_eq!(report.rows, 5000);
    let (groups, found) = (group_rows(&file), places(&file));
    assert!(groups.len() > 2, "{groups:?}");
    let mut start = 0;
    for rows in groups {
        let run = &found[start..start + rows as usize];
        start += rows as usize;
        assert!(run.is_sorted_by_key(|(source, id)| (source, id.to_string())), "equal times go by id, a text");
    }
    let mut ids: Vec<usize> = found.into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..5000));
}

#[test]
fn an_input_that_cannot_be_read_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the cable is out"))
        }
    }
    let input = (&b"{\"value\":1}\n"[..]).chain(Broken);
    let error = convert(input, &telemetry(), &TransformSettings::default(), ARRIVAL, Vec::new()).unwrap_err();
    assert!(error.to_string().contains("after line 1: the cable is out"), "{error}");
}

#[test]
fn an_order_that_the_dataset_declares_holds_over_the_whole_file_or_run_by_run() {
    let schema = r#"{"properties": {"room": {"type": "string"}}, "x-alluvium": {"sort": ["room"]}}"#;
    let name = alluvium_core::DatasetName::new("rooms").unwrap();
    let dataset = Arc::new(Dataset::from_schema(name, schema).unwrap());
    let line = |n: usize| format!("{{\"id\":{n},\"source\":\"s{}\",\"room\":\"r{}\"}}\n", n % 7, n % 5);
    let input: String = (0..5000).map(line).collect();
    for (sort_bytes, runs) in [(usize::MAX, 1..2), (100_000, 3..50)] {
        let settings = TransformSettings { sort_bytes, ..TransformSettings::default() };
        let mut file = Vec::new();
        let report = convert(input.as_bytes(), &dataset, &settings, ARRIVAL, &mut file).unwrap();
        assert_eq!(report.rows, 5000);
        let (file, mut start) = (Bytes::from(file), 0);
        let (groups, found) = (group_rows(&file), places(&file));
        assert!(runs.contains(&groups.len()), "{groups:?}");
        for rows in groups {
            let run = &found[start..start + rows as usize];
            start += rows as usize;
            let key = |(source, id): &(String, usize)| (format!("r{}", id % 5), source.clone(), id.to_string());
            assert!(run.is_sorted_by_key(key));
        }
        let mut ids: Vec<usize> = found.into_iter().map(|(_, id)| id).collect();
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..5000));
    }
}
