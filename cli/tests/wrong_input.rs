//! Wrong input, one by one: the right status, a clear message, nothing lost, no panic. The table is that of docs/wrong-input.md.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::io::Write as _;

use serde_json::Value;
use support::{Node, alluvium, eventually, number, sql};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A problem document with this status and these words.
#[track_caller]
fn refused(answer: &support::Answer, status: u16, words: &str) {
    let problem = answer.json();
    assert_eq!(answer.status, status, "{problem}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(problem["status"], status);
    assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
}

#[test]
fn what_the_gateway_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let json = "application/json";

    let truncated = &gzip(&b"{\"value\": 1}".repeat(100))[..40];
    let answer =
        node.request("POST", "/v1/telemetry", &[("Content-Type", json), ("Content-Encoding", "gzip")], truncated);
    refused(&answer, 400, "gzip");
    let bomb = gzip(&vec![b' '; 100 << 20]);
    let answer = node.request("POST", "/v1/telemetry", &[("Content-Type", json), ("Content-Encoding", "gzip")], &bomb);
    refused(&answer, 413, "67108864");
    let large = format!("{{\"value\": 1, \"note\": \"{}\"}}", "x".repeat(2 << 20));
    refused(&node.post("/v1/telemetry", json, large.as_bytes()), 413, "1044480");
    refused(&node.post("/v1/telemetry", json, &vec![b' '; 11 << 20]), 413, "10485760");
    refused(&node.post("/v1/telemetry", json, b""), 400, "no event");
    refused(&node.post("/v1/telemetry", json, b"[{\"value\": 1}, {"), 400, "array");
    for words in ["telemetry", "`alluvium schema infer FILES…", "`alluvium schema check`"] {
        refused(&node.post("/v1/nothing", json, b"{}"), 404, words);
        refused(&node.get("/v1/nothing"), 404, words);
    }
    refused(&node.request("PUT", "/v1/telemetry", &[], b"{}"), 405, "PUT");
    refused(&node.get("/v2/telemetry"), 404, "/v2/telemetry");
    let answer = node.request("POST", "/v1/telemetry", &[("Content-Type", json), ("Content-Encoding", "br")], b"{}");
    refused(&answer, 415, "gzip");
    refused(&node.get("/v1/telemetry?sauce=a"), 400, "sauce");
    refused(&node.get("/v1/telemetry?limit=0"), 400, "limit");
    refused(&node.get("/v1/telemetry?cursor=made-up"), 400, "cursor");
    refused(&node.get("/v1/telemetry?source=caf%E9"), 400, "UTF-8");

    // Whose the events are is said once, and by a name.
    for (query, words) in
        [("owner=", "1 to 1024 bytes"), ("owner=a&owner=b", "twice"), ("owner=*", "everybody"), ("owner=%FF", "UTF-8")]
    {
        refused(&node.post(&format!("/v1/telemetry?{query}"), json, b"{\"value\": 1}"), 400, words);
        refused(
            &node.post(&format!("/v1/uploads?{query}"), json, b"{\"dataset\": \"telemetry\", \"format\": \"csv\"}"),
            400,
            words,
        );
    }
    // A slip of the pen must not make a command do what it was to be asked about first.
    for (path, words) in [
        ("/admin/vacuum?dryrun=true", "`dryrun`"),
        ("/admin/vacuum?dry_run=maybe", "dry_run"),
        ("/admin/compact?tables=telemetry", "`tables`"),
        ("/admin/audit?from=1d", "`from`"),
        ("/admin/recover?older_than=soon", "`soon` is no duration"),
        ("/admin/redrive?dry_run=true", "`where`"),
        ("/admin/erasures?dry_run=true", "`dry_run`"),
        ("/admin/reports?name=hourly", "`name`"),
        ("/admin/sql?format=csv", "`format`"),
    ] {
        refused(&node.post(path, json, b""), 400, words);
    }
    refused(&node.get("/admin/erasures?owner=ann"), 400, "`owner`");
    for (path, array) in [
        ("/admin/erasures", "[\"ann\", null, false, true]"),
        ("/admin/reports", "[\"hourly\", \"20260101T0000Z\"]"),
        ("/admin/sql", "[\"select 1\"]"),
    ] {
        refused(&node.post(path, json, array.as_bytes()), 400, "an array");
    }
    // An id of a request comes back as it was, unless it is one that no log should hold.
    for (id, kept) in [("abc-1".to_owned(), true), ("x".repeat(129), false), ("a b".to_owned(), false)] {
        let answered = node.request("GET", "/health", &[("X-Request-Id", &id)], b"");
        assert_eq!(answered.header("x-request-id") == Some(id.as_str()), kept, "{id}");
        assert!(answered.header("x-request-id").is_some_and(|id| id.len() <= 128));
    }

    // None of it left anything behind.
    node.stop();
    assert_eq!(number(&data, "select count(*) from ledger"), 0);
}

