//! A node: the pipeline of one data folder behind one port. What `up` runs and `demo` watches.

mod admin;
mod shares;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Clock, SystemClock};
use alluvium_ingest::gateway::{self, Gateway};
use alluvium_ingest::kinesis::{self, KinesisEndpoint};
use alluvium_local::disk::RealDisk;
use alluvium_local::folder::{DataFolder, Missing, RunningNode};
use alluvium_local::log::Log;
use alluvium_local::pipeline::{Pipeline, StartReport};
use alluvium_query::CommitLag;
use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;

pub use shares::{
    datasets, log_settings, maintenance_settings, pipeline_settings, pseudonym_key, sql_settings, transform_settings,
};
use shares::{gateway_settings, kinesis_settings};

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
        let app = admin::routes(&pipeline, takers, settings, metrics, lag.clone())?;
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
