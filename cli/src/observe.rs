//! Logs and metrics of a running node.

use std::io::IsTerminal as _;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Upper bounds of the histograms' buckets, in seconds.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Starts logging to standard error: lines for people, JSON for machines.
///
/// # Errors
///
/// When `verbosity` is no filter.
pub fn log(verbosity: &str, json: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(verbosity)
        .map_err(|error| anyhow::anyhow!("verbosity `{verbosity}` is no filter: {error}"))?
        // It warns for every file and column that the Delta log holds no bounds of, and we keep them from it on purpose.
        .add_directive("datafusion_common::pruning=error".parse().expect("the directive is ours and right"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process (the demo within a test) keeps the first one's.
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    Ok(())
}

/// Starts collecting metrics; the handle renders them for `GET /metrics`.
///
/// # Errors
///
/// When another recorder is installed.
pub fn collect() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?;
    Ok(builder.install_recorder()?)
}
