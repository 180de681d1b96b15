//! The OpenAPI document of a stage: of what a node serves, what this stage has routes for, with what API Gateway answers itself.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use alluvium_core::Role;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::routing::get;
use serde_json::{Map, Value, json};

/// The document of a node; a test of the program holds it to what a node serves.
const NODE: &str = include_str!("../../../../../docs/openapi.json");

/// The name of the role, where an operation says which one it needs.
const ROLE: &str = "x-role";

/// What an HTTP API answers for itself has these words. Amazon API Gateway Developer Guide, "Choose between REST APIs and HTTP APIs": responses of
/// the gateway can be customised for REST APIs alone.
const GATEWAYS: &str = "GatewayError";

/// The route that answers the document. The stage's routes are those of API Gateway, such as `GET /v1/{dataset}`; that of a `HEAD` is told by its `GET`.
pub(super) fn routes(keys: Vec<String>) -> Router {
    let document: Arc<OnceLock<String>> = Arc::default();
    let answer = async move || {
        let text = document.get_or_init(|| of(&keys).to_string()).clone();
        ([(CONTENT_TYPE, "application/json")], text).into_response()
    };
    Router::new().route("/openapi.json", get(answer))
}

/// The document of a stage with these routes.
pub(super) fn of(keys: &[String]) -> Value {
    let mut document: Value = serde_json::from_str(NODE).expect("docs/openapi.json is JSON, as a test reads it");
    let routes: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
    for (path, item) in members(&mut document["paths"]) {
        let operations = members(item);
        operations.retain(|method, _| routes.contains(format!("{} {path}", method.to_uppercase()).as_str()));
        operations.iter_mut().for_each(|(_, operation)| on_a_stage(path, operation));
    }
    members(&mut document["paths"]).retain(|_, item| item.as_object().is_some_and(|item| !item.is_empty()));
    let words = json!({
        "type": "object", "required": ["message"],
        "description": "What API Gateway answers by itself.",
        "properties": {"message": {"type": "string"}},
    });
    members(&mut document["components"]["schemas"]).insert(GATEWAYS.to_owned(), words);
    let used = references(&document);
    members(&mut document["components"]["schemas"]).retain(|name, _| used.contains(name));
    let tags: BTreeSet<String> = operations(&document).flat_map(|operation| texts(&operation["tags"])).collect();
    if let Some(all) = document["tags"].as_array_mut() {
        all.retain(|tag| tag["name"].as_str().is_some_and(|name| tags.contains(name)));
    }
    document
}

/// An operation as a stage has it.
fn on_a_stage(path: &str, operation: &mut Value) {
    // Statements see everybody's rows, for Athena leaves none out.
    if path.starts_with("/v1/queries") {
        operation[ROLE] = Role::Admin.name().into();
    }
    if path.ends_with("/live") {
        answers(
            operation,
            "501",
            "`type` is `/problems/no-live-tail`: poll with `after`",
            &["application/problem+json"],
        );
        members(&mut operation["responses"]).remove("200");
    }
    if operation.get("security").is_none() {
        return;
    }
    answers(operation, "401", "There is no token. In API Gateway's words", &["application/json"]);
    let refused =
        "The token is not good, in API Gateway's words, or its role is missing: `role-missing`, `other-owner`";
    answers(operation, "403", refused, &["application/json", "application/problem+json"]);
    let hurried = "Too many requests for the stage, in API Gateway's words, or for a part of it";
    answers(operation, "429", hurried, &["application/json", "application/problem+json"]);
    let failed =
        "A function or the authorizer failed, in API Gateway's words, or a problem: `query-failed`, `no-caller`";
    answers(operation, "500", failed, &["application/json", "application/problem+json"]);
}

/// Says that an operation answers this in bodies of these types.
fn answers(operation: &mut Value, status: &str, description: &str, types: &[&str]) {
    let schema = |media: &str| if media == "application/json" { GATEWAYS } else { "Problem" };
    let content: Map<String, Value> = types
        .iter()
        .map(|media| {
            let reference = format!("#/components/schemas/{}", schema(media));
            ((*media).to_owned(), json!({"schema": {"$ref": reference}}))
        })
        .collect();
    operation["responses"][status] = json!({"description": description, "content": content});
}

/// The names of the schemas that are referred to, directly or by others that are.
fn references(document: &Value) -> BTreeSet<String> {
    fn within(value: &Value, document: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                let name = members.get("$ref").and_then(Value::as_str).and_then(|it| it.rsplit('/').next());
                if let Some(name) = name.filter(|name| found.insert((*name).to_owned())) {
                    within(&document["components"]["schemas"][name], document, found);
                }
                members.values().for_each(|value| within(value, document, found));
            }
            Value::Array(items) => items.iter().for_each(|value| within(value, document, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    within(&document["paths"], document, &mut found);
    found
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let items = document["paths"].as_object().into_iter().flat_map(Map::values);
    items.filter_map(Value::as_object).flat_map(Map::values)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The members of an object, of which the document has none that is something else.
fn members(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made one")
}

#[cfg(test)]
mod tests;
