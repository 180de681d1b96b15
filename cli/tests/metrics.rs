//! `GET /metrics`: what docs/metrics.md says, and no less than the ledger.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::collections::BTreeMap;

use serde_json::Value;
use support::{Node, eventually, sql};

const DOCUMENTED: &str = include_str!("../../docs/metrics.md");

fn metrics(node: &Node) -> String {
    String::from_utf8(node.get("/metrics").body).unwrap()
}

/// What the counter of dead letters says, by its labels.
fn dead_letters(metrics: &str) -> BTreeMap<String, u64> {
    let counted = metrics.lines().filter_map(|line| line.strip_prefix("alluvium_dead_letters_total"));
    counted.map(|line| line.split_once(' ').unwrap()).map(|(of, n)| (of.to_owned(), n.parse().unwrap())).collect()
}

#[test]
fn dead_letters_are_counted_by_dataset_and_reason_as_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    for (path, events) in [
        ("/v1/telemetry", "{\"value\": 1}\nnonsense\n{\"unit\": \"Cel\"}\n{}\n"),
        ("/v1/data", "42\n{\"informationOne\": \"a\", \"informationTwo\": \"b\"}\n"),
    ] {
        assert_eq!(node.post(path, "application/x-ndjson", events.as_bytes()).status, 202);
    }
    let ledger = "select dataset, dead_by_reason from ledger where dead > 0";
    let committed =
        |rows: &Vec<Value>| rows.iter().map(|row| &row["dataset"]).any(|name| name == "telemetry") && rows.len() >= 2;
    let rows = eventually("ledger", || sql(&data, ledger), committed);
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        let dead: BTreeMap<String, u64> = serde_json::from_str(row["dead_by_reason"].as_str().unwrap()).unwrap();
        for (reason, count) in dead {
            let labels = format!("{{dataset={},reason=\"{reason}\"}}", row["dataset"]);
            *expected.entry(labels).or_default() += count;
        }
    }
    assert_eq!(dead_letters(&metrics(&node)), expected);
    assert_eq!(expected["{dataset=\"telemetry\",reason=\"required_missing\"}"], 2);
    assert_eq!(expected["{dataset=\"data\",reason=\"not_an_object\"}"], 1);
    node.stop();
}

#[test]
fn every_metric_is_documented_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(&folder.path().join("node"));
    node.post("/v1/telemetry", "application/json", b"{\"value\": 1}");
    eventually("metrics", || metrics(&node), |text| text.contains("alluvium_commit_seconds"));
    node.post("/admin/audit", "application/json", b"");
    let text = metrics(&node);
    let mut seen = 0;
    for line in text.lines() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) else { continue };
        assert!(DOCUMENTED.contains(&format!("| `{name}` | {kind} |")), "{name} is not in docs/metrics.md as a {kind}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} is not described");
        seen += 1;
    }
    assert!(seen >= 12, "{text}");
    node.stop();
}

#[test]
fn an_audit_sets_what_can_be_alarmed_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    node.post("/v1/telemetry", "application/json", b"{\"value\": 1}");
    eventually("ledger", || sql(&data, "select * from ledger"), |rows| rows.len() == 1);
    assert!(!metrics(&node).contains("alluvium_audit"), "not before the first");
    let gauge = |name: &str| {
        let text = metrics(&node);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap().to_owned();
        line.parse::<f64>().unwrap()
    };
    assert_eq!(node.post("/admin/audit", "application/json", b"").json()["ledger_difference"], 0);
    assert_eq!((gauge("alluvium_audit_ledger_difference"), gauge("alluvium_audit_problems")), (0.0, 0.0));
    assert!(gauge("alluvium_audit_time_seconds") > 1.7e9);

    let telemetry = std::fs::read_dir(data.join("lake/telemetry")).unwrap().map(|entry| entry.unwrap().path());
    let file = telemetry.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "parquet")).unwrap();
    std::fs::remove_file(file).unwrap();
    node.post("/admin/audit", "application/json", b"");
    assert_eq!((gauge("alluvium_audit_ledger_difference"), gauge("alluvium_audit_problems")), (0.0, 1.0));
    node.stop();
}
