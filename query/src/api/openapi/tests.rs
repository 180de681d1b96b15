#![allow(clippy::unwrap_used)]

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::authorizer::Refusal;

/// Asserts that this room's part says that a request of this method and path may be answered with this problem, if its route is in it.
pub(in crate::api) fn assert_described(method: &str, path: &str, problem: &Value) {
    let path = path.split('?').next().unwrap();
    let route = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["", "v1", "queries", _] => "/v1/queries/{id}",
        ["", "v1", "queries", _, "results"] => "/v1/queries/{id}/results",
        ["", "v1", "reports", _] => "/v1/reports/{name}",
        ["", "v1", "reports", _, _] => "/v1/reports/{name}/{file}",
        ["", "v1", dataset] if !["queries", "reports"].contains(dataset) => "/v1/{dataset}",
        _ => path,
    };
    let part = serde_json::to_value(openapi()).unwrap();
    let operation = &part["paths"][route][method.to_ascii_lowercase()];
    let kind = problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap();
    let description = &operation["responses"][problem["status"].to_string()]["description"];
    let described = description.as_str().is_some_and(|text| text.contains(&format!("`{kind}`")));
    assert!(described || operation.is_null(), "{method} {route} may be answered with {problem}");
}

#[test]
fn a_part_gets_what_its_routes_ask_of_callers() {
    let document = serde_json::to_value(document([openapi()])).unwrap();
    let read = &document["paths"]["/v1/{dataset}"]["get"];
    assert_eq!((&read["x-role"], &read["security"]), (&"data.read".into(), &serde_json::json!([{"bearer": []}])));
    let denied = read["responses"]["403"]["description"].as_str().unwrap();
    assert_eq!(denied, "`type` is `/problems/` and one of: `other-owner`, `role-missing`");
    assert!(read["responses"]["401"]["headers"]["WWW-Authenticate"].is_object());
    let open = &document["paths"]["/openapi.json"]["get"];
    assert!(open["x-role"].is_null() && open["security"].is_null());
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

#[test]
fn every_refusal_of_a_token_is_described() {
    let refusals = [
        Refusal::NoToken,
        Refusal::NotBearer,
        Refusal::TooLarge(9000),
        Refusal::Malformed(""),
        Refusal::Algorithm(String::new()),
        Refusal::NotAccepted(""),
        Refusal::UnknownKey { algorithm: "", kid: String::new() },
        Refusal::NoKeyNamed(""),
        Refusal::Signature,
        Refusal::ClaimMissing(String::new()),
        Refusal::ClaimKind { claim: String::new(), expected: "" },
        Refusal::Expired,
        Refusal::NotYet,
        Refusal::ClaimOther(""),
        Refusal::Owner,
        Refusal::Role { needed: Role::Read, claim: String::new() },
        Refusal::KeysUnavailable,
    ];
    for problem in refusals.iter().map(Refusal::problem) {
        let (_, kinds) = REFUSALS.iter().find(|(status, _)| *status == problem.status).unwrap();
        let kind = problem.kind.strip_prefix("/problems/").unwrap();
        assert!(kinds.contains(&kind), "{kind}");
    }
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let document = document([openapi()]);
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let response = openapi_routes(&document).oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let served: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(served, serde_json::to_value(&document).unwrap());
}
