//! SQL over HTTP for people and their tools: a statement is started, looked at, read page by page, and stopped.
//!
//! ```text
//! POST   /v1/queries {"sql": …, "parameters": [texts], "token": …}   202, `Location: /v1/queries/{id}`
//! GET    /v1/queries/{id}                                            how far it is
//! GET    /v1/queries/{id}/results?page=&format=                      its rows, once it has succeeded
//! GET    /v1/queries/{id}/results.csv                                all of them as one file, or 302 to where it is; so for `.parquet`,
//!                                                                    or 202 while it is made, and 300 where it is in several
//! DELETE /v1/queries/{id}                                            204
//! ```
//!
//! No request waits for a statement: results asked for too early are a problem with `Retry-After`.
//!
//! A statement of a [`Caller`] with the role `data.admin`, or of nobody in particular, reads everybody's data; anybody else's reads
//! the caller's own, and an engine that cannot leave the rest out refuses it. A statement is its reader's: to another one without that
//! role it is as unknown as one that never was (AU-1). An engine that keeps statements of several owners apart says whose one is, and then
//! it is as unknown to every other owner, whatever their role.

mod made;
mod results;
pub(super) mod statement;

use std::sync::Arc;

use alluvium_core::file::{FileFormat, FilePlace, ResultFiles};
use alluvium_core::ports::{
    Advice, OwnerKey, PortError, SqlEngine, Statement, StatementId, StatementState, StatementStatus,
};
use alluvium_core::{Caller, Problem, Role, address};
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::files;
use super::format::{Beside, Format};
use super::parameters::{bad_parameter, format_named, takes_nothing};
use super::problem_response;
use super::sql::{BODY_BYTES, check_encoding};
use crate::authorizer::Links;

/// What the routes need.
struct Api {
    engine: Arc<dyn SqlEngine>,
    /// Whole results as files, and what makes links of them; `None`: there are none.
    files: Option<(Arc<dyn ResultFiles>, Links)>,
}

type Shared = State<Arc<Api>>;
type Asking = Option<Extension<Caller>>;

/// The routes under `/v1/queries`, but for those of files.
pub fn queries_routes(engine: Arc<dyn SqlEngine>) -> Router {
    routes(Api { engine, files: None })
}

/// The routes under `/v1/queries`. A statement that has succeeded names its files by links that need no token for a while.
pub fn queries_routes_with_files(engine: Arc<dyn SqlEngine>, files: Arc<dyn ResultFiles>, links: Links) -> Router {
    routes(Api { engine, files: Some((files, links)) })
}

fn routes(api: Api) -> Router {
    let mut routes = Router::new()
        .route("/v1/queries", post(start))
        .route("/v1/queries/{id}", get(status).delete(cancel))
        .route("/v1/queries/{id}/results", get(results))
        .layer(DefaultBodyLimit::max(BODY_BYTES));
    if api.files.is_some() {
        for format in FileFormat::ALL {
            let whole = async move |api: Shared, caller: Asking, id: Id, parts: Parts| {
                whole(api, caller, id, format, parts).await
            };
            routes = routes.route(&format!("/v1/queries/{{id}}/results.{}", format.ending()), get(whole));
        }
    }
    routes.with_state(Arc::new(api))
}

async fn start(
    State(api): Shared,
    caller: Asking,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let started = async {
        takes_nothing(&uri)?;
        check_encoding(&headers)?;
        let owner = caller.as_ref().map(|caller| caller.owner().to_owned());
        let statement = Statement { reader: reader(caller.as_deref()), owner, ..statement::read(body)? };
        api.engine.start(statement).await.map_err(|error| match error.advice {
            Advice::Stop => Problem::new(400, "statement-failed", error.message),
            _ => passing(&error),
        })
    };
    match started.await {
        Ok(StatementId(id)) => {
            let location = format!("/v1/queries/{id}");
            let mut response = (StatusCode::ACCEPTED, Json(Started { id })).into_response();
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Err(problem) => problem_response(&problem),
    }
}

async fn status(State(api): Shared, caller: Asking, id: Id, uri: Uri) -> Response {
    let found = async {
        takes_nothing(&uri)?;
        let id = statement_id(id)?;
        let status = status_for(caller.as_deref(), api.engine.as_ref(), &id).await?;
        let files = api.files(&id, &status.state, caller.as_deref()).await;
        Ok(Json(Progress::of(id, status, files)).into_response())
    };
    found.await.unwrap_or_else(|problem: Problem| problem_response(&problem))
}

async fn results(State(api): Shared, caller: Asking, id: Id, parts: Parts) -> Response {
    let read = async {
        let id = statement_id(id)?;
        let (page, format) = page_and_format(&parts.uri)?;
        let format = format.unwrap_or_else(|| Format::accepted(&parts.headers));
        let status = status_for(caller.as_deref(), api.engine.as_ref(), &id).await?;
        succeeded(&id, status.state)?;
        let page = api.engine.results(&id, page.as_deref()).await.map_err(|error| match error.advice {
            Advice::Stop => Problem::new(422, "statement-failed", error.message),
            _ => passing(&error),
        })?;
        if let Some(twice) = results::same_name(&page, format) {
            let detail = format!(
                "two values are called `{twice}`, which an object has once; name one of them otherwise, with `as`"
            );
            return Err(Problem::new(422, "unwritable-result", detail));
        }
        let unwritable = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, ?format, "the results of a statement cannot be written");
            Problem::new(500, "query-failed", format!("the results cannot be written in this format: {error}"))
        };
        let body = results::body(&page, format).map_err(|error| unwritable(&error))?;
        let next = page.next.as_deref();
        let beside = Beside { next, parameter: "page", complete: None, query: parts.uri.query() };
        format.response(body, &beside).map_err(|error| unwritable(&error))
    };
    read.await.unwrap_or_else(|problem| problem_response(&problem))
}

