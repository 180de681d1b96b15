//! The routes of uploads as a part of the OpenAPI document.

use alluvium_core::Problem;
use alluvium_core::envelope::MAX_TEXT_BYTES;
use alluvium_core::openapi::{add_problems, header, named, parameter, path_parameter};
use alluvium_core::upload::{OddLine, UploadFormat, UploadStatus};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, Content, HttpMethod, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Required,
    ResponseBuilder, ResponsesBuilder,
};

use super::UploadTarget;
use super::routes::{Asked, Listed};

const TAG: &str = "uploads";

const ASK: &str = "For a file that is too large for a request, or whose sender has no token: the answer's `url` lets whoever has it put the \
    content there, once and for a while.";

const PUT: &str = "The file as it is; gzip or zstd are known by their first bytes. Answers once it is here whole and durable; it is loaded in the \
    background.";

const STATUS: &str = "An upload that ended long ago is forgotten.";

const OWNER: &str = "Whose events these are. Left out: the caller's own. Another than one's own needs `data.admin`";

const WHOSE: &str = "Whose uploads. Left out: the caller's own, with `data.admin` everybody's. Another than one's own needs `data.admin`";

/// What every route answers of an upload that is not there.
const UNKNOWN: (u16, &[&str]) = (404, &["unknown-upload"]);

/// What every route answers that has to read what is kept.
const UNREAD: (u16, &[&str]) = (503, &["storage-unavailable"]);

/// What every route answers of parameters: [`Writer::of`](crate::Writer::of) wherever the role for writing is needed, and the routes.
const PARAMETERS: &[(u16, &[&str])] = &[(400, &["bad-parameter", "bad-owner"]), (403, &["other-owner"])];

/// What uploads take and answer, without what tokens have to do with it.
pub fn openapi() -> OpenApi {
    let mut all = PathItem::new(HttpMethod::Post, ask());
    all.merge_operations(PathItem::new(HttpMethod::Get, list()));
    let mut one = PathItem::new(HttpMethod::Get, status());
    one.merge_operations(PathItem::new(HttpMethod::Delete, take_back()));
    let paths = PathsBuilder::new()
        .path("/v1/uploads", all)
        .path("/v1/uploads/{id}", one)
        .path("/v1/uploads/{id}/content", PathItem::new(HttpMethod::Put, put()));
    let tag = TagBuilder::new().name(TAG).description(Some("Files of events")).build();
    OpenApiBuilder::new().paths(paths).components(Some(components())).tags(Some([tag])).build()
}

fn components() -> Components {
    ComponentsBuilder::new()
        .schema_from::<Asked>()
        .schema_from::<Listed>()
        .schema_from::<OddLine>()
        .schema_from::<Problem>()
        .schema_from::<UploadFormat>()
        .schema_from::<UploadStatus>()
        .schema_from::<UploadTarget>()
        .build()
}

fn ask() -> OperationBuilder {
    let body = RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", named::<Asked>());
    let made = ResponseBuilder::new()
        .description("It waits for its content")
        .content("application/json", named::<UploadTarget>())
        .header("Location", header("Where it is looked at", Type::String));
    let problems: &[(u16, &[&str])] = &[
        (400, &["bad-request", "unreadable-body"]),
        (404, &["unknown-dataset"]),
        (413, &["unreadable-body"]),
        (429, &["too-many-uploads"]),
        (503, &["shutting-down", "uploads-full", "not-stored"]),
    ];
    operation("askForUpload", "Ask for an upload", ("201", made), problems)
        .description(Some(ASK))
        .parameter(owner(OWNER))
        .request_body(Some(body.build()))
}

fn put() -> OperationBuilder {
    let bytes =
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/octet-stream", Content::new(Some(bytes)));
    let received = ResponseBuilder::new()
        .description("It is here, and will be loaded")
        .content("application/json", named::<UploadStatus>());
    let problems: &[(u16, &[&str])] = &[
        (400, &["no-event", "body-broken"]),
        UNKNOWN,
        (408, &["body-too-slow"]),
        (409, &["upload-has-content", "upload-arriving"]),
        (413, &["file-too-large"]),
        (415, &["unknown-encoding"]),
        (429, &["too-many-requests"]),
        (501, &["content-elsewhere"]),
        (503, &["shutting-down", "uploads-full", "not-stored", "storage-unavailable"]),
    ];
    operation("putUpload", "Put the content of an upload", ("202", received), problems)
        .description(Some(PUT))
        .parameter(id())
        .request_body(Some(body.build()))
}

fn status() -> OperationBuilder {
    let found =
        ResponseBuilder::new().description("How far it is").content("application/json", named::<UploadStatus>());
    operation("getUpload", "Look at an upload", ("200", found), &[UNKNOWN, UNREAD])
        .description(Some(STATUS))
        .parameter(id())
}

fn list() -> OperationBuilder {
    let found = ResponseBuilder::new().description("The newest ones").content("application/json", named::<Listed>());
    operation("listUploads", "List uploads", ("200", found), &[UNREAD]).parameter(owner(WHOSE))
}

fn take_back() -> OperationBuilder {
    let gone =
        ResponseBuilder::new().description("It is forgotten, and loaded no further; what is in the stream stays");
    operation(
        "takeBackUpload",
        "Take an upload back",
        ("204", gone),
        &[UNKNOWN, (503, &["shutting-down", "not-stored", "storage-unavailable"])],
    )
    .parameter(id())
}

fn operation(
    id: &str,
    summary: &str,
    (status, response): (&str, ResponseBuilder),
    problems: &[(u16, &[&str])],
) -> OperationBuilder {
    let mut responses = ResponsesBuilder::new().response(status, response).build();
    add_problems(&mut responses, problems);
    add_problems(&mut responses, PARAMETERS);
    OperationBuilder::new().operation_id(Some(id)).summary(Some(summary)).tag(TAG).responses(responses)
}

fn id() -> Parameter {
    path_parameter("id", "The upload, as it was named when it was asked for")
}

fn owner(description: &str) -> ParameterBuilder {
    let name = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_TEXT_BYTES));
    parameter(ParameterIn::Query, "owner", description, name)
}
