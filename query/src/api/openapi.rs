//! The API as an OpenAPI document: this room's routes, and all rooms' together.
//!
//! A room describes its own routes ([`openapi`]). [`document`] puts the parts together and says at every route what [`Access`] asks of
//! its callers, which is what the guard before it goes by, so that the two cannot differ.

mod records;
mod reports;
mod statements;

use alluvium_core::openapi::{add_problems, header as described, parameter, plain};
use alluvium_core::{Problem, Role};
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderValue, header};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, Content, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, ResponseBuilder, ResponsesBuilder, Server,
};

use super::format::{COMPLETE, Format, NEXT};
use crate::authorizer::Access;

/// Under which name the document has the bearer token.
const BEARER: &str = "bearer";

/// Where an operation says which role it needs.
const ROLE: &str = "x-role";

const DESCRIPTION: &str = "Events in, records and SQL out. Every error is a problem document (RFC 9457) whose `detail` says what would be \
    right. `x-role` is the role that an operation needs; `data.admin` will do for each.";

const TOKEN: &str =
    "A JWT with the claims `sub` (the owner), `Role` and `exp`. A node started with `up --no-auth` asks for none.";

/// What [`Refusal`](crate::Refusal) and the pace of callers answer, whatever the route.
const REFUSALS: &[(u16, &[&str])] = &[
    (
        401,
        &[
            "no-token",
            "not-a-bearer-token",
            "token-too-large",
            "malformed-token",
            "token-algorithm",
            "unknown-key",
            "wrong-signature",
            "wrong-claim",
            "token-expired",
            "token-not-yet-valid",
        ],
    ),
    (403, &["role-missing"]),
    (429, &["too-many-requests"]),
    (503, &["keys-unavailable"]),
];

/// What this room's routes take and answer, without what tokens have to do with it.
pub fn openapi() -> OpenApi {
    let this = ResponseBuilder::new().description("An OpenAPI 3.1 document");
    let document = OperationBuilder::new()
        .operation_id(Some("getOpenApi"))
        .summary(Some("This document"))
        .tag("node")
        .responses(ResponsesBuilder::new().response("200", this.content("application/json", plain(Type::Object))));
    let paths = PathsBuilder::new().path("/openapi.json", PathItem::new(HttpMethod::Get, document));
    let node = TagBuilder::new().name("node").description(Some("The node itself")).build();
    let part = OpenApiBuilder::new().paths(paths).tags(Some([node])).build();
    records::openapi().merge_from(statements::openapi()).merge_from(reports::openapi()).merge_from(part)
}

/// A 200 with rows in every format; the JSON is that of this schema.
fn rows(description: &str, json: &str) -> ResponseBuilder {
    let header = |name: &str, description: &str| (name.to_owned(), described(description, Type::String));
    let response = ResponseBuilder::new().description(description);
    let response = Format::ALL.into_iter().fold(response, |response, format| {
        let content = match format {
            Format::Json => Content::new(Some(Ref::from_schema_name(json))),
            _ => plain(Type::String),
        };
        response.content(format.media_type(), content)
    });
    [
        header(NEXT.as_str(), "Not with JSON: what the request for the next page carries; absent: this is the last"),
        header(
            "Link",
            "Not with JSON: the next page, with `rel=\"next\"`; absent: this is the last, or its address is too long",
        ),
        header("Vary", "`accept`"),
    ]
    .into_iter()
    .fold(response, |response, (name, header)| response.header(name, header))
}

/// How a request chooses between formats.
fn format() -> ParameterBuilder {
    let names = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Format::ALL.map(Format::name)));
    let description = "Left out: what the header `Accept` prefers of them, else `json`";
    parameter(ParameterIn::Query, "format", description, names)
}

/// One document of all these parts.
pub fn document(parts: impl IntoIterator<Item = OpenApi>) -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Alluvium")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license));
    let bearer =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(TOKEN)).build();
    let components =
        ComponentsBuilder::new().schema_from::<Problem>().security_scheme(BEARER, SecurityScheme::Http(bearer));
    let document =
        OpenApiBuilder::new().info(info).servers(Some([Server::new("/")])).components(Some(components.build()));
    let mut document = parts.into_iter().fold(document.build(), OpenApi::merge_from);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            if let Access::Needs(role) = Access::of(method, path) {
                ask_for(operation, role);
            }
        }
    }
    document
}

fn ask_for(operation: &mut Operation, role: Role) {
    operation.security = Some(vec![SecurityRequirement::new(BEARER, [""; 0])]);
    operation.extensions = Some(Extensions::from_iter([(ROLE, role.name())]));
    add_problems(&mut operation.responses, REFUSALS);
}

/// The operations of a path, by their methods.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let taken =
        [("GET", &mut item.get), ("POST", &mut item.post), ("PUT", &mut item.put), ("DELETE", &mut item.delete)];
    taken.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The route `GET /openapi.json`, which answers with this document.
///
/// # Panics
///
/// When it cannot be JSON, which a document always can.
pub fn openapi_routes(document: &OpenApi) -> Router {
    let body = Bytes::from(document.to_json().expect("an OpenAPI document has text for keys"));
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Router::new().route("/openapi.json", get(async move || (json, body)))
}

#[cfg(test)]
pub(super) mod tests;
