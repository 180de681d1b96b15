//! The HTTP API: records, and SQL.
//!
//! ```text
//! GET  /v1/{dataset}?source=&owner=&from=&to=&limit=&cursor=&fields=&format=   records, newest first
//! GET  /v1/{dataset}?after=&source=&owner=&limit=&fields=&format=              records as they came in, for those who poll
//! GET  /data                                                                   the same for the dataset `data`
//! POST /admin/sql  {"sql": …}                                                  the results as one Arrow IPC stream
//! POST /v1/queries {"sql": …}                                                  a statement to look at and read later
//! GET  /v1/reports                                                             reports and their results
//! ```
//!
//! The routers set no fallback and only the methods above, so that they merge with routers that serve other methods of the same
//! paths. Every error is a problem document (RFC 9457).
//!
//! Whoever checks a request's token puts the [`Caller`] into the request's extensions; these routes keep to what that caller may see
//! (AU-1). A request without one is nobody's in particular and may see everything, so whoever lets such a request through answers
//! for it.

mod console;
mod csv;
mod files;
mod format;
mod json;
mod live;
mod names;
mod openapi;
mod parameters;
mod queries;
mod reports;
mod sql;
mod under_way;

use std::sync::Arc;

use alluvium_core::problem::PROBLEM_JSON;
use alluvium_core::{Caller, EVERYBODY, OtherOwner, Problem, Whose, address};
use arrow::record_batch::RecordBatch;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

pub use console::console_routes;
pub use live::{LiveApi, live_routes};
pub use openapi::{document, openapi, openapi_routes};
pub use parameters::parse_time;
pub use queries::{queries_routes, queries_routes_with_files};
pub use reports::{FailureView, FileView, ReportList, ReportView, ReportsApi, ResultView, reports_routes};
pub use sql::{ARROW_STREAM, sql_routes};

use crate::error::QueryError;
use crate::records::{After, AfterPage, AfterRequest, Records, RecordsPage, RecordsRequest};
use format::{Beside, Format};
use parameters::Asked;

/// What `GET` on records needs.
#[derive(Debug, Clone)]
pub struct RecordsApi {
    /// Reads them.
    pub records: Records,
    /// Whose records a request reads that has no [`Caller`] and names no `owner`; `None`: everybody's. Where every event has the same
    /// owner, naming it makes reads of one source fast. On Lambda every request has a caller.
    pub owner: Option<String>,
}

impl RecordsApi {
    /// Whose records a request of this caller reads that names this owner; `None`: everybody's.
    fn reads(&self, caller: Option<&Caller>, named: Option<&str>) -> Result<Option<String>, OtherOwner> {
        match (caller, named) {
            (Some(caller), named) => caller.reads(named).map(|whose| match whose {
                Whose::Of(owner) => Some(owner),
                Whose::Everybody => None,
            }),
            (None, None) => Ok(self.owner.clone()),
            (None, Some(EVERYBODY)) => Ok(None),
            (None, Some(owner)) => Ok(Some(owner.to_owned())),
        }
    }
}

/// The routes that read records.
pub fn records_routes(api: RecordsApi) -> Router {
    Router::new().route("/v1/{dataset}", get(read_dataset)).route("/data", get(read_data)).with_state(Arc::new(api))
}

async fn read_dataset(
    State(api): State<Arc<RecordsApi>>,
    dataset: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Response {
    match dataset {
        Ok(Path(dataset)) => read(&api, dataset, &parts).await,
        Err(rejection) => problem_response(&Problem::new(400, "bad-path", rejection.body_text())),
    }
}

async fn read_data(State(api): State<Arc<RecordsApi>>, parts: Parts) -> Response {
    read(&api, "data".to_owned(), &parts).await
}

async fn read(api: &RecordsApi, dataset: String, parts: &Parts) -> Response {
    let answer = async {
        let pairs = address::parameters(parts.uri.query())?;
        let Asked { mut request, after, fields, format } =
            parameters::read(dataset.clone(), &pairs, api.records.begin(&dataset))?;
        request.owner = api.reads(parts.extensions.get(), request.owner.as_deref())?;
        if let Some(fields) = fields {
            request.columns = Some(names::columns(&fields, api.records.columns(&request.dataset)?.as_ref())?);
        }
        let answer = match after {
            None => Answer::of_page(api.records.page(&request).await?),
            Some(after) => Answer::of_after(api.records.after(&after_request(request, after)).await?),
        };
        answer.response(format.unwrap_or_else(|| Format::accepted(&parts.headers)), parts.uri.query())
    };
    answer.await.unwrap_or_else(|error| {
        if let QueryError::UnderWay(reading) = &error {
            return under_way::response(&parts.uri, reading);
        }
        let problem = error.problem();
        if problem.status >= 500 {
            tracing::error!(%error, "a read of records failed");
        }
        problem_response(&problem)
    })
}

fn after_request(request: RecordsRequest, after: After) -> AfterRequest {
    let RecordsRequest { dataset, owner, source, limit, columns, .. } = request;
    AfterRequest { dataset, owner, source, after, limit, columns }
}

/// Among the extensions of every answer with records, for who counts answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completeness {
    /// As the answer says it: whether no record can be missing.
    pub complete: bool,
}

/// Records, and what there is to say of them.
struct Answer {
    rows: RecordBatch,
    /// What the next request carries as `parameter`; `None`: this was the last page.
    next: Option<String>,
    parameter: &'static str,
    complete: bool,
}

impl Answer {
    fn of_page(page: RecordsPage) -> Self {
        let next = page.next.map(|cursor| cursor.to_string());
        Self { rows: page.rows, next, parameter: "cursor", complete: page.complete }
    }

    fn of_after(page: AfterPage) -> Self {
        Self { rows: page.rows, next: Some(page.next.to_string()), parameter: "after", complete: page.complete }
    }

    fn response(&self, format: Format, query: Option<&str>) -> Result<Response, QueryError> {
        let body = match format {
            Format::Json => json::page(&self.rows, self.next.as_deref(), self.complete),
            Format::Ndjson => json::lines(&self.rows),
            Format::Csv => csv::records(&self.rows)?,
            Format::Arrow => format::arrow_stream(std::slice::from_ref(&self.rows))?,
        };
        let Self { next, parameter, complete, .. } = self;
        let beside = Beside { next: next.as_deref(), parameter, complete: Some(*complete), query };
        let mut response = format.response(body, &beside).expect("a cursor is base64url");
        response.extensions_mut().insert(Completeness { complete: *complete });
        Ok(response)
    }
}

/// A problem document as a response, with `Retry-After` where it says when to try again.
pub fn problem_response(problem: &Problem) -> Response {
    let mut response = Response::new(Body::from(problem.to_json()));
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if let Some(seconds) = problem.retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

#[cfg(test)]
mod tests;
