#![allow(clippy::unwrap_used)]

use bytes::Bytes;

use super::*;
use crate::answer::tests::{TOKENS, ask, token};

/// The event of a REST API, as the developer guide shows it.
fn event(method: &str, resource: &str, authorization: Option<&str>) -> Value {
    let mut event = json!({
        "type": "REQUEST",
        "methodArn": format!("arn:aws:execute-api:eu-west-1:123456789012:abcdef123/direct/{method}{resource}"),
        "resource": resource,
        "path": resource,
        "httpMethod": method,
        "headers": {"X-AMZ-Date": "20170718T062915Z", "Accept": "*/*"},
        "queryStringParameters": {},
        "pathParameters": {},
        "stageVariables": null,
        "requestContext": {
            "path": resource,
            "accountId": "123456789012",
            "resourceId": "05c7jb",
            "stage": "direct",
            "requestId": "…",
            "identity": {"apiKey": "…", "sourceIp": "205.255.255.176"},
            "resourcePath": resource,
            "httpMethod": method,
            "apiId": "abcdef123",
        },
    });
    if let Some(authorization) = authorization {
        event["headers"]["Authorization"] = authorization.into();
    }
    event
}

#[tokio::test]
async fn who_may_write_is_given_the_seal_of_their_records() {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let anna = token(&tokens, "roles among others");
    for resource in ["/v1/telemetry", "/data"] {
        let said = ask(event("POST", resource, Some(&anna))).await.unwrap();
        let statement = json!({
            "Action": "execute-api:Invoke",
            "Effect": "Allow",
            "Resource": "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/direct/POST/*",
        });
        assert_eq!(said["policyDocument"], json!({"Version": "2012-10-17", "Statement": [statement]}));
        assert_eq!(
            (&said["context"]["owner"], &said["context"]["roles"]),
            (&json!("anna"), &json!("data.read data.write"))
        );
        let seal = said["context"]["seal"].as_str().unwrap();
        assert!(!seal.ends_with('='), "something can be put behind it");
        let record = [seal, "iYAAdGVsZW1ldHJ5", "e30="].concat();
        let record = OwnedRecord::open(&Bytes::from(STANDARD.decode(record).unwrap())).unwrap();
        assert_eq!((&*record.owner, &*record.dataset, &*record.record), ("anna", "telemetry", b"{}".as_slice()));
    }
}

#[tokio::test]
async fn whoever_may_not_write_is_denied_and_told_no_seal() {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let [writer, reader, expired, forged] =
        ["roles among others", "HS256", "expired past the leeway", "none"].map(|name| token(&tokens, name));
    for (method, resource, authorization) in [
        ("POST", "/v1/telemetry", Some(&reader)),
        ("POST", "/v1/telemetry", Some(&expired)),
        ("POST", "/v1/telemetry", Some(&forged)),
        ("POST", "/v1/telemetry", None),
        // What would be remembered for methods that write.
        ("GET", "/v1/telemetry", Some(&writer)),
        ("POST", "/v1/queries", Some(&writer)),
        ("GET", "/health", None),
    ] {
        let said = ask(event(method, resource, authorization.map(String::as_str))).await.unwrap();
        assert_eq!(said["policyDocument"]["Statement"][0]["Effect"], "Deny", "{method} {resource}");
        assert_eq!(said.get("context"), None, "{method} {resource}");
    }
}

#[tokio::test]
async fn a_call_without_headers_is_denied_too() {
    let mut event = event("POST", "/data", None);
    event["headers"] = Value::Null;
    assert_eq!(ask(event).await.unwrap()["policyDocument"]["Statement"][0]["Effect"], "Deny");
}
