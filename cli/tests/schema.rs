//! `alluvium schema`: what is inferred takes the events that it was inferred from, and a check says what holds.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Node, alluvium, eventually, number, run, succeed};

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Infers a schema from files of events and converts each with it.
fn infer_and_convert(folder: &Path, files: &[String]) -> (Value, Vec<Value>) {
    let mut args = vec!["schema", "infer"];
    args.extend(files.iter().map(String::as_str));
    let printed = succeed(&args);
    assert_eq!(printed, succeed(&args), "the same files give the same schema");
    let schema = write(folder, "mine.json", &printed);
    succeed(&["schema", "check", &schema]);
    let reports = files.iter().enumerate().map(|(index, file)| {
        let output = folder.join(format!("{index}.parquet")).display().to_string();
        let report = succeed(&["--json", "convert", file, "--schema", &schema, "-o", &output]);
        serde_json::from_str(&report).unwrap()
    });
    let reports = reports.collect();
    (serde_json::from_str(&printed).unwrap(), reports)
}

fn no_dead_letters(reports: &[Value]) {
    for report in reports {
        assert_eq!(report["dead_by_reason"], json!({}), "{report:#}");
        assert_eq!(report["rows"], report["received"]);
        assert_ne!(report["rows"], 0);
    }
}

/// The device series as NDJSON, as `replay` sends them: one file for each format of time that they have.
fn device_series(folder: &Path) -> Vec<String> {
    let series = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/nab");
    let files: Vec<PathBuf> = std::fs::read_dir(series).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut files: Vec<_> = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "csv")).collect();
    files.sort();
    files
        .iter()
        .take(8)
        .map(|file| {
            let stem = file.file_stem().unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(file).unwrap();
            let mut events = String::new();
            for line in text.split(['\r', '\n']).filter(|line| !line.is_empty()).skip(1) {
                let (time, value) = line.split_once(',').unwrap();
                events.push_str(&format!("{{\"source\":\"{stem}\",\"time\":\"{time}\",\"value\":{value}}}\n"));
            }
            write(folder, &format!("{stem}.ndjson"), &events)
        })
        .collect()
}

#[test]
fn a_schema_inferred_from_real_device_series_takes_every_reading() {
    let folder = tempfile::tempdir().unwrap();
    let files = device_series(folder.path());
    assert_eq!(files.len(), 8);
    let (schema, reports) = infer_and_convert(folder.path(), &files);
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["value"]);
    assert_eq!((&schema["properties"]["value"]["type"], &schema["required"]), (&json!("number"), &json!(["value"])));
    no_dead_letters(&reports);

    // The CSV files themselves say the same.
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/nab/speed_7578.csv");
    let from_csv: Value = serde_json::from_str(&succeed(&["schema", "infer", csv.to_str().unwrap()])).unwrap();
    assert_eq!(from_csv["properties"]["value"]["type"], "integer");
    assert!(from_csv["description"].as_str().unwrap().contains("1,127"), "{from_csv}");
}

#[test]
fn a_schema_inferred_from_made_up_events_takes_every_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "events.ndjson", &succeed(&["generate", "--count", "2000", "--seed", "3"]));
    let (schema, reports) = infer_and_convert(folder.path(), &[file]);
    no_dead_letters(&reports);
    assert!(schema["description"].as_str().unwrap().starts_with("Inferred from 2,000 events."), "{schema:#}");
    assert!(schema["required"].as_array().unwrap().contains(&json!("value")), "{schema:#}");
    assert!(schema["properties"]["status"]["enum"].is_array(), "{schema:#}");
}

#[test]
fn awkward_events_are_taken_too() {
    let folder = tempfile::tempdir().unwrap();
    let events = [
        json!({"Room Temp": 21.5, "owner": "ann", "source": {"ip": "192.0.2.1"}, "at": "2014-02-14T14:30:00Z",
               "mixed": 1, "track": [{"x.y": 1, "n": null}], "tags": [], "big": u64::MAX, "nested": {"deep": {"a": [1, 2.5]}}}),
        json!({"Room Temp": 22, "owner": "bob", "source": {"ip": "192.0.2.7"}, "at": "2014-02-14T14:30:00.123+01:00",
               "mixed": "one", "track": [], "tags": ["a"], "nested": {"deep": {"a": [], "b": null}}}),
        json!({"Room Temp": -1e3, "owner": "", "source": {"ip": "192.0.2.8"}, "track": [{"x.y": 2, "n": "ü"}], "nested": {}}),
    ];
    let lines: Vec<_> = events.iter().map(Value::to_string).collect();
    let file = write(folder.path(), "events.ndjson", &lines.join("\n"));
    let (schema, reports) = infer_and_convert(folder.path(), &[file]);
    no_dead_letters(&reports);
    assert_eq!(schema["properties"]["at"]["format"], "date-time");
    assert_eq!(schema["x-alluvium"]["aliases"]["room_temp"], json!(["Room Temp"]));
    assert_eq!(schema["x-alluvium"]["aliases"]["source_value"], json!(["source"]));
    assert_eq!(schema["x-alluvium"]["aliases"]["track.x_y"], json!(["x.y"]));
}

