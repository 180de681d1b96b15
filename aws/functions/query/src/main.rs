//! The function behind `GET /v1/{dataset}`, `GET /data`, `/v1/queries` and `GET /health`: records from DynamoDB and the lake, SQL
//! through Athena. What they answer is `query`'s; here is only how it starts on Lambda, and who reads.

mod routes;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::{AthenaSettings, AthenaSql, DynamoHotIndex, Retries, config, function};
use alluvium_core::ports::{HotIndex, SqlEngine};
use alluvium_core::{Clock, Datasets, SystemClock};
use alluvium_query::api::queries_routes;
use alluvium_query::{CommitLag, Records};

use settings::{Settings, Sql};

/// How long an event is taken to wait for its commit at most: this function does not see the queue.
///
/// A commit message that fails comes again after six minutes, and is set aside, with an alarm, after five failures: half an hour.
/// Under it pages that the hot index answers alone are complete, while one that reaches below its mark says `complete: false` until
/// the mark is older than the retention and half an hour; so does every page of a dataset whose hot retention is under an hour, for
/// its chunks could expire before their commit. What has been set aside and not brought back is past what can be said here.
const COMMIT_LAG: Duration = Duration::from_secs(30 * 60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let datasets = Arc::new(function::datasets(None)?);
    let (hot, sql) = ports(&settings).await;
    let records = records(hot, sql.clone(), datasets, Arc::new(SystemClock), settings.hot.margin);
    lambda_http::run(routes::of(records, queries_routes(sql))).await.map_err(anyhow::Error::from_boxed)
}

/// The reader of records, to which the queue is [`COMMIT_LAG`] behind at most.
fn records(
    hot: Arc<dyn HotIndex>,
    sql: Arc<dyn SqlEngine>,
    datasets: Arc<Datasets>,
    clock: Arc<dyn Clock>,
    hot_margin: Duration,
) -> Records {
    let lag = Arc::new(CommitLag::default());
    lag.set(COMMIT_LAG);
    Records::new(hot, sql, datasets, clock, lag).with_hot_margin(hot_margin)
}

/// The hot index and the engine that the settings name.
async fn ports(settings: &Settings) -> (Arc<dyn HotIndex>, Arc<dyn SqlEngine>) {
    let aws = config::from_environment().await;
    let retries = Retries::new(SystemClock.now_micros().unsigned_abs());
    let hot = DynamoHotIndex::new(aws_sdk_dynamodb::Client::new(&aws), &settings.hot.table, retries.clone());
    let Sql { workgroup, database, time } = settings.sql.clone();
    let athena = AthenaSettings { workgroup, database, time_limit: time };
    let sql = AthenaSql::new(aws_sdk_athena::Client::new(&aws), athena, retries);
    (Arc::new(hot), Arc::new(sql))
}
