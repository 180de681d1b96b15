//! `alluvium sql`: ask the lake.

use std::sync::Arc;

use alluvium_lake::LakeReader;
use alluvium_local::folder::DataFolder;
use alluvium_local::sql::{DataFusionSql, SqlSettings};
use arrow::array::RecordBatch;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::settings::Settings;
#[cfg(feature = "aws")]
use crate::stage::lake::StageLake;
use crate::target::{Target, open_folder};
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
/// With a node running on the folder the statement goes through it; else the folder is opened here. With --stage the tables are read from
/// the stage's bucket, here and by the same engine, unless --athena is given.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// A stage's lake, instead of a folder.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "s3://BUCKET/PREFIX", conflicts_with_all = ["data", "url"], group = "on_aws")]
    lake: Option<alluvium_aws::LakeUrl>,
    /// Have the stage's Athena run the statement, in its dialect and at its price, instead of reading the bucket from here.
    #[cfg(feature = "aws")]
    #[arg(long, requires = "stage")]
    athena: bool,
    /// One read-only statement, such as `select source, count(*) from telemetry group by source`.
    statement: String,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    #[cfg(feature = "aws")]
    if args.athena
        && let Some(on) = args.target.stage(common).await?
    {
        // A page is read at a time, and all of them for a machine.
        let most = if common.json { usize::MAX } else { MOST_SHOWN };
        return print(common, &crate::stage::athena::ask(&on, &args.statement, most).await?);
    }
    let settings = args.target.settings(common)?;
    #[cfg(feature = "aws")]
    if let Some(lake) = &args.lake {
        return print(common, &StageLake::at(&settings, lake).await?.ask(&args.statement).await?);
    }
    print(common, &ask(common, &args.target, &settings, &args.statement).await?)
}

fn print(common: &Common, batches: &[RecordBatch]) -> anyhow::Result<Outcome> {
    if common.json {
        output::ndjson(batches)?;
    } else {
        output::rows(batches, MOST_SHOWN)?;
    }
    Ok(Outcome::Done)
}

/// Asks the stage of a target, else its node, else its folder.
///
/// # Errors
///
/// When there is none, or the statement is refused.
#[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "a stage alone needs all of them"))]
pub async fn ask(
    common: &Common,
    target: &Target,
    settings: &Settings,
    statement: &str,
) -> anyhow::Result<Vec<RecordBatch>> {
    #[cfg(feature = "aws")]
    if let Some(on) = target.stage(common).await? {
        return on.lake()?.ask(statement).await;
    }
    match target.node(settings)? {
        Some(node) => node.sql(statement).await,
        None => ask_folder(settings, statement).await,
    }
}

async fn ask_folder(settings: &Settings, statement: &str) -> anyhow::Result<Vec<RecordBatch>> {
    let folder = open_folder(&settings.data)?;
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
