//! The commit queue in SQS: a message's body is the path of a commit message. The hot index's buffer is one too, whose paths are those of parcels.

use std::time::Duration;

use alluvium_core::ports::{CommitQueue, Delivery, PortError};
use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use tokio::time::Instant;

use crate::error::port_error;
use crate::trace;

/// The most messages of one call. Amazon Simple Queue Service API Reference, `ReceiveMessage`.
const CALL_MESSAGES: usize = 10;
/// How long one call waits for a message at most: the service takes up to 20 s, which is where the SDK gives a call up.
const LONG_POLL: Duration = Duration::from_secs(10);

/// A wait too long for the clock is as good as this one.
const NO_END: Duration = Duration::from_secs(365 * 24 * 3600);

/// A standard queue: it delivers at least once, in no order, and is never full. What an invocation enqueues bears its trace (AWS X-Ray
/// Developer Guide, "Amazon SQS and AWS X-Ray"), so that X-Ray links the invocation that takes it to this one.
#[derive(Debug, Clone)]
pub struct SqsCommitQueue {
    client: Client,
    url: String,
}

impl SqsCommitQueue {
    /// The queue at this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Makes a message that was taken come again after `wait`, and less than a second more, instead of after the queue's own time.
    ///
    /// # Errors
    ///
    /// When the queue did not take it; the message then comes after the queue's own time.
    pub async fn postpone(&self, receipt: &str, wait: Duration) -> Result<(), PortError> {
        let seconds = whole_seconds(wait);
        let change = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        let changed = change.visibility_timeout(seconds).send().await;
        changed.map(drop).map_err(|error| port_error(format!("cannot postpone a message of {}", self.url), error))
    }

    /// One call: up to `max` messages, of which no more than ten; waits whole seconds.
    async fn poll(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, PortError> {
        let max = i32::try_from(max.min(CALL_MESSAGES)).expect("ten fits");
        let seconds = i32::try_from(wait.min(LONG_POLL).as_secs()).expect("ten seconds fit");
        let receive = self.client.receive_message().queue_url(&self.url);
        let received = receive.max_number_of_messages(max).wait_time_seconds(seconds).send().await;
        let received = received.map_err(|error| port_error(format!("cannot take messages of {}", self.url), error))?;
        let delivery = |message: aws_sdk_sqs::types::Message| {
            Some(Delivery { path: message.body.unwrap_or_default(), receipt: message.receipt_handle? })
        };
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(delivery).collect())
    }
}

#[async_trait]
impl CommitQueue for SqsCommitQueue {
    async fn enqueue(&self, path: &str) -> Result<(), PortError> {
        let send = self.client.send_message().queue_url(&self.url).message_body(path);
        let header = trace::header().and_then(|header| text_attribute(header.to_string()));
        let sent = match header {
            Some(header) => send.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, header),
            None => send,
        };
        let sent = sent.send().await;
        sent.map(drop).map_err(|error| port_error(format!("cannot enqueue `{path}` in {}", self.url), error))
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, PortError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let begun = Instant::now();
        let until = begun.checked_add(wait).unwrap_or(begun + NO_END);
        let mut deliveries = loop {
            let left = until.saturating_duration_since(Instant::now());
            let deliveries = self.poll(max, left).await?;
            let left = until.saturating_duration_since(Instant::now());
            if !deliveries.is_empty() || left.is_zero() {
                break deliveries;
            }
            // The service waits whole seconds only; what is left of the last one is waited for here.
            if left < Duration::from_secs(1) {
                tokio::time::sleep(left).await;
            }
        };
        while !deliveries.is_empty() && deliveries.len() < max {
            // What was taken stays taken: an error now comes again in the next call, where nothing hangs on it.
            let Ok(more) = self.poll(max - deliveries.len(), Duration::ZERO).await else { break };
            if more.is_empty() {
                break;
            }
            deliveries.extend(more);
        }
        Ok(deliveries)
    }

    async fn acknowledge(&self, receipt: &str) -> Result<(), PortError> {
        let deleted = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt).send().await;
        deleted.map(drop).map_err(|error| port_error(format!("cannot remove a message of {}", self.url), error))
    }
}

fn text_attribute(text: String) -> Option<MessageSystemAttributeValue> {
    MessageSystemAttributeValue::builder().data_type("String").string_value(text).build().ok()
}

/// A time as the service takes it, and never less.
fn whole_seconds(time: Duration) -> i32 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_never_comes_before_its_time() {
        for (millis, seconds) in [(0, 0), (1, 1), (1_000, 1), (89_999, 90), (90_001, 91), (u64::MAX, i32::MAX)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }
}
