//! `alluvium drain`: what failed is one more input.

use alluvium_local::firehose::ERROR_PREFIX;
use alluvium_local::firehose::drain::{Drain, DrainReport};

use crate::stage::delivery::{Stage, StageArgs};
use crate::{Common, Outcome, observe, output};

/// Hand what lies under `processing-failed/` in the landing bucket over again, and move it to `drained/`.
///
/// Each record is looked up in the stream, so that it goes over as the record that it was and enters no table twice. Objects that
/// cannot be drained stay where they are and are named, and the exit code is 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// Drain only what begins so, such as `processing-failed/2026/11/`.
    #[arg(long, value_name = "PREFIX", default_value = ERROR_PREFIX)]
    prefix: String,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    observe::log("warn", common.json)?;
    let stage = Stage::open(&args.stage).await?;
    let paths = stage.list(&args.prefix).await?;
    let drain = Drain {
        stream: stage.stream,
        function: stage.function,
        landing: stage.landing,
        settings: stage.settings,
        progress: std::sync::Arc::default(),
    };
    let report = drain.run(paths).await?;
    print(common, &report);
    Ok(if report.left.is_empty() { Outcome::Done } else { Outcome::Failed })
}

fn print(common: &Common, report: &DrainReport) {
    if common.json {
        return output::json(report);
    }
    output::line(format!(
        "{} objects drained, {} records in them; {} were found again in the stream",
        output::thousands(report.drained),
        output::thousands(report.records),
        output::thousands(report.found),
    ));
    for left in &report.left {
        output::line(format!("{} stays: {}", left.path, left.why));
    }
}
