//! The OpenAPI document of all that a node serves to the outside.

use alluvium_core::openapi::plain;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{
    Content, HttpMethod, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, ResponseBuilder, ResponsesBuilder,
};

/// What a node serves at `/openapi.json`; `docs/openapi.json` is a copy.
pub fn document() -> OpenApi {
    alluvium_query::api::document([
        alluvium_ingest::gateway::openapi(),
        alluvium_ingest::uploads::openapi(),
        alluvium_query::api::openapi(),
        own_routes(),
    ])
}

/// The document as text, which ends in a line break.
pub fn text() -> String {
    let mut text = document().to_pretty_json().expect("an OpenAPI document has text for keys");
    text.push('\n');
    text
}

fn own_routes() -> OpenApi {
    let json = || Content::new(Some(health()));
    let answer = |description: &str| ResponseBuilder::new().description(description);
    let health = OperationBuilder::new()
        .operation_id(Some("getHealth"))
        .summary(Some("Whether the node works"))
        .tag("node")
        .responses(
            ResponsesBuilder::new()
                .response("200", answer("It works").content("application/json", json()))
                .response("503", answer("It has failed, and its log says why").content("application/json", json())),
        );
    let metrics = OperationBuilder::new()
        .operation_id(Some("getMetrics"))
        .summary(Some("What the node counts and measures, in Prometheus's text format"))
        .tag("node")
        .responses(
            ResponsesBuilder::new().response("200", answer("Metrics").content("text/plain", plain(Type::String))),
        );
    let paths = PathsBuilder::new()
        .path("/health", PathItem::new(HttpMethod::Get, health))
        .path("/metrics", PathItem::new(HttpMethod::Get, metrics));
    OpenApiBuilder::new().paths(paths).build()
}

fn health() -> ObjectBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("status", text().enum_values(Some(["ok", "failed"])))
        .property("version", text())
        .property("datasets", ArrayBuilder::new().items(text()))
        .property("tokens", ObjectBuilder::new().schema_type(Type::Boolean))
        .required("status")
        .required("version")
        .required("datasets")
        .required("tokens")
}

#[cfg(test)]
mod tests;
