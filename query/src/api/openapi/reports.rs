//! Reports and their results.

use alluvium_core::Problem;
use alluvium_core::file::FileFormat;
use alluvium_core::openapi::{add_problems, header, named, parameter, path_parameter, plain};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, HttpMethod, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, ResponseBuilder, ResponsesBuilder,
};

use crate::api::reports::{DEFAULT_RESULTS, FailureView, FileView, MOST_RESULTS, ReportList, ReportView, ResultView};

const TAG: &str = "reports";

const FILE: &str = "The window and `.csv` or `.parquet`, such as `20261128T1000Z.csv`";

const PASSING: &[(u16, &[&str])] =
    &[(400, &["bad-path", "bad-parameter"]), (500, &["report-failed"]), (503, &["storage-unavailable"])];

pub(super) fn openapi() -> OpenApi {
    let paths = PathsBuilder::new()
        .path("/v1/reports", PathItem::new(HttpMethod::Get, list()))
        .path("/v1/reports/{name}", PathItem::new(HttpMethod::Get, one()))
        .path("/v1/reports/{name}/{file}", PathItem::new(HttpMethod::Get, file()));
    let components = ComponentsBuilder::new()
        .schema_from::<Problem>()
        .schema_from::<ReportList>()
        .schema_from::<ReportView>()
        .schema_from::<FailureView>()
        .schema_from::<ResultView>()
        .schema_from::<FileView>()
        .build();
    let tag = TagBuilder::new().name(TAG).description(Some("Statements that are run for each window of time")).build();
    OpenApiBuilder::new().paths(paths).components(Some(components)).tags(Some([tag])).build()
}

fn list() -> OperationBuilder {
    let found = ResponseBuilder::new().description("Every report").content("application/json", named::<ReportList>());
    let mut responses = ResponsesBuilder::new().response("200", found).build();
    add_problems(&mut responses, PASSING);
    operation("listReports", "Every report, with its newest results").responses(responses)
}

fn one() -> OperationBuilder {
    let found = ResponseBuilder::new().description("The report").content("application/json", named::<ReportView>());
    let mut responses = ResponsesBuilder::new().response("200", found).build();
    add_problems(&mut responses, PASSING);
    add_problems(&mut responses, &[(404, &["unknown-report"])]);
    let limit = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MOST_RESULTS))
        .default(Some(DEFAULT_RESULTS.into()));
    let before = ObjectBuilder::new().schema_type(Type::String);
    operation("getReport", "One report and its results, newest window first")
        .parameter(name())
        .parameter(parameter(ParameterIn::Query, "limit", "At most so many results", limit))
        .parameter(parameter(ParameterIn::Query, "before", "`next` of the page before", before))
        .responses(responses)
}

fn file() -> OperationBuilder {
    let rows = ResponseBuilder::new()
        .description("The rows, as a file to be saved")
        .header("ETag", header("Of the file's bytes", Type::String))
        .header("Content-Disposition", header("`attachment` and a name for the file", Type::String));
    let rows =
        FileFormat::ALL.into_iter().fold(rows, |rows, format| rows.content(format.media_type(), plain(Type::String)));
    let same = ResponseBuilder::new().description("It is the file whose `ETag` was in `If-None-Match`");
    let mut responses = ResponsesBuilder::new().response("200", rows).response("304", same).build();
    add_problems(&mut responses, PASSING);
    add_problems(&mut responses, &[(404, &["unknown-result"])]);
    operation("getReportFile", "The rows of one window")
        .parameter(name())
        .parameter(path_parameter("file", FILE))
        .responses(responses)
}

fn operation(id: &str, summary: &str) -> OperationBuilder {
    OperationBuilder::new().operation_id(Some(id)).summary(Some(summary)).tag(TAG)
}

fn name() -> Parameter {
    path_parameter("name", "The report")
}
