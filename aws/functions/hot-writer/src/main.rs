//! The function that drains the hot index's buffer: chunks that DynamoDB did not take in time are written at a set rate. How it is done, and
//! what it promises, is `alluvium_aws::levelled`'s; here is how the function starts, and what the queue is told of each message.

mod handler;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::levelled::{Drain, Pace};
use alluvium_aws::{DynamoHotIndex, DynamoNotes, Metrics, Retries, S3DataFiles, SqsCommitQueue, config, function};
use alluvium_core::{Clock, SystemClock};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{LambdaEvent, service_fn};
use tokio::time::Instant;

use handler::Handler;
use settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let aws = config::from_environment().await;
    let buffer = SqsCommitQueue::new(aws_sdk_sqs::Client::new(&aws), &settings.hot.buffer);
    let clock = Arc::new(SystemClock);
    let retries = Retries::new(clock.now_micros().unsigned_abs());
    let client = aws_sdk_dynamodb::Client::new(&aws);
    let notes = DynamoNotes::new(client.clone(), &settings.hot.waiting, clock.clone());
    let handler = Handler {
        drain: Arc::new(Drain {
            hot: Arc::new(DynamoHotIndex::new(client, &settings.hot.table, clock.clone(), retries.clone())),
            notes: Arc::new(notes),
            files: Arc::new(S3DataFiles::new(config::s3(&aws), settings.lake.clone())),
            pace: Pace::of(settings.hot.write_units_per_second),
            clock: clock.clone(),
            retries,
        }),
        clock: clock.clone(),
    };
    let invoked = async |event: LambdaEvent<SqsEvent>| {
        let mut metrics = Metrics::of(function::stage(), &event.context);
        let deadline = deadline(&*clock, event.context.deadline);
        let handled = handler.handle(event.payload, deadline, &mut metrics).await;
        metrics.flush(clock.now_micros());
        for (receipt, wait) in &handled.again {
            if let Err(error) = buffer.postpone(receipt, *wait).await {
                tracing::warn!(%error, "a message comes again only after the queue's own time");
            }
        }
        Ok::<SqsBatchResponse, lambda_runtime::Error>(handled.response)
    };
    lambda_runtime::run(service_fn(&invoked)).await.map_err(anyhow::Error::from_boxed)
}

/// When the invocation ends, which Lambda says in milliseconds since the epoch.
fn deadline(clock: &dyn Clock, epoch_ms: u64) -> Instant {
    let left_ms = epoch_ms.saturating_sub(clock.now_micros().unsigned_abs() / 1_000);
    Instant::now() + Duration::from_millis(left_ms)
}