#[test]
fn arrays_and_standard_input_are_read_and_lines_that_are_no_json_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let array = write(folder.path(), "array.json", "\n [{\"v\": 1},\n {\"v\": 2}]\n");
    let from_array: Value = serde_json::from_str(&succeed(&["schema", "infer", &array])).unwrap();
    assert!(from_array["description"].as_str().unwrap().contains("2 events"), "{from_array}");

    let mut child = alluvium()
        .args(["schema", "infer", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{\"v\": 1}\n{\"v\": 2\n[{\"v\": 3}, 42]\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("standard input: 1 line left out, at line 2: EOF") && said.contains("1 value left out"),
        "{said}"
    );
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["properties"]["v"]["type"], "integer");

    let empty = write(folder.path(), "empty.ndjson", "\n");
    let output = run(&["schema", "infer", &empty]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no event"));
}

#[test]
fn a_check_prints_the_columns_or_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let schema = r#"{"properties": {"t": {"type": "number", "minimum": -90, "default": 0},
        "p": {"type": "object", "properties": {"e": {"type": "string", "format": "email"}}, "required": ["e"]}},
        "required": ["t"], "x-alluvium": {"aliases": {"t": ["T"]}, "pseudonymise": ["p.e"]}}"#;
    let good = write(folder.path(), "good.json", schema);
    let printed = succeed(&["schema", "check", &good]);
    for words in ["p.e", "format email; pseudonymised", "at least -90; default 0; also named T"] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    let report: Value = serde_json::from_str(&succeed(&["--json", "schema", "check", &good])).unwrap();
    assert_eq!(
        report["columns"][2],
        json!({"name": "p.e", "type": "string", "required": true,
        "rules": ["format email", "pseudonymised"]})
    );

    let bad = write(folder.path(), "bad.json", r#"{"properties": {"t": {"type": "number", "maxx": 1}}}"#);
    let output = run(&["schema", "check", &bad]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("bad.json") && said.contains("`/properties/t/maxx`") && said.contains("`maxx`"), "{said}");
    let output = run(&["--json", "schema", "check", &bad]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["holds"], &report["pointer"]), (&json!(false), &json!("/properties/t/maxx")));
}

#[test]
fn a_check_against_the_schema_of_before_says_what_changes() {
    let folder = tempfile::tempdir().unwrap();
    let old =
        write(folder.path(), "old.json", r#"{"properties": {"t": {"type": "number"}, "gone": {"type": "string"}}}"#);
    let wider = write(
        folder.path(),
        "wider.json",
        r#"{"properties": {"gone": {"type": "string"}, "t": {"type": "number"}, "new": {"type": "boolean"}}}"#,
    );
    let printed = succeed(&["schema", "check", &wider, "--against", &old]);
    assert!(printed.contains("new: `new` (boolean)") && printed.contains("stay readable"), "{printed}");
    let other = write(folder.path(), "other.json", r#"{"properties": {"t": {"type": "string"}}}"#);
    let output = run(&["--json", "schema", "check", &other, "--against", &old]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let conflicts = report["conflicts"].as_array().unwrap();
    let columns: Vec<_> = conflicts.iter().map(|conflict| conflict["column"].as_str().unwrap()).collect();
    assert_eq!((columns, &report["readable"]), (vec!["t", "gone"], &json!(false)));
    let printed = String::from_utf8(run(&["schema", "check", &other, "--against", &old]).stdout).unwrap();
    assert!(printed.contains("refused: `gone`") && printed.contains("`aliases`"), "{printed}");
}

#[test]
fn a_table_takes_new_columns_at_any_depth_and_old_rows_read_as_null() {
    let folder = tempfile::tempdir().unwrap();
    let (data, schemas) = (folder.path().join("node"), folder.path().join("schemas"));
    std::fs::create_dir(&schemas).unwrap();
    let arguments = ["--datasets", schemas.to_str().unwrap()];
    let send = |event: &str, rows: i64, statement: &str| {
        let node = Node::start_with(&data, &arguments, &[]);
        assert_eq!(node.post("/v1/rooms", "application/json", event.as_bytes()).status, 202);
        eventually("rows", || number(&data, "select count(*) from rooms"), |count| *count == rows);
        let selected = support::sql(&data, statement);
        succeed(&["audit", "--data", data.to_str().unwrap()]);
        node.stop();
        selected
    };
    write(
        &schemas,
        "rooms.json",
        r#"{"properties": {"n": {"type": "integer"},
        "p": {"type": "object", "properties": {"x": {"type": "number"}}},
        "l": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}}}}}"#,
    );
    send(r#"{"n": 1, "p": {"x": 1.5}, "l": [{"x": 1}]}"#, 1, "select n from rooms");
    write(
        &schemas,
        "rooms.json",
        r#"{"properties": {"new": {"type": "string"},
        "l": {"type": "array", "items": {"type": "object", "properties": {"y": {"type": "string"}, "x": {"type": "number"}}}},
        "p": {"type": "object", "properties": {"y": {"type": "boolean"}, "x": {"type": "number"}}}, "n": {"type": "integer"}}}"#,
    );
    let statement = "select n, new, p['x'] as px, p['y'] as py, l[1]['x'] as lx, l[1]['y'] as ly from rooms order by n";
    let rows = send(r#"{"n": 2, "p": {"x": 2.5, "y": true}, "l": [{"x": 2, "y": "b"}], "new": "a"}"#, 2, statement);
    assert_eq!(
        rows,
        [
            json!({"n": 1, "new": null, "px": 1.5, "py": null, "lx": 1.0, "ly": null}),
            json!({"n": 2, "new": "a", "px": 2.5, "py": true, "lx": 2.0, "ly": "b"}),
        ]
    );

    write(&schemas, "rooms.json", r#"{"properties": {"n": {"type": "integer"}, "new": {"type": "string"}}}"#);
    let output =
        alluvium().args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(&data).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("`rooms`") && said.contains("Put it back into the schema"), "{said}");
}
