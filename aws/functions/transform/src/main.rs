//! The function that Firehose calls: a delivery batch in; data files, hot chunks and a commit message stored; a verdict per record
//! out. The transform and the contract are `transform`'s; here is how the function starts, and how long it tries to store.

mod handler;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::retry::Retries;
use alluvium_aws::secret::{self, Plain};
use alluvium_aws::{
    DynamoHotIndex, DynamoNotes, LevelledHotIndex, Metrics, S3DataFiles, SqsCommitQueue, config, function,
};
use alluvium_core::ports::HotIndex;
use alluvium_core::{Clock, SystemClock};
use alluvium_transform::{PseudonymKey, Transform};
use anyhow::Context as _;
use aws_config::SdkConfig;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::time::Instant;

use handler::{Handler, HandlerError};
use settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let handler = handler(&settings).await?;
    let stage = function::stage();
    let invoked = async |event: LambdaEvent<Box<RawValue>>| {
        let deadline = deadline(&SystemClock, event.context.deadline);
        // Its text is taken as it is: no copy of up to 6 MB.
        let payload = Box::<str>::from(event.payload).into_string().into_bytes();
        let mut metrics = Metrics::of(&stage, &event.context);
        let answer = handler.handle(payload, deadline, &mut metrics).await;
        metrics.flush(SystemClock.now_micros());
        let answer = String::from_utf8(answer?).expect("a response quotes texts of an event that is UTF-8");
        Ok::<_, HandlerError>(RawValue::from_string(answer).expect("a response is JSON"))
    };
    lambda_runtime::run(service_fn(&invoked)).await.map_err(anyhow::Error::from_boxed)
}

async fn handler(settings: &Settings) -> anyhow::Result<Handler> {
    let datasets = Arc::new(function::datasets(settings.default_dataset.as_deref())?);
    let aws = config::from_environment().await;
    let key = match &settings.pseudonym_key {
        None => None,
        Some(place) => {
            let client = aws_sdk_secretsmanager::Client::new(&aws);
            let key = secret::resolve(&client, "ALLUVIUM_PSEUDONYM_KEY", place, Plain::Refused).await?;
            Some(PseudonymKey::from_text(key.expose()).context("ALLUVIUM_PSEUDONYM_KEY cannot be used")?)
        }
    };
    let seed = SystemClock.now_micros().unsigned_abs();
    let retries = Retries::new(seed);
    let files = Arc::new(S3DataFiles::new(config::s3(&aws), settings.lake.clone()));
    Ok(Handler {
        transform: Transform::new(datasets, settings.transform(key))?,
        hot: hot_index(settings, &aws, files.clone(), retries.clone())?,
        files,
        queue: Arc::new(SqsCommitQueue::new(aws_sdk_sqs::Client::new(&aws), &settings.commit.queue)),
        retries,
        clock: Arc::new(SystemClock),
    })
}

/// The hot index, which does not wait for its table where there is a buffer.
fn hot_index(
    settings: &Settings,
    aws: &SdkConfig,
    files: Arc<S3DataFiles>,
    retries: Retries,
) -> anyhow::Result<Arc<dyn HotIndex>> {
    let (client, clock) = (aws_sdk_dynamodb::Client::new(aws), Arc::new(SystemClock));
    let hot = DynamoHotIndex::new(client.clone(), &settings.hot.table, clock.clone(), retries);
    let Some((buffer, waiting)) = settings.hot.levelling()? else { return Ok(Arc::new(hot)) };
    let notes = DynamoNotes::new(client, waiting, clock);
    let buffer = Arc::new(SqsCommitQueue::new(aws_sdk_sqs::Client::new(aws), buffer));
    Ok(Arc::new(LevelledHotIndex {
        hot: Arc::new(hot.with_notes(notes.clone())),
        notes: Arc::new(notes),
        files,
        buffer,
    }))
}

/// When the invocation ends, which Lambda says in milliseconds since the epoch.
fn deadline(clock: &dyn Clock, epoch_ms: u64) -> Instant {
    let left_ms = epoch_ms.saturating_sub(clock.now_micros().unsigned_abs() / 1_000);
    Instant::now() + Duration::from_millis(left_ms)
}
