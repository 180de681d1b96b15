//! Who may do what on a running node: tokens, owners, SQL over one's own rows.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use support::{Answer, Node, alluvium, eventually, run, succeed};

fn token(node: &Node, owner: &str, roles: &[&str]) -> String {
    let mut args = vec!["token", "--data", node.data.to_str().unwrap(), "--sub", owner];
    roles.iter().for_each(|role| args.extend(["--role", role]));
    succeed(&args).trim().to_owned()
}

/// A request with this token, or with none.
fn call(node: &Node, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    node.request(method, path, &[("Content-Type", "application/json"), ("Authorization", &bearer)], body.as_bytes())
}

fn ids(page: &Answer) -> Vec<String> {
    let records = page.json()["records"].as_array().unwrap().clone();
    records
        .iter()
        .map(|record| format!("{} {}", record["owner"].as_str().unwrap(), record["id"].as_str().unwrap()))
        .collect()
}

/// Runs a statement and returns its rows once it has succeeded.
fn rows(node: &Node, token: &str, statement: &Value) -> Vec<Value> {
    let started = call(node, token, "POST", "/v1/queries", &statement.to_string());
    assert_eq!(started.status, 202, "{}", String::from_utf8_lossy(&started.body));
    let at = started.header("location").unwrap().to_owned();
    let ended =
        eventually("status", || call(node, token, "GET", &at, "").json(), |status| status["state"] != "running");
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let page = call(node, token, "GET", &format!("{at}/results"), "");
    page.json()["rows"].as_array().unwrap().clone()
}

