//! Dead letters and redrive: what a schema kept out comes in once the schema is right, once, under the identity that it had.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use alluvium_core::envelope::{EnvelopeHeader, EnvelopeWriter};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{Node, alluvium, eventually};

const TOO_STRICT: &str = r#"{"properties": {"value": {"type": "number", "maximum": 1}}, "required": ["value"]}"#;
const CORRECTED: &str = r#"{"properties": {"value": {"type": "number"}}}"#;

/// A data folder with a schema of its own.
struct Folder {
    _temp: tempfile::TempDir,
    data: PathBuf,
    schemas: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let (data, schemas) = (temp.path().join("node"), temp.path().join("schemas"));
        std::fs::create_dir(&schemas).unwrap();
        let folder = Self { _temp: temp, data, schemas };
        folder.set_schema(TOO_STRICT);
        folder
    }

    fn set_schema(&self, schema: &str) {
        std::fs::write(self.schemas.join("measures.json"), schema).unwrap();
    }

    fn start(&self) -> Node {
        Node::start_with(&self.data, &[], &[("ALLUVIUM_DATASETS", self.schemas.to_str().unwrap())])
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = alluvium();
        command.args(["--json", args[0], "--data"]).arg(&self.data).args(&args[1..]);
        command.env("ALLUVIUM_DATASETS", &self.schemas).output().unwrap()
    }

    /// What a command prints that ends with this exit code, line by line or as one document.
    #[track_caller]
    fn printed(&self, args: &[&str], code: i32) -> Vec<Value> {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect()
    }

    #[track_caller]
    fn sql(&self, statement: &str) -> Vec<Value> {
        self.printed(&["sql", statement], 0)
    }

    #[track_caller]
    fn redrive(&self, condition: &str) -> Vec<Value> {
        groups(&self.printed(&["redrive", "--where", condition], 0))
    }

    fn audit(&self) {
        self.printed(&["audit"], 0);
    }

    /// Waits until so many rows are in a table.
    fn wait_for(&self, table: &str, rows: u64) {
        let count = format!("select count(*) as n from {table}_raw");
        eventually(table, || self.sql(&count)[0]["n"].as_u64().unwrap(), |found| *found == rows);
    }
}

fn groups(printed: &[Value]) -> Vec<Value> {
    printed[0]["groups"].as_array().unwrap().clone()
}

/// `dataset`, `reason` and how many were sent, of each group.
fn sent(groups: &[Value]) -> Value {
    groups.iter().map(|group| json!([group["dataset"], group["reason"], group["sent"]])).collect()
}

const IDENTITY: &str = "event_id, source, owner, ingest_time";

