//! `alluvium audit`: sums of less than everything, through a node and on a folder.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Node, eventually, run, sql, succeed};

fn audit(data: &Path, args: &[&str]) -> Value {
    let asked = ["--json", "audit", "--data", data.to_str().unwrap()];
    serde_json::from_str(&succeed(&[&asked, args].concat())).unwrap()
}

/// The received events of each dataset of a list.
fn received(sums: &Value) -> Vec<(&str, u64)> {
    let sums = sums.as_array().unwrap().iter();
    sums.map(|sums| (sums["dataset"].as_str().unwrap(), sums["received"].as_u64().unwrap())).collect()
}

fn assert_restricted(data: &Path) {
    let all = audit(data, &[]);
    assert_eq!(
        (&all["selected"], &all["ledger_difference"], &all["balances"]),
        (&Value::Null, &json!(0), &json!(true))
    );
    let [day] = &all["days"].as_array().unwrap()[..] else { panic!("{all}") };
    assert_eq!(
        (&day["received"], &day["written"], &day["dead"], &day["missing"]),
        (&json!(4), &json!(3), &json!(1), &json!(0))
    );

    let hour = audit(data, &["--since", "1h", "--dataset", "telemetry"]);
    assert_eq!(received(&hour["selected"]["datasets"]), [("telemetry", 3)]);
    assert_eq!((&hour["datasets"], &hour["days"][0]["received"]), (&all["datasets"], &json!(3)));
    let nothing = audit(data, &["--since", "2100-01-01T00:00:00Z"]);
    assert_eq!((&nothing["selected"]["datasets"], &nothing["days"]), (&json!([]), &json!([])));
    assert_eq!(nothing["balances"], json!(true));

    for (args, said) in [
        (["--since", "yesterday"], "is no time"),
        (["--since", "24"], "`24` is no time"),
        (["--since", "1769860800"], "is no time"),
        (["--dataset", "nonsense"], "no dataset `nonsense`"),
        (["--dataset", "ledger"], "no dataset `ledger`"),
    ] {
        let output = run(&[&["audit", "--data", data.to_str().unwrap()], &args[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(said), "{errors}");
    }
}

#[test]
fn sums_are_restricted_by_time_and_dataset_and_checks_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    node.post("/v1/telemetry", "application/x-ndjson", b"{\"value\": 1}\n{\"value\": 2}\nnonsense\n");
    node.post("/v1/data", "application/json", b"{\"informationOne\": \"a\", \"informationTwo\": \"b\"}");
    let ledger = "select sum(received) as n from ledger";
    eventually("ledger", || sql(&data, ledger), |rows| rows[0]["n"] == 4);
    assert_restricted(&data);
    node.stop();
    assert_restricted(&data);
    let words = succeed(&["audit", "--data", data.to_str().unwrap(), "--since", "1h", "--dataset", "telemetry"]);
    assert!(words.starts_with("Of telemetry, arrived since 20"), "{words}");
}
