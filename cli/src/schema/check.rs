//! `alluvium schema check`: whether a schema holds, and whether the tables of an older one stay readable.

use std::path::{Path, PathBuf};

use alluvium_core::dataset::{ColumnChange, Evolution, SchemaError};
use alluvium_core::{Dataset, DatasetName};
use anyhow::Context as _;
use serde_json::{Value, json};

use super::columns::{self, Column};
use crate::{Common, Outcome, output};

/// Check a schema and print the columns that it makes; exit code 1 when it does not hold.
///
/// With `--against`, also say what changes for a table that was made with the older schema: columns may be added at any time, none
/// may be removed or change its type.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schema.
    file: PathBuf,
    /// The schema of before.
    #[arg(long, value_name = "OLD")]
    against: Option<PathBuf>,
}

/// A schema file that was read.
struct Checked<'a> {
    file: &'a Path,
    compiled: Result<Dataset, SchemaError>,
}

pub fn run(common: &Common, args: &Args) -> anyhow::Result<Outcome> {
    let new = read(&args.file)?;
    let old = args.against.as_deref().map(read).transpose()?;
    let dataset = match new.compiled {
        Ok(dataset) => dataset,
        Err(error) => return Ok(refused(common, new.file, &error)),
    };
    let evolution = match old {
        None => None,
        Some(Checked { file, compiled: Err(error) }) => return Ok(refused(common, file, &error)),
        Some(Checked { compiled: Ok(old), .. }) => Some(Evolution::between(old.columns(), dataset.columns())),
    };
    let columns = columns::of(&dataset);
    if common.json {
        output::json(&report(&dataset, &columns, evolution.as_ref()));
    } else {
        print(&dataset, &columns, evolution.as_ref());
    }
    match evolution {
        Some(evolution) if !evolution.conflicts.is_empty() => Ok(Outcome::Failed),
        _ => Ok(Outcome::Done),
    }
}

fn read(file: &Path) -> anyhow::Result<Checked<'_>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = DatasetName::new(&stem).with_context(|| format!("{}", file.display()))?;
    Ok(Checked { file, compiled: Dataset::from_schema(name, &text) })
}

fn refused(common: &Common, file: &Path, error: &SchemaError) -> Outcome {
    if common.json {
        output::json(&json!({
            "holds": false, "file": file.display().to_string(), "pointer": error.pointer, "problem": error.problem,
        }));
    } else {
        eprintln!("{}: {error}", file.display());
    }
    Outcome::Failed
}

fn report(dataset: &Dataset, columns: &[Column], evolution: Option<&Evolution>) -> Value {
    let columns: Vec<_> = columns.iter().map(Column::json).collect();
    let mut report = json!({"holds": true, "dataset": dataset.name, "columns": columns});
    if let Some(evolution) = evolution {
        let list = |changes: &[ColumnChange]| -> Vec<Value> {
            changes.iter().map(|change| json!({"column": change.column, "detail": change.detail})).collect()
        };
        report["readable"] = json!(evolution.conflicts.is_empty());
        report["added"] = json!(list(&evolution.added));
        report["conflicts"] = json!(list(&evolution.conflicts));
    }
    report
}

fn print(dataset: &Dataset, columns: &[Column], evolution: Option<&Evolution>) {
    output::line(format!("The dataset `{}` has these columns between the common ones and `extra`:", dataset.name));
    output::table(["column", "type", "required", "rules"], columns.iter().map(Column::row));
    let Some(evolution) = evolution else { return };
    for added in &evolution.added {
        output::line(format!("new: `{}` ({}); rows that are there read as null", added.column, added.detail));
    }
    for conflict in &evolution.conflicts {
        output::line(format!("refused: `{}`: {}", conflict.column, conflict.detail));
    }
    output::line(match (evolution.conflicts.len(), evolution.added.len()) {
        (0, 0) => "No column changes: tables stay as they are.",
        (0, _) => "Tables of the older schema stay readable, and take the new columns.",
        _ => "A table of the older schema cannot take this one.",
    });
}
