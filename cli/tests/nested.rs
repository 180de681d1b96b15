//! Objects and arrays as a person meets them, before and after their schema has grown.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Node, alluvium, succeed};

fn write_schema(folder: &Path, place: &str, more: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let schema = format!(
        r#"{{"properties": {{"place": {{"type": "object", "properties": {{"room": {{"type": "string"}}{place}}}}},
            "parts": {{"type": "array", "items": {{"type": "object", "properties": {{"n": {{"type": "integer"}}}}}}}}{more}}}}}"#
    );
    std::fs::write(folder.join("visits.json"), schema).unwrap();
}

fn send(node: &Node, event: &Value) {
    let answer = node.post("/v1/visits", "application/json", event.to_string().as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.json());
}

#[test]
fn a_schema_with_objects_and_arrays_grows_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let (data, datasets, config) =
        (folder.path().join("node"), folder.path().join("datasets"), folder.path().join("alluvium.toml"));
    std::fs::write(&config, format!("datasets = {:?}\n", datasets.display().to_string())).unwrap();
    let [data_arg, datasets_arg, config_arg] = [&data, &datasets, &config].map(|path| path.to_str().unwrap());

    write_schema(&datasets, "", "");
    let node = Node::start_with(&data, &["--datasets", datasets_arg], &[]);
    send(&node, &json!({"id": "1", "source": "s", "place": {"room": "a", "noise": 3}, "parts": [{"n": 1}, {"n": 2}]}));
    node.stop();
    let geo = r#", "geo": {"type": "object", "properties": {"lat": {"type": "number"}}}"#;
    write_schema(&datasets, geo, r#", "tags": {"type": "array", "items": {"type": "string"}}"#);
    let node = Node::start_with(&data, &["--datasets", datasets_arg], &[]);
    send(&node, &json!({"id": "2", "source": "s", "place": {"geo": {"lat": 1.5}}, "tags": ["x"]}));
    node.stop();

    let records = succeed(&["--config", config_arg, "--json", "records", "visits", "--data", data_arg]);
    let page: Value = serde_json::from_str(&records).unwrap();
    let told = |at: usize| (&page["records"][at]["data"], &page["records"][at]["extra"]);
    assert_eq!(told(0), (&json!({"place": {"geo": {"lat": 1.5}}, "tags": ["x"]}), &json!({})));
    assert_eq!(
        told(1),
        (&json!({"place": {"room": "a"}, "parts": [{"n": 1}, {"n": 2}]}), &json!({"place": {"noise": 3}}))
    );

    let ask = |json: &[&str], statement: &str| {
        succeed(&[&["--config", config_arg], json, &["sql", "--data", data_arg, statement]].concat())
    };
    let fields = "select event_id as id, place.room as room, place.geo.lat as lat, tags from visits order by 1";
    let rows: Vec<Value> = ask(&["--json"], fields).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [
        json!({"id": "1", "room": "a", "lat": null, "tags": null}),
        json!({"id": "2", "room": null, "lat": 1.5, "tags": ["x"]}),
    ];
    assert_eq!(rows, expected);
    let table = ask(&[], "select place, parts from visits where place.room = 'a'");
    assert!(table.contains(r#"{"room":"a"}"#) && table.contains(r#"[{"n":1},{"n":2}]"#), "{table}");
    let sum = ask(&["--json"], "select sum(part.n) as n from (select unnest(parts) as part from visits)");
    assert_eq!(sum.trim(), r#"{"n":3}"#);

    write_schema(&datasets, "", r#", "tags": {"type": "string"}"#);
    let up = ["up", "--listen", "127.0.0.1:0", "--data", data_arg, "--datasets", datasets_arg];
    let refused = alluvium().args(up).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("column `place.geo`: the table has it") && said.contains("Put it back"), "{said}");
    assert!(said.contains("column `tags`: the table has array of string, the schema says string"), "{said}");
}
