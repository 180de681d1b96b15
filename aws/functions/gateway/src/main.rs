//! The function behind `POST /v1/{dataset}` and `POST /data`, which puts events into the Kinesis stream, and behind `/v1/uploads`, which says
//! where files of them are to be put. Both are `ingest`'s; here is only how they start on Lambda, and who writes.

mod routes;
mod settings;

use std::sync::Arc;

use alluvium_aws::config::SdkConfig;
use alluvium_aws::{KinesisStream, Retries, S3Uploads, config, function};
use alluvium_core::ports::Stream;
use alluvium_core::{Clock as _, Datasets, SystemClock};
use alluvium_ingest::Gateway;
use alluvium_ingest::uploads::Desk;

use routes::Observer;
use settings::{Settings, Uploads};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let datasets = Arc::new(function::datasets(None)?);
    let aws = config::from_environment().await;
    let desk = match &settings.uploads {
        Some(uploads) => Some(desk(&aws, uploads, datasets.clone())?),
        None => None,
    };
    let gateway = Gateway::new(stream(&aws, &settings), datasets, settings.gateway())?;
    let observer = Observer { stage: function::stage().into(), clock: Arc::new(SystemClock) };
    lambda_http::run(routes::of(gateway, desk, observer)).await.map_err(anyhow::Error::from_boxed)
}

/// The stream that the settings name.
fn stream(aws: &SdkConfig, settings: &Settings) -> Arc<dyn Stream> {
    let retries = Retries::new(SystemClock.now_micros().unsigned_abs());
    Arc::new(KinesisStream::new(aws_sdk_kinesis::Client::new(aws), &settings.stream.name, retries))
}

/// Who answers about uploads.
fn desk(aws: &SdkConfig, uploads: &Uploads, datasets: Arc<Datasets>) -> anyhow::Result<Desk> {
    let settings = uploads.settings();
    settings.check()?;
    let clock = Arc::new(SystemClock);
    let store = S3Uploads::new(
        (config::s3(aws), uploads.bucket.clone()),
        (aws_sdk_dynamodb::Client::new(aws), &uploads.table),
        uploads.limits(),
        uploads.kept,
        clock.clone(),
    );
    Ok(Desk {
        store: Arc::new(store),
        datasets,
        clock,
        // Nobody is let in without a name.
        owner: settings.owner,
        link_lifetime: settings.link_lifetime,
        max_bytes: settings.max_bytes,
    })
}
