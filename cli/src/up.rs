//! `alluvium up`: run a node until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::SystemClock;
use alluvium_local::pipeline::StartReport;
use tokio::signal::unix::{SignalKind, signal};

use crate::node::Node;
use crate::settings::{self, AuthFlags, Flags, PostgresFlags, ReportsFlags, Settings};
use crate::{Common, Outcome, observe, output};

/// Run the whole pipeline on this machine until stopped: gateway and API on one port, everything kept in one folder.
///
/// Prints one line when it is ready. On SIGINT or SIGTERM it stops taking in, delivers and commits what it has acknowledged,
/// and ends with exit code 0; a second signal ends it at once, and the next start goes on where it was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that holds everything; made when it is missing.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// A folder of `*.json` schemas, one per dataset, beside the built-in ones.
    #[arg(long, value_name = "DIR")]
    datasets: Option<PathBuf>,
    /// A folder of `*.sql` reports; without it `reports` in the working directory, if there is one.
    #[arg(long, value_name = "DIR")]
    reports: Option<PathBuf>,
    /// Where events go that neither a route nor their `type` sends anywhere.
    #[arg(long, value_name = "NAME")]
    default_dataset: Option<String>,
    /// Ask nobody for a token: whoever reaches the port reads and writes everything. Loopback only.
    #[arg(long)]
    no_auth: bool,
    /// Where to listen for clients of Postgres, such as psql: SQL over the lake, a token is the password. On loopback only, unless postgres.certificate is set.
    #[arg(long, value_name = "ADDR")]
    postgres: Option<SocketAddr>,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let flags = Flags {
        listen: args.listen,
        data: args.data,
        datasets: args.datasets,
        default_dataset: args.default_dataset,
        auth: args.no_auth.then(AuthFlags::default),
        reports: args.reports.map(|folder| ReportsFlags { folder }),
        postgres: args.postgres.map(|listen| PostgresFlags { listen }),
    };
    let settings = settings::load(common.config.as_deref(), &flags)?.settings;
    observe::log(&settings.verbosity, common.json)?;
    warn_of_openness(&settings);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (node, report) = Node::start(&settings, Arc::new(SystemClock), observe::collect()?).await?;
    tell(&report);
    announce(&node, &settings, common.json);

    let mut stop = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        () = stop() => tracing::info!("stopping: no new events; delivering and committing what was acknowledged"),
        () = node.pipeline.failed() => tracing::error!("stopping because a part of the pipeline failed"),
    }
    tokio::select! {
        stopped = node.stop() => stopped?,
        () = stop() => anyhow::bail!("stopped at once; what was acknowledged is in the log and is delivered at the next start"),
    }
    tracing::info!("stopped; everything acknowledged is in the lake");
    Ok(Outcome::Done)
}

fn warn_of_openness(settings: &Settings) {
    if !settings.auth.required {
        tracing::warn!("no tokens are asked for: every program on this machine can read, write and erase everything");
    } else if !settings.listen.ip().is_loopback() {
        tracing::warn!(
            listen = %settings.listen,
            "listening beyond this machine, and what is sent here, tokens too, is not encrypted: put a proxy with TLS in front"
        );
    }
}

/// Says what the start mended; what `lake` set aside it has logged itself.
fn tell(report: &StartReport) {
    for shard in &report.log.shards {
        if let Some(torn) = &shard.torn {
            tracing::warn!(
                file = %torn.file.display(), offset = torn.offset, bytes = torn.dropped_bytes, torn.reason,
                "the log ended in a record that was never acknowledged; it was cut off"
            );
        }
    }
    if report.hot_rebuilt {
        tracing::info!("the hot index was empty and was rebuilt from the log");
    }
    if report.records_behind > 0 {
        tracing::info!(
            records = report.records_behind,
            "the log holds records that the lake does not have yet; they go first"
        );
    }
}

fn announce(node: &Node, settings: &Settings, json: bool) {
    if json {
        let mut line = serde_json::json!({"listening": node.url(), "data": settings.data});
        if let Some(postgres) = node.postgres {
            line["postgres"] = postgres.to_string().into();
        }
        output::line(line);
        return;
    }
    let data = settings.data.display();
    output::line(format!("listening on {}, data in {data}", node.url()));
    if let Some(postgres) = node.postgres {
        let (host, port) = (postgres.ip(), postgres.port());
        output::line(format!("SQL for clients of Postgres: psql -h {host} -p {port} (the password is a token)"));
    }
    if settings.auth.required {
        output::line(format!("a token: alluvium token --data {data} --sub NAME --role data.read --role data.write"));
    } else {
        output::line("no tokens are asked for (--no-auth)");
    }
}
