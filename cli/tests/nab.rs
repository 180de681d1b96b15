//! Real input: 31 device time series, replayed into a running node, twice.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use support::{Node, number, sql, succeed};

const READINGS: i64 = 152_965;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/nab");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    files.sort();
    files
}

/// Lines after the header that hold anything, counted without our reader.
fn readings_in(path: &Path) -> i64 {
    let text = std::fs::read_to_string(path).unwrap();
    text.split(['\r', '\n']).filter(|line| !line.is_empty()).count() as i64 - 1
}

#[test]
fn every_reading_of_31_devices_is_in_the_lake_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let files = files();
    assert_eq!(files.len(), 31);
    let mut args = vec!["--json".to_owned(), "replay".to_owned(), "--data".to_owned(), data.display().to_string()];
    args.extend(files.iter().map(|path| path.display().to_string()));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let report: serde_json::Value = serde_json::from_str(&succeed(&args)).unwrap();
    assert_eq!(report["accepted"], READINGS);
    node.stop();

    let counts: BTreeMap<String, i64> = sql(&data, "select source, count(*) as n from telemetry group by source")
        .iter()
        .map(|row| (row["source"].as_str().unwrap().to_owned(), row["n"].as_i64().unwrap()))
        .collect();
    let wanted: BTreeMap<String, i64> =
        files.iter().map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), readings_in(path))).collect();
    assert_eq!(counts, wanted);
    assert_eq!(counts.values().sum::<i64>(), READINGS);
    let range = &sql(&data, "select min(event_date) as first, max(event_date) as last from telemetry")[0];
    assert_eq!((range["first"].as_str(), range["last"].as_str()), (Some("2013-07-04"), Some("2015-09-17")));

    let audit: serde_json::Value =
        serde_json::from_str(&succeed(&["--json", "audit", "--data", data.to_str().unwrap()])).unwrap();
    assert_eq!(audit["balances"], true, "{audit:#}");
    let parquet = std::fs::read_dir(data.join("lake/telemetry")).unwrap();
    let parquet = parquet.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "parquet"));
    let written = parquet.count();
    assert!(written <= 20, "{written} data files: a handful, not one per date");

    // A replay is a retry: ids are derived from file and line.
    let node = Node::start(&data);
    let to = node.url();
    let again: Vec<&str> = args.iter().map(|arg| if arg.starts_with("http://") { to.as_str() } else { arg }).collect();
    succeed(&again);
    node.stop();
    assert_eq!(number(&data, "select count(*) from telemetry"), READINGS);
    assert_eq!(number(&data, "select count(*) from telemetry_raw"), 2 * READINGS);
    succeed(&["audit", "--data", data.to_str().unwrap()]);
}
