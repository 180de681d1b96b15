//! Reports: by a node's schedule, through its routes, on purpose, and on a folder without one.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::path::{Path, PathBuf};

use alluvium_core::{Clock as _, SystemClock};
use serde_json::{Value, json};
use support::{Connection, Node, alluvium, eventually, number, run, succeed};

const BY_DAY: &str = "-- title: Events by source\n-- window: 1d\n-- delay: 0s\n\
    select source, count(*) as events from telemetry where event_time >= $from and event_time < $to\n\
    group by source order by source\n";

/// The start of yesterday, as `2026-11-27`. So shortly before midnight that today would soon be yesterday, it waits.
fn yesterday() -> String {
    const DAY: i64 = 86_400_000_000;
    while SystemClock.now_micros() % DAY > DAY - 60_000_000 {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    let now = jiff::Timestamp::from_microsecond(SystemClock.now_micros() - 86_400_000_000).unwrap();
    now.strftime("%Y-%m-%d").to_string()
}

fn window(day: &str) -> String {
    format!("{}T0000Z", day.replace('-', ""))
}

/// A folder of reports, one of which is broken.
fn reports(folder: &Path) -> PathBuf {
    let reports = folder.join("sql");
    std::fs::create_dir(&reports).unwrap();
    std::fs::write(reports.join("by_day.sql"), BY_DAY).unwrap();
    std::fs::write(reports.join("wrong.sql"), BY_DAY.replace("telemetry", "telemetri")).unwrap();
    std::fs::write(reports.join("README.md"), "not a report").unwrap();
    reports
}

fn send(node: &Node, source: &str, day: &str, count: u32) {
    let events: Vec<_> = (0..count)
        .map(|hour| json!({"source": source, "time": format!("{day}T{hour:02}:00:00Z"), "data": {"value": hour}}))
        .collect();
    let answer = node.post("/v1/telemetry", "application/json", json!(events).to_string().as_bytes());
    assert_eq!(answer.status, 202, "{:?}", answer.json());
}

/// The rows of a file of CSV, without the line of names.
fn rows(csv: &str) -> Vec<&str> {
    let mut lines = csv.split_terminator("\r\n");
    assert_eq!(lines.next(), Some("source,events"));
    lines.collect()
}

#[test]
fn a_node_makes_what_is_due_and_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let (data, day) = (folder.path().join("node"), yesterday());
    let node = Node::start(&data);
    send(&node, "a", &day, 3);
    send(&node, "b", &day, 1);
    eventually("rows", || number(&data, "select count(*) from telemetry"), |rows| *rows == 4);
    assert_eq!(node.get("/v1/reports").json(), json!({"reports": []}));
    node.stop();

    let sql = reports(folder.path());
    let node = Node::start_with(&data, &["--reports", sql.to_str().unwrap()], &[]);
    let listed = eventually(
        "results",
        || node.get("/v1/reports").json(),
        |listed| listed["reports"][0]["results"].as_array().is_some_and(|results| !results.is_empty()),
    );
    let [by_day, wrong] = listed["reports"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(
        (&by_day["name"], &by_day["title"], &by_day["window"]),
        (&json!("by_day"), &json!("Events by source"), &json!("1d"))
    );
    assert_eq!((&by_day["failure"], &by_day["broken"], &by_day["waiting"]), (&Value::Null, &Value::Null, &json!(0)));
    let broken = wrong["broken"].as_str().unwrap();
    assert!(broken.contains("`wrong`") && broken.contains("telemetri"), "{broken}");
    assert_eq!(node.get("/health").status, 200, "a broken report stops nobody");

    let early = node.post("/admin/reports", "application/json", br#"{"name": "by_day", "window": "29990101T0000Z"}"#);
    assert_eq!((early.status, &early.json()["type"]), (409, &json!("/problems/window-not-due")));
    let seconds = early.json()["retry_after_seconds"].as_u64().unwrap();
    assert_eq!(early.header("retry-after"), Some(seconds.to_string().as_str()));
    assert!(seconds > 900 * 365 * 86_400, "{seconds}");

    let result = &by_day["results"][0];
    assert_eq!((&result["window"], &result["rows"]), (&json!(window(&day)), &json!(2)));
    let file = format!("/v1/reports/by_day/{}.csv", window(&day));
    let answer = node.get(&file);
    assert_eq!(rows(&String::from_utf8(answer.body.clone()).unwrap()), ["a,3", "b,1"]);
    assert_eq!(std::fs::read(data.join(format!("reports/by_day/{}.csv", window(&day)))).unwrap(), answer.body);

    // A browser has the link and no token.
    let link = result["csv"]["url"].as_str().unwrap();
    let mut browser = Connection::open(node.listen, "").unwrap();
    assert_eq!(browser.request("GET", link, &[], b"").unwrap().body, answer.body);
    assert_eq!(browser.request("GET", &file, &[], b"").unwrap().status, 401);
    let tag = answer.header("etag").unwrap();
    assert_eq!(browser.request("GET", link, &[("If-None-Match", tag)], b"").unwrap().status, 304);
    let reader = succeed(&["token", "--data", data.to_str().unwrap(), "--sub", "ann", "--role", "data.read"]);
    let bearer = format!("Bearer {}", reader.trim());
    for path in ["/v1/reports", "/v1/reports/by_day", file.as_str()] {
        assert_eq!(node.request("GET", path, &[("Authorization", &bearer)], b"").status, 403, "{path}");
    }
    node.stop();
}

#[test]
fn a_window_is_made_anew_on_purpose_with_and_without_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let (data, day) = (folder.path().join("node"), yesterday());
    let sql = reports(folder.path());
    let node = Node::start_with(&data, &["--reports", sql.to_str().unwrap()], &[]);
    let results = |node: &Node| node.get("/v1/reports/by_day").json()["results"].clone();
    eventually("the first result", || results(&node), |results| results[0]["rows"] == 0);
    send(&node, "late", &day, 2);

    let reports_setting = ["ALLUVIUM_REPORTS__FOLDER"].map(|name| (name, sql.clone()));
    let make = |window: &str| {
        let mut command = alluvium();
        command.args(["--json", "reports", "run", "by_day", "--window", window, "--data", data.to_str().unwrap()]);
        command.envs(reports_setting.clone()).output().unwrap()
    };
    // What was acknowledged before is waited for.
    eventually("late rows", || number(&data, "select count(*) from telemetry"), |rows| *rows == 2);
    let made = make(&format!("{day}T00:00:00Z"));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"));
    assert_eq!((&made["rows"], &made["window"]), (&json!(1), &json!(window(&day))));
    let page = results(&node);
    assert_eq!((page.as_array().unwrap().len(), &page[0]["csv"]["sha256"]), (1, &made["csv"]["sha256"]));
    let refused = make("20000101T0030Z");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("no window of `by_day` begins at 20000101T0030Z; they are 1d long"), "{said}");
    send(&node, "later", &day, 1);
    node.kill();

    // The log holds the last event, and perhaps the lake does not.
    let made = make(&window(&day));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"));
    assert_eq!(made["rows"], json!(2));
    let csv = std::fs::read_to_string(data.join(format!("reports/by_day/{}.csv", window(&day)))).unwrap();
    assert_eq!(rows(&csv), ["late,2", "later,1"]);
    let listed = alluvium()
        .args(["--json", "reports", "--data", data.to_str().unwrap()])
        .envs(reports_setting)
        .output()
        .unwrap();
    assert_eq!(listed.status.code(), Some(1), "one of them is broken");
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["reports"][0]["results"][0]["csv"]["sha256"], made["csv"]["sha256"]);
}

#[test]
fn files_are_checked_without_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let sql = reports(folder.path());
    let good = sql.join("by_day.sql");
    assert_eq!(succeed(&["reports", "check", good.to_str().unwrap()]), "by_day: holds, for windows of 1d\n");
    std::fs::write(sql.join("Bad-Name.sql"), BY_DAY).unwrap();
    std::fs::write(sql.join("bad_window.sql"), BY_DAY.replace("1d", "5h")).unwrap();
    std::fs::write(sql.join("bad_sql.sql"), BY_DAY.replace("group by", "group")).unwrap();
    let checked = run(&["reports", "check", sql.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let said = String::from_utf8_lossy(&checked.stderr);
    for wanted in [
        "Bad-Name.sql: `Bad-Name` is no name for a report",
        "bad_window.sql: line 2: `window`: windows of 5h do not fill a day",
        "the statement of `bad_sql` cannot be run: ",
        "the statement of `wrong` cannot be run: ",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports");
    let said = succeed(&["reports", "check", shipped.to_str().unwrap()]);
    assert_eq!(said.lines().count(), std::fs::read_dir(shipped).unwrap().count(), "{said}");
}