/// What is sent as one event, the reason of the dead letter, and a word of the sentence that explains it.
fn dead_letters() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let deep = format!("{{\"value\": 1, \"deep\": {deep}}}");
    let texts: [(&str, &str, &str); 9] = [
        ("hello", "not_json", "JSON"),
        ("{\"value\": 1", "not_json", "JSON"),
        ("[1, 2]x", "not_json", "JSON"),
        ("42", "not_an_object", "object"),
        ("{\"value\": 1, \"value\": 2}", "duplicate_key", "value"),
        ("{\"value\": 1e999}", "schema_violated", "value"),
        ("{\"unit\": \"Cel\"}", "required_missing", "value"),
        ("{\"value\": 1, \"time\": \"yesterday\"}", "time_unreadable", "yesterday"),
        ("{\"value\": 1, \"time\": \"9999-01-01T00:00:00Z\"}", "time_in_future", "after the arrival"),
    ];
    let mut cases: Vec<_> =
        texts.into_iter().map(|(text, reason, word)| (text.as_bytes().to_vec(), reason, word)).collect();
    cases.push((deep.into_bytes(), "too_deep", "64"));
    cases.push((b"{\"value\": 1, \"unit\": \"\xff\xfe\"}".to_vec(), "not_json", "UTF-8"));
    cases
}

#[test]
fn what_becomes_a_dead_letter_is_accepted_and_kept_as_it_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let cases = dead_letters();
    for (body, ..) in &cases {
        let answer = node.post("/v1/telemetry", "application/x-ndjson", body);
        assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    }
    node.stop();
    let rows = sql(&data, "select reason, detail, original, original_bytes from dead_letters order by record");
    assert_eq!(rows.len(), cases.len());
    for (body, reason, word) in &cases {
        let original = String::from_utf8_lossy(body);
        let row = rows.iter().find(|row| row["original"] == original.as_ref()).unwrap_or_else(|| panic!("{original}"));
        assert_eq!(row["reason"], *reason, "{original}: {row}");
        assert!(row["detail"].as_str().unwrap().contains(word), "{original}: {row}");
        assert_eq!(row["original_bytes"], body.len());
    }
    assert_eq!(number(&data, "select count(*) from telemetry"), 0);
    support::succeed(&["audit", "--data", data.to_str().unwrap()]);
}

#[test]
fn times_in_five_formats_are_one_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let times = [
        "\"2026-01-02T03:04:05Z\"",
        "\"2026-01-02T05:04:05+02:00\"",
        "\"2026-01-02 03:04:05\"",
        "1767323045",
        "1767323045000",
        "\"1767323045000000\"",
        "1767323045000000000",
    ];
    let lines: Vec<_> = times.iter().map(|time| format!("{{\"value\": 1, \"time\": {time}}}")).collect();
    assert_eq!(node.post("/v1/telemetry", "application/x-ndjson", lines.join("\n").as_bytes()).status, 202);
    node.stop();
    let rows = sql(&data, "select cast(event_time as varchar) as t, count(*) as n from telemetry group by 1");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["n"], times.len());
}

