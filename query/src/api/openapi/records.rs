//! Reading records.

use alluvium_core::Problem;
use alluvium_core::envelope::MAX_TEXT_BYTES;
use alluvium_core::openapi::{add_problems, header, named, parameter, path_parameter, plain, text_or_null};
use utoipa::openapi::path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, HttpMethod, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref, ResponseBuilder,
    ResponsesBuilder,
};

use super::{COMPLETE, format, rows};
use crate::api::under_way::UnderWay;
use crate::records::{DEFAULT_LIMIT, MAX_LIMIT};

const TAG: &str = "records";

const DESCRIPTION: &str = "The newest first, by event time, then by source, id and owner; each event once; with `after` what came in since, \
    in the order of arrival. A parameter that is not known \
    is refused, and so is one that is given twice.";

const TIME: &str = "RFC 3339 (`2026-01-31T12:00:00Z`), an epoch in s, ms or µs, or one before now (`-5m`, `now`)";

const AFTER: &str = "In the order of arrival instead of the newest first, for clients that poll: `newest` (from now on), `oldest` (all that the \
    hot index holds), or `next` as it was answered, which is never null then. What came in later than that is told at least once; what was older \
    than the hot retention when it came is not told. Not with `from`, `to` or `cursor`";

const FIELDS: &str = "Only these of each record: `id`, `source`, `type`, `time`, `ingest_time`, `owner`, `extra`, and the properties by \
    their names; one called `id` or `time` is `data.id` or `data.time`";

/// What [`QueryError`](crate::QueryError) and the handlers answer.
const PROBLEMS: &[(u16, &[&str])] = &[
    (400, &["bad-parameter", "bad-path"]),
    (403, &["other-owner"]),
    (404, &["unknown-dataset"]),
    (422, &["query-too-large", "answer-too-large"]),
    (429, &["too-many-queries"]),
    (500, &["query-failed"]),
    (503, &["storage-unavailable"]),
];

const LIVE_PROBLEMS: &[(u16, &[&str])] = &[
    (400, &["bad-parameter"]),
    (403, &["other-owner"]),
    (404, &["unknown-dataset"]),
    (429, &["too-many-tails"]),
    (500, &["query-failed"]),
    (503, &["storage-unavailable"]),
];

pub(super) fn openapi() -> OpenApi {
    let mut dataset = read("readRecords", "The newest records of a dataset");
    dataset.parameters.get_or_insert_default().insert(0, path_parameter("dataset", "The dataset, or `dead_letters`"));
    let data = read("readData", "The newest records of the dataset `data`");
    let paths = PathsBuilder::new()
        .path("/v1/{dataset}", PathItem::new(HttpMethod::Get, dataset))
        .path("/v1/{dataset}/live", PathItem::new(HttpMethod::Get, live()))
        .path("/data", PathItem::new(HttpMethod::Get, data));
    let components = ComponentsBuilder::new()
        .schema_from::<Problem>()
        .schema_from::<UnderWay>()
        .schema("Record", record())
        .schema("RecordsPage", page())
        .build();
    let tag = TagBuilder::new().name(TAG).description(Some("The newest records, hot index and lake joined")).build();
    OpenApiBuilder::new().paths(paths).components(Some(components)).tags(Some([tag])).build()
}

fn read(id: &str, summary: &str) -> Operation {
    let complete = header("Not with JSON: `false`: events that were taken in may be missing", Type::Boolean);
    let page = rows("A page of records", "RecordsPage").header(COMPLETE.as_str(), complete);
    let under_way = ResponseBuilder::new()
        .description("On AWS: the lake takes longer to read than a request may; the read goes on")
        .content("application/json", named::<UnderWay>())
        .header("Location", header("The request to ask again with", Type::String))
        .header("Retry-After", header("In how many seconds", Type::Integer));
    let mut responses = ResponsesBuilder::new().response("200", page).response("202", under_way).build();
    add_problems(&mut responses, PROBLEMS);
    OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(DESCRIPTION))
        .tag(TAG)
        .parameters(Some(parameters()))
        .responses(responses)
        .build()
}

