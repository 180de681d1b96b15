//! Erasure by the command: what a person types, on a folder and at a node.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Node, alluvium, eventually, number, succeed};

fn erase(data: &Path, more: &[&str]) -> Value {
    let args = [&["--json", "erase", "--data", data.to_str().unwrap()], more].concat();
    serde_json::from_str(&succeed(&args)).unwrap()
}

fn rows_of(report: &Value, store: &str) -> u64 {
    let stores = report["stores"].as_array().unwrap();
    let found = stores.iter().find(|of| of["store"].as_str().unwrap().contains(store)).unwrap();
    found["rows"].as_u64().unwrap()
}

fn post(node: &Node, events: &str) -> u16 {
    node.post("/v1/telemetry", "application/x-ndjson", events.as_bytes()).status
}

fn rows(data: &Path) -> i64 {
    number(data, "select count(*) from telemetry")
}

#[test]
fn an_owner_is_erased_by_a_node_and_on_a_folder_and_the_audit_balances() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start_with(&data, &[], &[("ALLUVIUM_OWNER", "ann")]);
    let event = |id: u32| format!(r#"{{"id":"{id}","source":"s","type":"reading","value":{id}}}"#);
    let events: String = (0..40).map(|id| event(id) + "\n").collect();
    assert_eq!(post(&node, &events), 202);
    eventually("rows", || rows(&data), |rows| *rows == 40);

    let would = erase(&data, &["--owner", "ann", "--dry-run"]);
    assert_eq!((rows_of(&would, "telemetry"), would["id"].is_null()), (40, true), "{would}");
    assert_eq!(rows(&data), 40);
    let of_nobody = erase(&data, &["--owner", "bob"]);
    assert_eq!(rows_of(&of_nobody, "telemetry"), 0);
    let done = erase(&data, &["--owner", "ann", "--dataset", "telemetry"]);
    assert_eq!((rows_of(&done, "telemetry"), rows_of(&done, "hot index")), (40, 40), "{done}");
    assert!(!done.to_string().contains("ann"), "{done}");
    assert_eq!(rows(&data), 0);
    let answered = node.get("/v1/telemetry?source=s&from=-1h").json();
    assert_eq!(answered["records"], json!([]), "the hot index answers with nothing: {answered}");
    assert_eq!(post(&node, &event(41)), 202);
    eventually("what is sent later", || rows(&data), |rows| *rows == 1);
    let listed = erase(&data, &["--list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    node.stop();

    // On a folder that no node runs on, files and all.
    let done = erase(&data, &["--owner", "ann", "--now"]);
    assert_eq!(rows_of(&done, "telemetry"), 1, "{done}");
    assert_eq!(rows(&data), 0);
    let audit: Value = serde_json::from_str(&succeed(&["--json", "audit", "--data", data.to_str().unwrap()])).unwrap();
    assert_eq!(audit["balances"], json!(true), "{audit}");
    let sums = audit["datasets"].as_array().unwrap().iter().find(|sums| sums["dataset"] == "telemetry").unwrap();
    assert_eq!((&sums["written"], &sums["erased"]), (&json!(41), &json!(41)));
    let table = String::from_utf8(
        alluvium().args(["erase", "--list", "--data", data.to_str().unwrap()]).output().unwrap().stdout,
    );
    assert!(table.unwrap().contains("last copy ends"));
}

#[test]
fn what_cannot_be_erased_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    Node::start(&data).stop();
    for (args, code, said) in [
        (vec!["--owner", ""], 1, "an owner has at least one character"),
        (vec!["--owner", "ann", "--dataset", "telemtry"], 1, "telemtry"),
        (vec![], 2, "--owner"),
        (vec!["--list", "--owner", "ann"], 2, "--list"),
    ] {
        let output = alluvium().args(["erase", "--data", data.to_str().unwrap()]).args(&args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
        assert!(errors.contains(said), "{args:?}: {errors}");
    }
}
