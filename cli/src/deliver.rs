//! `alluvium deliver`: Firehose's part on a stage that has everything else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::SystemClock;
use alluvium_local::disk::RealDisk;
use alluvium_local::firehose::{Firehose, FirehoseProgress, FirehoseReport, FirehoseSettings, Positions};
use indicatif::{ProgressBar, ProgressStyle};

use crate::stage::delivery::{Stage, StageArgs, duration, stop_on_signal};
use crate::{Common, Outcome, observe, output};

/// Hand a Kinesis stream's records to the deployed transform, as Amazon Data Firehose does.
///
/// For a stage whose `delivery` is `external`: on an emulator, or where Firehose is not wanted. Batches that fail end under
/// `processing-failed/` in the landing bucket, and the exit code is 1; `alluvium drain` hands them over again. On SIGINT or SIGTERM it
/// delivers what it has read and ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// Keep in this file how far each shard is delivered, and go on from there; without it, the stream is delivered from its start.
    #[arg(long, value_name = "FILE")]
    positions: Option<PathBuf>,
    /// End when the stream has had no record for this long.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    until_idle: Option<Duration>,
    /// Invoke the function when this long has passed since the first record was read: up to 900 s.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    buffer: Duration,
    /// Invoke the function when this many bytes are there: 0.2 to 3 MB.
    #[arg(long, value_name = "N", default_value_t = 1024 * 1024)]
    buffer_bytes: usize,
    /// How many invocations of a shard may be outstanding: 1, which keeps the order, to 5.
    #[arg(long, value_name = "N", default_value_t = 1)]
    outstanding: usize,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    observe::log("warn", common.json)?;
    let stage = Stage::open(&args.stage).await?;
    let settings = FirehoseSettings {
        buffer: args.buffer,
        buffer_bytes: args.buffer_bytes,
        outstanding: args.outstanding,
        until_idle: args.until_idle,
        ..stage.settings
    };
    let positions = match &args.positions {
        Some(path) => Positions::open(Arc::new(RealDisk), path, &settings.names.stream_arn)?,
        None => Positions::forgotten(),
    };
    let progress = Arc::new(FirehoseProgress::default());
    let firehose = Firehose {
        stream: stage.stream,
        function: stage.function,
        landing: stage.landing,
        positions,
        settings,
        clock: Arc::new(SystemClock),
        progress: progress.clone(),
    };
    let bar = if common.json || !output::interactive() {
        ProgressBar::hidden()
    } else {
        let template = "{spinner} {human_pos} records, {per_sec}";
        let style = ProgressStyle::with_template(template).expect("the template is ours and right");
        ProgressBar::new_spinner().with_style(style)
    };
    let mut running = std::pin::pin!(firehose.run(stop_on_signal()?));
    let report = loop {
        tokio::select! {
            report = &mut running => break report,
            () = tokio::time::sleep(Duration::from_millis(200)) => bar.set_position(progress.report().records),
        }
    };
    bar.finish_and_clear();
    let done = report.as_ref().ok().cloned().unwrap_or_else(|| progress.report());
    print(common, &done);
    report?;
    Ok(if done.failed_records + done.unexpected == 0 { Outcome::Done } else { Outcome::Failed })
}

fn print(common: &Common, report: &FirehoseReport) {
    if common.json {
        return output::json(report);
    }
    output::line(format!(
        "{} records ({}) handed over in {} batches; {} delivered",
        output::thousands(report.records),
        output::bytes(report.bytes),
        output::thousands(report.batches),
        output::thousands(report.delivered),
    ));
    if report.retries > 0 {
        output::line(format!("{} invocations were tried again", output::thousands(report.retries)));
    }
    if report.failed_records > 0 {
        output::line(format!(
            "{} records were not processed and are under processing-failed/; `alluvium drain` hands them over again",
            output::thousands(report.failed_records)
        ));
    }
    if report.unexpected > 0 {
        let count = output::thousands(report.unexpected);
        output::line(format!(
            "{count} records came back to be written and are under unexpected/; the function is no transform of ours"
        ));
    }
}
