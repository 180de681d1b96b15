//! What goes on in the hot index by itself: expired chunks are taken out, and others clustered.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use alluvium_core::ports::HotIndex as _;
use tokio_util::sync::CancellationToken;

use crate::hot::RedbHotIndex;

/// How long chunks lie as they were put: whoever asks for what is new has been told of most by then.
const CLUSTER_AFTER: Micros = 5 * 1_000_000;
/// How long nothing is clustered when there is nothing more, and when there is.
const CLUSTER_EVERY: Duration = Duration::from_secs(1);
const CLUSTER_PAUSE: Duration = Duration::from_millis(5);

/// Goes on until `rest` is cancelled, and returns when nothing is being done any more.
pub(super) async fn run(
    hot: Arc<RedbHotIndex>,
    clock: Arc<dyn Clock>,
    expire_every: Duration,
    rest: CancellationToken,
) {
    let expiring = async {
        while pause(expire_every, &rest).await {
            // There may be much of it, in steps.
            tokio::select! {
                () = expire(&hot, clock.as_ref()) => {}
                () = rest.cancelled() => {}
            }
        }
    };
    let clustering = async {
        let mut after = CLUSTER_EVERY;
        while pause(after, &rest).await {
            after = cluster(&hot, clock.as_ref()).await;
        }
    };
    tokio::join!(expiring, clustering);
}

/// Whether to go on, after so long.
async fn pause(time: Duration, rest: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        () = rest.cancelled() => false,
    }
}

async fn expire(hot: &RedbHotIndex, clock: &dyn Clock) {
    match hot.expire(clock.now_micros()).await {
        Ok(0) => {}
        Ok(chunks) => tracing::debug!(chunks, "hot chunks expired"),
        Err(error) => tracing::warn!(%error, "expired hot chunks could not be removed; reads filter them"),
    }
}

/// Says when to go on.
async fn cluster(hot: &RedbHotIndex, clock: &dyn Clock) -> Duration {
    match hot.cluster(clock.now_micros().saturating_sub(CLUSTER_AFTER)).await {
        Ok(true) => CLUSTER_PAUSE,
        Ok(false) => CLUSTER_EVERY,
        Err(error) => {
            tracing::warn!(%error, "hot chunks could not be clustered; they are read as they lie");
            CLUSTER_EVERY
        }
    }
}
