//! The function behind `GET /v1/{dataset}`, `GET /data`, `/v1/queries` and `GET /health`: records from DynamoDB and the lake, SQL
//! through Athena. What they answer is `query`'s; here is only how it starts on Lambda, and who reads.

mod routes;
mod settings;

use std::sync::Arc;

use alluvium_aws::{AthenaSettings, AthenaSql, DynamoHotIndex, DynamoNotes, Retries, config, function};
use alluvium_core::ports::{HotIndex, SqlEngine};
use alluvium_core::{Clock, Datasets, SystemClock};
use alluvium_query::api::queries_routes;
use alluvium_query::{CommitLag, Records};

use routes::Observer;
use settings::{Settings, Sql};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let datasets = Arc::new(function::datasets(None)?);
    let (hot, sql) = ports(&settings).await;
    let records = records(hot, sql.clone(), datasets.clone(), Arc::new(SystemClock), &settings);
    let observer = Observer { stage: function::stage().into(), clock: Arc::new(SystemClock) };
    lambda_http::run(routes::of(records, &datasets, queries_routes(sql), observer)).await.map_err(anyhow::Error::from_boxed)
}

/// The reader of records.
///
/// It does not see the commit queue, and takes it to be as far behind as messages can be before they are set aside: `commit.lag`. So
/// pages that the hot index answers alone are complete, while one that reaches below its mark says `complete: false` until the
/// mark is older than the retention and the lag; so does every page of a dataset whose hot retention is less than twice the lag, for its
/// chunks could expire before their commit. What has been set aside and not brought back is past what can be said here.
fn records(
    hot: Arc<dyn HotIndex>,
    sql: Arc<dyn SqlEngine>,
    datasets: Arc<Datasets>,
    clock: Arc<dyn Clock>,
    settings: &Settings,
) -> Records {
    let lag = Arc::new(CommitLag::default());
    lag.set(settings.commit.lag);
    Records::new(hot, sql, datasets, clock, lag).with_hot_margin(settings.hot.margin)
}

/// The hot index and the engine that the settings name.
async fn ports(settings: &Settings) -> (Arc<dyn HotIndex>, Arc<dyn SqlEngine>) {
    let aws = config::from_environment().await;
    let retries = Retries::new(SystemClock.now_micros().unsigned_abs());
    let (client, clock) = (aws_sdk_dynamodb::Client::new(&aws), Arc::new(SystemClock));
    let mut hot = DynamoHotIndex::new(client.clone(), &settings.hot.table, clock.clone(), retries.clone());
    if let Some(waiting) = &settings.hot.waiting {
        hot = hot.with_notes(DynamoNotes::new(client, waiting, clock));
    }
    let Sql { workgroup, database, time } = settings.sql.clone();
    let athena = AthenaSettings { workgroup, database, time_limit: time };
    let sql = AthenaSql::new(aws_sdk_athena::Client::new(&aws), athena, retries);
    (Arc::new(hot), Arc::new(sql))
}