async fn whole(State(api): Shared, caller: Asking, id: Id, format: FileFormat, parts: Parts) -> Response {
    let found = async {
        address::known_parameters_of_link(parts.uri.query(), &[]).map_err(bad_parameter)?;
        let id = statement_id(id)?;
        let status = status_for(caller.as_deref(), api.engine.as_ref(), &id).await?;
        succeeded(&id, status.state)?;
        let (files, _) = api.files.as_ref().ok_or_else(|| unknown(&id.0))?;
        match files.place(&id, format).await.map_err(|error| passing(&error))? {
            FilePlace::At(url) => return Ok(files::elsewhere(&url)),
            FilePlace::Nowhere(detail) => return Err(Problem::new(501, "no-such-file", detail)),
            FilePlace::OnDemand => {
                let made = files.made(&id, format).await.map_err(|error| match error.advice {
                    Advice::Stop => Problem::new(422, "unwritable-result", error.message),
                    _ => passing(&error),
                })?;
                return Ok(made::response(&id, format, made));
            }
            FilePlace::Here => {}
        }
        let file = files.open(&id, format).await.map_err(|error| match error.advice {
            Advice::Stop => Problem::new(422, "unwritable-result", error.message),
            _ => passing(&error),
        })?;
        Ok(files::sent(&format!("{}.{}", id.0, format.ending()), file, format, &parts.headers))
    };
    found.await.unwrap_or_else(|problem: Problem| problem_response(&problem))
}

/// Whether a statement has a result.
fn succeeded(id: &StatementId, state: StatementState) -> Result<(), Problem> {
    match state {
        StatementState::Succeeded => Ok(()),
        StatementState::Waiting => {
            let detail = format!("the statement `{}` still waits for its turn; ask again", id.0);
            Err(Problem::new(409, "query-running", detail).retry_after(1))
        }
        StatementState::Running => {
            let detail = format!("the statement `{}` still runs; ask again", id.0);
            Err(Problem::new(409, "query-running", detail).retry_after(1))
        }
        StatementState::Failed(message) => Err(Problem::new(422, "statement-failed", message)),
        StatementState::Cancelled => {
            let detail = format!("the statement `{}` was cancelled; start it again", id.0);
            Err(Problem::new(409, "query-cancelled", detail))
        }
    }
}

async fn cancel(State(api): Shared, caller: Asking, id: Id, uri: Uri) -> Response {
    let cancelled = async {
        takes_nothing(&uri)?;
        let id = statement_id(id)?;
        if caller.is_some() {
            status_for(caller.as_deref(), api.engine.as_ref(), &id).await?;
        }
        api.engine.cancel(&id).await.map_err(|error| unknown_or_passing(&id, &error))
    };
    match cancelled.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => problem_response(&problem),
    }
}

/// Whose rows this caller's statements see, and whose statements the caller may know of; `None`: everybody's.
fn reader(caller: Option<&Caller>) -> Option<String> {
    let caller = caller?;
    (!caller.roles().permit(Role::Admin)).then(|| caller.owner().to_owned())
}

/// How far a statement is that this caller may know of.
async fn status_for(
    caller: Option<&Caller>,
    engine: &dyn SqlEngine,
    id: &StatementId,
) -> Result<StatementStatus, Problem> {
    let status = engine.status(id).await.map_err(|error| unknown_or_passing(id, &error))?;
    let reader = reader(caller);
    let is_readers = reader.is_none() || status.reader == reader;
    let is_owners = match (caller, &status.owner) {
        (Some(caller), Some(owner)) => OwnerKey::of(caller.owner()) == *owner,
        _ => true,
    };
    if is_readers && is_owners { Ok(status) } else { Err(unknown(&id.0)) }
}

