//! `alluvium records`: the newest records, the API's way.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Problem, SystemClock};
use alluvium_local::hot::RedbHotIndex;
use alluvium_query::api::{RecordsApi, records_routes};
use alluvium_query::{CommitLag, Records};
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::settings::Settings;
use crate::target::{Target, open_folder};
use crate::{Common, Outcome, node, output, sql};

/// Read the newest records of a source, newest first, hot index and lake joined.
///
/// With a node running on the folder the question goes through it, and answers hold events a second after they were
/// acknowledged; else the folder is opened here, and what only the log holds is not there until `up` has run again. With --stage it
/// goes to the stage's API, with the token in ALLUVIUM_TOKEN.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The dataset.
    #[arg(default_value = "telemetry")]
    dataset: String,
    #[command(flatten)]
    target: Target,
    /// The source; without it, all.
    #[arg(long)]
    source: Option<String>,
    /// Whose records: naming it makes reads of one source fast; without it, everybody's that the token may read.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// From how long ago, such as `5m` or `24h`.
    #[arg(long, value_name = "DURATION", conflicts_with = "from")]
    since: Option<String>,
    /// From when (included): RFC 3339, or relative such as `-5m`.
    #[arg(long, allow_hyphen_values = true)]
    from: Option<String>,
    /// To when (not included): RFC 3339, or relative such as `-1m`.
    #[arg(long, allow_hyphen_values = true)]
    to: Option<String>,
    /// The most records to show.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Where the page before ended: its `next`.
    #[arg(long)]
    cursor: Option<String>,
}

impl Args {
    /// The question as the API's query parameters.
    fn query(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let since = match &self.since {
            Some(text) => {
                alluvium_core::duration::parse(text).map_err(|error| anyhow::anyhow!("--since: {error}"))?;
                Some(format!("-{text}"))
            }
            None => None,
        };
        let parameters = [
            ("source", self.source.clone()),
            ("owner", self.owner.clone()),
            ("from", since.or_else(|| self.from.clone())),
            ("to", self.to.clone()),
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor.clone()),
        ];
        Ok(parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let query = args.query()?;
    #[cfg(feature = "aws")]
    if let Some(on) = args.target.stage(common).await? {
        return tell(common, &on.api()?.get(&format!("/v1/{}", args.dataset), &query).await?);
    }
    let settings = args.target.settings(common)?;
    let page: Value = match args.target.node(&settings)? {
        Some(node) => node.get(&format!("/v1/{}", args.dataset), &query).await?,
        None => ask_folder(&settings, &args.dataset, &query).await?,
    };
    tell(common, &page)
}

fn tell(common: &Common, page: &Value) -> anyhow::Result<Outcome> {
    if common.json {
        output::json(page);
    } else {
        print(page);
    }
    Ok(Outcome::Done)
}

/// Answers as the API would, by its own routes.
async fn ask_folder(settings: &Settings, dataset: &str, query: &[(&'static str, String)]) -> anyhow::Result<Value> {
    let folder = open_folder(&settings.data)?;
    let engine = Arc::new(sql::engine(&folder, settings)?);
    let (hot, _) = RedbHotIndex::open(&folder.hot(), settings.hot.cache_bytes, Arc::new(SystemClock))?;
    let datasets = Arc::new(node::datasets(settings)?);
    let lag = Arc::<CommitLag>::default();
    if folder.was_left_running() {
        // Its log may hold events that are in neither place; then no page can promise to be complete.
        lag.set(Duration::MAX);
    }
    let records =
        Records::new(Arc::new(hot), engine, datasets, Arc::new(SystemClock), lag).with_hot_margin(settings.hot.margin);
    let routes = records_routes(RecordsApi { records, owner: Some(settings.owner.clone()) });
    let uri = reqwest::Url::parse_with_params(&format!("http://folder/v1/{dataset}"), query)?;
    let path = &uri[url::Position::BeforePath..];
    let answer = routes.oneshot(Request::get(path).body(Body::empty())?).await?;
    let succeeded = answer.status().is_success();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await?;
    if succeeded {
        return Ok(serde_json::from_slice(&body)?);
    }
    let problem: Problem = serde_json::from_slice(&body)?;
    anyhow::bail!("{}", problem.detail)
}

/// One line per record: time, source, then what it says.
fn print(page: &Value) {
    let records = page["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = records.iter().map(|record| {
        let mut said = record["data"].to_string();
        if record["extra"].as_object().is_some_and(|extra| !extra.is_empty()) {
            said = format!("{said} extra {}", record["extra"]);
        }
        [text(&record["time"]), text(&record["source"]), text(&record["id"]), said]
    });
    output::table(["time", "source", "id", "data"], rows);
    if let Some(next) = page["next"].as_str() {
        output::line(format!("more: --cursor {next}"));
    }
    if page["complete"] == Value::Bool(false) {
        output::line(
            "This page may not be complete: commits are behind, or the last node was killed; `alluvium up` catches up.",
        );
    }
}
