//! `alluvium cost`: what a stage on AWS costs in a month, by which settings, and which limits it meets. Reckoned, not measured: no account,
//! no network.

mod batches;
mod bill;
mod charges;
mod commits;
mod compare;
mod figures;
mod hot;
mod limits;
mod model;
mod prices;
mod print;
mod records;
mod report;
mod stream;
#[cfg(test)]
mod tests;
mod workload;

use compare::Way;
use model::Model;
use workload::Asked;

use crate::{Common, Outcome, output};

/// Reckon what a stage on AWS costs in a month, the settings to choose, and the limits to raise.
///
/// A bill by service from a dated table of prices for US East (N. Virginia), and figures of docs/performance.md. docs/cost.md says how it
/// is reckoned and how far it is to be believed: nothing was held against a bill yet.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    asked: Asked,
    /// Compare with other means: Firehose's own conversion and its Iceberg tables, a Kinesis streaming table, a transform in Python, an
    /// item per event in DynamoDB; with `--ingest http` the direct route.
    #[arg(long)]
    compare: bool,
}

pub fn run(common: &Common, args: &Args) -> anyhow::Result<Outcome> {
    let model = Model::of(args.asked.checked()?);
    let ways: Vec<_> =
        if args.compare { Way::of(&model.workload).map(|way| (way, way.bill(&model))).collect() } else { Vec::new() };
    if common.json {
        output::json(&model.report(&ways));
    } else if args.compare {
        print::ways(&model, &ways);
    } else {
        print::bill(&model);
    }
    Ok(Outcome::Done)
}