#[test]
fn what_a_schema_kept_out_comes_in_once_when_the_schema_is_right() {
    let folder = Folder::new();
    let node = folder.start();
    let keyed = [("Content-Type", "application/x-ndjson"), ("Idempotency-Key", "k")];
    let body = b"{\"value\":1.5}\n{\"id\":\"i\",\"source\":\"s\",\"time\":\"2026-01-05T00:00:00Z\",\"value\":2.5}\n{\"value\":0.5}";
    assert_eq!(node.request("POST", "/v1/measures", &keyed, body).status, 202);
    assert_eq!(node.post("/v1/measures", "application/json", br#"[{"value":4.5},{"value":5.5}]"#).status, 202);
    folder.wait_for("measures", 1);
    folder.wait_for("dead_letters", 4);
    folder.audit();
    let letters = folder.sql(&format!("select {IDENTITY} from dead_letters order by ingest_time, \"index\""));
    let look = folder.printed(&["dead-letters", "--where", "dataset = 'measures'"], 0);
    assert_eq!((&look[0]["reason"], &look[0]["letters"]), (&json!("schema_violated"), &json!(4)));
    let preview = groups(&folder.printed(&["redrive", "--where", "reason = 'schema_violated'", "--dry-run"], 0));
    assert_eq!(sent(&preview), json!([["measures", "schema_violated", 4]]));
    node.stop();

    folder.set_schema(CORRECTED);
    let node = folder.start();
    assert_eq!(folder.redrive("reason = 'not_json'"), [] as [Value; 0]);
    assert_eq!(sent(&folder.redrive("reason = 'schema_violated'")), json!([["measures", "schema_violated", 4]]));
    folder.wait_for("measures", 5);
    let rows =
        folder.sql(&format!("select {IDENTITY}, event_time, value from measures where value > 1 order by value"));
    for (row, letter) in rows.iter().zip(&letters) {
        for column in ["owner", "ingest_time"] {
            assert_eq!(row[column], letter[column], "{row} {letter}");
        }
        if row["event_id"] == "i" {
            assert_eq!((&row["source"], &row["event_time"]), (&json!("s"), &json!("2026-01-05T00:00:00Z")));
        } else {
            assert_eq!((&row["event_id"], &row["event_time"]), (&letter["event_id"], &letter["ingest_time"]));
        }
    }
    // A client that repeats its request after all changes nothing: its events have the ids that they had.
    assert_eq!(node.request("POST", "/v1/measures", &keyed, body).status, 202);
    folder.wait_for("measures", 8);
    assert_eq!(folder.sql("select count(*) as n from measures")[0]["n"], 5);
    assert_eq!(folder.redrive("true"), [] as [Value; 0], "all are marked");
    let marked = folder.sql("select count(redriven_at) as marked, count(*) as letters from dead_letters_raw");
    assert_eq!(marked, [json!({"marked": 4, "letters": 4})]);
    folder.audit();
    node.stop();
    folder.audit();
}

#[test]
fn what_is_dead_again_is_a_new_dead_letter_and_can_be_sent_again() {
    let folder = Folder::new();
    let node = folder.start();
    assert_eq!(node.post("/v1/measures", "application/x-ndjson", b"not json\n{\"value\":1.5}").status, 202);
    folder.wait_for("dead_letters", 2);
    let first =
        folder.sql("select event_id, record, ingest_time from dead_letters where reason = 'not_json'").remove(0);
    assert_eq!(sent(&folder.redrive("reason = 'not_json'")), json!([["measures", "not_json", 1]]));
    folder.wait_for("dead_letters", 3);
    let of_round = |round: u32| {
        let id = format!("{}-{round}", first["event_id"].as_str().unwrap());
        folder
            .sql(&format!("select record, ingest_time, redriven_at from dead_letters where event_id = '{id}'"))
            .remove(0)
    };
    let again = of_round(2);
    assert_eq!((&again["record"], &again["ingest_time"]), (&first["record"], &first["ingest_time"]));
    assert_eq!(again["redriven_at"], Value::Null);
    assert_eq!(sent(&folder.redrive("reason = 'not_json'")), json!([["measures", "not_json", 1]]), "the new one alone");
    folder.wait_for("dead_letters", 4);
    node.stop();

    // On the folder alone, what was sent is in the tables when the command ends.
    folder.set_schema(CORRECTED);
    assert_eq!(sent(&folder.redrive("true")), json!([["measures", "not_json", 1], ["measures", "schema_violated", 1]]));
    assert_eq!(of_round(4)["redriven_at"], Value::Null);
    assert_eq!(folder.sql("select count(*) as n from measures_raw")[0]["n"], 1);
    folder.audit();
}

#[test]
fn what_was_cut_is_said_and_left_and_a_wrong_condition_is_refused() {
    let folder = Folder::new();
    let node = folder.start();
    let long = format!(r#"{{"value":"{}"}}"#, "x".repeat(100_000));
    assert_eq!(node.post("/v1/measures", "application/json", long.as_bytes()).status, 202);
    folder.wait_for("dead_letters", 1);
    let sends_none = |folder: &Folder| {
        let cut = groups(&folder.printed(&["redrive", "--where", "true"], 1));
        assert_eq!((&cut[0]["sent"], &cut[0]["cut"]), (&json!(0), &json!(1)));
        for (condition, code, words) in [("1 = 1) or (1 = 1", 2, "is no condition"), ("reson = 'x'", 1, "reson")] {
            for command in ["redrive", "dead-letters"] {
                let refused = folder.run(&[command, "--where", condition]);
                assert_eq!(refused.status.code(), Some(code), "{refused:?}");
                assert!(String::from_utf8_lossy(&refused.stderr).contains(words), "{refused:?}");
            }
        }
    };
    sends_none(&folder);
    let shown = shown(&folder.data, &folder.schemas);
    assert!(shown.contains("the first of 100012 bytes: {\"value\":\"xxx"), "{shown}");
    assert!(shown.contains("at /value"), "{shown}");
    node.stop();
    sends_none(&folder);
    let letters = folder.sql("select redriven_at from dead_letters_raw");
    assert_eq!(letters, [json!({"redriven_at": null})]);
}

/// What a person sees of single dead letters.
fn shown(data: &Path, schemas: &Path) -> String {
    let mut command = alluvium();
    command.args(["dead-letters", "--show", "--data"]).arg(data).env("ALLUVIUM_DATASETS", schemas);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn a_redrive_repeated_by_many_at_once_brings_each_event_once() {
    let folder = Folder::new();
    let node = folder.start();
    let events: String = (0..500).map(|n| format!("{{\"id\":\"{n}\",\"source\":\"s\",\"value\":1{n}}}\n")).collect();
    assert_eq!(node.post("/v1/measures", "application/x-ndjson", events.as_bytes()).status, 202);
    folder.wait_for("dead_letters", 500);
    node.stop();
    folder.set_schema(CORRECTED);
    let node = folder.start();
    std::thread::scope(|scope| {
        for half in ["source = 's' and event_id < '8'", "source = 's'", "source = 's'"] {
            let folder = &folder;
            scope.spawn(move || folder.printed(&["redrive", "--where", half], 0));
        }
    });
    let ids = || -> BTreeSet<String> {
        let rows = folder.sql("select event_id from measures");
        rows.iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect()
    };
    let found = eventually("all", ids, |ids| ids.len() == 500);
    assert_eq!(found, (0..500).map(|n| n.to_string()).collect());
    assert_eq!(folder.sql("select count(*) as n from measures")[0]["n"], 500);
    assert_eq!(folder.redrive("true"), [] as [Value; 0]);
    node.stop();
    folder.audit();
}

#[test]
fn what_firehose_set_aside_comes_in_once_however_often_it_is_sent() {
    let folder = Folder::new();
    let envelope = |event: &[u8]| {
        let header = EnvelopeHeader { owner: "anna".to_owned(), dataset: "measures".to_owned(), ..Default::default() };
        let mut writer = EnvelopeWriter::new(&header, event.len());
        writer.push(event);
        writer.finish()
    };
    let line = |record: &[u8], arrival: i64| {
        let line = json!({
            "attemptsMade": 4, "arrivalTimestamp": arrival, "errorCode": "Lambda.FunctionError", "errorMessage": "it failed",
            "attemptEndingTimestamp": arrival + 5, "rawData": STANDARD.encode(record), "lambdaArn": "arn:aws:lambda:::f",
        });
        format!("{line}\n")
    };
    let objects = folder.data.with_file_name("processing-failed");
    std::fs::create_dir_all(objects.join("2026/11")).unwrap();
    let arrival = 1_764_202_500_000;
    let (one, other) = (envelope(br#"{"value":0.25}"#), envelope(br#"{"value":0.75}"#));
    std::fs::write(objects.join("2026/11/a"), line(&one, arrival) + &line(&other, arrival)).unwrap();
    std::fs::write(objects.join("2026/11/b"), line(b"no json", arrival)).unwrap();
    let objects = objects.to_str().unwrap();

    let node = folder.start();
    let sent = |dry: &[&str]| {
        let printed = folder.printed(&[&["redrive", "--failed", objects], dry].concat(), 0);
        printed[0]["objects"].as_array().unwrap().iter().map(|object| object["sent"].as_u64().unwrap()).collect()
    };
    let expected: Vec<u64> = vec![2, 1];
    assert_eq!((sent(&["--dry-run"]), sent(&[])), (expected.clone(), expected.clone()));
    folder.wait_for("measures", 2);
    folder.wait_for("dead_letters", 1);
    node.stop();
    assert_eq!(sent(&[]), expected, "without a node, once more");
    let rows = folder.sql("select owner, value, cast(ingest_time as text) as at from measures order by value");
    assert_eq!(rows.len(), 2, "{rows:?}");
    for (row, value) in rows.iter().zip([0.25, 0.75]) {
        assert_eq!((&row["owner"], &row["value"]), (&json!("anna"), &json!(value)));
        assert!(row["at"].as_str().unwrap().starts_with("2025-11-27"), "{row}: it has the arrival that it had");
    }
    assert_eq!(folder.sql("select count(*) as n from measures_raw")[0]["n"], 4);
    folder.audit();

    std::fs::write(folder.data.with_file_name("other"), "{}").unwrap();
    let other = folder.data.with_file_name("other");
    let refused = folder.run(&["redrive", "--failed", other.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("line 1 tells of no record") && told.contains("processing-failed/"), "{told}");
}
