//! `alluvium sql`: ask the lake.

use std::sync::Arc;

use alluvium_lake::LakeReader;
use alluvium_local::folder::{DataFolder, Missing};
use alluvium_local::sql::{DataFusionSql, SqlSettings};
use arrow::array::RecordBatch;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::settings::Settings;
use crate::target::Target;
use crate::{Common, Outcome, node, output};

/// The most rows that a table on the terminal shows.
const MOST_SHOWN: usize = 1000;

/// Ask the lake a question in SQL.
///
/// Each dataset is a view under its own name, with every event once; `<dataset>_raw` is the table itself. `dead_letters` holds
/// what could not become a row, `ledger` what became of every batch. A statement sees what is committed: a few seconds behind
/// what was acknowledged.
///
/// A field of an object is `place.room`, one of an item `parts[1]['n']`; `unnest(parts)` makes a row of each item.
///
/// With a node running on the folder the statement goes through it; else the folder is opened here.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// A stage's lake, instead of a folder.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "s3://BUCKET/PREFIX", conflicts_with_all = ["data", "url"])]
    lake: Option<alluvium_aws::LakeUrl>,
    /// One read-only statement, such as `select source, count(*) from telemetry group by source`.
    statement: String,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let settings = args.target.settings(common)?;
    #[cfg(feature = "aws")]
    if let Some(lake) = &args.lake {
        return print(common, &crate::stage_lake::ask(&settings, lake, &args.statement).await?);
    }
    print(common, &ask(&args.target, &settings, &args.statement).await?)
}

fn print(common: &Common, batches: &[RecordBatch]) -> anyhow::Result<Outcome> {
    if common.json {
        output::ndjson(batches)?;
    } else {
        output::rows(batches, MOST_SHOWN)?;
    }
    Ok(Outcome::Done)
}

/// Asks the node of a target, else its folder.
///
/// # Errors
///
/// When there is neither, or the statement is refused.
pub async fn ask(target: &Target, settings: &Settings, statement: &str) -> anyhow::Result<Vec<RecordBatch>> {
    match target.node(settings)? {
        Some(node) => node.sql(statement).await,
        None => ask_folder(settings, statement).await,
    }
}

async fn ask_folder(settings: &Settings, statement: &str) -> anyhow::Result<Vec<RecordBatch>> {
    let folder = DataFolder::open(&settings.data, Missing::Refuse)?;
    let engine = engine(&folder, settings)?;
    Ok(engine.query(statement).await?)
}

/// SQL over a folder that no node runs on.
///
/// # Errors
///
/// When the lake's folder cannot be read or a schema is wrong.
pub fn engine(folder: &DataFolder, settings: &Settings) -> anyhow::Result<DataFusionSql> {
    engine_with(folder, settings, node::sql_settings(settings))
}

/// SQL over a folder that no node runs on, within other bounds than the settings say.
///
/// # Errors
///
/// As [`engine`].
pub fn engine_with(folder: &DataFolder, settings: &Settings, bounds: SqlSettings) -> anyhow::Result<DataFusionSql> {
    let datasets = Arc::new(node::datasets(settings)?);
    let reader = Arc::new(reader(folder)?);
    Ok(DataFusionSql::new(store(folder)?, reader, datasets, bounds)?)
}

/// The tables of a folder that no node runs on.
///
/// # Errors
///
/// When the lake's folder cannot be read.
pub fn reader(folder: &DataFolder) -> anyhow::Result<LakeReader> {
    Ok(LakeReader::new(store(folder)?, folder.lake_url()))
}

/// The store of such a folder's lake, to read from.
///
/// # Errors
///
/// When the lake's folder cannot be read.
pub fn store(folder: &DataFolder) -> anyhow::Result<Arc<dyn ObjectStore>> {
    Ok(Arc::new(LocalFileSystem::new_with_prefix(folder.lake())?))
}
