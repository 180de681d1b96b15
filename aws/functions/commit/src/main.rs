//! The function that the commit queue calls: commit messages in, Delta commits out. The lake's commits are `lake`'s; here is how
//! the function starts, and what the queue is told of each message.

mod handler;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::{DynamoHotIndex, Metrics, Retries, SnsTopic, SqsCommitQueue, config, function, store};
use alluvium_core::{Clock, SystemClock};
use alluvium_lake::LakeSettings;
use aws_config::SdkConfig;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{LambdaEvent, service_fn};
use tokio::sync::Mutex;

use handler::{Announcer, Handler};
use settings::Settings;

/// How soon a message that was refused is tried again. It is not weather, so there is nothing to wait for: what cannot be read
/// is to be in the dead-letter queue while somebody remembers what was done last.
const REFUSED_AGAIN: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let aws = config::from_environment().await;
    let handler = handler(&settings, &aws)?;
    let stage = function::stage();
    let queue = SqsCommitQueue::new(aws_sdk_sqs::Client::new(&aws), &settings.commit.queue);
    let invoked = async |event: LambdaEvent<SqsEvent>| {
        let mut metrics = Metrics::of(&stage, &event.context);
        let handled = handler.handle(event.payload, &mut metrics).await;
        metrics.flush(SystemClock.now_micros());
        for receipt in &handled.refused {
            if let Err(error) = queue.postpone(receipt, REFUSED_AGAIN).await {
                tracing::warn!(%error, "a refused message comes again only after the queue's own time");
            }
        }
        if handled.untold > 0 {
            tracing::error!(count = handled.untold, "commits stand and could not be told of");
        }
        Ok::<SqsBatchResponse, lambda_runtime::Error>(handled.response)
    };
    lambda_runtime::run(service_fn(&invoked)).await.map_err(anyhow::Error::from_boxed)
}

fn handler(settings: &Settings, aws: &SdkConfig) -> anyhow::Result<Handler> {
    let clock = Arc::new(SystemClock);
    let retries = Retries::new(clock.now_micros().unsigned_abs());
    let (store, root) = store::of_lake(aws, &settings.lake, clock.clone())?;
    Ok(Handler {
        store,
        root,
        datasets: Arc::new(function::datasets(None)?),
        hot: Arc::new(DynamoHotIndex::new(
            aws_sdk_dynamodb::Client::new(aws),
            &settings.hot.table,
            clock.clone(),
            retries,
        )),
        announcer: settings
            .commit
            .topic
            .as_ref()
            .map(|topic| Arc::new(SnsTopic::new(aws_sdk_sns::Client::new(aws), topic)) as Arc<dyn Announcer>),
        clock,
        settings: LakeSettings { checkpoint_every: settings.commit.checkpoint_every },
        lake: Mutex::default(),
    })
}