impl Api {
    /// Where this caller finds the files of a statement; `None`: it has none.
    async fn files(&self, id: &StatementId, state: &StatementState, caller: Option<&Caller>) -> Option<Files> {
        let (files, links) = self.files.as_ref().filter(|_| *state == StatementState::Succeeded)?;
        let link = async |format: FileFormat| {
            let target = format!("/v1/queries/{}/results.{}", id.0, format.ending());
            match files.place(id, format).await {
                Ok(FilePlace::At(url)) => Some(url),
                // What is made when it is asked for has no link until then: its address needs the caller's token.
                Ok(FilePlace::OnDemand | FilePlace::Nowhere(_)) => None,
                // Without a secret to sign with there are no links; the address then needs the caller's token.
                Ok(FilePlace::Here) => Some(links.to("GET", &target, caller).unwrap_or(target)),
                Err(error) => {
                    tracing::warn!(%error, "it cannot be said where a file of a result is");
                    Some(target)
                }
            }
        };
        Some(Files { csv: link(FileFormat::Csv).await, parquet: link(FileFormat::Parquet).await })
    }
}

/// A statement that was started.
#[derive(Serialize, ToSchema)]
#[schema(as = StartedStatement)]
pub(super) struct Started {
    /// What to ask for it by.
    id: String,
}

/// How far a statement is.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementStatus)]
pub(super) struct Progress {
    /// What to ask for it by.
    id: String,
    #[schema(inline)]
    state: Reached,
    /// Whether it is `running` in name alone: others run, and its turn has not come.
    waiting: bool,
    /// Why it failed; null unless it did.
    #[schema(required)]
    error: Option<String>,
    /// Bytes of the lake that it read; null where the engine does not say.
    #[schema(required)]
    scanned_bytes: Option<u64>,
    /// How long it has run, without what it waited before; null while it waits, and where the engine does not say.
    #[schema(required)]
    elapsed_ms: Option<u64>,
    /// The whole result as files, once it has succeeded; null: there are none.
    #[schema(required)]
    files: Option<Files>,
}

/// Where a whole result is, by links that need no token for 15 minutes.
#[derive(Serialize, ToSchema)]
#[schema(as = ResultFiles)]
pub(super) struct Files {
    /// As CSV; null: there is none.
    #[schema(required)]
    csv: Option<String>,
    /// As Parquet; null: there is none, or on AWS none until `results.parquet` is asked for.
    #[schema(required)]
    parquet: Option<String>,
}

/// What became of a statement so far.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Reached {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl Progress {
    fn of(StatementId(id): StatementId, status: StatementStatus, files: Option<Files>) -> Self {
        let waiting = status.state == StatementState::Waiting;
        let (state, error) = match status.state {
            // A word of its own would end the loops of clients that ask for as long as it is `running`.
            StatementState::Waiting | StatementState::Running => (Reached::Running, None),
            StatementState::Succeeded => (Reached::Succeeded, None),
            StatementState::Failed(message) => (Reached::Failed, Some(message)),
            StatementState::Cancelled => (Reached::Cancelled, None),
        };
        let elapsed_ms = status.elapsed.map(|elapsed| elapsed.as_millis() as u64);
        Self { id, state, waiting, error, scanned_bytes: status.scanned_bytes, elapsed_ms, files }
    }
}

type Id = Result<Path<String>, PathRejection>;

/// The longest id that an engine gives: Athena's have 36 characters.
const ID_CHARS: usize = 128;

fn statement_id(id: Id) -> Result<StatementId, Problem> {
    let Path(id) = id.map_err(|rejection| Problem::new(400, "bad-path", rejection.body_text()))?;
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if id.is_empty() || id.len() > ID_CHARS || !id.chars().all(known) {
        return Err(unknown(&id));
    }
    Ok(StatementId(id))
}

fn page_and_format(uri: &Uri) -> Result<(Option<String>, Option<Format>), Problem> {
    let (mut page, mut format) = (None, None);
    for (name, value) in address::known_parameters(uri.query(), &["page", "format"]).map_err(bad_parameter)? {
        if name == "page" {
            page = Some(value);
        } else {
            let named = format_named(&value);
            format = Some(named.map_err(|message| bad_parameter(format!("`format`: {message}")))?);
        }
    }
    Ok((page, format))
}

/// An error that is not the statement's.
fn passing(error: &PortError) -> Problem {
    match error.advice {
        Advice::BackOff => Problem::new(429, "too-many-queries", &error.message).retry_after(1),
        Advice::Retry => {
            tracing::error!(%error, "the SQL engine failed");
            Problem::new(503, "storage-unavailable", &error.message).retry_after(5)
        }
        Advice::Stop => Problem::new(500, "query-failed", &error.message),
    }
}

/// The error of a call that is wrong only if the engine does not know the statement.
fn unknown_or_passing(id: &StatementId, error: &PortError) -> Problem {
    match error.advice {
        Advice::Stop => unknown(&id.0),
        _ => passing(error),
    }
}

/// The same words for a statement that never was, that the engine has forgotten, and that is another reader's.
fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(ID_CHARS).collect();
    let detail = format!("there is no statement `{id}`; one that has ended may be forgotten, and so may its results");
    Problem::new(404, "unknown-query", detail)
}

#[cfg(test)]
mod tests;
