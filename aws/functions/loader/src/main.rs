//! The function that loads uploads: S3 tells a queue that content has arrived, and it goes into the stream. How a file becomes events is
//! `ingest`'s, where an upload is kept `alluvium_aws::uploads`'; here is how the function starts, and what becomes of a message.

mod handler;
mod keeper;
mod notification;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::uploads::UploadLimits;
use alluvium_aws::{KinesisStream, Metrics, Retries, S3Uploads, SqsCommitQueue, config, function};
use alluvium_core::{Clock, SystemClock};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{LambdaEvent, service_fn};
use tokio::time::Instant;

use handler::Handler;
use settings::Settings;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let uploads = settings.uploads();
    uploads.check()?;
    let aws = config::from_environment().await;
    let clock = Arc::new(SystemClock);
    let retries = Retries::new(clock.now_micros().unsigned_abs());
    let shelf = S3Uploads::new(
        (config::s3(&aws), settings.uploads.bucket.clone()),
        (aws_sdk_dynamodb::Client::new(&aws), &settings.uploads.table),
        UploadLimits::NONE,
        settings.uploads.kept,
        clock.clone(),
    );
    let handler = Handler {
        shelf: Arc::new(shelf),
        queue: Arc::new(SqsCommitQueue::new(aws_sdk_sqs::Client::new(&aws), &settings.uploads.queue)),
        stream: Arc::new(KinesisStream::new(aws_sdk_kinesis::Client::new(&aws), &settings.stream.name, retries)),
        datasets: Arc::new(function::datasets(None)?),
        settings: uploads,
        bytes_per_second: settings.uploads.bytes_per_second,
        clock: clock.clone(),
    };
    let invoked = async |event: LambdaEvent<SqsEvent>| {
        let mut metrics = Metrics::of(function::stage(), &event.context);
        let deadline = deadline(&*clock, event.context.deadline);
        let response = handler.handle(event.payload, deadline, &mut metrics).await;
        metrics.flush(clock.now_micros());
        Ok::<SqsBatchResponse, lambda_runtime::Error>(response)
    };
    lambda_runtime::run(service_fn(&invoked)).await.map_err(anyhow::Error::from_boxed)
}

/// When the invocation ends, which Lambda says in milliseconds since the epoch.
fn deadline(clock: &dyn Clock, epoch_ms: u64) -> Instant {
    let left_ms = epoch_ms.saturating_sub(clock.now_micros().unsigned_abs() / 1_000);
    Instant::now() + Duration::from_millis(left_ms)
}
