#![allow(clippy::unwrap_used)]

use alluvium_core::Datasets;
use arrow::array::AsArray;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

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

#[test]
fn row_groups_bound_what_is_held_and_each_is_sorted() {
    let rows = ROW_GROUP_ROWS + 10;
    let input: String = (0..rows).map(|n| format!("{{\"id\":{n},\"source\":\"s{}\",\"value\":1}}\n", n % 7)).collect();
    let (report, file) = converted(input.as_bytes(), &TransformSettings::default());
    assert_eq!(report.rows, rows as u64);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let groups: Vec<_> = builder.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [ROW_GROUP_ROWS as i64, 10]);
    let mut found: Vec<usize> = ids(&file).iter().map(|id| id.parse().unwrap()).collect();
    found.sort_unstable();
    assert!(found.into_iter().eq(0..rows));
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
