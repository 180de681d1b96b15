use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::*;

fn folder_of(files: &[(&str, &str)]) -> (TempDir, Vec<PathBuf>) {
    let folder = TempDir::new().unwrap();
    let paths = files.iter().map(|(name, content)| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    });
    let paths = paths.collect();
    (folder, paths)
}

fn replayed(paths: &[PathBuf], settings: &ReplaySettings) -> Result<Vec<(String, Option<i64>)>, IngestError> {
    let mut replay = Replay::open(paths, settings)?;
    let mut events = Vec::new();
    loop {
        let mut event = Vec::new();
        match replay.next_into(&mut event)? {
            Some(written) => events.push((String::from_utf8(event).unwrap(), written.at)),
            None => return Ok(events),
        }
    }
}

fn texts(files: &[(&str, &str)], settings: &ReplaySettings) -> Vec<String> {
    let (_folder, paths) = folder_of(files);
    replayed(&paths, settings).unwrap().into_iter().map(|(text, _)| text).collect()
}

fn error(files: &[(&str, &str)], settings: &ReplaySettings) -> String {
    let (folder, paths) = folder_of(files);
    let text = replayed(&paths, settings).unwrap_err().to_string();
    text.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_row_is_an_event_whatever_its_line_end() {
    let csv = "timestamp,value\r\n2015-07-10 14:24:00,564\n2015-07-10 14:24:00,564\r\n2015-07-09 00:00:00,n/a";
    assert_eq!(
        texts(&[("speed_1.csv", csv)], &ReplaySettings::default()),
        [
            r#"{"id":"speed_1:2","source":"speed_1","type":"reading","time":"2015-07-10T14:24:00Z","data":{"value":564}}"#,
            r#"{"id":"speed_1:3","source":"speed_1","type":"reading","time":"2015-07-10T14:24:00Z","data":{"value":564}}"#,
            r#"{"id":"speed_1:4","source":"speed_1","type":"reading","time":"2015-07-09T00:00:00Z","data":{"value":"n/a"}}"#,
        ]
    );
}

#[test]
fn cells_are_numbers_as_they_stand_or_texts_or_nothing() {
    let csv = "ts,a b,c\n1,51.846000000000004,1e999\n2,-0,+1\n3,NaN,\"x,\"\"y\n\"\n4,,007\n5,true, 2.50 \n";
    let data: Vec<String> = texts(&[("x.csv", csv)], &ReplaySettings::default())
        .iter()
        .map(|event| event.split_once("\"data\":").unwrap().1.trim_end_matches('}').to_owned())
        .collect();
    assert_eq!(
        data,
        [
            r#"{"a b":51.846000000000004,"c":"1e999""#,
            r#"{"a b":-0,"c":"+1""#,
            r#"{"a b":"NaN","c":"x,\"y\n""#,
            r#"{"c":"007""#,
            r#"{"a b":"true","c":2.50"#,
        ]
    );
}

#[test]
fn columns_type_source_and_delimiter_can_be_named() {
    let settings = ReplaySettings {
        time_column: Some("when".into()),
        value_columns: vec!["v".into()],
        delimiter: b';',
        event_type: "telemetry".into(),
        source: Some("the \"roof\"".into()),
        ..ReplaySettings::default()
    };
    let csv = "\u{FEFF}v;time;when\n1;x;2015-07-10T16:24:00+02:00\n";
    assert_eq!(
        texts(&[("a.CSV", csv)], &settings),
        [r#"{"id":"a:2","source":"the \"roof\"","type":"telemetry","time":"2015-07-10T14:24:00Z","data":{"v":1}}"#]
    );
}

#[test]
fn what_cannot_be_replayed_is_named_with_file_line_and_column() {
    let endless = format!("ts,v\n1,\"{}", "x\n".repeat(2_000_000));
    let long = format!("{{}}\n{}\n", "x".repeat(2_000_000));
    let cases: [(&str, &str, &str); 12] = [
        ("a.csv", "", "a.csv:1:1: the file is empty"),
        ("a.csv", "when,v\n1,2\n", "a.csv:1:1: no column is named like a time"),
        ("a.csv", "v,ts\n1,1\n2,soon\n", "a.csv:3:2: `soon` is no time; expected `2015-07-10 14:24:00` (UTC)"),
        ("a.csv", "ts,v\n1,2\n2\n", "a.csv:3:2: the row has 1 cells, the header 2"),
        ("a.csv", "ts,v\n1,2,3\n", "a.csv:2:4: the row has 3 cells, the header 2"),
        ("a.csv", "ts,v\r\n1,1\r\n\r\n\r\nsoon,1\r\n", "a.csv:5:1: `soon` is no time"),
        ("a.csv", "ts,v\r\n1,1\r\n\r\n2\r\n", "a.csv:4:2: the row has 1 cells"),
        ("a.csv", "ts,v\n1,1\n\n2,\"x\n3,y\n", "a.csv:4:1: a quote is opened in this row and not closed"),
        ("a.csv", &endless, "a.csv:2:1: a row is longer than"),
        ("a.ndjson", &long, "a.ndjson:2:1044481: the line is longer than 1044480 bytes"),
        ("a.txt", "x", "format: "),
        ("a", "x", "format: "),
    ];
    for (name, content, expected) in cases {
        let found = error(&[(name, content)], &ReplaySettings::default());
        assert!(found.starts_with(expected), "{expected}\n{found}");
    }
    let named = ReplaySettings { value_columns: vec!["w".into()], ..ReplaySettings::default() };
    assert_eq!(error(&[("a.csv", "ts,v\n")], &named), "a.csv:1:1: there is no column `w`; the columns are: ts, v");
    let missing = Replay::open(&["/nowhere/a.csv".into()], &ReplaySettings::default()).unwrap_err();
    assert!(missing.to_string().starts_with("/nowhere/a.csv: "), "{missing}");
}

#[test]
fn bad_utf8_in_a_cell_is_an_error_at_that_cell() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, b"ts,v\n1,\xFF\n").unwrap();
    let found = replayed(&[path], &ReplaySettings::default()).unwrap_err().to_string();
    assert!(found.ends_with("a.csv:2:2: the cell is not UTF-8"), "{found}");
}

