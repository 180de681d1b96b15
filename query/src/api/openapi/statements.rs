//! Statements of SQL.

use alluvium_core::Problem;
use alluvium_core::file::FileFormat;
use alluvium_core::openapi::{add_problems, header, named, parameter, path_parameter, plain, text_or_null};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, HttpMethod, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Required, ResponseBuilder,
    ResponsesBuilder,
};

use super::records::required;
use super::{format, rows};
use crate::api::queries::statement::Request;
use crate::api::queries::{Files, Progress, Started};

const TAG: &str = "sql";

const START: &str = "One statement that reads: it begins with `select`, `with`, `values`, `show`, `describe` or `explain`. With \
    `data.admin` it sees everybody's rows, with `data.read` the caller's own. On AWS it needs `data.admin`.";

const PAGE: &str = "`next` of the page before; left out: the first page";

/// What every route here answers.
const PASSING: &[(u16, &[&str])] = &[
    (400, &["bad-path", "bad-parameter"]),
    (404, &["unknown-query"]),
    (429, &["too-many-queries"]),
    (500, &["query-failed"]),
    (503, &["storage-unavailable"]),
];

pub(super) fn openapi() -> OpenApi {
    let mut one = PathItem::new(HttpMethod::Get, status());
    one.merge_operations(PathItem::new(HttpMethod::Delete, cancel()));
    let paths = PathsBuilder::new()
        .path("/v1/queries", PathItem::new(HttpMethod::Post, start()))
        .path("/v1/queries/{id}", one)
        .path("/v1/queries/{id}/results", PathItem::new(HttpMethod::Get, results()));
    let paths = FileFormat::ALL.into_iter().fold(paths, |paths, format| {
        let path = format!("/v1/queries/{{id}}/results.{}", format.ending());
        paths.path(path, PathItem::new(HttpMethod::Get, whole(format)))
    });
    let components = ComponentsBuilder::new()
        .schema_from::<Problem>()
        .schema_from::<Progress>()
        .schema_from::<Files>()
        .schema_from::<Request>()
        .schema_from::<Started>()
        .schema("ResultsPage", page())
        .build();
    let tag = TagBuilder::new().name(TAG).description(Some("SQL: no request waits for a statement")).build();
    OpenApiBuilder::new().paths(paths).components(Some(components)).tags(Some([tag])).build()
}

fn start() -> OperationBuilder {
    let body = RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", named::<Request>());
    let started = ResponseBuilder::new()
        .description("It runs")
        .content("application/json", named::<Started>())
        .header("Location", header("Where it is looked at", Type::String));
    let mut responses = ResponsesBuilder::new().response("202", started).build();
    add_problems(
        &mut responses,
        &[
            (400, &["bad-parameter", "bad-request", "unreadable-body", "statement-not-allowed", "statement-failed"]),
            (413, &["statement-too-long", "unreadable-body"]),
            (415, &["unknown-encoding"]),
            (429, &["too-many-queries"]),
            (500, &["query-failed"]),
            (503, &["storage-unavailable"]),
        ],
    );
    operation("startQuery", "Start a statement")
        .description(Some(START))
        .request_body(Some(body.build()))
        .responses(responses)
}

fn status() -> OperationBuilder {
    let found = ResponseBuilder::new().description("How far it is").content("application/json", named::<Progress>());
    let mut responses = ResponsesBuilder::new().response("200", found).build();
    add_problems(&mut responses, PASSING);
    operation("getQuery", "Look at a statement").parameter(id()).responses(responses)
}

fn cancel() -> OperationBuilder {
    let stopped = ResponseBuilder::new().description("It is stopped, or had ended");
    let mut responses = ResponsesBuilder::new().response("204", stopped).build();
    add_problems(&mut responses, PASSING);
    operation("cancelQuery", "Stop a statement").parameter(id()).responses(responses)
}

fn results() -> OperationBuilder {
    let page = ObjectBuilder::new().schema_type(Type::String);
    let mut responses = ResponsesBuilder::new().response("200", rows("A page of its rows", "ResultsPage")).build();
    add_problems(&mut responses, PASSING);
    add_problems(
        &mut responses,
        &[
            (409, &["query-running", "query-cancelled"]),
            (422, &["statement-failed", "unwritable-result", "answer-too-large"]),
        ],
    );
    operation("getResults", "Read a statement's rows")
        .parameter(id())
        .parameter(parameter(ParameterIn::Query, "page", PAGE, page))
        .parameter(format())
        .responses(responses)
}

fn whole(format: FileFormat) -> OperationBuilder {
    let file = ResponseBuilder::new()
        .description("All its rows")
        .content(format.media_type(), plain(Type::String))
        .header("ETag", header("Another one for another result", Type::String))
        .header("Content-Disposition", header("Has it saved as a file", Type::String));
    let known = ResponseBuilder::new().description("It is the one that `If-None-Match` names");
    let elsewhere = ResponseBuilder::new()
        .description("On AWS: it is in S3")
        .header("Location", header("Where, for 15 minutes and without a token", Type::String));
    let responses = ResponsesBuilder::new().response("200", file).response("302", elsewhere);
    let responses = match format {
        FileFormat::Csv => responses,
        FileFormat::Parquet => made_on_demand(responses),
    };
    let mut responses = responses.response("304", known).build();
    add_problems(&mut responses, PASSING);
    add_problems(
        &mut responses,
        &[
            (409, &["query-running", "query-cancelled"]),
            (422, &["statement-failed", "unwritable-result"]),
            (501, &["no-such-file"]),
        ],
    );
    let (id_of, summary) = match format {
        FileFormat::Csv => ("getResultsAsCsv", "All of a statement's rows as CSV"),
        FileFormat::Parquet => ("getResultsAsParquet", "All of a statement's rows as Parquet"),
    };
    operation(id_of, summary).parameter(id()).responses(responses)
}

/// What is answered where a file is made when it is first asked for.
fn made_on_demand(responses: ResponsesBuilder) -> ResponsesBuilder {
    let under_way = ResponseBuilder::new()
        .description("On AWS: it is being made; ask again")
        .header("Location", header("The same address", Type::String))
        .header("Retry-After", header("How soon, in seconds", Type::Integer));
    let several = ResponseBuilder::new().description(
        "On AWS: the rows are in several files, in no order among each other, or in none where there are no rows: `{\"files\": [URLs]}`, each for 15 \
         minutes and without a token",
    );
    responses.response("202", under_way).response("300", several)
}

fn operation(id: &str, summary: &str) -> OperationBuilder {
    OperationBuilder::new().operation_id(Some(id)).summary(Some(summary)).tag(TAG)
}

fn id() -> Parameter {
    path_parameter("id", "The statement, as it was named when it was started")
}

/// A page as JSON.
fn page() -> ObjectBuilder {
    let text = |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    let column = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("name", text("Its name"))
        .property("type", text("Its type in SQL's words"));
    let value = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
    let row = ArrayBuilder::new().items(value).description(Some("A value for each column"));
    let page = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("A page of a statement's rows."))
        .property("columns", ArrayBuilder::new().items(required(column, &["name", "type"])))
        .property("rows", ArrayBuilder::new().items(row))
        .property("next", text_or_null("`page` of the page after; null: there is none"));
    required(page, &["columns", "rows", "next"])
}
