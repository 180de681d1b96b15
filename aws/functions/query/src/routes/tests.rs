#![allow(clippy::unwrap_used)]

mod world;

use std::sync::Arc;

use alluvium_core::ManualClock;
use axum::routing::post;
use lambda_http::lambda_runtime::{Context, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Service as _};
use serde_json::{Value, json};

use super::*;
use world::World;

/// The event of payload 2.0 of an HTTP API's Lambda integration, as the developer guide shows it.
fn event(method: &str, path: &str, query: &str, authorizer: Value) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("{method} /v1/{{dataset}}"),
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            "accept": "*/*",
            "authorization": "Bearer x",
            "content-length": "0",
            "host": "abcdef123.execute-api.eu-west-1.amazonaws.com",
            "x-forwarded-for": "205.255.255.176",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef123",
            "authorizer": authorizer,
            "domainName": "abcdef123.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "abcdef123",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "205.255.255.176", "userAgent": "curl/8"},
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": format!("{method} /v1/{{dataset}}"),
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1_583_348_638_390_i64,
        },
        "pathParameters": {"dataset": "telemetry"},
        "isBase64Encoded": false,
    })
}

/// What the authorizer said of a token.
fn says(owner: &str, roles: &str) -> Value {
    json!({"lambda": {"owner": owner, "roles": roles}})
}

fn queries() -> Router {
    Router::new()
        .route("/v1/queries", post(async || "started"))
        .route("/v1/queries/{id}", get(async || "running").delete(async || "cancelled"))
        .route("/v1/queries/{id}/results", get(async || "rows"))
}

/// Sends an event through what Lambda would call; status and body of the function's answer.
async fn ask(world: &World, event: Value) -> (u16, String) {
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let observer = Observer { stage: "test".into(), clock: Arc::new(ManualClock::default()) };
    let mut function = Adapter::from(of(world.records(), &world::datasets(), queries(), routes(), observer));
    let answer = function.call(LambdaEvent::new(request, Context::default())).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["headers"]["x-request-id"], "JKJaXmPLvHcESHA=", "{answer}");
    let status = answer["statusCode"].as_u64().unwrap() as u16;
    let is_problem = answer["headers"]["content-type"] == "application/problem+json";
    assert_eq!((status >= 400, &answer["isBase64Encoded"]), (is_problem, &json!(false)), "{answer}");
    (status, answer["body"].as_str().unwrap_or_default().to_owned())
}

fn routes() -> Vec<String> {
    ["GET /health", "GET /v1/{dataset}", "HEAD /v1/{dataset}", "GET /openapi.json"].map(str::to_owned).into()
}

fn slug(answer: &(u16, String)) -> (u16, String) {
    let problem: Problem = serde_json::from_str(&answer.1).unwrap();
    (problem.status, problem.kind.strip_prefix("/problems/").unwrap().to_owned())
}

#[tokio::test]
async fn a_reader_sees_the_owners_records_and_the_admin_role_everybodys() {
    let world = World::of(&["anna", "bob"]).await;
    for (owner, roles, named, seen) in [
        ("anna", "data.read", "", vec!["anna"]),
        ("anna", "data.read", "&owner=anna", vec!["anna"]),
        ("bob", "data.read data.write", "", vec!["bob"]),
        ("carol", "data.read", "", vec![]),
        ("carol", "data.admin", "", vec!["anna", "bob"]),
        ("carol", "data.admin", "&owner=bob", vec!["bob"]),
    ] {
        let query = format!("from=-1h&limit=10{named}");
        let (status, body) = ask(&world, event("GET", "/v1/telemetry", &query, says(owner, roles))).await;
        assert_eq!(status, 200, "{body}");
        let page: Value = serde_json::from_str(&body).unwrap();
        let mut owners: Vec<_> =
            page["records"].as_array().unwrap().iter().map(|record| record["owner"].as_str().unwrap()).collect();
        owners.sort_unstable();
        assert_eq!((owners, &page["complete"]), (seen, &json!(true)), "{owner} {roles} {named}");
    }
}

#[tokio::test]
async fn a_page_below_what_the_hot_index_has_is_not_called_complete() {
    let world = World::of(&["anna"]).await;
    for (seconds, complete) in [(3600, true), (600, false), (25 * 3600, true)] {
        world.complete_since_seconds_ago(seconds).await;
        let (_, body) = ask(&world, event("GET", "/v1/telemetry", "from=-1h", says("anna", "data.read"))).await;
        let page: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&page["records"][0]["owner"], &page["complete"]), (&json!("anna"), &json!(complete)), "{seconds}");
    }
}

