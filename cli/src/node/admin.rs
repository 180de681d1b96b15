//! The node's routes: those of its parts, and what a command on its folder has it do.

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::{Caller, Problem, body};
use alluvium_ingest::Uploads;
use alluvium_lake::{AuditReport, LakeError};
use alluvium_local::erasure::EraseError;
use alluvium_local::pipeline::Pipeline;
use alluvium_local::redrive::{Redrive, RedriveError, failed_records, preview, preview_failed, send_failed};
use alluvium_local::reports::Reports;
use alluvium_local::sql::{Condition, DataFusionSql, QueryJobs};
use alluvium_query::api::{
    LiveApi, RecordsApi, ReportsApi, console_routes, live_routes, openapi_routes, problem_response,
    queries_routes_with_files, records_routes, reports_routes, sql_routes,
};
use alluvium_query::{CommitLag, Links, Records};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::shares::job_settings;
use super::{openapi, sql_settings};
use crate::audit::Audited;
use crate::settings::Settings;
use crate::{audit, compact, erase, recover, redrive, reports, vacuum};

/// The most live tails at a time.
const MOST_TAILS: usize = 256;

#[derive(Clone)]
struct Admin {
    pipeline: Arc<Pipeline>,
    redrive: Arc<Redrive>,
    metrics: PrometheusHandle,
    asks_for_tokens: bool,
    jobs: Arc<QueryJobs>,
    uploads: Uploads,
    reports: Arc<Reports>,
    reports_api: Arc<ReportsApi>,
}

/// What runs statements.
#[derive(Debug, Clone)]
pub struct Statements {
    /// The engine.
    pub engine: Arc<DataFusionSql>,
    /// The same, with results that stay.
    pub jobs: Arc<QueryJobs>,
}

impl Statements {
    /// What runs statements over a pipeline's lake.
    ///
    /// # Errors
    ///
    /// When it cannot be set up.
    pub fn new(pipeline: &Pipeline, settings: &Settings) -> anyhow::Result<Self> {
        let (store, datasets) = (pipeline.store.clone(), pipeline.datasets.clone());
        let engine = Arc::new(DataFusionSql::new(store, pipeline.snapshots(), datasets, sql_settings(settings))?);
        let jobs = QueryJobs::new(engine.clone(), pipeline.folder().queries(), job_settings(settings))?;
        Ok(Self { engine, jobs: Arc::new(jobs) })
    }
}

/// What routes show beside what a pipeline holds, or need for it.
pub struct Shown {
    /// Files that are taken in.
    pub uploads: Uploads,
    /// Makes links of files.
    pub links: Links,
    /// What is counted.
    pub metrics: PrometheusHandle,
    /// How far commits are behind.
    pub lag: Arc<CommitLag>,
}

/// All routes, and the reports that some of them show, which are to be run. `takers` are the routes of what takes events in.
///
/// # Errors
///
/// When an SQL engine cannot be set up, or the reports' folders cannot be read.
pub async fn routes(
    pipeline: &Arc<Pipeline>,
    takers: Router,
    statements: &Statements,
    settings: &Settings,
    shown: Shown,
) -> anyhow::Result<(Router, Arc<Reports>)> {
    let Shown { uploads, links, metrics, lag } = shown;
    let datasets = pipeline.datasets.clone();
    let Statements { engine: sql, jobs } = statements.clone();
    let records = Records::new(pipeline.hot.clone(), sql.clone(), datasets, pipeline.clock(), lag)
        .with_hot_margin(settings.hot.margin);
    let records = RecordsApi { records, owner: Some(settings.owner.clone()) };
    describe_metrics();
    let redrive = Arc::new(redrive::of_pipeline(pipeline, settings)?);
    let asks_for_tokens = settings.auth.required;
    let reports = Arc::new(reports::of_pipeline(pipeline, &sql, settings).await?);
    let reports_api = Arc::new(ReportsApi { results: reports.clone(), links: links.clone() });
    let admin = Admin {
        pipeline: pipeline.clone(),
        redrive,
        metrics,
        asks_for_tokens,
        jobs: jobs.clone(),
        uploads,
        reports: reports.clone(),
        reports_api: reports_api.clone(),
    };
    let app = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(render_metrics))
        .route("/admin/audit", post(run_audit))
        .route("/admin/compact", post(run_compact))
        .route("/admin/vacuum", post(run_vacuum))
        .route("/admin/recover", post(run_recover))
        .route("/admin/redrive", post(run_redrive))
        .route(
            "/admin/redrive/failed",
            post(redrive_failed).layer(DefaultBodyLimit::max(redrive::failed::OBJECT_BYTES)),
        )
        .route("/admin/erasures", get(list_erasures).post(run_erasure))
        .route("/admin/reports", post(make_report))
        .with_state(admin)
        .merge(takers)
        .merge(live_routes(LiveApi::new(records.clone(), pipeline.arrivals.clone(), MOST_TAILS)))
        .merge(console_routes())
        .merge(openapi_routes(&openapi::document()))
        .merge(records_routes(records))
        .merge(sql_routes(sql))
        .merge(queries_routes_with_files(jobs.clone(), jobs, links))
        .merge(reports_routes(reports_api))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method);
    Ok((app, reports))
}

