//! `alluvium recover` on a folder: it says what waits, and the node brings it in by itself.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{Node, eventually, number, run, succeed};

fn recover(data: &Path) -> Value {
    let data = data.to_str().unwrap();
    serde_json::from_str(&succeed(&["--json", "recover", "--data", data, "--older-than", "0s"])).unwrap()
}

fn outcomes(report: &Value) -> Vec<&str> {
    report["batches"].as_array().unwrap().iter().map(|batch| batch["outcome"].as_str().unwrap()).collect()
}

#[test]
fn what_the_lake_has_lost_is_found_in_the_files_and_comes_again_out_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let rows = || number(&data, "select count(*) from telemetry_raw");
    let node = Node::start(&data);
    let events = "{\"source\": \"s\", \"value\": 1}\nnonsense\n{\"source\": \"s\", \"value\": 2}\n";
    assert_eq!(node.post("/v1/telemetry", "application/x-ndjson", events.as_bytes()).status, 202);
    eventually("rows", rows, |rows| *rows == 2);
    assert_eq!(recover(&data), json!({"batches": [], "young": 0, "by_position": true}), "asked of the node");
    node.stop();

    for gone in ["telemetry/_delta_log", "dead_letters/_delta_log", "ledger"] {
        fs::remove_dir_all(data.join("lake").join(gone)).unwrap();
    }
    let report = recover(&data);
    assert_eq!(outcomes(&report), ["in_log"], "{report}");
    let files = report["batches"][0]["files"].as_array().unwrap();
    assert_eq!(files.len(), 2, "rows and dead letters: {report}");
    assert!(files.iter().all(|file| data.join("lake").join(file.as_str().unwrap()).exists()));
    let young = succeed(&["recover", "--data", data.to_str().unwrap()]);
    assert!(young.contains("1 batch is too young"), "{young}");
    assert!(fs::read_dir(data.join("lake/_commits")).map_or(0, Iterator::count) == 0, "nothing is made");

    // Were the log lost too, nothing would bring the records again.
    fs::rename(data.join("log"), folder.path().join("log")).unwrap();
    let lost = run(&["recover", "--data", data.to_str().unwrap(), "--older-than", "0s"]);
    let words = String::from_utf8_lossy(&lost.stdout);
    assert_eq!(lost.status.code(), Some(1), "{words}");
    assert!(words.contains("not all of its records are known to be in the log"), "{words}");
    fs::remove_dir_all(data.join("log")).unwrap();
    fs::rename(folder.path().join("log"), data.join("log")).unwrap();

    let node = Node::start(&data);
    eventually("rows", rows, |rows| *rows == 2);
    let report = recover(&data);
    assert!(outcomes(&report).iter().all(|outcome| *outcome == "covered"), "{report}");
    node.stop();
    succeed(&["audit", "--data", data.to_str().unwrap()]);
}

#[test]
fn what_is_no_folder_of_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["recover", "--data", folder.path().join("nothing").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds no Alluvium data"));
}