#[test]
fn each_owner_writes_and_reads_their_own_and_an_admin_everybodys() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(&folder.path().join("node"));
    let roles = ["data.read", "data.write"];
    let (ann, bob, admin) =
        (token(&node, "ann", &roles), token(&node, "bob", &roles), token(&node, "eve", &["data.admin"]));
    let event = |id: &str| format!(r#"{{"id": "{id}", "source": "s", "value": 1, "owner": "mallory"}}"#);
    for (token, path, id, status) in [
        (&ann, "/v1/telemetry", "1", 202),
        (&bob, "/v1/telemetry", "1", 202),
        (&bob, "/v1/telemetry?owner=ann", "2", 403),
        (&admin, "/v1/telemetry?owner=ann", "3", 202),
        (&admin, "/v1/telemetry?ownr=ann", "5", 400),
        (&admin, "/v1/telemetry", "4", 202),
    ] {
        assert_eq!(call(&node, token, "POST", path, &event(id)).status, status, "{path} {id}");
    }
    let read = |token: &str, query: &str| call(&node, token, "GET", &format!("/v1/telemetry?source=s{query}"), "");
    eventually("records", || ids(&read(&admin, "")).len(), |found| *found == 4);
    let sorted = |answer: Answer| {
        let mut ids = ids(&answer);
        ids.sort();
        ids
    };
    assert_eq!(sorted(read(&ann, "")), ["ann 1", "ann 3"]);
    assert_eq!(sorted(read(&bob, "")), ["bob 1"]);
    assert_eq!(sorted(read(&admin, "&owner=bob")), ["bob 1"]);
    assert_eq!(sorted(read(&admin, "")), ["ann 1", "ann 3", "bob 1", "eve 4"]);
    assert_eq!(read(&ann, "&owner=bob").status, 403);

    let counted = json!({"sql": "select count(*) as n from telemetry where source = ?", "parameters": ["s"]});
    let n = |token: &str| rows(&node, token, &counted)[0][0].as_i64().unwrap();
    eventually("committed", || n(&admin), |n| *n == 4);
    assert_eq!((n(&ann), n(&bob)), (2, 1));

    // A statement is its reader's alone.
    let started = call(&node, &ann, "POST", "/v1/queries", r#"{"sql": "select 1"}"#);
    let at = started.header("location").unwrap().to_owned();
    for (method, path) in [("GET", at.clone()), ("GET", format!("{at}/results")), ("DELETE", at.clone())] {
        assert_eq!(call(&node, &bob, method, &path, "").status, 404, "{method} {path}");
    }
    assert_eq!(call(&node, &ann, "GET", &at, "").status, 200);
    assert_eq!(call(&node, &ann, "DELETE", &at, "").status, 204);
    assert_eq!(call(&node, &ann, "POST", "/admin/audit", "").status, 403);
    assert_eq!(call(&node, &admin, "POST", "/admin/audit", "").status, 200);
    node.stop();
}

#[test]
fn a_node_keeps_its_secret_and_a_token_of_before_is_good_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Node::start(&data);
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("secret"), mode("token")), (0o600, 0o600));
    let reader = token(&node, "ann", &["data.read"]);
    let refused = call(&node, "", "GET", "/data", "");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(call(&node, &reader, "GET", "/data", "").status, 200);
    node.stop();
    assert!(!data.join("token").exists(), "it goes when the node does");
    let node = Node::start(&data);
    assert_eq!(call(&node, &reader, "GET", "/data", "").status, 200);
    node.stop();
    std::fs::remove_file(data.join("secret")).unwrap();
    let node = Node::start(&data);
    assert_eq!(call(&node, &reader, "GET", "/data", "").status, 401);
    node.stop();
    std::fs::set_permissions(data.join("secret"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(&["up", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("chmod 600"), "{output:?}");
}

#[test]
fn commands_find_their_token_or_say_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(&folder.path().join("node"));
    let url = node.url();
    let records = |token: &str| {
        let output =
            alluvium().args(["--json", "records", "--url", &url]).env("ALLUVIUM_TOKEN", token).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(records(&token(&node, "ann", &["data.read"])), (true, String::new()));
    let (done, said) = records("");
    assert!(!done && said.contains("there is no token") && said.contains("`alluvium token` makes one"), "{said}");
    let (done, said) = records(&token(&node, "ann", &["data.write"]));
    assert!(!done && said.contains("needs the role `data.read`"), "{said}");
    node.stop();
}

#[test]
fn a_reader_asks_with_sql_from_afar_as_an_admin_does() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(&folder.path().join("node"));
    let roles = ["data.read", "data.write"];
    let (ann, bob, admin) =
        (token(&node, "ann", &roles), token(&node, "bob", &roles), token(&node, "eve", &["data.admin"]));
    for token in [&ann, &bob] {
        assert_eq!(
            call(&node, token, "POST", "/v1/telemetry", r#"{"id": "1", "source": "s", "value": 1}"#).status,
            202
        );
    }
    let url = node.url();
    let ask = |token: &str, args: &[&str]| {
        let output = alluvium().args(args).args(["--url", &url]).env("ALLUVIUM_TOKEN", token).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let owners = "select owner, count(*) as n from telemetry group by owner order by owner";
    eventually("rows", || ask(&admin, &["--json", "sql", owners]).1.lines().count(), |rows| *rows == 2);
    assert_eq!(ask(&ann, &["--json", "sql", owners]), (0, "{\"owner\":\"ann\",\"n\":1}\n".to_owned(), String::new()));
    // More than a page, in its order, and nothing but the columns.
    let many = "select value as n from generate_series(1, 20000) order by value";
    let (of_ann, of_admin) = (ask(&ann, &["--json", "sql", many]), ask(&admin, &["--json", "sql", many]));
    assert_eq!((of_ann.0, of_ann.1.lines().count()), (0, 20_000), "{}", of_ann.2);
    assert_eq!(of_ann, of_admin);
    for statement in ["select owner from telemetry where false", "select no_such from telemetry", "select 1 +"] {
        assert_eq!(ask(&ann, &["sql", statement]), ask(&admin, &["sql", statement]), "{statement}");
    }
    let (code, _, said) = ask(&ann, &["sql", "select * from ledger"]);
    assert!(code == 1 && said.contains("`ledger`") && said.contains("data.admin"), "{said}");
    assert_eq!(ask(&ann, &["dead-letters"]), (0, "There are no such dead letters.\n".to_owned(), String::new()));
    let (code, _, said) = ask(&token(&node, "zoe", &["data.write"]), &["sql", owners]);
    assert!(code == 1 && said.contains("needs the role `data.read`"), "{said}");
    // Nothing that nobody will read stays there.
    assert_eq!(std::fs::read_dir(node.data.join("queries")).map(Iterator::count).unwrap_or_default(), 0);
    let (code, _, said) =
        ask(&admin, &["--json", "sql", "select 1 as n, 2 as m, a.source, b.source from telemetry a, telemetry b"]);
    assert!(code == 1 && said.contains("two columns are called `source`"), "{said}");
    node.stop();
}

#[test]
fn without_tokens_a_node_listens_on_loopback_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let output = run(&["up", "--no-auth", "--data", data.to_str().unwrap(), "--listen", "0.0.0.0:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--no-auth") && said.contains("127.0.0.1"), "{said}");
    let node = Node::start_with(&data, &["--no-auth"], &[]);
    assert!(node.token.is_empty());
    assert_eq!(node.post("/v1/telemetry", "application/json", b"{\"value\": 1}").status, 202);
    node.stop();
    assert_eq!(support::sql(&data, "select owner from telemetry")[0]["owner"], "anonymous");
}
