//! The function behind `GET /v1/{dataset}`, `GET /data`, `/v1/queries`, `GET /health` and `GET /openapi.json`: records from DynamoDB and the lake, SQL
//! through Athena. What they answer is `query`'s; here is only how it starts on Lambda, and who reads.

mod routes;
mod settings;

use std::sync::Arc;

use alluvium_aws::{
    AthenaFiles, AthenaSettings, AthenaSql, DynamoHotIndex, DynamoNotes, Retries, S3Reports, config, function,
};
use alluvium_core::file::ResultFiles;
use alluvium_core::ports::{HotIndex, SqlEngine};
use alluvium_core::{Clock, Datasets, SystemClock};
use alluvium_query::api::{ReportsApi, queries_routes, queries_routes_with_files, reports_routes};
use alluvium_query::{CommitLag, Links, Records};

use routes::Observer;
use settings::{Settings, Sql};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let datasets = Arc::new(function::datasets(None)?);
    let Ports { hot, sql, files, reports } = ports(&settings).await;
    let records = records(hot, sql.clone(), datasets.clone(), Arc::new(SystemClock), &settings);
    let queries = match files {
        // S3 signs what leads to them.
        Some(files) => queries_routes_with_files(sql, files, Links::new(None)),
        None => queries_routes(sql),
    };
    // What they answer is everybody's, as with statements.
    let admins = match reports {
        Some(results) => {
            queries.merge(reports_routes(Arc::new(ReportsApi { results: Arc::new(results), links: Links::new(None) })))
        }
        None => queries,
    };
    let observer = Observer { stage: function::stage().into(), clock: Arc::new(SystemClock) };
    let routes = routes::of(records, &datasets, admins, settings.api.routes, observer);
    lambda_http::run(routes).await.map_err(anyhow::Error::from_boxed)
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
    Records::new(hot, sql, datasets, clock, lag).with_hot_margin(settings.hot.margin).with_patience(settings.sql.time)
}

struct Ports {
    hot: Arc<dyn HotIndex>,
    sql: Arc<dyn SqlEngine>,
    files: Option<Arc<dyn ResultFiles>>,
    reports: Option<S3Reports>,
}

/// The hot index and the engine that the settings name.
async fn ports(settings: &Settings) -> Ports {
    let aws = config::from_environment().await;
    let retries = Retries::new(SystemClock.now_micros().unsigned_abs());
    let (client, clock) = (aws_sdk_dynamodb::Client::new(&aws), Arc::new(SystemClock));
    let mut hot = DynamoHotIndex::new(client.clone(), &settings.hot.table, clock.clone(), retries.clone());
    if let Some(waiting) = &settings.hot.waiting {
        hot = hot.with_notes(DynamoNotes::new(client, waiting, clock));
    }
    let Sql { workgroup, database, results, time } = settings.sql.clone();
    let kept_apart = results.is_some();
    let athena = AthenaSettings { workgroup, results, database, time_limit: time };
    let sql = Arc::new(AthenaSql::new(aws_sdk_athena::Client::new(&aws), athena, retries));
    let files = kept_apart.then(|| Arc::new(AthenaFiles::new(sql.clone(), config::s3(&aws))) as Arc<dyn ResultFiles>);
    let reports = settings
        .reports
        .as_ref()
        .map(|reports| S3Reports::new(config::s3(&aws), reports.bucket.clone(), Arc::new(SystemClock), reports.kept));
    Ports { hot: Arc::new(hot), sql, files, reports }
}
