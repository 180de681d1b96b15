#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use alluvium_core::Role;
use alluvium_query::Access;
use serde_json::{Map, Value};

use super::*;

fn json() -> Value {
    serde_json::to_value(document()).unwrap()
}

/// Every operation, by its method and path.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let of_path = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(|(method, it)| (format!("{} {path}", method.to_uppercase()), it.clone())).collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

#[test]
fn the_copy_in_docs_is_what_a_node_would_serve() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == text(), "docs/openapi.json is not what a node serves; write it anew: make docs");
}

#[test]
fn every_operation_is_a_route_and_says_what_it_asks_for() {
    for (key, operation) in operations(&json()) {
        let role = match Access::of_route_key(&key) {
            Access::NoSuchRoute => panic!("{key} is no route"),
            Access::Open => Value::Null,
            Access::Needs(role) => Value::from(role.name()),
        };
        assert_eq!(operation["x-role"], role, "{key}");
        assert_eq!(operation["security"].is_null(), role.is_null(), "{key}");
    }
}

#[test]
fn every_route_that_reads_or_writes_is_described() {
    let described: BTreeSet<String> = operations(&json()).into_iter().map(|(key, _)| key).collect();
    let expected = [
        ("POST /v1/{dataset}", Role::Write),
        ("POST /data", Role::Write),
        ("GET /v1/{dataset}", Role::Read),
        ("GET /data", Role::Read),
        ("GET /v1/{dataset}/live", Role::Read),
        ("POST /v1/uploads", Role::Write),
        ("GET /v1/uploads", Role::Write),
        ("GET /v1/uploads/{id}", Role::Write),
        ("DELETE /v1/uploads/{id}", Role::Write),
        ("PUT /v1/uploads/{id}/content", Role::Write),
        ("POST /v1/queries", Role::Read),
        ("GET /v1/queries/{id}", Role::Read),
        ("DELETE /v1/queries/{id}", Role::Read),
        ("GET /v1/queries/{id}/results", Role::Read),
        ("GET /v1/queries/{id}/results.csv", Role::Read),
        ("GET /v1/queries/{id}/results.parquet", Role::Read),
        ("GET /v1/reports", Role::Admin),
        ("GET /v1/reports/{name}", Role::Admin),
        ("GET /v1/reports/{name}/{file}", Role::Admin),
    ];
    for (key, role) in expected {
        assert_eq!(Access::of_route_key(key), Access::Needs(role), "{key}");
    }
    let open = ["GET /health", "GET /metrics", "GET /openapi.json"];
    let all = expected.iter().map(|(key, _)| *key).chain(open).map(str::to_owned).collect();
    assert_eq!(described, all);
    // Whatever else the guard lets plain readers and writers through to would have to be in the table.
    let segments = [
        "data",
        "v1",
        "queries",
        "results",
        "{dataset}",
        "admin",
        "live",
        "uploads",
        "reports",
        "content",
        "results.csv",
    ];
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        for path in paths_of(&segments, 4) {
            let known = expected.iter().any(|(key, role)| *role != Role::Admin && same_route(key, method, &path));
            let needs = matches!(Access::of(method, &path), Access::Needs(Role::Read | Role::Write));
            assert_eq!(needs, known, "{method} {path}");
        }
    }
}

/// Every path of up to so many of these segments.
fn paths_of(segments: &[&str], most: usize) -> Vec<String> {
    let mut paths = vec![String::new()];
    let mut longest = paths.clone();
    for _ in 0..most {
        longest = longest.iter().flat_map(|path| segments.iter().map(move |one| format!("{path}/{one}"))).collect();
        paths.extend(longest.iter().cloned());
    }
    paths
}

/// Whether a request is one of this route. What begins with `/v1/queries`, `/v1/uploads` or `/v1/reports` is no dataset.
fn same_route(key: &str, method: &str, path: &str) -> bool {
    let (route_method, route) = key.split_once(' ').unwrap();
    let (of_route, of_path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    let fits = |(route, path): (&&str, &&str)| route.starts_with('{') || route == path;
    method == route_method
        && of_route.len() == of_path.len()
        && of_route.iter().zip(&of_path).all(fits)
        && (!is_no_dataset(path) || !route.starts_with("/v1/{dataset}"))
}

fn is_no_dataset(path: &str) -> bool {
    matches!(path.split('/').nth(2), Some("queries" | "uploads" | "reports"))
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = json();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let used: BTreeSet<_> = found.iter().filter_map(|reference| reference.rsplit('/').next()).collect();
    assert_eq!(used, schemas.keys().map(String::as_str).collect(), "every schema is used");
}

#[test]
fn every_operation_can_be_told_from_the_others_and_says_how_it_fails() {
    let document = json();
    assert_eq!(
        (&document["openapi"], &document["info"]["version"]),
        (&"3.1.0".into(), &env!("CARGO_PKG_VERSION").into())
    );
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].clone().to_string()).collect();
    let mut ids = BTreeSet::new();
    for (key, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{key}: {id} is there twice");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{key}");
        assert!(operation["tags"].as_array().unwrap().iter().all(|tag| tags.contains(&tag.to_string())), "{key}");
        for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
            assert!(parameter["description"].is_string() && parameter["schema"].is_object(), "{key}: {parameter}");
            let in_path = key.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()));
            assert_eq!(parameter["in"] == "path", in_path, "{key}: {parameter}");
        }
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{key}");
        if Access::of_route_key(&key) != Access::Open {
            fails_with_problems(&key, responses);
        }
    }
}

fn fails_with_problems(key: &str, responses: &Map<String, Value>) {
    for status in ["400", "401", "403", "429", "503"] {
        assert!(responses.contains_key(status), "{key}: {status}");
    }
    let no_problem = |status: &str| status.starts_with('2') || status.starts_with('3');
    for (status, response) in responses.iter().filter(|(status, _)| !no_problem(status)) {
        let content: Vec<_> = response["content"].as_object().unwrap().iter().collect();
        let reference = content[0].1["schema"]["$ref"].as_str();
        assert_eq!((content.len(), content[0].0.as_str()), (1, "application/problem+json"), "{key}: {status}");
        assert_eq!(reference, Some("#/components/schemas/Problem"), "{key}: {status}");
    }
}

#[test]
fn the_document_is_the_same_each_time() {
    assert_eq!(text(), text());
}
