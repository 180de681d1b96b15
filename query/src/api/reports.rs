//! Reports and their results, for admins: a result is made of everybody's rows.
//!
//! ```text
//! GET /v1/reports                          every report, and its newest results
//! GET /v1/reports/{name}?limit=&before=    one report, and its results, newest window first
//! GET /v1/reports/{name}/{window}.csv      the rows of a window's result, or 302 to where they are; so for `.parquet`
//! ```
//!
//! Each file's `url` is a link that needs no token for a while ([`Links`]), so that a browser downloads it. A file has an `ETag`.

use std::sync::Arc;

use alluvium_core::clock::{Micros, rfc3339};
use alluvium_core::file::{FileFormat, FilePlace};
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::report::{ReportFailure, ReportResult, ReportResults, ReportStatus, ResultsPage, WindowId};
use alluvium_core::{Caller, Problem, address, duration};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::Uri;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parameters::{bad_parameter, takes_nothing};
use super::{files, problem_response};
use crate::authorizer::Links;

/// How many results stand in the list of all reports.
pub(super) const NEWEST: usize = 10;
/// How many results one page of a report has if the request does not say, and at the most.
pub(super) const DEFAULT_RESULTS: usize = 100;
pub(super) const MOST_RESULTS: usize = 1000;

type Api = State<Arc<ReportsApi>>;
type Asking = Option<Extension<Caller>>;

/// What the routes of reports need.
pub struct ReportsApi {
    /// Where they are looked at.
    pub results: Arc<dyn ReportResults>,
    /// Makes the links of files.
    pub links: Links,
}

/// The routes under `/v1/reports`.
pub fn reports_routes(api: Arc<ReportsApi>) -> Router {
    Router::new()
        .route("/v1/reports", get(list))
        .route("/v1/reports/{name}", get(one))
        .route("/v1/reports/{name}/{file}", get(file))
        .with_state(api)
}

/// Every report.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportList {
    /// They, by name.
    pub reports: Vec<ReportView>,
}

/// One report and some of its results.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Report)]
pub struct ReportView {
    /// Its name.
    #[schema(example = "events_per_hour")]
    pub name: String,
    /// What it tells.
    pub title: String,
    /// How long its windows are; null: it is broken.
    #[schema(required, example = "1h")]
    pub window: Option<String>,
    /// How long after a window's end it is run; null: it is broken.
    #[schema(required, example = "10m")]
    pub delay: Option<String>,
    /// Why it is not run; null: it is.
    #[schema(required)]
    pub broken: Option<String>,
    /// When it is run next, at the earliest; null: it is broken.
    #[serde(with = "rfc3339::optional")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub next_run: Option<Micros>,
    /// How many windows are due and not made.
    pub waiting: usize,
    /// Its last failure; null: it has succeeded since, or never failed.
    #[schema(required)]
    pub failure: Option<FailureView>,
    /// How many results are kept.
    pub kept: usize,
    /// Results, newest window first.
    pub results: Vec<ResultView>,
    /// `before` of the page after; null: there is none.
    #[schema(required, example = "20261128T1000Z")]
    pub next: Option<String>,
}

/// A run that failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportFailure)]
pub struct FailureView {
    /// The window that it was for.
    #[schema(example = "20261128T1000Z")]
    pub window: String,
    /// When.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Micros,
    /// How often in a row the report has failed.
    pub times: u32,
    /// Why.
    pub error: String,
}

/// The result of a window.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportResult)]
pub struct ResultView {
    /// What the window is called: its start.
    #[schema(example = "20261128T1000Z")]
    pub window: String,
    /// The window's start.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub from: Micros,
    /// Its end, which does not belong to it.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub to: Micros,
    /// When its statement was started.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Micros,
    /// How many rows it has.
    pub rows: u64,
    /// The rows as CSV.
    pub csv: FileView,
    /// The rows as Parquet.
    pub parquet: FileView,
}

/// A file of a result.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportFile)]
pub struct FileView {
    /// Where it is; needs no token for 15 minutes. On AWS it needs one, and leads to S3.
    pub url: String,
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: String,
}

async fn list(State(api): Api, caller: Asking, uri: Uri) -> Response {
    if let Err(problem) = takes_nothing(&uri) {
        return problem_response(&problem);
    }
    match api.list(caller.as_deref()).await {
        Ok(reports) => Json(reports).into_response(),
        Err(error) => problem_response(&passing(&error)),
    }
}

async fn one(State(api): Api, caller: Asking, name: Result<Path<String>, PathRejection>, uri: Uri) -> Response {
    let found = async {
        let Path(name) = name.map_err(|rejection| Problem::new(400, "bad-path", rejection.body_text()))?;
        let (limit, before) = limit_and_before(&uri)?;
        let reports = api.results.reports().await.map_err(|error| passing(&error))?;
        let status = reports.into_iter().find(|status| status.name == name).ok_or_else(|| unknown_report(&name))?;
        let page = api.results.results(&name, before, limit).await.map_err(|error| passing(&error))?;
        Ok(Json(api.view(status, page.unwrap_or_default(), caller.as_deref())).into_response())
    };
    found.await.unwrap_or_else(|problem: Problem| problem_response(&problem))
}

