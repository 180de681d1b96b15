//! `alluvium demo`: the whole pipeline for a short while, on a temporary folder and a free port.

mod load;
mod probe;
mod report;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alluvium_core::{Clock as _, SystemClock};
use alluvium_ingest::producer::{HttpDestination, HttpSettings};
use alluvium_lake::AuditSettings;
use anyhow::Context as _;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::audit::Audited;
use crate::client::Client;
use crate::node::Node;
use crate::sending::{self, Way};
use crate::settings::Settings;
use crate::{Common, Outcome, observe, output};

/// How long the last events may take from acknowledged to committed.
const SETTLING: Duration = Duration::from_secs(120);
/// How many requests are on their way at a time.
const REQUESTS_AT_A_TIME: usize = 4;

/// Run the whole pipeline for a short while and show what it does: generate, ingest, transform, commit, query, audit.
///
/// Starts a node on a temporary folder and a free port, sends seeded made-up events and some broken ones over HTTP, and prints what
/// became of every one of them. The exit code is 0 only if the audit balances and every count is as expected.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many events to make up.
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    events: u64,
    /// How many to send in a second.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Everything that is made up follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the data in this new folder, to look around in afterwards.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let temporary = tempfile::Builder::new().prefix("alluvium-demo-").tempdir()?;
    if let Some(keep) = &args.keep {
        anyhow::ensure!(!keep.exists(), "--keep {}: it is there already; name a new folder", keep.display());
    }
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: args.keep.clone().unwrap_or_else(|| temporary.path().join("data")),
        verbosity: "warn".to_owned(),
        ..Settings::default()
    };
    observe::log(&settings.verbosity, common.json)?;
    let (node, _) = Node::start(&settings, Arc::new(SystemClock), observe::collect()?).await?;
    if !common.json {
        output::line(format!("A node runs on {}, its data in {}.", node.url(), settings.data.display()));
        output::line(format!(
            "Sending {} made-up events of 10,000 devices over HTTP, {} a second; 1% are broken, 1% are sent twice.",
            output::thousands(args.events),
            output::thousands(u64::from(args.rate))
        ));
    }
    let token = node.token(&settings.owner)?;
    let shown = show(&node, &args, common, token, &settings.owner, SystemClock.now_micros()).await;
    let stopped = node.stop().await;
    let outcome = shown?;
    stopped?;
    Ok(outcome)
}

async fn show(
    node: &Node,
    args: &Args,
    common: &Common,
    token: Option<String>,
    owner: &str,
    now: i64,
) -> anyhow::Result<Outcome> {
    let load = load::Load::new(args.events, args.rate, args.seed, now)?;
    let bars = Bars::new(args.events, common.json);
    let url = format!("{}/v1/telemetry", node.url());
    let started = Instant::now();

    let enough = CancellationToken::new();
    let probing = tokio::spawn(probe::run(
        node.url(),
        token.clone(),
        owner.to_owned(),
        node.pipeline.committed.clone(),
        enough.clone(),
    ));
    let http = HttpSettings { token: token.clone(), ..HttpSettings::default() };
    let destination = Arc::new(HttpDestination::new(&url, http)?);
    let way = Way::of_bodies(destination, &url, REQUESTS_AT_A_TIME);
    let sent = sending::produce(way, load.bodies()?, |events| bars.show(node, events)).await?;
    if let Some(failure) = sent.failure {
        anyhow::bail!("{url}: {failure}");
    }
    let sending_took = started.elapsed();
    enough.cancel();
    let probes = probing.await.context("the probes")??;
    let total = sent.events + probes.sent();
    settle(node, total, || bars.show(node, sent.events)).await?;
    let settled_after = started.elapsed();
    bars.done();

    let pipeline = &node.pipeline;
    let audit = Audited::of(pipeline).audit(&AuditSettings::at(pipeline.clock().now_micros())).await?;
    let report = report::Report {
        url: node.url(),
        kept: args.keep.clone(),
        expected: load.expected(probes.sent())?,
        sent,
        probes,
        sending_took,
        settled_after,
        committed: pipeline.committed.events.load(Ordering::Relaxed),
        answers: report::Answers::ask(&Client::new(&node.url(), token.as_deref())?).await?,
        audit,
    };
    report.print(common)?;
    Ok(if report.problems().is_empty() { Outcome::Done } else { Outcome::Failed })
}

/// Waits until everything acknowledged is committed.
async fn settle(node: &Node, total: u64, show: impl Fn()) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let committed = node.pipeline.committed.events.load(Ordering::Relaxed);
        if committed >= total {
            return Ok(());
        }
        anyhow::ensure!(!node.pipeline.has_failed(), "the pipeline stopped; see the error above");
        anyhow::ensure!(
            started.elapsed() < SETTLING,
            "{committed} of {total} events are committed after {SETTLING:?}; something is stuck"
        );
        show();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One bar per stage.
struct Bars {
    acknowledged: ProgressBar,
    transformed: ProgressBar,
    committed: ProgressBar,
}

impl Bars {
    fn new(events: u64, json: bool) -> Self {
        let all = MultiProgress::new();
        if json || !output::interactive() {
            all.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{prefix:14} {bar:32} {human_pos:>9} of {human_len}, {per_sec}")
            .expect("the template is ours and right");
        let bar = |name: &'static str| {
            let bar = all.add(ProgressBar::new(events).with_style(style.clone()).with_prefix(name));
            bar.tick();
            bar
        };
        Self { acknowledged: bar("acknowledged"), transformed: bar("transformed"), committed: bar("committed") }
    }

    fn show(&self, node: &Node, acknowledged: u64) {
        self.acknowledged.set_position(acknowledged);
        self.transformed.set_position(node.pipeline.delivered.events.load(Ordering::Relaxed));
        self.committed.set_position(node.pipeline.committed.events.load(Ordering::Relaxed));
    }

    fn done(&self) {
        for bar in [&self.acknowledged, &self.transformed, &self.committed] {
            bar.finish_and_clear();
        }
    }
}
