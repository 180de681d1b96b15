//! `alluvium schema infer`: from files of events to a schema that takes them.

use std::path::PathBuf;

use alluvium_core::dataset::Inference;
use alluvium_core::{Dataset, DatasetName};
use alluvium_transform::is_event_time;
use anyhow::Context as _;

use super::events;
use crate::{Common, Outcome, output};

/// Print a schema that takes the events of these files; the descriptions in it say what was counted.
///
/// Save it as datasets/NAME.json, edit it, and give the folder to `up --datasets`: the file's name is that of the table and of the
/// route /v1/NAME. What the events do not agree on is left undeclared, which keeps it in the column `extra`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files of events: one per line, one JSON array, or CSV (`.csv`) with a time column; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub fn run(_: &Common, args: &Args) -> anyhow::Result<Outcome> {
    let mut inference = Inference::new(is_event_time);
    for file in &args.files {
        let unreadable = events::each(file, |event| inference.add(event))?;
        let name = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
        match (&unreadable.first, unreadable.count) {
            (None, _) => {}
            (Some((line, problem)), 1) => eprintln!("{name}: 1 line left out, at line {line}: {problem}"),
            (Some((line, problem)), count) => {
                let count = output::thousands(count);
                eprintln!("{name}: {count} lines left out, the first at line {line}: {problem}");
            }
        }
    }
    match inference.strangers() {
        0 => {}
        1 => eprintln!("1 value left out: it is no object"),
        count => eprintln!("{} values left out: they are no objects", output::thousands(count)),
    }
    if inference.events() == 0 {
        anyhow::bail!("no event in the files; expected JSON objects, one per line or in one array");
    }
    let schema = inference.schema();
    let text = serde_json::to_string_pretty(&schema).context("a schema is always JSON")?;
    let name = DatasetName::new("inferred").context("a name for a check that nobody sees")?;
    Dataset::from_schema(name, &text).context("the inferred schema does not hold; please report this")?;
    output::line(text);
    Ok(Outcome::Done)
}
