//! The function that schedules call: one piece of the lake's maintenance for each invocation. What is done to the tables is `lake`'s; here
//! is how the function starts, what it is asked for, and in what time it has to be done.

mod asked;
mod handler;
mod measured;
mod settings;
mod spill;

use std::sync::Arc;

use alluvium_aws::levelled::{BufferedHotIndex, DRAIN, StoredParcels};
use alluvium_aws::{CloudWatchCounts, DynamoHotIndex, Retries, config, function, store};
use alluvium_core::clock::Micros;
use alluvium_core::ports::PortError;
use alluvium_core::{Clock as _, SystemClock};
use alluvium_lake::Beside;
use aws_config::SdkConfig;
use lambda_runtime::{LambdaEvent, service_fn};
use object_store::ObjectStore;
use serde_json::Value;

use handler::{CountedStream, Handler};
use settings::{Counts, Erasures, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let aws = config::from_environment().await;
    let (store, root) = store::of_lake(&aws, &settings.lake, Arc::new(SystemClock))?;
    let beside = settings.erasures.as_ref().map(|erasures| beside(&aws, erasures, store.clone())).transpose()?;
    let counted = settings.counts.as_ref().map(|counts| counted(&aws, counts)).transpose()?;
    let handler = Handler {
        store,
        root,
        datasets: Arc::new(function::datasets(None)?),
        beside,
        counted,
        clock: Arc::new(SystemClock),
        spill: spill::folder(&std::env::temp_dir(), std::process::id())?,
        settings,
    };
    let invoked = async |event: LambdaEvent<Value>| {
        // Lambda says in milliseconds since the epoch when it ends the invocation.
        let deadline = Micros::try_from(event.context.deadline.saturating_mul(1_000)).unwrap_or(Micros::MAX);
        handler.handle(event.payload, deadline).await
    };
    lambda_runtime::run(service_fn(&invoked)).await.map_err(anyhow::Error::from_boxed)
}

/// The stores beside the tables of the lake in this store.
fn beside(aws: &SdkConfig, erasures: &Erasures, lake: Arc<dyn ObjectStore>) -> Result<Beside, PortError> {
    let clock = Arc::new(SystemClock);
    let hot = DynamoHotIndex::new(aws_sdk_dynamodb::Client::new(aws), &erasures.hot_table, clock.clone(), retries());
    let parcels = Arc::new(StoredParcels::new(lake));
    let (set_aside, _) = store::of_lake(aws, &erasures.set_aside, clock.clone())?;
    Ok(Beside {
        hot: Arc::new(BufferedHotIndex { hot: Arc::new(hot), parcels, drain: DRAIN, clock }),
        set_aside,
        stream: erasures.stream,
    })
}

/// What CloudWatch counts of the stream.
fn counted(aws: &SdkConfig, counts: &Counts) -> Result<CountedStream, PortError> {
    let delivery = counts.delivery.as_deref();
    let cloudwatch = CloudWatchCounts::new(aws, &counts.stream, delivery, Arc::new(SystemClock), retries())?;
    Ok(CountedStream { counts: Arc::new(cloudwatch), buffer: counts.buffer })
}

fn retries() -> Retries {
    Retries::new(SystemClock.now_micros().unsigned_abs())
}
