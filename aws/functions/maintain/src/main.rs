//! The function that schedules call: one piece of the lake's maintenance for each invocation. What is done to the tables is `lake`'s; here
//! is how the function starts, what it is asked for, and in what time it has to be done.

mod asked;
mod handler;
mod measured;
mod settings;
mod spill;

use std::sync::Arc;

use alluvium_aws::{config, function, store};
use alluvium_core::SystemClock;
use alluvium_core::clock::Micros;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

use handler::Handler;
use settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let (store, root) = store::of_lake(&config::from_environment().await, &settings.lake, Arc::new(SystemClock))?;
    let handler = Handler {
        store,
        root,
        datasets: Arc::new(function::datasets(None)?),
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
