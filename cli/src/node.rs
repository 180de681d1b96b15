//! A node: the pipeline of one data folder behind one port. What `up` runs and `demo` watches.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::{Clock, Datasets, Problem, SystemClock};
use alluvium_ingest::gateway::{self, Gateway};
use alluvium_ingest::kinesis::{self, KinesisEndpoint, KinesisSettings};
use alluvium_lake::{AuditReport, CompactSettings, LakeError, RetainSettings, UpkeepSettings};
use alluvium_local::committer::CommitterSettings;
use alluvium_local::delivery::DeliverySettings;
use alluvium_local::disk::RealDisk;
use alluvium_local::erasure::EraseError;
use alluvium_local::folder::{DataFolder, Missing, RunningNode};
use alluvium_local::log::{Log, LogSettings};
use alluvium_local::maintenance::MaintenanceSettings;
use alluvium_local::pipeline::{Pipeline, PipelineSettings, StartReport};
use alluvium_local::redrive::{Redrive, RedriveError, failed_records, preview, preview_failed, send_failed};
use alluvium_local::sql::{Condition, DataFusionSql};
use alluvium_query::api::{RecordsApi, records_routes, sql_routes};
use alluvium_query::{CommitLag, Records};
use alluvium_transform::{PseudonymKey, TransformSettings};
use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::audit::Audited;
use crate::settings::{Secret, Settings};
use crate::{audit, compact, erase, recover, redrive, vacuum};

/// How long requests that are under way may take once the node stops.
const STOPPING: Duration = Duration::from_secs(30);
/// How often the lag of commits is looked at.
const LOOK_AT_LAG: Duration = Duration::from_secs(1);

/// A running node.
pub struct Node {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its pipeline.
    pub pipeline: Arc<Pipeline>,
    gateway: Gateway,
    kinesis: KinesisEndpoint,
    server: JoinHandle<std::io::Result<()>>,
    watch: JoinHandle<()>,
    stop_serving: CancellationToken,
}

impl Node {
    /// Opens the data folder, starts the pipeline, and listens.
    ///
    /// # Errors
    ///
    /// When the port is taken, the folder is in use or damaged, or a schema is wrong.
    pub async fn start(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        metrics: PrometheusHandle,
    ) -> anyhow::Result<(Self, StartReport)> {
        let datasets = Arc::new(datasets(settings)?);
        let folder = DataFolder::open(&settings.data, Missing::Create)?;
        let listener = TcpListener::bind(settings.listen).await.with_context(|| {
            format!("cannot listen on {}; choose another address with --listen (port 0: any)", settings.listen)
        })?;
        let listen = listener.local_addr()?;
        let (pipeline, report) =
            Pipeline::start(folder, Arc::new(RealDisk), datasets.clone(), pipeline_settings(settings)?, clock).await?;
        let pipeline = Arc::new(pipeline);
        let gateway = Gateway::new(pipeline.log.clone(), datasets, gateway_settings(settings))?;
        let log_folder = pipeline.folder().log();
        let kinesis = kinesis_settings(settings, &log_folder);
        let kinesis = KinesisEndpoint::new(pipeline.log.clone(), pipeline.clock(), kinesis)?;
        let stop_serving = CancellationToken::new();
        let lag = Arc::<CommitLag>::default();
        let takers = gateway::router(gateway.clone()).merge(kinesis::router(kinesis.clone()));
        let app = routes(&pipeline, takers, settings, metrics, lag.clone())?;
        let watch = tokio::spawn(watch_lag(pipeline.clone(), lag));
        let server = axum::serve(listener, app).with_graceful_shutdown(stop_serving.clone().cancelled_owned());
        let server = tokio::spawn(async move { server.await });
        let node = RunningNode { pid: std::process::id(), listen, version: env!("CARGO_PKG_VERSION").to_owned() };
        pipeline.folder().announce(&node)?;
        Ok((Self { listen, pipeline, gateway, kinesis, server, watch, stop_serving }, report))
    }

