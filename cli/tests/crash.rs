//! The real process, killed at random moments under load, restarted each time, audited at the end (IN-1, LK-1).
//!
//! `make test` does a few rounds; `make crash ROUNDS=50` does more. `ALLUVIUM_CRASH_SEED` replays the moments of a run as far as
//! the machine allows.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Connection, Node, alluvium, number, sql};

/// Batches and commits in quick succession, so that a kill often falls between the commits of two tables.
const HASTY: [(&str, &str); 4] = [
    ("ALLUVIUM_DELIVERY__BUFFER", "20ms"),
    ("ALLUVIUM_COMMIT__INTERVAL", "30ms"),
    ("ALLUVIUM_COMMIT__CHECKPOINT_EVERY", "20"),
    ("ALLUVIUM_LOG__SHARDS", "2"),
];
const SENDERS: u64 = 4;
const EVENTS_PER_REQUEST: u64 = 20;

/// A number from a seed, the same each time (splitmix64).
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What was sent and what of it was acknowledged. Every event is sent once and never again.
#[derive(Default)]
struct Sent {
    next: AtomicU64,
    acknowledged: Mutex<Vec<u64>>,
    acknowledged_broken: AtomicU64,
}

/// Sends until it is told to stop or the node is gone. One event in each request is broken on purpose, and some requests go to
/// the other dataset, so that every cycle commits to several tables.
fn send(node: std::net::SocketAddr, token: &str, sent: &Sent, stop: &AtomicBool) {
    let Ok(mut connection) = Connection::open(node, token) else { return };
    while !stop.load(Ordering::Relaxed) {
        let first = sent.next.fetch_add(EVENTS_PER_REQUEST, Ordering::Relaxed);
        let ids = first..first + EVENTS_PER_REQUEST - 1;
        let to_data = (first / EVENTS_PER_REQUEST).is_multiple_of(5);
        let mut body = String::from("not json\n");
        for id in ids.clone() {
            let data = if to_data { r#"{"informationOne":"a","informationTwo":"b"}"# } else { r#"{"value":1.5}"# };
            body.push_str(&format!("{{\"id\":\"{id}\",\"source\":\"s{}\",\"data\":{data}}}\n", id % 7));
        }
        let path = if to_data { "/v1/data" } else { "/v1/telemetry" };
        let headers = [("Content-Type", "application/x-ndjson")];
        match connection.request("POST", path, &headers, body.as_bytes()) {
            Ok(answer) => {
                assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
                sent.acknowledged.lock().unwrap().extend(ids);
                sent.acknowledged_broken.fetch_add(1, Ordering::Relaxed);
            }
            // Killed before it answered: nobody knows, and it is not sent again.
            Err(_) => return,
        }
    }
}

#[test]
fn killed_again_and_again_it_loses_nothing_and_doubles_nothing() {
    let rounds = setting("ALLUVIUM_CRASH_ROUNDS", 6);
    let seed = setting("ALLUVIUM_CRASH_SEED", 20_261_121);
    println!("{rounds} rounds, ALLUVIUM_CRASH_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let sent = Arc::new(Sent::default());
    for round in 0..rounds {
        let node = Node::start_with(&data, &[], &HASTY);
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (sent, stop, listen, token) = (sent.clone(), stop.clone(), node.listen, node.token.clone());
                std::thread::spawn(move || send(listen, &token, &sent, &stop))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20 + mixed(seed ^ round) % 700));
        node.kill();
        stop.store(true, Ordering::Relaxed);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    }
    Node::start_with(&data, &[], &HASTY).stop();

    let audit = alluvium().args(["audit", "--data"]).arg(&data).output().unwrap();
    let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(audit.status.success(), "{}{}", said(&audit.stdout), said(&audit.stderr));

    let mut acknowledged = std::mem::take(&mut *sent.acknowledged.lock().unwrap());
    acknowledged.sort_unstable();
    assert!(acknowledged.len() as u64 > rounds * EVENTS_PER_REQUEST, "there was hardly any load");
    let view = "select event_id from telemetry union all select event_id from data";
    let mut stored: Vec<u64> =
        sql(&data, view).iter().map(|row| row["event_id"].as_str().unwrap().parse().unwrap()).collect();
    stored.sort_unstable();
    let before = stored.len();
    stored.dedup();
    assert_eq!(stored.len(), before, "an event is in the view twice");
    let missing: Vec<_> = acknowledged.iter().filter(|id| stored.binary_search(id).is_err()).take(10).collect();
    assert!(missing.is_empty(), "acknowledged and not in the lake: {missing:?} …");

    let raw = "select count(*) from (select event_id from telemetry_raw union all select event_id from data_raw)";
    assert_eq!(number(&data, raw), before as i64, "the tables hold an event twice that was sent once");
    let dead = number(&data, "select count(*) from dead_letters_raw");
    let unique_dead = number(&data, "select count(distinct event_id) from dead_letters_raw");
    assert_eq!(dead, unique_dead, "a dead letter is there twice");
    assert!(dead as u64 >= sent.acknowledged_broken.load(Ordering::Relaxed), "a dead letter is missing");
    println!("{} acknowledged, {before} in the view, {dead} dead letters", acknowledged.len());
}
