//! `alluvium reports`: statements that are run for each window of time, and what has come of them.

mod check;
mod list;
mod make;

use std::path::Path;
use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::ports::PortError;
use alluvium_core::{Clock, Problem, SystemClock};
use alluvium_local::disk::RealDisk;
use alluvium_local::folder::DataFolder;
use alluvium_local::pipeline::Pipeline;
use alluvium_local::reports::{self, Committed, Definition, Reports, ReportsError, ReportsParts};
use alluvium_local::sql::DataFusionSql;
use anyhow::Context as _;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::{Common, Outcome, node, output};

/// List the reports and their newest results, make a result on purpose, or check files.
///
/// A report is a file `NAME.sql` in the folder of reports (setting `reports.folder`). A node runs each for every window when its delay has
/// passed, and keeps the results in its folder, in `reports/NAME/`: see docs/reports.md.
///
/// Without a command, the list; exit code 1 when a report is broken or has failed. With a node running on the folder it is asked; else the folder is
/// opened here.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    list: list::Args,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(make::Args),
    Check(check::Args),
}

/// What is asked of a node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The report.
    pub name: String,
    /// The window's start.
    pub window: String,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    match args.command {
        None => list::run(common, args.list).await,
        Some(Command::Run(args)) => make::run(common, args).await,
        Some(Command::Check(args)) => check::run(common, &args).await,
    }
}

/// The reports of a running pipeline, on its SQL engine.
///
/// # Errors
///
/// When the folder of the reports or that of their results cannot be read.
pub async fn of_pipeline(
    pipeline: &Arc<Pipeline>,
    engine: &Arc<DataFusionSql>,
    settings: &Settings,
) -> anyhow::Result<Reports> {
    open(pipeline.folder(), pipeline.clone(), pipeline.clock(), engine, settings).await
}

/// The reports of a folder that no node runs on, to look at: nothing of what it holds counts as committed.
///
/// # Errors
///
/// As [`of_pipeline`].
async fn of_folder(folder: &DataFolder, settings: &Settings) -> anyhow::Result<Reports> {
    let engine = Arc::new(crate::sql::engine(folder, settings)?);
    open(folder, Arc::new(Unknown), Arc::new(SystemClock), &engine, settings).await
}

async fn open(
    folder: &DataFolder,
    committed: Arc<dyn Committed>,
    clock: Arc<dyn Clock>,
    engine: &Arc<DataFusionSql>,
    settings: &Settings,
) -> anyhow::Result<Reports> {
    let mut definitions = definitions(settings)?;
    reports::check(&mut definitions, engine).await;
    let parts =
        ReportsParts { engine: engine.clone(), committed, clock, disk: Arc::new(RealDisk), folder: folder.reports() };
    Reports::open(parts, definitions, node::reports_settings(settings))
        .context("the results of reports cannot be opened")
}

fn definitions(settings: &Settings) -> anyhow::Result<Vec<Definition>> {
    let folder = settings.reports.folder.as_deref().map(load).transpose()?;
    Ok(folder.unwrap_or_default())
}

fn load(folder: &Path) -> anyhow::Result<Vec<Definition>> {
    reports::load(folder).context("the setting `reports.folder` cannot be used")
}

struct Unknown;

#[async_trait]
impl Committed for Unknown {
    async fn committed_before(&self) -> Result<Micros, PortError> {
        Ok(Micros::MIN)
    }
}

/// A report that was not made, as an answer at this time.
pub fn problem(error: &ReportsError, now: Micros) -> Problem {
    let (status, kind) = match error {
        ReportsError::Unknown(..) => (404, "unknown-report"),
        ReportsError::NoWindow { .. } => (400, "no-window"),
        ReportsError::TooOld { .. } => (400, "window-too-old"),
        ReportsError::NotDue { .. } => (409, "window-not-due"),
        ReportsError::Behind { .. } => (409, "commits-behind"),
        ReportsError::Broken { .. } => (422, "report-broken"),
        ReportsError::Statement(_) | ReportsError::Rows(_) | ReportsError::TooLarge(_) => (422, "report-failed"),
        ReportsError::Io(_) => (500, "report-failed"),
    };
    let problem = Problem::new(status, kind, output::sentence(&anyhow::Error::msg(error.to_string())));
    match error {
        ReportsError::NotDue { due, .. } => {
            problem.retry_after(due.saturating_sub(now).max(1).unsigned_abs().div_ceil(1_000_000))
        }
        // It was waited for already, and may be there at any moment.
        ReportsError::Behind { .. } => problem.retry_after(1),
        _ => problem,
    }
}

#[cfg(test)]
mod tests;
