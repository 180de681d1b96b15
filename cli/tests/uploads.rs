//! An upload whose node is killed while it is loaded: after the next starts every line is an event, and no event is there under two ids.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;
use support::{Node, eventually, number, run};

/// Batches and commits in quick succession.
const HASTY: [(&str, &str); 2] = [("ALLUVIUM_DELIVERY__BUFFER", "20ms"), ("ALLUVIUM_COMMIT__INTERVAL", "30ms")];
const LINES: u32 = 300_000;

fn gzipped(lines: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for line in 1..=lines {
        let broken = if line % 1_000 == 0 { "," } else { "" };
        writeln!(encoder, r#"{{"source": "s{}", "value": {line}, "unit": "unit-{line:020}"{broken}}}"#, line % 7)
            .unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn killed_while_it_is_loaded_it_goes_on_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let mut node = Node::start_with(&data, &[], &HASTY);
    let asked = node.post("/v1/uploads", "application/json", br#"{"dataset": "telemetry", "format": "ndjson"}"#);
    assert_eq!(asked.status, 201);
    let at = asked.header("location").unwrap().to_owned();
    let put = node.request("PUT", &format!("{at}/content"), &[], &gzipped(LINES));
    assert_eq!(put.status, 202, "{}", String::from_utf8_lossy(&put.body));

    let status = |node: &Node| node.get(&at).json();
    let mut seen = Vec::new();
    for round in 1..=3_u64 {
        let before = seen.last().copied().unwrap_or(0);
        let reached = eventually(
            "loading",
            || status(&node),
            |status| status["accepted"].as_u64().unwrap() > before || status["state"] == "done",
        );
        seen.push(reached["accepted"].as_u64().unwrap());
        std::thread::sleep(Duration::from_millis(round * 3));
        node.kill();
        node = Node::start_with(&data, &[], &HASTY);
    }
    let done: Value = eventually("loaded", || status(&node), |status| status["state"] == "done");
    assert!(seen[0] < u64::from(LINES), "the first kill came too late to show anything: {seen:?}");
    assert_eq!((&done["accepted"], &done["lines"], &done["odd"]), (&LINES.into(), &LINES.into(), &0.into()), "{done}");
    node.stop();

    let (rows, dead) = (i64::from(LINES - LINES / 1_000), i64::from(LINES / 1_000));
    assert_eq!(number(&data, "select count(*) from telemetry"), rows);
    assert_eq!(number(&data, "select count(distinct event_id) from telemetry_raw"), rows);
    assert_eq!(number(&data, "select count(distinct value) from telemetry"), rows);
    assert_eq!(number(&data, "select count(distinct original) from dead_letters_raw"), dead);
    let audit = run(&["audit", "--data", data.to_str().unwrap()]);
    assert!(
        audit.status.success(),
        "{}{}",
        String::from_utf8_lossy(&audit.stdout),
        String::from_utf8_lossy(&audit.stderr)
    );
    let left = std::fs::read_dir(data.join("uploads")).unwrap().count();
    assert_eq!(left, 1, "the content is gone, and what is kept of the upload is there");
}
