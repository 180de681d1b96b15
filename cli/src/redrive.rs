//! `alluvium redrive`: dead letters are sent again, and what Firehose has set aside.

pub mod failed;

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_local::pipeline::Pipeline;
use alluvium_local::redrive::{Redrive, RedriveReport, preview, settings as few_rows};
use alluvium_local::sql::{Condition, DataFusionSql};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::settings::Settings;
use crate::target::{Target, open_folder};
use crate::{Common, Outcome, node, output, sql};

/// Send dead letters again, through the schemas as they are now.
///
/// Each event keeps its identity: without an id or a time of its own it gets those that it would have got when it arrived first.
/// What was sent again is marked in the column `redriven_at` and is not sent another time, so the command may be repeated; what
/// is dead again is a new dead letter. One that holds only the beginning of its original cannot be sent, and makes the command
/// end with exit code 1.
///
/// With --failed, the records of objects that Firehose has put under `processing-failed/` are sent, copied here from wherever they lie.
/// Sending an object again makes no event twice. (`alluvium drain` hands them to the stage that they came from.)
///
/// With --stage they are chosen from the stage's lake, put into its stream, and marked in the lake; the stage delivers and commits them as
/// it does everything. Deploy the schemas that mend them first.
///
/// A node reads its schemas when it starts: after a change, restart it first. With a node running on the folder it does the work;
/// else the folder is opened here as `up` does, and what was sent is in the tables when the command ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Which ones: an SQL condition on the columns of `dead_letters`, such as `reason = 'schema_violated'`; `true` for all.
    #[arg(long = "where", value_name = "CONDITION", required_unless_present = "failed")]
    condition: Option<Condition>,
    /// Instead: objects of Firehose's error prefix; a folder stands for all files in it and below.
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "condition")]
    failed: Vec<PathBuf>,
    /// Only say what would be sent.
    #[arg(long)]
    dry_run: bool,
}

/// What is asked of a node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The condition, as SQL.
    #[serde(rename = "where")]
    pub condition: String,
    /// Whether it only says what would be sent.
    #[serde(default)]
    pub dry_run: bool,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    #[cfg(feature = "aws")]
    if let Some(condition) = &args.condition
        && let Some(on) = args.target.stage(common).await?
    {
        let lake = on.lake()?;
        let report = match args.dry_run {
            true => lake.preview_redrive(condition).await?,
            false => lake.redrive(&on.stage.stream, condition).await?,
        };
        return tell(common, &report, args.dry_run);
    }
    let settings = args.target.settings(common)?;
    let node = args.target.node(&settings)?;
    let Some(condition) = &args.condition else {
        return failed::run(common, &settings, node.as_ref(), &args.failed, args.dry_run).await;
    };
    let report: RedriveReport = match node {
        Some(node) => {
            let query = [("where", condition.to_string()), ("dry_run", args.dry_run.to_string())];
            node.post("/admin/redrive", &query).await?
        }
        None if args.dry_run => preview_of_folder(&settings, condition).await?,
        None => redrive_folder(&settings, condition).await?,
    };
    tell(common, &report, args.dry_run)
}

fn tell(common: &Common, report: &RedriveReport, dry_run: bool) -> anyhow::Result<Outcome> {
    if common.json {
        let mut value = serde_json::to_value(report)?;
        value["dry_run"] = Value::Bool(dry_run);
        output::json(&value);
    } else {
        print(report, dry_run);
    }
    Ok(if report.unsendable() == 0 { Outcome::Done } else { Outcome::Failed })
}

async fn preview_of_folder(settings: &Settings, condition: &Condition) -> anyhow::Result<RedriveReport> {
    let folder = open_folder(&settings.data)?;
    Ok(preview(&sql::engine_with(&folder, settings, few_rows(node::sql_settings(settings)))?, condition).await?)
}

/// Redrives with a pipeline of its own, and delivers and commits what was sent.
async fn redrive_folder(settings: &Settings, condition: &Condition) -> anyhow::Result<RedriveReport> {
    let pipeline = node::pipeline_of_folder(settings).await?;
    let redriven = async { anyhow::Ok(of_pipeline(&pipeline, settings)?.run(condition).await?) }.await;
    pipeline.drain().await?;
    redriven
}

/// What redrives the dead letters of a pipeline.
///
/// # Errors
///
/// When its SQL engine cannot be set up.
pub fn of_pipeline(pipeline: &Pipeline, settings: &Settings) -> anyhow::Result<Redrive> {
    let sql = DataFusionSql::new(
        pipeline.store.clone(),
        Arc::new(pipeline.lake_reader()),
        pipeline.datasets.clone(),
        few_rows(node::sql_settings(settings)),
    )?;
    Ok(Redrive {
        sql: Arc::new(sql),
        stream: pipeline.log.clone(),
        maintenance: pipeline.maintenance.clone(),
        clock: pipeline.clock(),
    })
}

fn print(report: &RedriveReport, dry_run: bool) {
    if report.groups.is_empty() {
        output::line("No dead letter that was not sent again before meets the condition.");
        return;
    }
    let count = output::thousands;
    let rows = report.groups.iter().map(|group| {
        let dataset = group.dataset.as_deref().unwrap_or("-").to_owned();
        let numbers = [group.sent, group.cut, group.too_large, group.damaged].map(count);
        let [sent, cut, too_large, damaged] = numbers;
        [dataset, group.reason.clone(), sent, output::bytes(group.bytes), cut, too_large, damaged]
    });
    let sent = if dry_run { "would be sent" } else { "sent" };
    output::table(["dataset", "reason", sent, "bytes", "cut", "too large", "damaged"], rows);
    match report.unsendable() {
        0 => {}
        unsendable => output::line(format!(
            "{} cannot be sent: cut ones hold only the beginning of their original (limits.dead_letter_original_bytes), ones \
             that are too large would not fit a record of the stream, damaged ones were changed since they were written.",
            count(unsendable)
        )),
    }
}
