//! A node: the pipeline of one data folder behind one port. What `up` runs and `demo` watches.

mod admin;
mod connections;
mod front;
pub mod openapi;
#[cfg(feature = "postgres")]
mod postgres;
mod shares;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Caller, Clock, Problem, Role, Roles, SystemClock};
use alluvium_ingest::AccessKeys;
use alluvium_ingest::gateway::{self, Gateway};
use alluvium_ingest::kinesis::{self, KinesisEndpoint};
use alluvium_ingest::uploads::{self, UploadParts, Uploads};
use alluvium_local::disk::RealDisk;
use alluvium_local::folder::{DataFolder, Missing, RunningNode};
use alluvium_local::log::Log;
use alluvium_local::pipeline::{Pipeline, StartReport};
use alluvium_local::reports::Reports;
use alluvium_query::authorizer::new_secret;
use alluvium_query::{Authorizer, CommitLag, Links};
use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::auth::{self, IssuedKeys};
use crate::settings::Settings;
use crate::target::open_folder;
use admin::Statements;
use front::{Guard, Pace};

pub use shares::{
    datasets, log_settings, maintenance_settings, pipeline_settings, pseudonym_key, reports_settings, sql_settings,
    transform_settings, upload_settings,
};
use shares::{gateway_settings, kinesis_settings};

/// How long requests that are under way may take once the node stops.
const STOPPING: Duration = Duration::from_secs(30);
/// How often the lag of commits is looked at.
const LOOK_AT_LAG: Duration = Duration::from_secs(1);
/// How long the token is good for that a node leaves in its folder, and how often it leaves a new one.
const LOCAL_TOKEN: Duration = Duration::from_secs(7 * 24 * 3600);
const LEAVE_TOKEN_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A running node.
pub struct Node {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it listens for clients of Postgres, if it does.
    pub postgres: Option<SocketAddr>,
    /// Its pipeline.
    pub pipeline: Arc<Pipeline>,
    gateway: Gateway,
    kinesis: KinesisEndpoint,
    uploads: Uploads,
    loader: JoinHandle<()>,
    server: JoinHandle<()>,
    /// What serves clients of Postgres.
    postgres_server: Option<JoinHandle<()>>,
    watches: Vec<JoinHandle<()>>,
    reports: Arc<Reports>,
    stop_serving: CancellationToken,
    authorizer: Option<Arc<Authorizer>>,
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
        let listener = listen_on(settings.listen, "--listen").await?;
        let listen = listener.local_addr()?;
        #[cfg(feature = "postgres")]
        let certificate = postgres::Certificate::of(&settings.postgres)?;
        let postgres_listener = match settings.postgres.listen {
            Some(address) => Some(listen_on(address, "--postgres").await?),
            None => None,
        };
        let postgres = postgres_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let authorizer = if settings.auth.required {
            let made_up = new_secret()?;
            let of_folder = || Ok(folder.secret(|| made_up)?);
            Some(Arc::new(auth::authorizer(settings, of_folder, clock.clone())?))
        } else {
            None
        };
        let (pipeline, report) =
            Pipeline::start(folder, Arc::new(RealDisk), datasets.clone(), pipeline_settings(settings)?, clock).await?;
        let pipeline = Arc::new(pipeline);
        let gateway = Gateway::new(pipeline.log.clone(), datasets, gateway_settings(settings))?;
        let log_folder = pipeline.folder().log();
        let kinesis = kinesis_settings(settings, &log_folder);
        let keys = authorizer.clone().map(|authorizer| Arc::new(IssuedKeys(authorizer)) as Arc<dyn AccessKeys>);
        let kinesis = KinesisEndpoint::new(pipeline.log.clone(), pipeline.clock(), kinesis)?.with_keys(keys);
        let stop_serving = CancellationToken::new();
        let lag = Arc::<CommitLag>::default();
        let uploads = open_uploads(&pipeline, settings, authorizer.clone(), lag.clone()).await?;
        let takers = gateway::router(gateway.clone())
            .merge(kinesis::router(kinesis.clone()))
            .merge(uploads::router(uploads.clone()));
        let links = Links::new(authorizer.clone());
        let statements = Statements::new(&pipeline, settings)?;
        let shown = admin::Shown { uploads: uploads.clone(), links, metrics, lag: lag.clone() };
        let (routes, reports) = admin::routes(&pipeline, takers, &statements, settings, shown).await?;
        let limits = &settings.limits;
        let pace = Pace::new(limits.requests_per_second, limits.requests_per_second_of_owner);
        let guard = Guard { authorizer: authorizer.clone(), pace: Arc::new(pace) };
        #[cfg(feature = "postgres")]
        let postgres_server = postgres_listener.map(|listener| {
            let stop = stop_serving.clone();
            let encryption = certificate.as_ref().map(|certificate| certificate.encryption.clone());
            let server = postgres::server(guard.clone(), &statements, &settings.postgres, encryption);
            tokio::spawn(server.serve(listener, stop))
        });
        #[cfg(not(feature = "postgres"))]
        let postgres_server = postgres_listener.map(|_refused_by_the_settings| tokio::spawn(async {}));
        let app = front::before(routes, guard, settings)?;
        let mut watches = vec![tokio::spawn(watch_lag(pipeline.clone(), lag)), tokio::spawn(reports.clone().run())];
        #[cfg(feature = "postgres")]
        watches.extend(certificate.map(|certificate| tokio::spawn(certificate.keep_renewed())));
        let server = tokio::spawn(connections::serve(listener, app, stop_serving.clone()));
        let node = RunningNode { pid: std::process::id(), listen, version: env!("CARGO_PKG_VERSION").to_owned() };
        if let Some(authorizer) = &authorizer {
            let left = LocalToken {
                pipeline: pipeline.clone(),
                authorizer: authorizer.clone(),
                owner: settings.owner.clone(),
            };
            left.leave()?;
            watches.push(tokio::spawn(left.keep_fresh()));
        }
        pipeline.folder().announce(&node)?;
        let loader = tokio::spawn(uploads.clone().load());
        let node = Self {
            listen,
            postgres,
            pipeline,
            gateway,
            kinesis,
            uploads,
            loader,
            server,
            postgres_server,
            watches,
            reports,
            stop_serving,
            authorizer,
        };
        Ok((node, report))
    }

    /// A token with every right, for whoever runs the node; `None`: nobody is asked for one.
    ///
    /// # Errors
    ///
    /// When none can be issued.
    pub fn token(&self, owner: &str) -> anyhow::Result<Option<String>> {
        self.authorizer.as_ref().map(|authorizer| local_token(authorizer, owner)).transpose()
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
        self.uploads.stop();
        self.pipeline.end_arrivals();
        self.stop_serving.cancel();
        match tokio::time::timeout(STOPPING, self.server).await {
            Ok(served) => served?,
            Err(_) => tracing::warn!("requests were still under way after {STOPPING:?}; they are cut off"),
        }
        if let Some(mut server) = self.postgres_server {
            match tokio::time::timeout(STOPPING, &mut server).await {
                Ok(served) => served?,
                Err(_) => {
                    tracing::warn!("clients of Postgres were still served after {STOPPING:?}; they are cut off");
                    server.abort();
                }
            }
        }
        self.gateway.drained().await;
        self.kinesis.drained().await;
        self.loader.await?;
        self.watches.iter().for_each(JoinHandle::abort);
        let _waited = tokio::time::timeout(STOPPING, self.reports.at_rest()).await;
        self.pipeline.drain().await?;
        self.pipeline.folder().remove_running()?;
        Ok(())
    }
}

