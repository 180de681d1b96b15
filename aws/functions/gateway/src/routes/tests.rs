#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_core::envelope::Envelope;
use alluvium_core::ports::{PortError, PutVerdict, ReadPage, ShardState, Stream};
use alluvium_core::{Datasets, ManualClock, PutBatch, PutRecord, SequenceNumber, ShardId};
use alluvium_ingest::GatewaySettings;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::lambda_runtime::{Context, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Service as _};
use serde_json::{Value, json};

use super::*;

mod traced;
mod uploads;

/// `{"value":1}`, compressed by Python's gzip.
const GZIPPED: [u8; 31] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 75, 204, 41, 77, 85, 178, 50, 172, 5, 0, 210, 226, 209, 239, 11, 0,
    0, 0,
];

/// A stream that stores everything.
#[derive(Default)]
struct Kept(Mutex<Vec<Envelope>>, Mutex<Vec<PutRecord>>);

#[async_trait]
impl Stream for Kept {
    async fn append(&self, batch: PutBatch) -> Result<Vec<PutVerdict>, PortError> {
        let mut kept = self.0.lock().unwrap();
        let stored = batch.records.into_iter().map(|record| {
            kept.push(Envelope::open(&record.data).unwrap());
            self.1.lock().unwrap().push(record);
            let sequence = SequenceNumber::from(kept.len() as u64);
            PutVerdict::Stored { shard: ShardId::numbered(0), sequence }
        });
        Ok(stored.collect())
    }

    async fn read(&self, _: &ShardId, _: Option<SequenceNumber>, _: usize, _: Duration) -> Result<ReadPage, PortError> {
        unreachable!("a gateway reads nothing")
    }

    async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
        unreachable!("a gateway reads nothing")
    }
}

/// The event of payload 2.0 of an HTTP API's Lambda integration, as the developer guide shows it.
fn event(method: &str, path: &str, body: Value, base64: bool) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("{method} /v1/{{dataset}}"),
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "authorization": "Bearer x",
            "content-type": "application/x-ndjson",
            "host": "abcdef123.execute-api.eu-west-1.amazonaws.com",
            "x-forwarded-for": "205.255.255.176",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef123",
            "authorizer": {"lambda": {"owner": "anna", "roles": "data.read data.write"}},
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
        "body": body,
        "isBase64Encoded": base64,
    })
}

fn post(body: &str) -> Value {
    event("POST", "/v1/telemetry", body.into(), false)
}

/// Sends an event through what Lambda would call; the function's answer as JSON.
async fn ask(stream: &Arc<Kept>, event: Value) -> Value {
    ask_within(stream, event, Context::default()).await
}

/// The same in an invocation that has this context.
async fn ask_within(stream: &Arc<Kept>, event: Value, context: Context) -> Value {
    answer(stream, None, event, context).await
}

/// The same where there may be uploads.
async fn answer(stream: &Arc<Kept>, desk: Option<Desk>, event: Value, context: Context) -> Value {
    let datasets = Arc::new(Datasets::load(None, None).unwrap());
    let settings = GatewaySettings { body_bytes: 4096, ..GatewaySettings::default() };
    let gateway = Gateway::new(stream.clone(), datasets, settings).unwrap();
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let observer = Observer { stage: "test".into(), clock: Arc::new(ManualClock::default()) };
    let answer = Adapter::from(of(gateway, desk, observer)).call(LambdaEvent::new(request, context)).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["headers"]["x-request-id"], "JKJaXmPLvHcESHA=", "{answer}");
    answer
}