fn live() -> Operation {
    const DESCRIPTION: &str = "Server-sent events, without an end: `record` with a record as in a page, in the order of arrival; `reset` when \
        records were missed because they have left the stream; `failed` with a problem document, and then the end. An event's id says up to \
        where the stream was read: with it a client goes on where it was broken off.";
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let name = || text().max_length(Some(MAX_TEXT_BYTES));
    let last = "The id of the last event that was seen; without one, from now on";
    let parameters = [
        parameter(ParameterIn::Query, "source", "Only this source's", name()),
        parameter(ParameterIn::Query, "owner", "Only this owner's; `*`: everybody's", name()),
        parameter(ParameterIn::Query, "last_event_id", last, text()),
        parameter(ParameterIn::Header, "Last-Event-ID", "The same, as browsers send it by themselves", text()),
    ];
    let events = ResponseBuilder::new().description("The events").content("text/event-stream", plain(Type::String));
    let mut responses = ResponsesBuilder::new().response("200", events).build();
    add_problems(&mut responses, LIVE_PROBLEMS);
    let operation = OperationBuilder::new()
        .operation_id(Some("followRecords"))
        .summary(Some("The records of a dataset as they arrive"))
        .description(Some(DESCRIPTION))
        .tag(TAG)
        .parameters(Some(parameters));
    let mut operation = operation.responses(responses).build();
    operation.parameters.get_or_insert_default().insert(0, path_parameter("dataset", "The dataset, or `dead_letters`"));
    operation
}

fn parameters() -> [ParameterBuilder; 10] {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let query =
        |name: &str, description: &str, schema: ObjectBuilder| parameter(ParameterIn::Query, name, description, schema);
    let limit = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MAX_LIMIT))
        .default(Some(DEFAULT_LIMIT.into()));
    let fields = ArrayBuilder::new().items(text()).min_items(Some(1)).unique_items(true);
    let name = || text().max_length(Some(MAX_TEXT_BYTES));
    [
        query("source", "Only this source's", name()),
        query(
            "owner",
            "Only this owner's; `*`: everybody's. Left out: the caller's own, with `data.admin` everybody's. Another than one's own \
             needs `data.admin`",
            name(),
        ),
        query("from", &format!("Event times from here on: {TIME}"), text()),
        query("to", &format!("Event times before this one: {TIME}"), text()),
        query("limit", "At most so many records", limit),
        query("cursor", "`next` of the page before, with all else as it was there", text()),
        query("after", AFTER, text()),
        query("reading", "Goes on with a read that is under way: part of the `Location` that was answered", text()),
        parameter(ParameterIn::Query, "fields", FIELDS, fields).style(Some(ParameterStyle::Form)).explode(Some(false)),
        format(),
    ]
}

/// A page as JSON.
fn page() -> ObjectBuilder {
    let records = ArrayBuilder::new().items(Ref::from_schema_name("Record"));
    let complete = ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .description(Some("`false`: events that were taken in may be missing; ask again later"));
    required(
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("A page of records."))
            .property("records", records)
            .property(
                "next",
                text_or_null("`cursor` of the page after, or `after` of the next poll; null: there is none"),
            )
            .property("complete", complete),
        &["records", "next", "complete"],
    )
}

/// One record as JSON. No member is required, for `fields` may leave it out.
fn record() -> ObjectBuilder {
    let text = |description: &str| described(Type::String, description);
    let time = |description: &str| {
        ObjectBuilder::from(text(description)).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
    };
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("A record. With `fields` it has those alone."))
        .property("id", text("Tells the event from others of its owner and source"))
        .property("source", text("What or who it came from"))
        .property("type", text_or_null("Which kind of event it was; null if it did not say"))
        .property("time", time("When it happened"))
        .property("ingest_time", time("When it was taken in"))
        .property("owner", text("Whose it is"))
        .property("data", described(Type::Object, "The schema's properties that are not null"))
        .property("extra", described(Type::Object, "What the schema does not know, or what did not fit it"))
}

fn described(kind: Type, description: &str) -> Object {
    ObjectBuilder::new().schema_type(kind).description(Some(description)).build()
}

pub(super) fn required(object: ObjectBuilder, names: &[&str]) -> ObjectBuilder {
    names.iter().fold(object, |object, name| object.required(*name))
}