/// The uploads of a node's folder.
async fn open_uploads(
    pipeline: &Arc<Pipeline>,
    settings: &Settings,
    authorizer: Option<Arc<Authorizer>>,
    lag: Arc<CommitLag>,
) -> anyhow::Result<Uploads> {
    let links = Links::new(authorizer);
    let sign = move |method: &str, target: &str, caller: Option<&Caller>| {
        links.to(method, target, caller).map_err(|error| Problem::new(500, "not-signed", error.to_string()))
    };
    let parts = UploadParts {
        stream: pipeline.log.clone(),
        datasets: pipeline.datasets.clone(),
        clock: pipeline.clock(),
        sign: Arc::new(sign),
        lag: Arc::new(move || lag.get()),
    };
    let (folder, settings) = (pipeline.folder().uploads(), upload_settings(settings));
    Ok(tokio::task::spawn_blocking(move || Uploads::open(folder, parts, settings)).await??)
}

async fn listen_on(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let listening = TcpListener::bind(address).await;
    listening.with_context(|| format!("cannot listen on {address}; choose another address with {flag} (port 0: any)"))
}

/// A token with every right and this owner.
fn local_token(authorizer: &Authorizer, owner: &str) -> anyhow::Result<String> {
    let caller = Caller::new(owner, Roles::of_names([Role::Admin.name()]));
    Ok(authorizer.issue(&caller.context("the setting `owner` is no owner's name")?, LOCAL_TOKEN)?)
}

/// The token that commands of the node's user find in its folder.
struct LocalToken {
    pipeline: Arc<Pipeline>,
    authorizer: Arc<Authorizer>,
    owner: String,
}

impl LocalToken {
    fn leave(&self) -> anyhow::Result<()> {
        Ok(self.pipeline.folder().leave_token(&local_token(&self.authorizer, &self.owner)?)?)
    }

    /// Leaves a new one now and then, for as long as the node runs.
    async fn keep_fresh(self) {
        loop {
            tokio::time::sleep(LEAVE_TOKEN_EVERY).await;
            if let Err(error) = self.leave() {
                tracing::warn!(%error, "commands on the folder will find an old token there");
            }
        }
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
    let folder = open_folder(&settings.data)?;
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
