//! `alluvium vacuum`: deletes files that nobody needs any more.

use std::time::Duration;

use alluvium_core::duration;
use alluvium_lake::{Counted, VacuumMode, Vacuumed};
use alluvium_local::maintenance::VacuumReport;
use serde::{Deserialize, Serialize};

use crate::target::{Target, open_folder};
use crate::{Common, Outcome, compact, output};

/// Delete files that nobody needs any more: those that compaction and retention took out of the tables 30 days ago, and what
/// crashes left.
///
/// A node does this by itself; this does it now. What is being read is left alone, and so is what the audit still looks at. Of a stage
/// (--stage) nobody knows what Athena and others are reading: leave --older-than at its default there.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    asked: Asked,
}

/// What is asked for.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// One table, a dataset's, `dead_letters` or `ledger`, instead of all.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Only say what would be deleted.
    #[arg(long)]
    #[serde(default)]
    dry_run: bool,
    /// Delete what was taken out longer ago than this (`7d`, `0s`: at once) instead of 30 days. Older versions of the tables cannot
    /// be read any more then, by other programs either.
    #[arg(long, value_name = "DURATION")]
    older_than: Option<String>,
}

impl Asked {
    /// The table, if it is one.
    pub fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// Whether anything is deleted.
    pub fn mode(&self) -> VacuumMode {
        if self.dry_run { VacuumMode::DryRun } else { VacuumMode::Delete }
    }

    /// How long ago a file must have been taken out.
    ///
    /// # Errors
    ///
    /// When that is no duration.
    pub fn removed_for(&self) -> Result<Option<Duration>, duration::DurationError> {
        self.older_than.as_deref().map(duration::parse).transpose()
    }
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let Args { target, asked } = args;
    let removed_for = asked.removed_for()?;
    #[cfg(feature = "aws")]
    if let Some(on) = target.stage(common).await? {
        return tell(common, &on.lake()?.maintenance()?.vacuum(asked.table(), asked.mode(), removed_for).await?);
    }
    let settings = target.settings(common)?;
    let report: VacuumReport = match target.node(&settings)? {
        Some(node) => {
            let mut query = vec![("dry_run", asked.dry_run.to_string())];
            query.extend(asked.table.map(|table| ("table", table)));
            query.extend(asked.older_than.map(|older_than| ("older_than", older_than)));
            node.post("/admin/vacuum", &query).await?
        }
        None => {
            let folder = open_folder(&settings.data)?;
            compact::maintenance(&folder, &settings)?.vacuum(asked.table(), asked.mode(), removed_for).await?
        }
    };
    tell(common, &report)
}

fn tell(common: &Common, report: &VacuumReport) -> anyhow::Result<Outcome> {
    if common.json {
        output::json(&serde_json::to_value(report)?);
    } else {
        print(report);
    }
    Ok(Outcome::Done)
}

fn print(report: &VacuumReport) {
    let cell = |counted: &Counted| match counted.files {
        0 => "-".to_owned(),
        files => format!("{} ({})", output::thousands(files), output::bytes(counted.bytes)),
    };
    let rows = report.tables.iter().map(|vacuumed| {
        let Vacuumed { table, removed, orphans, key_filters, log_entries, waiting } = vacuumed;
        let [removed, orphans, filters, entries, waiting] =
            [removed, orphans, key_filters, log_entries, waiting].map(cell);
        [table.clone(), removed, orphans, filters, entries, waiting]
    });
    output::table(["table", "taken out", "orphans", "key filters", "log entries", "kept for now"], rows);
    if report.messages.files > 0 {
        output::line(format!("And {} commit messages of more than 29 days.", output::thousands(report.messages.files)));
    }
}
