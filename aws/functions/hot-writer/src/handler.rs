//! One invocation: messages drained one after another for as long as there is time, the rest named for the queue.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::Metrics;
use alluvium_aws::levelled::{Drain, Drained};
use alluvium_core::Clock;
use alluvium_core::ports::{Advice, PortError};
use async_trait::async_trait;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use tokio::time::Instant;

/// How long before its deadline an invocation writes no more: what it then says reaches the queue in time.
const SPARE: Duration = Duration::from_secs(5);

/// By how much longer a message is hidden for each time that it came, and for how long at most. A queue counts to a thousand before it sets a
/// message aside: that takes three days and more, while the table may be throttled for hours.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// What invocations work on.
pub struct Handler {
    /// What drains a message's parcel.
    pub drain: Arc<dyn Drains>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What is done with a message.
#[async_trait]
pub trait Drains: Send + Sync {
    /// Writes the chunks of the parcel at this path.
    ///
    /// # Errors
    ///
    /// When that was not done before `deadline`; doing it again is harmless.
    async fn drain(&self, path: &str, deadline: Instant) -> Result<Drained, PortError>;
}

#[async_trait]
impl Drains for Drain {
    async fn drain(&self, path: &str, deadline: Instant) -> Result<Drained, PortError> {
        Self::drain(self, path, deadline).await
    }
}

/// What became of an event's messages.
#[derive(Debug)]
pub struct Handled {
    /// Names the messages that must come again. Every other one is drained.
    pub response: SqsBatchResponse,
    /// The receipts of those, and how soon they should.
    pub again: Vec<(String, Duration)>,
}

impl Handler {
    /// Drains what the messages name, until `deadline`.
    pub async fn handle(&self, event: SqsEvent, deadline: Instant, metrics: &mut Metrics) -> Handled {
        let deadline = deadline.checked_sub(SPARE).unwrap_or(deadline);
        let behind = event.records.iter().filter_map(sent_ms).min().map_or(Duration::ZERO, |oldest| self.since(oldest));
        let mut drained = Drained::default();
        let mut left = Vec::new();
        for message in event.records {
            let path = message.body.as_deref().unwrap_or_default();
            match self.drain.drain(path, deadline).await {
                Ok(one) => {
                    drained.chunks += one.chunks;
                    drained.expired += one.expired;
                }
                Err(error) if error.advice == Advice::Stop => {
                    tracing::error!(path, %error, "what waits cannot be written; it is tried again, and set aside in the end");
                    left.push(message);
                }
                Err(error) => {
                    tracing::warn!(path, %error, "what waits is not written yet; it is tried again");
                    left.push(message);
                }
            }
        }
        metrics.count("HotDrained", drained.chunks as u64).seconds("HotBehindSeconds", behind);
        tracing::info!(
            chunks = drained.chunks,
            behind_seconds = behind.as_secs(),
            expired = drained.expired,
            left = left.len(),
            "the buffer is drained"
        );
        handled(left)
    }

    fn since(&self, epoch_ms: i64) -> Duration {
        let ms = (self.clock.now_micros() / 1_000).saturating_sub(epoch_ms);
        Duration::from_millis(u64::try_from(ms).unwrap_or_default())
    }
}

/// When a message was sent.
fn sent_ms(message: &SqsMessage) -> Option<i64> {
    message.attributes.get("SentTimestamp")?.parse().ok()
}

/// How often a message came, this time included.
fn came(message: &SqsMessage) -> u32 {
    message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

fn handled(left: Vec<SqsMessage>) -> Handled {
    let mut response = SqsBatchResponse::default();
    let mut again = Vec::new();
    for message in left {
        let wait = AGAIN.0.saturating_mul(came(&message)).min(AGAIN.1);
        again.extend(message.receipt_handle.map(|receipt| (receipt, wait)));
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = message.message_id.unwrap_or_default();
        response.batch_item_failures.push(failure);
    }
    Handled { response, again }
}

#[cfg(test)]
mod tests;