async fn health(State(admin): State<Admin>) -> Response {
    let failed = admin.pipeline.has_failed();
    let status = if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let word = if failed { "failed" } else { "ok" };
    let version = env!("CARGO_PKG_VERSION");
    let datasets = admin.pipeline.datasets.names();
    let about = json!({"status": word, "version": version, "datasets": datasets, "tokens": admin.asks_for_tokens});
    (status, Json(about)).into_response()
}

async fn render_metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let log = admin.pipeline.log.stats();
    metrics::gauge!("alluvium_log_bytes").set(log.bytes() as f64);
    if let Ok(lag) = admin.pipeline.commit_lag().await {
        metrics::gauge!("alluvium_commit_lag_seconds").set(lag.as_secs_f64());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], admin.metrics.render())
}

fn describe_metrics() {
    metrics::describe_counter!(
        "alluvium_calls_refused_total",
        "Calls whose token was missing or not good for them, by the problem's name."
    );
    metrics::describe_gauge!("alluvium_log_bytes", metrics::Unit::Bytes, "What the log takes on disk.");
    metrics::describe_gauge!(
        "alluvium_commit_lag_seconds",
        metrics::Unit::Seconds,
        "How long the oldest event that is not yet committed has waited."
    );
    metrics::describe_gauge!(
        "alluvium_audit_ledger_difference",
        "At the last audit: events of which the ledger does not say what became, and rows that tables have too few or too many by it."
    );
    metrics::describe_gauge!("alluvium_audit_problems", "What did not balance at the last audit: alarm on this one.");
    metrics::describe_gauge!(
        "alluvium_audit_time_seconds",
        metrics::Unit::Seconds,
        "When the last audit was made, since 1970."
    );
}

/// The parameters of a call that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What the parameters of a call tell.
struct Told<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Told<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let told = Query::try_from_uri(&parts.uri);
        told.map(|Query(told)| Self(told)).map_err(|rejection| {
            problem(Problem::new(400, "bad-parameter", crate::output::sentence(&anyhow::Error::new(rejection))))
        })
    }
}

async fn run_audit(State(admin): State<Admin>, Told(asked): Told<audit::Asked>) -> Response {
    let pipeline = &admin.pipeline;
    let asked = match asked.settings(pipeline.clock().now_micros()) {
        Ok(asked) => asked,
        Err(error) => return problem(Problem::new(400, "bad-time", error.to_string())),
    };
    match Audited::of(pipeline).audit(&asked).await {
        Ok(report) => {
            set_audit_metrics(&report, asked.now);
            Json(report).into_response()
        }
        Err(error @ LakeError::NoDataset(_)) => problem(Problem::new(404, "no-dataset", error.to_string())),
        Err(error) => problem(Problem::new(500, "audit-failed", crate::output::sentence(&error.into()))),
    }
}

fn set_audit_metrics(report: &AuditReport, now: Micros) {
    metrics::gauge!("alluvium_audit_ledger_difference").set(report.ledger_difference as f64);
    metrics::gauge!("alluvium_audit_problems").set(report.problems().count() as f64);
    metrics::gauge!("alluvium_audit_time_seconds").set(now as f64 / 1e6);
}

async fn run_compact(State(admin): State<Admin>, Told(asked): Told<compact::Asked>) -> Response {
    match admin.pipeline.maintenance.compact(asked.table.as_deref()).await {
        Ok(rounds) => Json(rounds).into_response(),
        Err(error @ LakeError::NoTable(_)) => problem(Problem::new(404, "no-table", error.to_string())),
        Err(error) => problem(Problem::new(500, "compaction-failed", error.to_string())),
    }
}

async fn run_vacuum(State(admin): State<Admin>, Told(asked): Told<vacuum::Asked>) -> Response {
    let removed_for = match asked.removed_for() {
        Ok(removed_for) => removed_for,
        Err(error) => return problem(Problem::new(400, "bad-duration", error.to_string())),
    };
    match admin.pipeline.maintenance.vacuum(asked.table(), asked.mode(), removed_for).await {
        Ok(report) => Json(report).into_response(),
        Err(error @ LakeError::NoTable(_)) => problem(Problem::new(404, "no-table", error.to_string())),
        Err(error) => problem(Problem::new(500, "vacuum-failed", error.to_string())),
    }
}

