//! `alluvium reports`: what there is.

use std::sync::Arc;

use alluvium_query::Links;
use alluvium_query::api::{ReportList, ReportView, ReportsApi};

use crate::settings::Settings;
use crate::target::{Target, open_folder};
use crate::{Common, Outcome, output};

/// List every report and its newest results.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let settings = args.target.settings(common)?;
    let listed: ReportList = match args.target.asked(common, &settings).await? {
        Some(api) => api.get("/v1/reports", &[]).await?,
        None => of_folder(&settings).await?,
    };
    if common.json {
        output::json(&listed);
    } else {
        print(&listed.reports);
    }
    let ends_well = listed.reports.iter().all(|report| report.broken.is_none() && report.failure.is_none());
    Ok(if ends_well { Outcome::Done } else { Outcome::Failed })
}

async fn of_folder(settings: &Settings) -> anyhow::Result<ReportList> {
    let folder = open_folder(&settings.data)?;
    let results = Arc::new(super::of_folder(&folder, settings).await?);
    Ok(ReportsApi { results, links: Links::new(None) }.list(None).await?)
}

fn print(reports: &[ReportView]) {
    if reports.is_empty() {
        output::line(
            "There are no reports. `alluvium up --reports DIR` reads them from a folder: see docs/reports.md.",
        );
        return;
    }
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let rows = reports.iter().map(|report| {
        [
            report.name.clone(),
            output::printable(&report.title),
            or_dash(report.window.clone()),
            or_dash(report.results.first().map(|newest| newest.window.clone())),
            output::thousands(report.kept as u64),
            output::thousands(report.waiting as u64),
            or_dash(report.next_run.map(output::time)),
        ]
    });
    output::table(["report", "title", "window", "newest", "kept", "waiting", "next run"], rows);
    for report in reports {
        if let Some(broken) = &report.broken {
            output::line(format!("`{}` is not run: {}", report.name, output::printable(broken)));
        }
        if let Some(failure) = &report.failure {
            output::line(format!(
                "`{}` failed for {} at {} ({}): {}",
                report.name,
                failure.window,
                output::time(failure.at),
                output::counted(u64::from(failure.times), "time", "times in a row"),
                output::printable(&failure.error)
            ));
        }
    }
}
