//! `alluvium recover`: lost commit messages are made again out of the data files.

use std::time::Duration;

use alluvium_core::{Clock as _, SystemClock, duration};
use alluvium_lake::{LakeReader, LostOutcome, Recover, RecoverReport, recover_messages};
use alluvium_local::log::Log;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;
#[cfg(feature = "aws")]
use crate::stage::lake::{Rebuild, StageLake};
use crate::target::{Target, open_folder};
use crate::{Common, Outcome, audit, output, sql};

/// Rebuild lost commit messages from the footers of the data files that wait for them.
///
/// A batch whose files are stored and whose commit message is gone comes into no table. Each of its files says in its footer what
/// the message said. With --stage or --lake this looks for such files, and for each batch whose files are all there it stores the message,
/// unless one is there, and enqueues its path; so it does with the path of one that has been there for longer than --older-than. It
/// may be repeated, and run beside committers. A batch without a data file, because it had no event that became a row or a dead
/// letter, leaves nothing to find.
///
/// It ends with exit code 1 when somebody must look at an outcome. These are: a message that is stored and whose path is not
/// enqueued, because no --queue was given or that failed (stored, message_overdue, not_enqueued); one that --dry-run did not rebuild
/// (can_be_rebuilt); records that are in by other batches in part, or perhaps (covered_in_part, shares_a_record, newer_message); and
/// what cannot be rebuilt (file_missing, older_release, damaged).
///
/// On a folder it changes nothing. A node delivers again out of its log what its lake does not have, by itself, when it starts:
/// start it. What the log no longer holds nothing brings again, so that fails too (not_in_log): the rows are in the files that are
/// listed, which are plain Parquet.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// A stage's lake, instead of a folder.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "s3://BUCKET/PREFIX", conflicts_with_all = ["data", "url"], group = "on_aws")]
    lake: Option<alluvium_aws::LakeUrl>,
    /// The commit queue of the stage whose lake is named with --lake. Without it messages are stored, and `recover` with it or `audit
    /// --repair` enqueues them.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "URL", requires = "lake")]
    queue: Option<String>,
    /// Only say what would be rebuilt. Exit code 1 when anything would be.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    asked: Asked,
}

/// What is asked for.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Leave batches alone that have a file younger than this, for the transform may still be at them, and messages that are.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration::parse)]
    #[serde(with = "duration::text")]
    older_than: Duration,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    #[cfg(feature = "aws")]
    if let Some((lake, queue)) = lake_of(common, &args).await? {
        let rebuild = match &queue {
            _ if args.dry_run => Rebuild::DryRun,
            None => Rebuild::Store,
            Some(queue) => Rebuild::Enqueue(queue),
        };
        return Ok(tell(common, &lake.recover(rebuild, args.asked.older_than).await?));
    }
    let settings = args.target.settings(common)?;
    let report: RecoverReport = match args.target.node(&settings)? {
        Some(node) => {
            let query = [("older_than", duration::format(args.asked.older_than))];
            node.post("/admin/recover", &query).await?
        }
        None => report_of_folder(&settings, &args.asked).await?,
    };
    Ok(tell(common, &report))
}

/// The lake of a stage and its commit queue, if either is named.
#[cfg(feature = "aws")]
async fn lake_of(common: &Common, args: &Args) -> anyhow::Result<Option<(StageLake, Option<String>)>> {
    if let Some(on) = args.target.stage(common).await? {
        return Ok(Some((on.lake()?, Some(on.stage.commit_queue))));
    }
    let Some(lake) = &args.lake else { return Ok(None) };
    Ok(Some((StageLake::at(&args.target.settings(common)?, lake).await?, args.queue.clone())))
}

async fn report_of_folder(settings: &Settings, asked: &Asked) -> anyhow::Result<RecoverReport> {
    let folder = open_folder(&settings.data)?;
    let log = audit::log_of(settings, &folder)?;
    of_parts(&sql::reader(&folder)?, &log, asked).await
}

/// What lies in a folder's lake and is in no table, and whether the log that feeds it holds it.
///
/// # Errors
///
/// When the lake or the log cannot be read.
pub async fn of_parts(reader: &LakeReader, log: &Log, asked: &Asked) -> anyhow::Result<RecoverReport> {
    Ok(recover_messages(reader, Recover::OutOfLog(log), asked.older_than, SystemClock.now_micros()).await?)
}

fn tell(common: &Common, report: &RecoverReport) -> Outcome {
    if common.json {
        output::json(report);
    } else {
        print(report);
    }
    if report.is_settled() { Outcome::Done } else { Outcome::Failed }
}

fn print(report: &RecoverReport) {
    if report.batches.is_empty() {
        output::line("No data file waits for a commit message that is lost.");
    }
    for lost in &report.batches {
        output::line(format!("{} {}", lost.batch, lost.outcome));
        for file in &lost.files {
            output::line(format!("      {file}"));
        }
    }
    if report.young > 0 {
        let young = output::counted(report.young as u64, "batch is", "batches are");
        output::line(format!("{young} too young to tell."));
    }
    if report.batches.iter().any(|lost| lost.outcome == LostOutcome::InLog) {
        output::line("A node delivers again, by itself, what its log holds and its lake does not have: start it.");
    }
}