fn body(answer: &Value) -> Value {
    assert_eq!(answer["isBase64Encoded"], false, "{answer}");
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn events_are_put_into_the_stream_under_the_owner_of_the_token() {
    let stream = Arc::new(Kept::default());
    let answer = ask(&stream, post("{\"value\":1}\n{\"value\":2}\n")).await;
    assert_eq!(answer["statusCode"], 202, "{answer}");
    assert_eq!(answer["headers"]["content-type"], "application/json");
    assert_eq!((&body(&answer)["accepted"], &body(&answer)["dataset"]), (&json!(2), &json!("telemetry")));
    let kept = stream.0.lock().unwrap();
    let elements: Vec<_> = kept.iter().flat_map(Envelope::elements).collect();
    assert_eq!(elements, [&b"{\"value\":1}"[..], b"{\"value\":2}"]);
    assert_eq!(kept[0].header.owner, "anna");
}

#[tokio::test]
async fn only_an_admin_writes_events_of_another_owner() {
    for (roles, query, status, owner) in [
        ("data.write", "owner=anna", 202, Some("anna")),
        ("data.write", "owner=bob", 403, None),
        ("data.admin", "owner=bob", 202, Some("bob")),
        ("data.admin", "", 202, Some("anna")),
        ("data.admin", "owner=", 400, None),
    ] {
        let stream = Arc::new(Kept::default());
        let mut event = post("{\"value\":1}");
        event["requestContext"]["authorizer"]["lambda"]["roles"] = roles.into();
        event["rawQueryString"] = query.into();
        let answer = ask(&stream, event).await;
        assert_eq!(answer["statusCode"], status, "{roles} {query}: {answer}");
        let kept = stream.0.lock().unwrap();
        assert_eq!(kept.first().map(|envelope| envelope.header.owner.as_str()), owner, "{roles} {query}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_text_comes_as_base64() {
    let stream = Arc::new(Kept::default());
    let gzip = STANDARD.encode(GZIPPED);
    let answer = ask(&stream, event("POST", "/data", gzip.into(), true)).await;
    assert_eq!(answer["statusCode"], 202, "{answer}");
    let kept = stream.0.lock().unwrap();
    assert_eq!(kept[0].elements().collect::<Vec<_>>(), [b"{\"value\":1}"]);
}

#[tokio::test]
async fn the_largest_body_is_the_one_that_is_set() {
    let stream = Arc::new(Kept::default());
    let line = format!("{{\"note\":\"{}\"}}\n", "x".repeat(4096 - 12));
    assert_eq!(ask(&stream, post(&line)).await["statusCode"], 202);
    let answer = ask(&stream, post(&format!("{line}\n"))).await;
    assert_eq!((&answer["statusCode"], &body(&answer)["type"]), (&json!(413), &json!("/problems/body-too-large")));
    assert_eq!(answer["headers"]["content-type"], "application/problem+json");
}

#[tokio::test]
async fn nothing_is_taken_in_for_whom_the_authorizer_did_not_let_in() {
    let stream = Arc::new(Kept::default());
    for (authorizer, status, kind) in [
        (Value::Null, 500, "no-caller"),
        (json!({}), 500, "no-caller"),
        (json!({"lambda": null}), 500, "no-caller"),
        (json!({"lambda": {"roles": "data.write"}}), 500, "no-caller"),
        (json!({"lambda": {"owner": "", "roles": "data.write"}}), 500, "no-caller"),
        (json!({"lambda": {"owner": 7, "roles": "data.write"}}), 500, "no-caller"),
        (json!({"lambda": {"owner": "anna"}}), 500, "no-caller"),
        (json!({"jwt": {"claims": {"sub": "anna", "Role": "data.admin"}, "scopes": []}}), 500, "no-caller"),
        (json!({"lambda": {"owner": "anna", "roles": "data.read"}}), 403, "role-missing"),
        (json!({"lambda": {"owner": "anna", "roles": ""}}), 403, "role-missing"),
    ] {
        let mut event = post("{\"value\":1}");
        event["requestContext"]["authorizer"] = authorizer.clone();
        let answer = ask(&stream, event).await;
        assert_eq!(
            (&answer["statusCode"], &body(&answer)["type"]),
            (&json!(status), &json!(format!("/problems/{kind}"))),
            "{authorizer}"
        );
        assert!(stream.0.lock().unwrap().is_empty(), "{authorizer}");
    }
}

#[tokio::test]
async fn other_requests_are_answered_with_a_problem() {
    let stream = Arc::new(Kept::default());
    for (method, path, status) in [("POST", "/v1/nothing", 404), ("POST", "/v2", 404), ("GET", "/data", 405)] {
        let answer = ask(&stream, event(method, path, Value::Null, false)).await;
        assert_eq!((&answer["statusCode"], &body(&answer)["status"]), (&json!(status), &json!(status)), "{path}");
    }
}
