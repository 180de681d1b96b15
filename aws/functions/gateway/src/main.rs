//! The function behind `POST /v1/{dataset}` and `POST /data`: puts events into the Kinesis stream. The gateway is `ingest`'s; here is
//! only how it starts on Lambda, and who writes.

mod routes;
mod settings;

use std::sync::Arc;

use alluvium_aws::{KinesisStream, Retries, config, function};
use alluvium_core::ports::Stream;
use alluvium_core::{Clock as _, SystemClock};
use alluvium_ingest::Gateway;

use routes::Observer;
use settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let datasets = Arc::new(function::datasets(None)?);
    let gateway = Gateway::new(stream(&settings).await, datasets, settings.gateway())?;
    let observer = Observer { stage: function::stage().into(), clock: Arc::new(SystemClock) };
    lambda_http::run(routes::of(gateway, observer)).await.map_err(anyhow::Error::from_boxed)
}

/// The stream that the settings name.
async fn stream(settings: &Settings) -> Arc<dyn Stream> {
    let aws = config::from_environment().await;
    let retries = Retries::new(SystemClock.now_micros().unsigned_abs());
    Arc::new(KinesisStream::new(aws_sdk_kinesis::Client::new(&aws), &settings.stream.name, retries))
}
