//! Storage calls that are tried again until they succeed.

use std::time::Duration;

use alluvium_core::ports::{Advice, PortError};
use alluvium_transform::Persevere;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Tries a storage call until it succeeds, with a pause that doubles from 0.1 s to 10 s; gives up only on [`Advice::Stop`].
///
/// The first failure and the success after it are logged, not each try between.
///
/// # Errors
///
/// The call's own, when its advice is to stop.
pub async fn until_stored<T, F>(what: &str, mut call: impl FnMut() -> F) -> Result<T, PortError>
where
    F: Future<Output = Result<T, PortError>>,
{
    let mut pause = FIRST_PAUSE;
    let mut failures = 0_u32;
    loop {
        match call().await {
            Ok(value) => {
                if failures > 0 {
                    tracing::info!(what, failures, "storing works again");
                }
                return Ok(value);
            }
            Err(error) if error.advice == Advice::Stop => return Err(error),
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(what, %error, "storing failed; trying until it works, nothing is lost meanwhile");
                }
                metrics::counter!("alluvium_storage_failures_total").increment(1);
                failures += 1;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Tries each call as [`until_stored`] does.
#[derive(Debug, Clone, Copy)]
pub struct UntilStored;

impl Persevere for UntilStored {
    async fn persevere<T, F>(&self, what: &str, call: impl FnMut() -> F + Send) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>> + Send,
        T: Send,
    {
        until_stored(what, call).await
    }
}
