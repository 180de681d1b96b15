//! The words in which each room describes its routes, as parts of one OpenAPI document.
//!
//! Source: OpenAPI Specification, version 3.1. A room says what its handlers take and answer. Tokens and roles are not its to say: they
//! are added where the parts are put together, for every route alike.

use utoipa::ToSchema;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Content, Ref, RefOr, Required, Response, ResponseBuilder, Responses, Schema};

use crate::Problem;
use crate::problem::PROBLEM_JSON;

/// Adds problem documents to an operation's answers: by status, the kinds of problem, which are what their `type` has after `/problems/`.
/// Those of a status that is there already are added to its own.
pub fn add_problems(responses: &mut Responses, problems: &[(u16, &[&str])]) {
    for (status, kinds) in problems {
        let known = responses.responses.entry(status.to_string()).or_insert_with(|| RefOr::T(problem(*status)));
        let RefOr::T(response) = known else { continue };
        for kind in kinds.iter().map(|kind| format!("`{kind}`")) {
            if !response.description.contains(&kind) {
                let comma = if response.description.ends_with(':') { "" } else { "," };
                response.description.push_str(&format!("{comma} {kind}"));
            }
        }
    }
}

fn problem(status: u16) -> Response {
    let response = ResponseBuilder::new()
        .description("`type` is `/problems/` and one of:")
        .content(PROBLEM_JSON, named::<Problem>());
    match status {
        401 => response.header("WWW-Authenticate", header("`Bearer`", Type::String)),
        409 | 429 | 503 => response.header("Retry-After", header("After how many seconds to try again", Type::Integer)),
        _ => response,
    }
    .build()
}

/// A header of an answer.
pub fn header(description: &str, kind: Type) -> Header {
    let mut header = Header::new(Object::with_type(kind));
    header.description = Some(description.to_owned());
    header
}

/// A parameter that may be left out.
pub fn parameter(at: ParameterIn, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(at)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
}

/// A part of the path.
pub fn path_parameter(name: &str, description: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    parameter(ParameterIn::Path, name, description, text).required(Required::True).build()
}

/// A text, or null.
pub fn text_or_null(description: &str) -> Object {
    let kinds = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(kinds).description(Some(description)).build()
}

/// A body that is a value of this kind.
pub fn plain(kind: Type) -> Content {
    Content::new(Some(Object::with_type(kind)))
}

/// A body that is this type as JSON; its schema is among the document's components by its name.
pub fn named<T: ToSchema>() -> Content {
    Content::new(Some(Ref::from_schema_name(T::name())))
}
