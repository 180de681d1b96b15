//! `alluvium compact`: through a node that runs, on a folder without one, and by a node itself.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Node, alluvium, eventually, number, succeed};

/// Sends events one by one, so that they come in several batches. Of four the last has the id of the one before it, and another date.
fn send(node: &Node, from: u32, to: u32) {
    for id in from..to {
        let day = 1 + id % 3;
        let time = format!("2026-01-0{day}T00:00:00Z");
        let id_sent = (id - id % 4 / 3).to_string();
        let event = json!({"id": id_sent, "source": "s", "time": time, "data": {"value": id}});
        assert_eq!(node.post("/v1/telemetry", "application/json", event.to_string().as_bytes()).status, 202);
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
}

fn rows(data: &Path) -> i64 {
    number(data, "select count(*) from telemetry_raw")
}

fn compact(data: &Path) -> Vec<Value> {
    let printed = succeed(&["--json", "compact", "--data", data.to_str().unwrap(), "--table", "telemetry"]);
    serde_json::from_str(&printed).unwrap()
}

/// Small batches, and event times of any age.
const SMALL: [(&str, &str); 3] = [
    ("ALLUVIUM_DELIVERY__BUFFER", "1ms"),
    ("ALLUVIUM_COMMIT__INTERVAL", "50ms"),
    ("ALLUVIUM_MAINTAIN__COMPACT_FILES", "5"),
];

#[test]
fn of_events_that_were_sent_again_one_stays_and_the_audit_balances() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start_with(&data, &[], &SMALL);
    send(&node, 0, 40);
    eventually("rows", || rows(&data), |rows| *rows == 40);
    let view = "select event_id, event_time, value from telemetry order by event_id";
    let before = support::sql(&data, view);
    let rounds = compact(&data);
    assert_eq!(rounds.len(), 1, "{rounds:?}");
    assert_eq!(
        (&rounds[0]["table"], &rounds[0]["rows_before"], &rounds[0]["duplicates"]),
        (&json!("telemetry"), &json!(40), &json!(10))
    );
    assert_eq!(rows(&data), 30);
    assert_eq!(support::sql(&data, view), before, "the view shows what it showed");
    let records = |node: &Node| {
        node.get("/v1/telemetry?limit=100&from=2026-01-01T00:00:00Z").json()["records"].as_array().unwrap().len()
    };
    assert_eq!(records(&node), 30);

    // Each in a file of its own, however busy the machine is.
    for sent in 1..=4 {
        send(&node, 39 + sent, 40 + sent);
        eventually("rows", || rows(&data), |rows| *rows == 30 + i64::from(sent));
    }
    node.stop();
    let audit = succeed(&["--json", "audit", "--data", data.to_str().unwrap()]);
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!(audit["balances"], json!(true), "{audit}");
    let telemetry = audit["datasets"].as_array().unwrap().iter().find(|sums| sums["dataset"] == "telemetry").unwrap();
    assert_eq!((&telemetry["written"], &telemetry["duplicates"]), (&json!(44), &json!(10)));

    let rounds = compact(&data);
    assert_eq!((&rounds[0]["duplicates"], rows(&data)), (&json!(1), 33));
    // The ledger may have something to gain, once.
    succeed(&["compact", "--data", data.to_str().unwrap()]);
    let words = succeed(&["compact", "--data", data.to_str().unwrap()]);
    assert_eq!(words.trim(), "There is nothing to gain.");
}

#[test]
fn what_was_taken_out_is_deleted_when_asked_and_the_audit_balances() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start_with(&data, &[], &SMALL);
    send(&node, 0, 40);
    eventually("rows", || rows(&data), |rows| *rows == 40);
    compact(&data);
    let vacuum = |more: &[&str]| -> Value {
        let args = ["--json", "vacuum", "--data", data.to_str().unwrap(), "--table", "telemetry"];
        serde_json::from_str(&succeed(&[&args[..], more].concat())).unwrap()
    };
    let removed = |reports: &Value| reports["tables"][0]["removed"]["files"].as_u64().unwrap();
    assert_eq!(removed(&vacuum(&[])), 0, "files are kept for 30 days");
    let at_once = ["--older-than", "0s"];
    let dry = || removed(&vacuum(&["--dry-run", "--older-than", "0s"]));
    // The ledger copies the compaction first.
    let due = eventually("files that may go", dry, |files| *files > 1);
    assert_eq!(dry(), due, "a dry run deletes nothing");
    assert_eq!(removed(&vacuum(&at_once)), due);
    assert_eq!((rows(&data), dry()), (30, 0));
    node.stop();
    let audit: Value = serde_json::from_str(&succeed(&["--json", "audit", "--data", data.to_str().unwrap()])).unwrap();
    assert_eq!(audit["balances"], json!(true), "{audit}");
    let refused =
        alluvium().args(["vacuum", "--older-than", "soon", "--data", data.to_str().unwrap()]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_node_compacts_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let every = [&SMALL[..], &[("ALLUVIUM_MAINTAIN__EVERY", "1s")]].concat();
    let node = Node::start_with(&data, &[], &every);
    send(&node, 0, 40);
    eventually("rows", || rows(&data), |rows| *rows == 30);
    let metrics = String::from_utf8(node.get("/metrics").body).unwrap();
    assert!(metrics.contains("alluvium_duplicates_removed_total{table=\"telemetry\"} 10"), "{metrics}");
    node.stop();
}

#[test]
fn a_table_that_is_none_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    for args in [vec!["--url", &node.url()], vec!["--data", data.to_str().unwrap()]] {
        let refused = alluvium()
            .args(["compact", "--table", "nothing"])
            .args(args)
            .env("ALLUVIUM_TOKEN", &node.token)
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("there is no table `nothing` in the lake"), "{said}");
    }
    node.stop();
}
