//! The statements that reads of records write, held to committed texts: `testdata/sql/records.json`.
//!
//! Other programs judge those: whether Athena's dialect takes them, and whether other engines answer the same (`tests/interop/test_athena.py`).
//! So there is one of every kind here, over the real series of `testdata/nab`. After a change that is meant,
//! `ALLUVIUM_BLESS=1 cargo test -p alluvium-query statements` writes the file anew.

#![allow(clippy::disallowed_methods, reason = "a test is an entry point")]

use jiff::Timestamp;
use serde_json::{Value, json};

use super::world::World;
use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/sql/records.json");

fn at(time: &str) -> Micros {
    time.parse::<Timestamp>().unwrap().as_microsecond()
}

/// A lake in which the first readings of two of the series are, long after.
async fn world() -> World {
    let mut world = World::at(at("2026-01-01T00:00:00Z"));
    world.hot.set_complete_since("telemetry", Micros::MIN).await.unwrap();
    let reading = |source: &str, number: i64, time: Micros| Event {
        id: format!("{source}:{number}"),
        source: source.to_owned(),
        owner: "anonymous".to_owned(),
        time,
        arrival: 0,
    };
    let taxi = (0..20).map(|n| reading("nyc_taxi", n, at("2014-07-01T00:00:00Z") + n * HOUR / 2));
    let heat = (0..20).map(|n| reading("ambient_temperature_system_failure", n, at("2014-07-01T00:00:00Z") + n * HOUR));
    world.arrive(taxi.chain(heat).collect()).await;
    world
}

/// What is asked for, and why it makes another statement.
fn requests() -> Vec<(&'static str, RecordsRequest)> {
    let of = |source: &str| RecordsRequest {
        owner: Some("anonymous".to_owned()),
        source: Some(source.to_owned()),
        ..request(3)
    };
    let (from, to) = (Some(at("2014-07-01T02:00:00Z")), Some(at("2014-07-01T06:00:00.000001Z")));
    let cursor = Some(Cursor {
        dataset: "telemetry".to_owned(),
        time: at("2014-07-01T05:00:00Z"),
        source: "ambient_temperature_system_failure".to_owned(),
        id: "ambient_temperature_system_failure:5".to_owned(),
        owner: "anonymous".to_owned(),
    });
    vec![
        ("everything, the newest first", request(3)),
        ("one source of one owner", of("nyc_taxi")),
        ("a range of time", RecordsRequest { from, to, ..request(5) }),
        ("the page after another", RecordsRequest { cursor, from, ..request(4) }),
        (
            "a name with quotes, and none of SQL's words in it is one",
            of("it's -- \"a\" ; drop table telemetry_raw \\ ü ?"),
        ),
        ("from before the calendar", RecordsRequest { from: Some(Micros::MIN + 1), to, ..request(2) }),
        ("up to after it", RecordsRequest { from, to: Some(Micros::MAX - 1), ..request(2) }),
        ("dead letters", RecordsRequest { dataset: "dead_letters".to_owned(), from, to, ..request(2) }),
    ]
}

#[tokio::test]
async fn the_statements_are_those_that_were_judged() {
    let mut written: Vec<Value> = Vec::new();
    for (why, request) in requests() {
        let world = world().await;
        world.records.page(&request).await.unwrap();
        let statements = std::mem::take(&mut *world.lake.statements.lock().unwrap());
        assert!(!statements.is_empty(), "{why}");
        written.extend(statements.into_iter().map(|sql| json!({"read": why, "sql": sql})));
    }
    let written = serde_json::to_string_pretty(&written).unwrap() + "\n";
    if std::env::var("ALLUVIUM_BLESS").is_ok() {
        std::fs::write(FILE, &written).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(committed == written, "{FILE} is to have:\n{written}");
}