    /// The base of its API.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Stops taking in, answers what is under way, delivers and commits all that was acknowledged, and closes everything.
    ///
    /// # Errors
    ///
    /// The failure that stopped the pipeline, now or before.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.gateway.stop_intake();
        self.kinesis.stop_intake();
        self.stop_serving.cancel();
        match tokio::time::timeout(STOPPING, self.server).await {
            Ok(served) => served??,
            Err(_) => tracing::warn!("requests were still under way after {STOPPING:?}; they are cut off"),
        }
        self.gateway.drained().await;
        self.kinesis.drained().await;
        self.watch.abort();
        self.pipeline.drain().await?;
        self.pipeline.folder().remove_running()?;
        Ok(())
    }
}

/// The datasets that the settings name.
///
/// # Errors
///
/// When a schema is wrong or the folder cannot be read.
pub fn datasets(settings: &Settings) -> anyhow::Result<Datasets> {
    Ok(Datasets::load(settings.datasets.as_deref(), settings.default_dataset.as_deref())?)
}

fn gateway_settings(settings: &Settings) -> gateway::GatewaySettings {
    let limits = &settings.limits;
    gateway::GatewaySettings {
        body_bytes: limits.body_bytes,
        body_expanded_bytes: limits.body_expanded_bytes,
        event_bytes: limits.event_bytes,
        json_depth: limits.json_depth,
        events: limits.events_per_request,
        concurrent_requests: limits.concurrent_requests,
        request_time: limits.request_time,
        owner: settings.owner.clone(),
        ..gateway::GatewaySettings::default()
    }
}

fn kinesis_settings(settings: &Settings, log: &Path) -> KinesisSettings {
    KinesisSettings {
        stream: settings.kinesis.stream.clone(),
        shard_limits: settings.kinesis.shard_limits,
        concurrent_requests: settings.limits.concurrent_requests,
        request_time: settings.limits.request_time,
        retention: settings.log.retention,
        created: made_at(log),
        ..KinesisSettings::default()
    }
}

