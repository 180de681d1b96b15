//! Readers of a result's file who go away or take no more: nothing of them stays, nobody else waits for them, and the node stops in time.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Answer, Connection, Node, eventually};

/// One statement at a time, and the events in quick succession.
const NARROW: [(&str, &str); 3] =
    [("ALLUVIUM_SQL__CONCURRENCY", "1"), ("ALLUVIUM_DELIVERY__BUFFER", "20ms"), ("ALLUVIUM_COMMIT__INTERVAL", "30ms")];

/// Many times what the kernel holds of a connection that nobody reads.
const ROWS: usize = 400 * 400;
const MOST_IN_TRANSIT: usize = 12 << 20;

/// A node with events to make a large result of.
fn node_with_events(folder: &tempfile::TempDir) -> Node {
    let node = Node::start_with(&folder.path().join("node"), &[], &NARROW);
    let events: String = (0..400).map(|value| format!("{{\"value\": {value}}}\n")).collect();
    assert_eq!(node.post("/v1/telemetry", "application/x-ndjson", events.as_bytes()).status, 202);
    eventually("committed", || number(&node, "select count(*) from telemetry"), |rows| *rows == 400);
    node
}

/// Runs a statement to its end.
fn statement(node: &Node, sql: &str) -> (String, Value) {
    let started = node.post("/v1/queries", "application/json", json!({"sql": sql}).to_string().as_bytes());
    assert_eq!(started.status, 202, "{}", started.json());
    let at = started.header("location").unwrap().to_owned();
    let ended = eventually("ended", || node.get(&at).json(), |status| status["state"] != "running");
    assert_eq!(ended["state"], "succeeded", "{ended}");
    (at, ended)
}

/// The one number of a statement's result.
fn number(node: &Node, sql: &str) -> i64 {
    let (at, _) = statement(node, sql);
    node.get(&format!("{at}/results")).json()["rows"][0][0].as_i64().unwrap()
}

/// Asks for a link's file, and reads so much of it.
fn begin(node: &Node, link: &str, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(node.listen).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {link} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut read = vec![0; bytes];
    stream.read_exact(&mut read).unwrap();
    assert!(bytes == 0 || read.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&read));
    stream
}

/// What a link answers to somebody who has no token.
fn by_link(node: &Node, link: &str) -> Answer {
    Connection::open(node.listen, "").unwrap().request("GET", link, &[], b"").unwrap()
}

/// A result of some 30 MB, and where its files are: the address of the statement, the links to CSV and to Parquet.
fn large_result(node: &Node) -> (String, String, String) {
    // Nothing that compresses well.
    let notes = ["cast(random() as varchar)"; 8].join(" || ");
    let sql = format!("select a.value, {notes} as note from telemetry a cross join telemetry b");
    let (at, ended) = statement(node, &sql);
    let link = |format: &str| ended["files"][format].as_str().unwrap().to_owned();
    let (csv, parquet) = (link("csv"), link("parquet"));
    (at, csv, parquet)
}

#[test]
fn readers_who_go_away_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let node = node_with_events(&folder);
    let (at, csv, parquet) = large_result(&node);
    // While the file is still being made, too.
    for link in [&csv, &parquet] {
        drop(begin(&node, link, 0));
        for _ in 0..20 {
            drop(begin(&node, link, 64 * 1024));
        }
        let one_half = begin(&node, link, 1 << 20);
        one_half.shutdown(std::net::Shutdown::Both).unwrap();
    }
    for ending in [".csv", ".parquet", ".new", ".arrow"] {
        eventually("closed", || node.open_files(ending), |open| *open == 0);
    }
    assert_eq!(number(&node, "select 1"), 1, "who runs a statement waits for no reader");
    let whole = by_link(&node, &csv);
    let lines = whole.body.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!((whole.status, lines), (200, ROWS + 1));
    assert!(whole.body.len() > MOST_IN_TRANSIT, "{} bytes may all be in transit", whole.body.len());
    assert_eq!(node.request("DELETE", &at, &[], b"").status, 204);
    assert_eq!(by_link(&node, &csv).status, 404);
    node.stop();
}

#[test]
fn readers_who_take_no_more_hold_up_nobody_and_the_node_stops() {
    let folder = tempfile::tempdir().unwrap();
    let node = node_with_events(&folder);
    let (at, csv, parquet) = large_result(&node);
    let stalled: Vec<_> = [&csv, &csv, &csv, &parquet].map(|link| begin(&node, link, 1024)).into();
    assert_eq!(node.open_files(".csv"), 3);
    assert_eq!(number(&node, "select 1"), 1, "who runs a statement waits for no reader");
    // What is deleted is gone for who asks now, and whole for who reads it already.
    assert_eq!(node.request("DELETE", &at, &[], b"").status, 204);
    assert_eq!(by_link(&node, &csv).status, 404);
    let mut stalled = stalled.into_iter();
    let mut going_on = stalled.next().unwrap();
    let began = Instant::now();
    let reading = std::thread::spawn(move || {
        let (mut bytes, mut buffer) = (0, vec![0; 256 * 1024]);
        loop {
            match going_on.read(&mut buffer) {
                Ok(0) | Err(_) => return bytes,
                Ok(read) => bytes += read,
            }
        }
    });
    node.stop();
    assert!(began.elapsed() < Duration::from_secs(45), "requests have half a minute: {:?}", began.elapsed());
    assert!(reading.join().unwrap() > MOST_IN_TRANSIT, "a reader who goes on gets the rest while the node stops");
    drop(stalled);
}