#[test]
fn two_files_of_one_stem_are_refused() {
    let found = error(&[("a.csv", "ts\n"), ("a.ndjson", "{}")], &ReplaySettings::default());
    assert!(found.contains("share a stem"), "{found}");
}

#[test]
fn ndjson_goes_as_it_is_and_gets_an_id_where_it_has_none() {
    let ndjson = "{\"id\":\"7\",\"v\":1}\r\n\n  {\"v\": 2}\n{ }\n{\"id\":null}\n[\"a\",\"b\"]\nnope\n{\"v\":";
    assert_eq!(
        texts(&[("x.jsonl", ndjson)], &ReplaySettings::default()),
        [
            r#"{"id":"7","v":1}"#,
            r#"{"id":"x:3","v": 2}"#,
            r#"{"id":"x:4" }"#,
            r#"{"id":null}"#,
            r#"["a","b"]"#,
            "nope",
            r#"{"v":"#,
        ]
    );
}

#[test]
fn a_shift_moves_each_file_so_that_its_newest_is_the_time_given() {
    let settings = ReplaySettings { shift: Shift::NewestTo(1_767_225_600_000_000), ..ReplaySettings::default() };
    let csv = "ts,v\n2015-01-01 00:00:10,1\n2015-01-01 00:00:30,2\n2015-01-01 00:00:20,3\n";
    let ndjson = "{\"time\" : \"2001-01-01T00:00:01Z\", \"v\":1}\n{\"id\":\"k\",\"v\":2,\"time\":978307205}\n{\"v\":3,\"time\":\"?\"}\n";
    let times: Vec<Value> = texts(&[("a.csv", csv), ("b.ndjson", ndjson)], &settings)
        .iter()
        .map(|event| serde_json::from_str::<Value>(event).unwrap()["time"].take())
        .collect();
    assert_eq!(
        times,
        [
            "2025-12-31T23:59:40Z",
            "2026-01-01T00:00:00Z",
            "2025-12-31T23:59:50Z",
            "2025-12-31T23:59:56Z",
            "2026-01-01T00:00:00Z",
            "?",
        ]
    );
}

#[test]
fn with_a_speed_files_come_together_by_time() {
    let files = [("a.csv", "ts,v\n10,1\n40,2\n30,3\n50,4\n"), ("b.csv", "ts,v\n20,5\n35,6\n45,7\n")];
    let values = |settings: &ReplaySettings| -> Vec<i64> {
        let value = |event: &String| serde_json::from_str::<Value>(event).unwrap()["data"]["v"].as_i64().unwrap();
        texts(&files, settings).iter().map(value).collect()
    };
    assert_eq!(values(&ReplaySettings::default()), [1, 2, 3, 4, 5, 6, 7]);
    let paced = ReplaySettings { pace: Pace::Speed(1.0), ..ReplaySettings::default() };
    assert_eq!(values(&paced), [1, 5, 6, 2, 3, 7, 4]);
}

#[test]
fn the_real_series_come_out_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/nab");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "csv"));
    files.sort();
    assert_eq!(files.len(), 31);
    let mut all = 0;
    let mut ids = std::collections::BTreeSet::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let rows = text.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
        let events = replayed(std::slice::from_ref(file), &ReplaySettings::default()).unwrap();
        assert_eq!(events.len(), rows, "{}", file.display());
        for (event, at) in &events {
            let parsed: Value = serde_json::from_str(event).unwrap();
            assert!(parsed["data"]["value"].is_number(), "{event}");
            assert!(at.is_some_and(|at| (1_372_000_000_000_000..1_443_000_000_000_000).contains(&at)), "{event}");
            assert!(ids.insert(parsed["id"].as_str().unwrap().to_owned()), "{event}");
        }
        all += events.len();
    }
    assert_eq!(all, 152_965);
    let paced = ReplaySettings { pace: Pace::Speed(1e6), ..ReplaySettings::default() };
    assert_eq!(replayed(&files, &paced).unwrap().len(), 152_965);
}
