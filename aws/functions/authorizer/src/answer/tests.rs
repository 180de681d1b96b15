#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::ManualClock;
use alluvium_core::ports::{Advice, PortError};
use alluvium_query::{AuthorizerSettings, KeySource};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;

/// Made by another implementation: see `query/src/authorizer/tests/tokens.py`. Anna may read; it is good around second 10⁹.
pub(super) const TOKENS: &str = include_str!("../../../../../query/src/authorizer/tests/tokens.json");

struct Gone;

#[async_trait]
impl KeySource for Gone {
    async fn fetch(&self) -> Result<Bytes, PortError> {
        Err(PortError::new(Advice::Retry, "it is away"))
    }
}

fn authorizer(tokens: &Value) -> Authorizer {
    let clock = Arc::new(ManualClock::at(1_000_000_000_000_000));
    let secret = tokens["secret"].as_str();
    Authorizer::new(AuthorizerSettings::default(), secret, Some(Arc::new(Gone)), clock).unwrap()
}

pub(super) fn token(tokens: &Value, name: &str) -> String {
    let made = tokens["tokens"].as_array().unwrap().iter().find(|made| made["name"] == name).unwrap();
    format!("Bearer {}", made["token"].as_str().unwrap())
}

/// The event of payload 2.0, as the developer guide shows it.
fn event(route_key: &str, authorization: Option<&str>) -> Value {
    let (method, path) = route_key.split_once(' ').unwrap();
    let mut event = json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/$default/GET/v1/telemetry",
        "identitySource": [authorization, route_key],
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": "source=a&limit=10",
        "headers": {
            "accept": "*/*",
            "content-length": "0",
            "host": "abcdef123.execute-api.eu-west-1.amazonaws.com",
            "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
            "x-forwarded-for": "205.255.255.176",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "queryStringParameters": {"source": "a", "limit": "10"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef123",
            "domainName": "abcdef123.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "abcdef123",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "205.255.255.176", "userAgent": "curl/8"},
            "requestId": "id",
            "routeKey": route_key,
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1_583_348_638_390_i64,
        },
        "pathParameters": {"dataset": "telemetry"},
        "stageVariables": null,
    });
    if let Some(authorization) = authorization {
        event["headers"]["authorization"] = authorization.into();
    }
    event
}

pub(super) async fn ask(event: Value) -> Result<Value, Refusal> {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let question: Question = serde_json::from_value(event).unwrap();
    answer(&authorizer(&tokens), &question).await.map(|answer| serde_json::to_value(answer).unwrap())
}

#[tokio::test]
async fn a_good_token_is_answered_with_owner_and_roles() {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let anna = token(&tokens, "roles among others");
    let yes = json!({"isAuthorized": true, "context": {"owner": "anna", "roles": "data.read data.write"}});
    for route in ["GET /v1/{dataset}", "GET /data", "POST /v1/{dataset}", "POST /data"] {
        assert_eq!(ask(event(route, Some(&anna))).await.unwrap(), yes, "{route}");
    }
    let mut other_letters = event("GET /data", None);
    other_letters["headers"]["Authorization"] = anna.into();
    assert_eq!(ask(other_letters).await.unwrap(), yes);
}

#[tokio::test]
async fn whoever_may_not_is_answered_no_and_nothing_more() {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let [reader, expired, forged] = ["HS256", "expired past the leeway", "none"].map(|name| token(&tokens, name));
    for (route, authorization) in [
        ("POST /v1/{dataset}", Some(reader.as_str())),
        ("$default $default", Some(&reader)),
        ("GET /data", Some(&expired)),
        ("GET /data", Some(&forged)),
        ("GET /data", None),
    ] {
        assert_eq!(ask(event(route, authorization)).await.unwrap(), json!({"isAuthorized": false}), "{route}");
    }
}

#[tokio::test]
async fn what_cannot_be_decided_is_no_answer() {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let outcome = ask(event("GET /data", Some(&token(&tokens, "RS256")))).await;
    assert_eq!(outcome, Err(Refusal::KeysUnavailable));
}