#[test]
fn a_value_that_does_not_fit_an_optional_column_is_kept_in_extra() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let event = r#"{"id": "x", "value": "21.5", "battery": 300, "serial": 123456789012345678901234567890}"#;
    assert_eq!(node.post("/v1/telemetry", "application/json", event.as_bytes()).status, 202);
    node.stop();
    let row = &sql(&data, "select value, battery, extra from telemetry")[0];
    assert_eq!(row["value"], 21.5);
    assert_eq!(row["battery"], Value::Null);
    assert_eq!(row["extra"], r#"{"battery":300,"serial":123456789012345678901234567890}"#);
}

#[test]
fn a_port_in_use_and_a_folder_in_use_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let start = |data: &std::path::Path, listen: &str| {
        let output = alluvium().args(["up", "--listen", listen, "--data"]).arg(data).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = start(&folder.path().join("other"), &node.listen.to_string());
    assert!(said.contains(&format!("cannot listen on {}", node.listen)) && said.contains("--listen"), "{said}");
    let said = start(&data, "127.0.0.1:0");
    assert!(said.contains("is in use by another process") && said.contains(&node.listen.to_string()), "{said}");
    node.stop();
}

#[test]
fn a_schema_with_an_unknown_keyword_is_refused_by_name_and_position() {
    let folder = tempfile::tempdir().unwrap();
    let schemas = folder.path().join("schemas");
    std::fs::create_dir(&schemas).unwrap();
    std::fs::write(schemas.join("mine.json"), r#"{"properties": {"a": {"type": "string", "patern": "x"}}}"#).unwrap();
    let output = alluvium()
        .args(["up", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("node"))
        .arg("--datasets")
        .arg(&schemas)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("mine.json") && said.contains("`/properties/a/patern`") && said.contains("`patern`"),
        "{said}"
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // Root may write anywhere, so the folder's place is taken by a file.
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    std::fs::write(&data, "a file").unwrap();
    let output = alluvium().args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(&data).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(data.to_str().unwrap()), "{said}");
}

#[test]
fn a_full_disk_is_said_to_the_client_and_what_was_acknowledged_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    // A limit on the size of files stands in for a full disk: the log's segment cannot grow past it.
    let mut limited = std::process::Command::new("bash");
    let program = env!("CARGO_BIN_EXE_alluvium");
    let script = format!(
        "trap '' XFSZ; ulimit -f 8192; exec '{program}' --json up --listen 127.0.0.1:0 --data '{}'",
        data.display()
    );
    let mut child = limited
        .args(["-c", &script])
        .env("ALLUVIUM_VERBOSITY", "error")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let listen = serde_json::from_str::<Value>(&line).unwrap()["listening"].as_str().unwrap().to_owned();
    let listen: std::net::SocketAddr = listen.strip_prefix("http://").unwrap().parse().unwrap();
    let token = std::fs::read_to_string(data.join("token")).unwrap();
    let mut connection = support::Connection::open(listen, token.trim()).unwrap();
    let mut acknowledged = 0;
    let refusal = (0..1000).find_map(|n| {
        let body = format!("{{\"id\": \"{n}\", \"value\": 1, \"note\": \"{}\"}}", "x".repeat(200_000));
        let headers = [("Content-Type", "application/json")];
        let answer = connection.request("POST", "/v1/telemetry", &headers, body.as_bytes()).unwrap();
        if answer.status == 202 {
            acknowledged += 1;
            return None;
        }
        Some(answer)
    });
    let refusal = refusal.expect("the log cannot grow past the limit");
    refused(&refusal, 503, "");
    assert!(refusal.header("retry-after").is_some());
    child.kill().unwrap();
    child.wait().unwrap();

    // With room again, all that was acknowledged goes into the lake.
    let node = Node::start(&data);
    eventually("health", || node.get("/health").status, |status| *status == 200);
    node.stop();
    assert!(acknowledged > 0);
    assert_eq!(number(&data, "select count(*) from telemetry"), acknowledged);
    support::succeed(&["audit", "--data", data.to_str().unwrap()]);
}