/// When a folder was made, as far as the file system remembers; else 1970.
fn made_at(folder: &Path) -> Micros {
    let made = std::fs::metadata(folder).and_then(|metadata| metadata.created()).ok();
    let since = made.and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

/// The key that pseudonyms are made with, if there is one.
///
/// # Errors
///
/// When it cannot be read or is none.
pub fn pseudonym_key(settings: &Settings) -> anyhow::Result<Option<PseudonymKey>> {
    let read = |secret: &Secret| -> anyhow::Result<PseudonymKey> { Ok(PseudonymKey::from_text(&secret.read()?)?) };
    settings.pseudonym_key.as_ref().map(read).transpose().context("the setting `pseudonym_key` cannot be used")
}

/// The transform's share of the settings.
///
/// # Errors
///
/// When the key for pseudonyms cannot be used.
pub fn transform_settings(settings: &Settings) -> anyhow::Result<TransformSettings> {
    Ok(TransformSettings {
        stream_owner: settings.owner.clone(),
        event_bytes: settings.limits.event_bytes,
        json_depth: settings.limits.json_depth,
        record_expanded_bytes: settings.limits.record_expanded_bytes,
        // The audit counts the log's records page by page, so here no record's fate may hang on those beside it. Batches
        // are small and memory is not a Lambda function's.
        batch_expanded_bytes: usize::MAX,
        dead_letter_original_bytes: settings.limits.dead_letter_original_bytes,
        hot_margin: settings.hot.margin,
        pseudonym_key: pseudonym_key(settings)?,
        ..TransformSettings::default()
    })
}

/// The log's share of the settings.
pub fn log_settings(settings: &Settings) -> LogSettings {
    LogSettings {
        shards: settings.log.shards,
        segment_bytes: settings.log.segment_bytes,
        max_bytes: settings.log.max_bytes,
        retention: settings.log.retention,
        ..LogSettings::default()
    }
}

/// The pipeline's share of the settings.
///
/// # Errors
///
/// When the key for pseudonyms cannot be used.
pub fn pipeline_settings(settings: &Settings) -> anyhow::Result<PipelineSettings> {
    Ok(PipelineSettings {
        log: log_settings(settings),
        transform: transform_settings(settings)?,
        delivery: DeliverySettings {
            buffer_bytes: settings.delivery.buffer_bytes,
            buffer: settings.delivery.buffer,
            concurrency: settings.delivery.concurrency,
        },
        committer: CommitterSettings { interval: settings.commit.interval, max_batches: settings.commit.max_batches },
        lake: alluvium_lake::LakeSettings { checkpoint_every: settings.commit.checkpoint_every },
        hot_cache_bytes: settings.hot.cache_bytes,
        hot_expire_every: settings.hot.expire_every,
        maintenance: maintenance_settings(settings),
    })
}

/// The maintenance's share of the settings.
pub fn maintenance_settings(settings: &Settings) -> MaintenanceSettings {
    let maintain = &settings.maintain;
    MaintenanceSettings {
        upkeep: UpkeepSettings {
            compact: CompactSettings {
                target_bytes: maintain.target_bytes,
                round_bytes: maintain.round_bytes,
                memory_bytes: maintain.memory_bytes,
            },
            retain: RetainSettings { dead_letters: maintain.dead_letter_retention },
        },
        every: maintain.every,
        vacuum_every: maintain.vacuum_every,
        compact_files: maintain.compact_files,
    }
}

#[derive(Clone)]
struct Admin {
    pipeline: Arc<Pipeline>,
    redrive: Arc<Redrive>,
    metrics: PrometheusHandle,
}

fn routes(
    pipeline: &Arc<Pipeline>,
    takers: Router,
    settings: &Settings,
    metrics: PrometheusHandle,
    lag: Arc<CommitLag>,
) -> anyhow::Result<Router> {
    let reader = Arc::new(pipeline.lake_reader());
    let datasets = pipeline.datasets.clone();
    let sql = DataFusionSql::new(pipeline.store.clone(), reader, datasets.clone(), sql_settings(settings))?;
    let sql: Arc<DataFusionSql> = Arc::new(sql);
    let records = Records::new(pipeline.hot.clone(), sql.clone(), datasets, pipeline.clock(), lag)
        .with_hot_margin(settings.hot.margin);
    let records = RecordsApi { records, owner: Some(settings.owner.clone()) };
    describe_metrics();
    let redrive = Arc::new(redrive::of_pipeline(pipeline, settings)?);
    let admin = Admin { pipeline: pipeline.clone(), redrive, metrics };
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
        .with_state(admin)
        .merge(takers)
        .merge(records_routes(records))
        .merge(sql_routes(sql))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(tower_http::catch_panic::CatchPanicLayer::new());
    Ok(app)
}

/// Keeps the lag of commits up to date for as long as the node runs.
async fn watch_lag(pipeline: Arc<Pipeline>, lag: Arc<CommitLag>) {
    loop {
        match pipeline.commit_lag().await {
            Ok(waited) => lag.set(waited),
            Err(error) => tracing::warn!(%error, "the lag of commits is not known"),
        }
        tokio::time::sleep(LOOK_AT_LAG).await;
    }
}

async fn health(State(admin): State<Admin>) -> Response {
    let failed = admin.pipeline.has_failed();
    let status = if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let word = if failed { "failed" } else { "ok" };
    let version = env!("CARGO_PKG_VERSION");
    (status, Json(json!({"status": word, "version": version, "datasets": admin.pipeline.datasets.names()})))
        .into_response()
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

async fn run_audit(State(admin): State<Admin>, Query(asked): Query<audit::Asked>) -> Response {
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

async fn run_compact(State(admin): State<Admin>, Query(asked): Query<compact::Asked>) -> Response {
    match admin.pipeline.maintenance.compact(asked.table.as_deref()).await {
        Ok(rounds) => Json(rounds).into_response(),
        Err(error @ LakeError::NoTable(_)) => problem(Problem::new(404, "no-table", error.to_string())),
        Err(error) => problem(Problem::new(500, "compaction-failed", error.to_string())),
    }
}

async fn run_vacuum(State(admin): State<Admin>, Query(asked): Query<vacuum::Asked>) -> Response {
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

async fn run_recover(State(admin): State<Admin>, Query(asked): Query<recover::Asked>) -> Response {
    match recover::of_parts(&admin.pipeline.lake_reader(), &admin.pipeline.log, &asked).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => problem(Problem::new(500, "recover-failed", crate::output::sentence(&error))),
    }
}

async fn run_redrive(State(admin): State<Admin>, Query(asked): Query<redrive::Asked>) -> Response {
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
    Query(asked): Query<redrive::failed::Asked>,
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

async fn list_erasures(State(admin): State<Admin>) -> Response {
    match admin.pipeline.eraser.reports().await {
        Ok(reports) => Json(reports).into_response(),
        Err(error) => problem(Problem::new(500, "erasures-unreadable", error.to_string())),
    }
}

async fn run_erasure(State(admin): State<Admin>, body: Bytes) -> Response {
    let asked: erase::Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return problem(Problem::new(400, "bad-erasure", error.to_string())),
    };
    let eraser = &admin.pipeline.eraser;
    let dry_run = asked.dry_run;
    let done = if dry_run { eraser.preview(asked.request()).await } else { eraser.erase(asked.request()).await };
    match done {
        Ok(report) => Json(report).into_response(),
        Err(error @ EraseError::NoOwner) => problem(Problem::new(400, "no-owner", error.to_string())),
        Err(EraseError::Lake(error)) if matches!(*error, LakeError::NoTable(_) | LakeError::Undeclared(_)) => {
            problem(Problem::new(404, "no-table", error.to_string()))
        }
        Err(error) => problem(Problem::new(500, "erasure-failed", error.to_string())),
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
    let status = StatusCode::from_u16(problem.status).expect("problems of our own have a valid status");
    (status, [(header::CONTENT_TYPE, alluvium_core::problem::PROBLEM_JSON)], problem.to_json()).into_response()
}

/// The SQL engine's share of the settings.
pub fn sql_settings(settings: &Settings) -> alluvium_local::sql::SqlSettings {
    alluvium_local::sql::SqlSettings {
        memory_bytes: settings.sql.memory_bytes,
        keys_bytes: settings.sql.keys_bytes,
        time_limit: settings.sql.time,
        running: settings.sql.concurrency,
        statements: settings.sql.statements,
        ..alluvium_local::sql::SqlSettings::default()
    }
}

/// A pipeline on a folder that no node runs on, for a command that needs one. It delivers and commits what the log holds, so it is to be
/// drained.
///
/// # Errors
///
/// When the folder is missing, in use or damaged, or a schema is wrong.
pub async fn pipeline_of_folder(settings: &Settings) -> anyhow::Result<Pipeline> {
    let folder = DataFolder::open(&settings.data, Missing::Refuse)?;
    let datasets = Arc::new(datasets(settings)?);
    let mut pipeline_settings = pipeline_settings(settings)?;
    // As an audit: who has one thing done need not be told how many shards there are.
    if let Some(shards) = Log::shards_in(&RealDisk, &folder.log())? {
        pipeline_settings.log.shards = shards;
    }
    let (pipeline, _) =
        Pipeline::start(folder, Arc::new(RealDisk), datasets, pipeline_settings, Arc::new(SystemClock)).await?;
    Ok(pipeline)
}

/// The node that a command on `data` should talk to, if one runs there.
pub fn running(data: &Path) -> Option<RunningNode> {
    alluvium_local::folder::running_node(data)
}
