//! `alluvium reports check`: whether files hold.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_lake::LakeReader;
use alluvium_local::reports::{self, Definition};
use alluvium_local::sql::DataFusionSql;
use object_store::memory::InMemory;
use serde_json::{Value, json};

use crate::settings::{self, Flags};
use crate::{Common, Outcome, node, output};

/// Check reports, without a node or its folder; exit code 1 when one does not hold.
///
/// Finds what is wrong with the lines that declare a report, what is no SQL, and what names no table. Which columns a table has is found out
/// when the report is run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The reports, or folders of them; without any, the folder that the settings name.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The folder of schemas whose datasets the reports ask.
    #[arg(long, value_name = "DIR")]
    datasets: Option<PathBuf>,
}

pub async fn run(common: &Common, args: &Args) -> anyhow::Result<Outcome> {
    let flags = Flags { datasets: args.datasets.clone(), ..Flags::default() };
    let settings = settings::load(common.config.as_deref(), &flags)?.settings;
    let mut definitions = if args.paths.is_empty() { super::definitions(&settings)? } else { read(&args.paths)? };
    anyhow::ensure!(!definitions.is_empty(), "there is no report to check; name files or folders of them");
    let store = Arc::new(InMemory::new());
    let lake = LakeReader::new(store.clone(), url::Url::parse("memory:///")?);
    let datasets = Arc::new(node::datasets(&settings)?);
    let engine = DataFusionSql::new(store, Arc::new(lake), datasets, node::sql_settings(&settings))?;
    reports::check(&mut definitions, &engine).await;
    let holds = definitions.iter().all(|definition| definition.report.is_ok());
    if common.json {
        output::json(&definitions.iter().map(described).collect::<Vec<_>>());
    } else {
        definitions.iter().for_each(print);
    }
    Ok(if holds { Outcome::Done } else { Outcome::Failed })
}

fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Definition>> {
    let of_path = |path: &PathBuf| -> anyhow::Result<Vec<Definition>> {
        if path.is_dir() { Ok(reports::load(path)?) } else { Ok(vec![reports::read(path)]) }
    };
    Ok(paths.iter().map(of_path).collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn described(definition: &Definition) -> Value {
    json!({"report": definition.name, "holds": definition.report.is_ok(), "problem": definition.report.as_ref().err()})
}

fn print(definition: &Definition) {
    match &definition.report {
        Ok(report) => {
            let windows = alluvium_core::duration::format(report.windows.length());
            output::line(format!("{}: holds, for windows of {windows}", definition.name));
        }
        Err(problem) => eprintln!("{}", output::printable(problem)),
    }
}