#[tokio::test]
async fn what_is_new_is_polled_for_by_each_who_reads_it() {
    let world = World::of(&["anna", "bob"]).await;
    for owner in ["anna", "bob"] {
        let (status, body) = ask(&world, event("GET", "/v1/telemetry", "after=oldest", says(owner, "data.read"))).await;
        let page: Value = serde_json::from_str(&body).unwrap();
        let owners: Vec<_> = page["records"].as_array().unwrap().iter().map(|record| &record["owner"]).collect();
        assert_eq!((status, owners), (200, vec![&json!(owner)]));
        let next = format!("after={}", page["next"].as_str().unwrap());
        let (_, body) = ask(&world, event("GET", "/v1/telemetry", &next, says(owner, "data.read"))).await;
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["records"], json!([]));
    }
}

#[tokio::test]
async fn nobody_reads_whom_the_authorizer_did_not_let_in() {
    let world = World::of(&["anna"]).await;
    let no_caller =
        [Value::Null, json!({}), json!({"lambda": {}}), json!({"lambda": {"owner": "anna"}}), says("", "data.read")];
    for path in ["/v1/telemetry", "/v1/telemetry/live", "/data", "/v1/queries/1"] {
        for authorizer in &no_caller {
            let answer = ask(&world, event("GET", path, "", authorizer.clone())).await;
            assert_eq!(slug(&answer), (500, "no-caller".to_owned()), "{path} {authorizer}");
        }
        for roles in ["", "data.write", "data.reader"] {
            let answer = ask(&world, event("GET", path, "", says("anna", roles))).await;
            assert_eq!(slug(&answer), (403, "role-missing".to_owned()), "{path} {roles}");
        }
    }
}

#[tokio::test]
async fn sql_is_for_the_admin_role_alone() {
    let world = World::of(&["anna"]).await;
    for (method, path, body) in [
        ("POST", "/v1/queries", "started"),
        ("GET", "/v1/queries/1", "running"),
        ("DELETE", "/v1/queries/1", "cancelled"),
        ("GET", "/v1/queries/1/results", "rows"),
    ] {
        assert_eq!(ask(&world, event(method, path, "", says("anna", "data.admin"))).await, (200, body.to_owned()));
        let (status, body) = ask(&world, event(method, path, "", says("anna", "data.read data.write"))).await;
        assert!(status == 403 && body.contains("`GET /v1/{dataset}`"), "{body}");
    }
}

#[tokio::test]
async fn the_document_is_open_and_of_what_the_stage_has() {
    let world = World::of(&[]).await;
    let (status, body) = ask(&world, event("GET", "/openapi.json", "", Value::Null)).await;
    let document: Value = serde_json::from_str(&body).unwrap();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((status, paths), (200, vec!["/health", "/openapi.json", "/v1/{dataset}"]));
    assert_eq!(document["paths"]["/v1/{dataset}"].as_object().unwrap().len(), 1, "nobody sends events to it here");
}

#[tokio::test]
async fn a_head_is_a_get_without_a_body() {
    let world = World::of(&["anna"]).await;
    let query = "from=-1h&limit=10";
    let (status, body) = ask(&world, event("HEAD", "/v1/telemetry", query, says("anna", "data.read"))).await;
    assert_eq!((status, body.as_str()), (200, ""));
    let (status, _) = ask(&world, event("HEAD", "/v1/telemetry", query, says("anna", "data.write"))).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn health_is_open_and_everything_else_a_problem() {
    let world = World::of(&[]).await;
    let (status, body) = ask(&world, event("GET", "/health", "", Value::Null)).await;
    let version = env!("CARGO_PKG_VERSION");
    let as_on_a_node = json!({"status": "ok", "version": version, "datasets": ["telemetry"], "tokens": true});
    assert_eq!((status, serde_json::from_str(&body).ok()), (200, Some(as_on_a_node)));
    let reader = says("anna", "data.read");
    for (method, path, query, answered) in [
        ("GET", "/v2", "", (404, "no-such-route")),
        ("GET", "/v1/nothing", "", (404, "unknown-dataset")),
        ("GET", "/v1/telemetry", "owner=bob", (403, "other-owner")),
        ("GET", "/data", "owner=*", (403, "other-owner")),
        ("GET", "/v1/telemetry/live", "", (501, "no-live-tail")),
        ("GET", "/v1/telemetry", "after=yesterday", (400, "bad-parameter")),
        ("GET", "/v1/telemetry", "limit=0", (400, "bad-parameter")),
        ("PUT", "/v1/telemetry", "", (405, "method-not-allowed")),
        ("GET", "/v1/queries", "", (405, "method-not-allowed")),
    ] {
        let answer = ask(&world, event(method, path, query, reader.clone())).await;
        assert_eq!(slug(&answer), (answered.0, answered.1.to_owned()), "{path}");
    }
}
