//! `alluvium config`: the settings in force, and where each came from.

use serde_json::{Map, Value, json};

use crate::node::openapi;
use crate::settings::{self, Flags};
use crate::{Common, Outcome, output};

/// Print every setting, its value, and where the value came from.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print `docs/configuration.md` instead: every key with its default and meaning.
    #[arg(long)]
    markdown: bool,
    /// Print `docs/openapi.json` instead: the OpenAPI document that a node serves.
    #[arg(long, conflicts_with = "markdown")]
    openapi: bool,
}

pub fn run(common: &Common, args: &Args) -> anyhow::Result<Outcome> {
    if args.markdown {
        output::text(&settings::markdown()?);
        return Ok(Outcome::Done);
    }
    if args.openapi {
        output::text(&openapi::text());
        return Ok(Outcome::Done);
    }
    let loaded = settings::load(common.config.as_deref(), &Flags::default())?;
    let values = settings::values(&loaded.settings)?;
    if common.json {
        let rows: Map<String, Value> = values
            .into_iter()
            .map(|(key, value)| (key.to_owned(), json!({"value": value, "from": loaded.source_of(key)})))
            .collect();
        output::json(&rows);
    } else {
        let rows = values.into_iter().map(|(key, value)| {
            let from = if value.is_some() { loaded.source_of(key) } else { "default".to_owned() };
            [key.to_owned(), value.unwrap_or_else(|| "not set".to_owned()), from]
        });
        output::table(["key", "value", "from"], rows);
    }
    Ok(Outcome::Done)
}
