//! The function that a schedule calls: reports whose windows are due are run by Athena, and their results put into S3. What a report is, and
//! when a window is due, is `core`'s; here is only what one invocation does.

mod handler;
mod settings;

use std::sync::Arc;

use alluvium_aws::{AthenaSettings, AthenaSql, Metrics, Retries, S3Reports, config, function};
use alluvium_core::clock::Micros;
use alluvium_core::{Clock, SystemClock};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

use handler::{Handler, definitions};
use settings::Settings;

/// How long before the function is stopped no further window is begun.
const NO_FURTHER: Micros = 120_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let aws = config::from_environment().await;
    let clock = Arc::new(SystemClock);
    let engine = AthenaSql::new(
        aws_sdk_athena::Client::new(&aws),
        AthenaSettings {
            workgroup: settings.sql.workgroup.clone(),
            results: Some(settings.sql.results.clone()),
            database: settings.sql.database.clone(),
            time_limit: settings.sql.time,
        },
        Retries::new(clock.now_micros().unsigned_abs()),
    );
    let kept = S3Reports::new(config::s3(&aws), settings.reports.bucket.clone(), clock.clone(), settings.reports.kept);
    let handler = Handler {
        definitions: definitions(&function::package_folder("reports")?)?,
        engine: Arc::new(engine),
        results: Arc::new(kept),
        database: settings.sql.database.clone(),
        result_bytes: settings.reports.result_bytes,
        clock,
    };
    let stage = function::stage();
    let invoked = async |event: LambdaEvent<Value>| {
        let deadline = Micros::try_from(event.context.deadline).unwrap_or(Micros::MAX).saturating_mul(1_000);
        let mut metrics = Metrics::of(&stage, &event.context);
        let answer = handler.handle(&event.payload, deadline.saturating_sub(NO_FURTHER), &mut metrics).await;
        metrics.flush(SystemClock.now_micros());
        answer.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(&invoked)).await.map_err(anyhow::Error::from_boxed)
}