async fn file(State(api): Api, path: Result<Path<(String, String)>, PathRejection>, parts: Parts) -> Response {
    let found = async {
        address::known_parameters_of_link(parts.uri.query(), &[]).map_err(bad_parameter)?;
        let Path((name, file)) = path.map_err(|rejection| Problem::new(400, "bad-path", rejection.body_text()))?;
        let (window, format) = window_and_format(&file).ok_or_else(|| no_file(&name, &file))?;
        match api.results.place(&name, window, format).await.map_err(|error| passing(&error))? {
            Some(FilePlace::At(url)) => return Ok(files::elsewhere(&url)),
            Some(FilePlace::Here) => {}
            Some(FilePlace::OnDemand | FilePlace::Nowhere(_)) | None => return Err(no_file(&name, &file)),
        }
        let opened = api.results.open(&name, window, format).await.map_err(|error| passing(&error))?;
        let opened = opened.ok_or_else(|| no_file(&name, &file))?;
        Ok(files::sent(&format!("{name}-{file}"), opened, format, &parts.headers))
    };
    found.await.unwrap_or_else(|problem: Problem| problem_response(&problem))
}

impl ReportsApi {
    /// Every report, with its newest results and links to them for this caller.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn list(&self, caller: Option<&Caller>) -> Result<ReportList, PortError> {
        let mut reports = Vec::new();
        for status in self.results.reports().await? {
            let page = self.results.results(&status.name, None, NEWEST).await?.unwrap_or_default();
            reports.push(self.view(status, page, caller));
        }
        Ok(ReportList { reports })
    }

    /// A result of a report, with links to its files for this caller.
    pub fn result(&self, report: &str, result: &ReportResult, caller: Option<&Caller>) -> ResultView {
        let window = result.window();
        let file = |format: FileFormat| {
            let target = format!("/v1/reports/{report}/{window}.{}", format.ending());
            let facts = result.file(format);
            // Without a secret to sign with there are no links; the address then needs the caller's token.
            let url = self.links.to("GET", &target, caller).unwrap_or(target);
            FileView { url, bytes: facts.bytes, sha256: facts.sha256.clone() }
        };
        ResultView {
            window: window.to_string(),
            from: result.from,
            to: result.to,
            made_at: result.made_at,
            rows: result.rows,
            csv: file(FileFormat::Csv),
            parquet: file(FileFormat::Parquet),
        }
    }

    fn view(&self, status: ReportStatus, page: ResultsPage, caller: Option<&Caller>) -> ReportView {
        let next = page.results.last().filter(|_| page.more).map(|last| last.window().to_string());
        let results = page.results.iter().map(|result| self.result(&status.name, result, caller)).collect();
        ReportView {
            results,
            next,
            name: status.name,
            title: status.title,
            window: status.window.map(duration::format),
            delay: status.delay.map(duration::format),
            broken: status.broken,
            next_run: status.next_run,
            waiting: status.waiting,
            failure: status.failure.map(FailureView::from),
            kept: status.kept,
        }
    }
}

impl From<ReportFailure> for FailureView {
    fn from(failure: ReportFailure) -> Self {
        let ReportFailure { from, at, times, error } = failure;
        Self { window: WindowId(from).to_string(), at, times, error }
    }
}

fn window_and_format(file: &str) -> Option<(WindowId, FileFormat)> {
    let (window, ending) = file.split_once('.')?;
    let format = FileFormat::ALL.into_iter().find(|format| format.ending() == ending)?;
    let window = window.parse::<WindowId>().ok().filter(|known| known.to_string() == window)?;
    Some((window, format))
}

fn limit_and_before(uri: &Uri) -> Result<(usize, Option<WindowId>), Problem> {
    let (mut limit, mut before) = (None, None);
    for (name, value) in address::known_parameters_of_link(uri.query(), &["limit", "before"]).map_err(bad_parameter)? {
        if name == "limit" {
            let number = value.parse().ok().filter(|number| (1..=MOST_RESULTS).contains(number));
            let refused = || bad_parameter(format!("`limit`: expected a number from 1 to {MOST_RESULTS}"));
            limit = Some(number.ok_or_else(refused)?);
        } else {
            before = Some(value.parse().map_err(|error| bad_parameter(format!("`before`: {error}")))?);
        }
    }
    Ok((limit.unwrap_or(DEFAULT_RESULTS), before))
}

fn unknown_report(name: &str) -> Problem {
    let name: String = name.chars().take(80).collect();
    Problem::new(404, "unknown-report", format!("there is no report `{name}`; GET /v1/reports lists them"))
}

fn no_file(name: &str, file: &str) -> Problem {
    let (name, file): (String, String) = (name.chars().take(80).collect(), file.chars().take(80).collect());
    let detail = format!(
        "there is no result `{file}` of a report `{name}`; expected a window and a format, such as `20261128T1000Z.csv`, \
         and GET /v1/reports/{{name}} lists them"
    );
    Problem::new(404, "unknown-result", detail)
}

fn passing(error: &PortError) -> Problem {
    tracing::error!(%error, "the results of reports cannot be read");
    match error.advice {
        Advice::Retry | Advice::BackOff => Problem::new(503, "storage-unavailable", &error.message).retry_after(5),
        Advice::Stop => Problem::new(500, "report-failed", &error.message),
    }
}

#[cfg(test)]
mod tests;
