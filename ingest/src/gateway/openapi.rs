//! The gateway's routes as a part of the OpenAPI document.

use alluvium_core::Problem;
use alluvium_core::envelope::MAX_TEXT_BYTES;
use alluvium_core::openapi::{add_problems, named, parameter, path_parameter};
use utoipa::openapi::path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, Content, HttpMethod, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref, Required,
    ResponseBuilder, ResponsesBuilder,
};

use super::Acceptance;
use super::intake::IDEMPOTENCY_KEY_CHARS;

const TAG: &str = "events";

/// The media types of a body with an event a line.
const LINES: [&str; 4] = ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];

const BODY: &str = "One event or several. How they lie in the body is told by its media type; with another one, or none, by its first \
    bytes. A body in gzip or zstd may say so in `Content-Encoding`, and is known by its first bytes if it does not. With the headers \
    `ce-specversion`, `ce-id`, … it is the data of one CloudEvent in binary mode.";

const DESCRIPTION: &str = "Answers once the stream holds every event durably. Only what cannot be cut into events, or breaks a limit, is \
    refused, and then nothing of it was acknowledged; an event that does not fit its dataset's schema becomes a dead letter.";

const OWNER: &str = "Whose events these are. Left out: the caller's own. Another than one's own needs `data.admin`";

const KEY: &str = "Names this request, so that it may be sent again: events without an `id` get theirs from it";

/// What the gateway takes and answers, without what tokens have to do with it.
pub fn openapi() -> OpenApi {
    let mut dataset = send("sendEvents", "Send events");
    dataset.parameters.get_or_insert_default().insert(0, path_parameter("dataset", "Whose schema the events follow"));
    let paths = PathsBuilder::new()
        .path("/v1/{dataset}", PathItem::new(HttpMethod::Post, dataset))
        .path("/data", PathItem::new(HttpMethod::Post, send("sendData", "Send events to the dataset `data`")));
    let tag = TagBuilder::new().name(TAG).description(Some("Sending events")).build();
    OpenApiBuilder::new().paths(paths).components(Some(components())).tags(Some([tag])).build()
}

fn send(id: &str, summary: &str) -> Operation {
    let accepted =
        ResponseBuilder::new().description("The stream holds them").content("application/json", named::<Acceptance>());
    let mut responses = ResponsesBuilder::new().response("202", accepted).build();
    add_problems(&mut responses, PROBLEMS);
    OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(DESCRIPTION))
        .tag(TAG)
        .parameters(Some([owner(), idempotency_key(), content_encoding()]))
        .request_body(Some(body()))
        .responses(responses)
        .build()
}

/// What [`Rejection`](super::rejection::Rejection) and [`Writer::of`](super::Writer::of) answer.
const PROBLEMS: &[(u16, &[&str])] = &[
    (
        400,
        &[
            "bad-header",
            "bad-owner",
            "bad-parameter",
            "body-broken",
            "unreadable-encoding",
            "json-too-deep",
            "not-delimitable",
            "no-event",
        ],
    ),
    (403, &["other-owner"]),
    (404, &["unknown-dataset"]),
    (408, &["body-too-slow"]),
    (413, &["body-too-large", "body-expands-too-far", "event-too-large", "too-many-events"]),
    (415, &["unknown-encoding"]),
    (429, &["too-many-requests"]),
    (503, &["shutting-down", "log-full", "not-stored", "stream-too-slow"]),
];

fn owner() -> ParameterBuilder {
    let name = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_TEXT_BYTES));
    parameter(ParameterIn::Query, "owner", OWNER, name)
}

fn idempotency_key() -> ParameterBuilder {
    let visible = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(IDEMPOTENCY_KEY_CHARS))
        .pattern(Some("^[!-~]+$"));
    parameter(ParameterIn::Header, "Idempotency-Key", KEY, visible)
}

fn content_encoding() -> ParameterBuilder {
    let known = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["gzip", "zstd", "identity"]));
    parameter(ParameterIn::Header, "Content-Encoding", "How the body is compressed", known)
}

fn body() -> RequestBody {
    let event = || Ref::from_schema_name("Event");
    let cloud_event = || Ref::from_schema_name("CloudEvent");
    let one_or_several = OneOfBuilder::new().item(event()).item(ArrayBuilder::new().items(event()));
    let batch = ArrayBuilder::new().items(cloud_event());
    let lines = text("An event a line").build();
    let body = RequestBodyBuilder::new()
        .description(Some(BODY))
        .required(Some(Required::True))
        .content("application/json", Content::new(Some(one_or_several)))
        .content("application/cloudevents+json", Content::new(Some(cloud_event())))
        .content("application/cloudevents-batch+json", Content::new(Some(batch)));
    LINES.into_iter().fold(body, |body, kind| body.content(kind, Content::new(Some(lines.clone())))).build()
}

fn components() -> Components {
    ComponentsBuilder::new()
        .schema_from::<Acceptance>()
        .schema_from::<Problem>()
        .schema("CloudEvent", cloud_event())
        .schema("Event", event())
        .build()
}

fn event() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "A JSON object with the dataset's properties. What its schema does not know is kept beside them. A CloudEvent is taken as well.",
        ))
        .property("id", text("Tells the event from others of its owner and source; given one if it has none"))
        .property("source", text("What or who it comes from"))
        .property("time", any("When it happened: RFC 3339, or an epoch; when it arrived if it does not say"))
        .additional_properties(Some(any("A property of the dataset")))
}

/// CloudEvents, "JSON Event Format for CloudEvents", version 1.0.2.
fn cloud_event() -> ObjectBuilder {
    ["specversion", "id", "source", "type"].into_iter().fold(
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("An event in the JSON format of CloudEvents 1.0."))
            .property("specversion", text("`1.0`"))
            .property("id", text("Tells the event from others of its owner and source"))
            .property("source", text("What or who it comes from"))
            .property("type", text("Which kind of event it is"))
            .property("time", text("When it happened, RFC 3339"))
            .property("data", any("The dataset's properties")),
        ObjectBuilder::required,
    )
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn any(description: &str) -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(description)).into()
}

#[cfg(test)]
pub(super) mod tests;
