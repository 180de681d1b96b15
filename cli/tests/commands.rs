//! The commands as a person types them: on a running node, and on a folder alone.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Node, alluvium, eventually, number, run, succeed};

const TWO_FIELDS: &[u8] = br#"{"informationOne": "aaa23", "informationTwo": "bbb24"}"#;

#[test]
fn the_two_field_example_goes_all_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let answer = node.post("/data", "application/json", TWO_FIELDS);
    assert_eq!(answer.status, 202, "{:?}", answer.json());
    assert_eq!(answer.json()["accepted"], 1);
    assert!(answer.json()["receipt"].as_str().unwrap().contains("shardId-000000000000:1"));

    let page = eventually("GET /data", || node.get("/data").json(), |page| !page["records"][0].is_null());
    assert_eq!(page["records"][0]["data"], json!({"informationOne": "aaa23", "informationTwo": "bbb24"}));
    assert_eq!(page["records"][0]["source"], "anonymous");
    assert_eq!(page["complete"], true);

    // Through the node that runs on the folder …
    let statement = "select \"informationOne\" as one from data";
    eventually("sql", || support::sql(&data, statement), |rows| rows.len() == 1);
    let through_node = succeed(&["--json", "records", "data", "--data", data.to_str().unwrap()]);
    succeed(&["audit", "--data", data.to_str().unwrap()]);
    assert_eq!(node.get("/health").json()["status"], "ok");
    let metrics = node.get("/metrics");
    assert!(String::from_utf8_lossy(&metrics.body).contains("alluvium_events_committed_total"));
    node.stop();

    // … and on the folder alone, with the same answers.
    assert!(!data.join("up.json").exists());
    assert_eq!(support::sql(&data, statement), [json!({"one": "aaa23"})]);
    let alone = succeed(&["--json", "records", "data", "--data", data.to_str().unwrap()]);
    let records = |text: &str| serde_json::from_str::<Value>(text).unwrap()["records"].clone();
    assert_eq!(records(&alone), records(&through_node));
    succeed(&["audit", "--data", data.to_str().unwrap()]);
}

#[test]
fn send_takes_files_and_standard_input_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let file = folder.path().join("events.ndjson");
    std::fs::write(&file, "{\"id\":\"1\",\"source\":\"a\",\"value\":1}\n\n{\"id\":\"2\",\"source\":\"a\",\"value\":2}")
        .unwrap();
    let sent = succeed(&["--json", "send", "--data", data.to_str().unwrap(), file.to_str().unwrap()]);
    assert_eq!(serde_json::from_str::<Value>(&sent).unwrap()["accepted"], 2);
    let mut child = alluvium()
        .args(["--json", "send", "--to", &node.url(), "-"])
        .env("ALLUVIUM_TOKEN", &node.token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{\"id\":\"3\",\"source\":\"a\",\"value\":3}\n").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    node.stop();
    assert_eq!(number(&data, "select count(*) from telemetry"), 3);
}

#[test]
fn generate_is_seeded_and_what_it_sends_arrives() {
    let lines =
        |seed: &str| succeed(&["generate", "--count", "200", "--seed", seed, "--start", "2026-01-01T00:00:00Z"]);
    assert_eq!(lines("1"), lines("1"));
    assert_ne!(lines("1"), lines("2"));
    assert_eq!(lines("1").lines().count(), 200);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    succeed(&["generate", "--data", data.to_str().unwrap(), "--count", "5000", "--seed", "7", "--broken", "0"]);
    node.stop();
    assert_eq!(number(&data, "select count(*) from telemetry"), 5000);
    assert_eq!(number(&data, "select count(*) from dead_letters"), 0);
}

#[test]
fn convert_runs_the_transform_alone_and_reports_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.ndjson");
    let schema = folder.path().join("mine.json");
    let output = folder.path().join("out.parquet");
    std::fs::write(&schema, r#"{"properties": {"n": {"type": "integer"}}, "required": ["n"]}"#).unwrap();
    std::fs::write(&input, "{\"n\":1}\n{\"n\":\"two\"}\nnonsense\n{\"n\":4}\n").unwrap();
    let paths = [input.to_str().unwrap(), schema.to_str().unwrap(), output.to_str().unwrap()];
    let printed = succeed(&["--json", "convert", paths[0], "--schema", paths[1], "-o", paths[2]]);
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["rows"], 2);
    assert_eq!(report["dead_by_reason"], json!({"not_json": 1, "schema_violated": 1}));
    assert!(std::fs::read(&output).unwrap().starts_with(b"PAR1"));
}

#[test]
fn config_says_where_each_value_came_from() {
    let printed = succeed(&["--json", "config"]);
    let config: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(config["verbosity"], json!({"value": "warn", "from": "ALLUVIUM_VERBOSITY"}));
    assert_eq!(config["listen"]["from"], "default");
}

#[test]
fn every_command_has_help_worth_reading() {
    for command in [
        "demo",
        "up",
        "send",
        "generate",
        "replay",
        "convert",
        "sql",
        "records",
        "audit",
        "recover",
        "dead-letters",
        "redrive",
        "config",
        "cost",
    ] {
        let help = succeed(&[command, "--help"]);
        assert!(help.lines().count() > 8, "{command}: {help}");
    }
    assert_eq!(run(&["--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn a_bill_needs_no_folder_and_refuses_nonsense() {
    let flags = ["cost", "--events-per-second", "1000", "--bytes", "237"];
    let report: Value = serde_json::from_str(&succeed(&[&["--json"], flags.as_slice()].concat())).unwrap();
    let services = report["bill"]["services"].as_object().unwrap();
    let sum: f64 = services.values().map(|dollars| dollars.as_f64().unwrap()).sum();
    assert!((sum - report["bill"]["dollars"].as_f64().unwrap()).abs() < 0.001, "{report}");
    let printed = succeed(&flags);
    assert!(printed.contains("a million events") && printed.contains("Assumed, not measured"), "{printed}");
    assert!(succeed(&[flags.as_slice(), &["--compare"]].concat()).contains("Kinesis streaming table"));
    let refused = run(&["cost", "--events-per-second", "0", "--bytes", "237"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("at least 1"));
}

#[test]
fn nothing_there_is_said_plainly_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("nothing");
    for command in
        [["sql", "select 1"].as_slice(), &["records"], &["audit"], &["dead-letters"], &["redrive", "--where", "true"]]
    {
        let mut args = vec![command[0], "--data", data.to_str().unwrap()];
        args.extend(&command[1..]);
        let output = run(&args);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("holds no Alluvium data"), "{said}");
    }
    assert!(!data.exists());
    let output = run(&["send", "--to", "http://127.0.0.1:1", "/dev/null"]);
    assert!(output.status.success(), "nothing to send is no failure");
}
