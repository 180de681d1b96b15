//! The function that API Gateway asks whether a token may call a route. What decides is `query::authorizer`; here is only how it
//! starts on Lambda, and where its keys come from.

mod answer;
mod key_source;
mod settings;

use std::sync::Arc;

use alluvium_aws::secret::{self, Plain};
use alluvium_aws::{Secret, config, function};
use alluvium_core::SystemClock;
use alluvium_query::{Authorizer, KeySource};
use lambda_runtime::{LambdaEvent, service_fn};

use answer::{Question, answer};
use key_source::HttpsKeySource;
use settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = function::settings()?;
    function::log(&settings.verbosity)?;
    let secret = secret(&settings).await?;
    let key_source = settings.auth.jwks_url.as_deref().map(HttpsKeySource::new).transpose()?;
    let key_source = key_source.map(|source| Arc::new(source) as Arc<dyn KeySource>);
    let authorizer =
        Authorizer::new(settings.authorizer(), secret.as_ref().map(Secret::expose), key_source, Arc::new(SystemClock))?;
    let authorizer = &authorizer;
    let handler = service_fn(move |event: LambdaEvent<Question>| async move {
        answer(authorizer, &event.payload).await.map_err(lambda_runtime::Error::from)
    });
    lambda_runtime::run(handler).await.map_err(anyhow::Error::from_boxed)
}

/// The secret that the settings point to.
async fn secret(settings: &Settings) -> anyhow::Result<Option<Secret>> {
    let Some(place) = &settings.auth.secret else { return Ok(None) };
    let client = aws_sdk_secretsmanager::Client::new(&config::from_environment().await);
    Ok(Some(secret::resolve(&client, "ALLUVIUM_AUTH__SECRET", place, Plain::Refused).await?))
}
