//! `alluvium erase`: an owner's rows leave everything.

use alluvium_core::clock::Micros;
use alluvium_lake::{ErasureReport, StoreErasure};
use alluvium_local::erasure::EraseRequest;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;
#[cfg(feature = "aws")]
use crate::stage::{OnStage, erasure::StageEraser};
use crate::target::Target;
use crate::{Common, Outcome, node, output};

/// Erase what belongs to an owner: rows and dead letters in the tables, and the hot index.
///
/// What arrived before is gone from every answer when the command ends. Older versions of the tables and the stream's log hold
/// copies for a while: the report says of each store when the last one ends. The erasure stays open for 32 days, and whatever of
/// the owner comes in again that had arrived before is left out; a node sees to that by itself. What arrives later is kept.
///
/// With a node running on the folder it does the work; else the folder is opened here as `up` does, for a dry run too. Interrupted, it
/// goes on when a node runs or the command is given again. The report holds no personal data; what is stored of an open erasure names the owner, and
/// of a closed one nobody.
///
/// On a stage (--stage) the rows leave the tables, the hot index with what waits for it, and the results of statements; copies that it keeps beside
/// are named, with their ends. The function `maintain` looks after open erasures there by schedule; --list does it at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    asked: Asked,
    /// Show what has become of every erasure, instead of erasing.
    #[arg(long, conflicts_with_all = ["owner", "dataset", "dry_run", "now"])]
    list: bool,
}

/// What is asked of a node.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Whose rows: the `owner` that stands in them.
    #[arg(long, value_name = "OWNER", required_unless_present = "list", default_value = "", hide_default_value = true)]
    owner: String,
    /// Only the rows of this dataset, its dead letters, and those of no dataset.
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Only say what would be erased, of what is committed by now.
    #[arg(long)]
    #[serde(default)]
    pub dry_run: bool,
    /// Delete the files that held the rows as soon as nothing here reads them, instead of when time travel has passed (30 days). Readers
    /// of older versions of the tables, in other programs too, find them gone.
    #[arg(long)]
    #[serde(default)]
    now: bool,
}

impl Asked {
    /// The erasure.
    pub fn request(self) -> EraseRequest {
        EraseRequest { owner: self.owner, dataset: self.dataset, at_once: self.now }
    }
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let Args { target, asked, list } = args;
    let dry_run = asked.dry_run;
    #[cfg(feature = "aws")]
    if let Some(on) = target.stage(common).await? {
        return tell(common, &of_stage(&on, (!list).then_some(asked)).await?, list, dry_run);
    }
    let settings = target.settings(common)?;
    let reports = match target.node(&settings)? {
        Some(node) if list => node.get("/admin/erasures", &[]).await?,
        Some(node) => vec![node.post_json("/admin/erasures", &asked).await?],
        None => of_folder(&settings, (!list).then_some(asked)).await?,
    };
    tell(common, &reports, list, dry_run)
}

fn tell(common: &Common, reports: &[ErasureReport], list: bool, dry_run: bool) -> anyhow::Result<Outcome> {
    if common.json {
        let value = serde_json::to_value(reports)?;
        output::json(if list { &value } else { &value[0] });
        return Ok(Outcome::Done);
    }
    if reports.is_empty() {
        output::line("Nothing was ever erased here.");
    }
    reports.iter().for_each(|report| print(report, dry_run));
    Ok(Outcome::Done)
}

/// Works on a stage; `None`: only goes on with those that are open, and shows all.
#[cfg(feature = "aws")]
async fn of_stage(on: &OnStage, asked: Option<Asked>) -> anyhow::Result<Vec<ErasureReport>> {
    let eraser = StageEraser::open(on)?;
    Ok(match asked {
        None => eraser.look_after().await?,
        Some(asked) if asked.dry_run => {
            let asked = asked.request();
            let uploads = on.count_uploads(&asked.owner, asked.dataset.as_deref()).await?;
            let mut report = eraser.preview(asked).await?;
            report.stores.extend(uploads);
            vec![report]
        }
        Some(asked) => {
            let asked = asked.request();
            // What lies in files has arrived, and would come into the stream later: what is erased is what arrived before all of it has stopped.
            let uploads = on.forget_uploads(&asked.owner, asked.dataset.as_deref()).await?;
            let mut report = eraser.erase(asked).await?;
            report.stores.extend(uploads);
            vec![report]
        }
    })
}

/// Works with a pipeline of its own, which delivers and commits what the log holds; `None`: only goes on with those that are open, and shows all.
async fn of_folder(settings: &Settings, asked: Option<Asked>) -> anyhow::Result<Vec<ErasureReport>> {
    let pipeline = node::pipeline_of_folder(settings).await?;
    let done = async {
        anyhow::Ok(match asked {
            None => {
                pipeline.eraser.look_after().await?;
                pipeline.eraser.reports().await?
            }
            Some(asked) if asked.dry_run => vec![pipeline.eraser.preview(asked.request()).await?],
            Some(asked) => {
                let asked = asked.request();
                let (owner, dataset) = (asked.owner.as_str(), asked.dataset.as_deref());
                // What lies in files has arrived, and would come into the stream with the next node.
                alluvium_ingest::uploads::forget_owner(&pipeline.folder().uploads(), owner, dataset)?;
                vec![pipeline.eraser.erase(asked).await?]
            }
        })
    }
    .await;
    pipeline.drain().await?;
    done
}

fn print(report: &ErasureReport, dry_run: bool) {
    let state = match (&report.id, report.closed_at) {
        (None, _) => "would be erased".to_owned(),
        (Some(id), None) => format!("erasure {id}, open until {} at the earliest", time(report.open_until)),
        (Some(id), Some(closed)) => format!("erasure {id}, closed {}", time(closed)),
    };
    let of = report.dataset.as_ref().map_or_else(|| "all datasets".to_owned(), |name| format!("the dataset `{name}`"));
    output::line(format!("{of}, what arrived up to {}: {state}", time(report.requested_at)));
    let count = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), output::thousands);
    let rows = report.stores.iter().map(|StoreErasure { store, rows, files, ends, is_done }| {
        let ends = match ends {
            _ if dry_run => "-".to_owned(),
            _ if !is_done => "not done yet".to_owned(),
            Some(ends) => time(*ends),
            None => "none is left".to_owned(),
        };
        [store.clone(), count(*rows), count(*files), ends]
    });
    output::table(["store", "rows", "files with them", "last copy ends"], rows);
}

fn time(micros: Micros) -> String {
    jiff::Timestamp::from_second(micros.div_euclid(1_000_000))
        .map_or_else(|_| "never".to_owned(), |time| time.to_string())
}
