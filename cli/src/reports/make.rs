//! `alluvium reports run`: the result of one window, on purpose.

use std::sync::Arc;

use alluvium_core::report::WindowId;
use alluvium_local::sql::DataFusionSql;
use alluvium_query::Links;
use alluvium_query::api::{ReportsApi, ResultView};

use super::Asked;
use crate::settings::Settings;
use crate::target::Target;
use crate::{Common, Outcome, node, output};

/// Make the result of one window, or make it anew: after late events, an erasure, or a change of the report.
///
/// With a node running on the folder it does the work; else the folder is opened here as `up` does, and what its log holds is committed first.
/// The result that was there is replaced when the new one is whole.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// The report.
    name: String,
    /// The window's start, such as `20261128T1000Z` or `2026-11-28T10:00:00Z`.
    #[arg(long, value_name = "START")]
    window: WindowId,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let settings = args.target.settings(common)?;
    let result: ResultView = match args.target.node(&settings)? {
        Some(node) => {
            let asked = Asked { name: args.name.clone(), window: args.window.to_string() };
            node.post_json("/admin/reports", &asked).await?
        }
        None => make(&settings, &args.name, args.window).await?,
    };
    if common.json {
        output::json(&result);
    } else {
        let rows = output::counted(result.rows, "row", "rows");
        let folder = settings.data.join("reports").join(&args.name);
        output::line(format!("{rows} in {}.csv and {0}.parquet of {}", result.window, folder.display()));
    }
    Ok(Outcome::Done)
}

async fn make(settings: &Settings, name: &str, window: WindowId) -> anyhow::Result<ResultView> {
    let pipeline = Arc::new(node::pipeline_of_folder(settings).await?);
    pipeline.drain().await?;
    let reader = Arc::new(pipeline.lake_reader());
    let (store, datasets) = (pipeline.store.clone(), pipeline.datasets.clone());
    let engine = DataFusionSql::new(store, reader, datasets, node::sql_settings(settings))?;
    let results = Arc::new(super::of_pipeline(&pipeline, &Arc::new(engine), settings).await?);
    let result = results.make(name, window).await?;
    Ok(ReportsApi { results, links: Links::new(None) }.result(name, &result, None))
}
