//! `alluvium convert`: the transform alone, from a file to a Parquet file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_core::{Clock as _, Dataset, DatasetName, SystemClock};
use alluvium_transform::{TransformSettings, convert};
use anyhow::Context as _;
use serde_json::json;

use crate::settings::{self, Flags};
use crate::{Common, Outcome, node, output};

/// Clean, validate and encode a file of events into one Parquet file, with nothing else running.
///
/// Prints the rows written and the dead letters by reason, and shows the first few with their line. The exit code is 0 as long as the
/// file was written: a bad event is data, not an error.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One event per line; `-` is standard input.
    input: PathBuf,
    /// The JSON Schema of the dataset.
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// The Parquet file to write; it must not be there yet.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The most bytes of rows that are sorted together; a larger file is sorted run by run.
    #[arg(long, value_name = "BYTES", default_value_t = TransformSettings::default().sort_bytes)]
    sort_bytes: usize,
}

pub fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let dataset = dataset(&args.schema)?;
    let pseudonym_key = node::pseudonym_key(&settings::load(common.config.as_deref(), &Flags::default())?.settings)?;
    let input: Box<dyn Read> = if args.input == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(&args.input).with_context(|| format!("cannot open {}", args.input.display()))?)
    };
    let output = File::create_new(&args.output).with_context(|| format!("cannot make {}", args.output.display()))?;
    let arrival = SystemClock.now_micros();
    let settings = TransformSettings { sort_bytes: args.sort_bytes, pseudonym_key, ..TransformSettings::default() };
    let report = convert(input, &Arc::new(dataset), &settings, arrival, output)
        .inspect_err(|_| drop(std::fs::remove_file(&args.output)))?;
    if common.json {
        let dead = report.first_dead.iter().map(
            |dead| json!({"line": dead.line, "reason": dead.reason, "detail": dead.detail, "pointer": dead.pointer}),
        );
        output::json(&json!({
            "received": report.received,
            "rows": report.rows,
            "dead_by_reason": report.dead_by_reason,
            "first_dead": dead.collect::<Vec<_>>(),
            "bytes": report.bytes,
        }));
        return Ok(Outcome::Done);
    }
    output::line(format!("{} rows in {}", output::thousands(report.rows), args.output.display()));
    for (reason, count) in &report.dead_by_reason {
        output::line(format!("{} dead: {reason}", output::thousands(*count)));
    }
    for dead in &report.first_dead {
        output::line(format!("line {}: {}: {}", dead.line, dead.reason, dead.detail));
    }
    Ok(Outcome::Done)
}

fn dataset(schema: &Path) -> anyhow::Result<Dataset> {
    let text = std::fs::read_to_string(schema).with_context(|| format!("cannot read {}", schema.display()))?;
    let stem = schema.file_stem().unwrap_or_default().to_string_lossy();
    let name = DatasetName::new(&stem).with_context(|| format!("{}", schema.display()))?;
    Dataset::from_schema(name, &text).with_context(|| format!("{}", schema.display()))
}
