//! `alluvium compact`: fewer and larger files, each event once.

use std::sync::Arc;

use alluvium_core::SystemClock;
use alluvium_lake::{Compaction, LakeReader};
use alluvium_local::disk::RealDisk;
use alluvium_local::folder::DataFolder;
use alluvium_local::maintenance::Maintenance;
use alluvium_local::store::SyncedStore;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::target::{Target, open_folder};
use crate::{Common, Outcome, node, output};

/// Compact the tables: merge small files into few sorted ones, and remove events that were sent again.
///
/// A node does this by itself; this does it now, as far as there is anything to gain. Readers and writers may go on. With a node
/// running on the folder it does the work; else the folder is opened here. Files that were replaced stay until they are vacuumed,
/// so a reader in the middle of a scan ends it.
///
/// With --stage the stage's tables are compacted from here, beside whoever commits. Every byte that is rewritten is read from the bucket and
/// written to it; best run where the bucket is near.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// One table, a dataset's, `dead_letters` or `ledger`, instead of all.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
}

/// What is asked of a node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// One table instead of all.
    pub table: Option<String>,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    #[cfg(feature = "aws")]
    if let Some(on) = args.target.stage(common).await? {
        return tell(common, &on.lake()?.maintenance()?.compact(args.table.as_deref()).await?);
    }
    let settings = args.target.settings(common)?;
    let rounds: Vec<Compaction> = match args.target.node(&settings)? {
        Some(node) => {
            let query: Vec<_> = args.table.map(|table| ("table", table)).into_iter().collect();
            node.post("/admin/compact", &query).await?
        }
        None => {
            let folder = open_folder(&settings.data)?;
            maintenance(&folder, &settings)?.compact(args.table.as_deref()).await?
        }
    };
    tell(common, &rounds)
}

fn tell(common: &Common, rounds: &[Compaction]) -> anyhow::Result<Outcome> {
    if common.json {
        output::json(&serde_json::to_value(rounds)?);
    } else {
        print(rounds);
    }
    Ok(Outcome::Done)
}

/// What maintains the tables of a folder that no node runs on.
///
/// # Errors
///
/// When the lake's folder cannot be opened or a schema is wrong.
pub fn maintenance(folder: &DataFolder, settings: &Settings) -> anyhow::Result<Maintenance> {
    let store: Arc<dyn ObjectStore> = Arc::new(SyncedStore::open(Arc::new(RealDisk), &folder.lake())?);
    Ok(Maintenance::new(
        store.clone(),
        LakeReader::new(store, folder.lake_url()),
        Arc::new(node::datasets(settings)?),
        Arc::new(SystemClock),
        folder.spill(),
        node::maintenance_settings(settings),
    ))
}

fn print(rounds: &[Compaction]) {
    if rounds.is_empty() {
        output::line("There is nothing to gain.");
        return;
    }
    let rows = rounds.iter().map(|round| {
        [
            round.table.clone(),
            format!("{} → {}", round.files_before, round.files_after),
            output::thousands(round.rows_before),
            output::thousands(round.duplicates),
            format!("{} → {}", output::bytes(round.bytes_before), output::bytes(round.bytes_after)),
            round.rewritten_per_new_byte().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        ]
    });
    output::table(["table", "files", "rows", "duplicates", "size", "read per new byte"], rows);
}