async fn run_recover(State(admin): State<Admin>, Told(asked): Told<recover::Asked>) -> Response {
    match recover::of_parts(&admin.pipeline.lake_reader(), &admin.pipeline.log, &asked).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => problem(Problem::new(500, "recover-failed", crate::output::sentence(&error))),
    }
}

async fn run_redrive(State(admin): State<Admin>, Told(asked): Told<redrive::Asked>) -> Response {
    let condition = match asked.condition.parse::<Condition>() {
        Ok(condition) => condition,
        Err(error) => return problem(Problem::new(400, "bad-condition", error.to_string())),
    };
    let done =
        if asked.dry_run { preview(&admin.redrive.sql, &condition).await } else { admin.redrive.run(&condition).await };
    match done {
        Ok(report) => Json(report).into_response(),
        Err(error @ RedriveError::Select(_)) => problem(Problem::new(400, "selection-failed", error.to_string())),
        Err(error) => problem(Problem::new(500, "redrive-failed", error.to_string())),
    }
}

async fn redrive_failed(
    State(admin): State<Admin>,
    Told(asked): Told<redrive::failed::Asked>,
    object: Bytes,
) -> Response {
    let records = match failed_records(&object) {
        Ok(records) => records,
        Err(error) => return problem(Problem::new(400, "no-failed-records", error.to_string())),
    };
    if asked.dry_run {
        return Json(preview_failed(&records)).into_response();
    }
    match send_failed(&*admin.pipeline.log, records).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => problem(Problem::new(503, "redrive-failed", error.to_string())),
    }
}

async fn list_erasures(State(admin): State<Admin>, Told(Nothing {}): Told<Nothing>) -> Response {
    match admin.pipeline.eraser.reports().await {
        Ok(reports) => Json(reports).into_response(),
        Err(error) => problem(Problem::new(500, "erasures-unreadable", error.to_string())),
    }
}

async fn run_erasure(State(admin): State<Admin>, Told(Nothing {}): Told<Nothing>, body: Bytes) -> Response {
    let asked: erase::Asked = match body::object(&body) {
        Ok(asked) => asked,
        Err(error) => return problem(Problem::new(400, "bad-erasure", error.to_string())),
    };
    let eraser = &admin.pipeline.eraser;
    let dry_run = asked.dry_run;
    let asked = asked.request();
    if !dry_run {
        // What lies in files has arrived, and would come into the stream later.
        if let Err(error) = admin.uploads.forget_owner(&asked.owner, asked.dataset.as_deref()).await {
            return problem(Problem::new(500, "erasure-failed", error.to_string()));
        }
    }
    let done = if dry_run { eraser.preview(asked).await } else { eraser.erase(asked).await };
    if !dry_run {
        admin.jobs.forget();
    }
    match done {
        Ok(report) => Json(report).into_response(),
        Err(error @ EraseError::NoOwner) => problem(Problem::new(400, "no-owner", error.to_string())),
        Err(EraseError::Lake(error)) if matches!(*error, LakeError::NoTable(_) | LakeError::Undeclared(_)) => {
            problem(Problem::new(404, "no-table", error.to_string()))
        }
        Err(error) => problem(Problem::new(500, "erasure-failed", error.to_string())),
    }
}

async fn make_report(
    State(admin): State<Admin>,
    caller: Option<Extension<Caller>>,
    Told(Nothing {}): Told<Nothing>,
    body: Bytes,
) -> Response {
    let asked: reports::Asked = match body::object(&body) {
        Ok(asked) => asked,
        Err(error) => return problem(Problem::new(400, "bad-report", error.to_string())),
    };
    let window = match asked.window.parse() {
        Ok(window) => window,
        Err(error) => return problem(Problem::new(400, "bad-window", format!("{error}"))),
    };
    match admin.reports.make(&asked.name, window).await {
        Ok(result) => Json(admin.reports_api.result(&asked.name, &result, caller.as_deref())).into_response(),
        Err(error) => problem(reports::problem(&error, admin.pipeline.clock().now_micros())),
    }
}

async fn unknown_route(uri: Uri) -> Response {
    let detail = format!("there is nothing at `{}`; events go to POST /v1/{{dataset}}", uri.path());
    problem(Problem::new(404, "unknown-route", detail))
}

async fn wrong_method(method: axum::http::Method, uri: Uri) -> Response {
    let detail = format!("`{}` does not take {method}; the Allow header lists what it takes", uri.path());
    problem(Problem::new(405, "wrong-method", detail))
}

fn problem(problem: Problem) -> Response {
    problem_response(&problem)
}
