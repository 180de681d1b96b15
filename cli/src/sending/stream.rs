//! Sending to a stream, through the producer.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_core::Destination;
use alluvium_core::identity::content_hash;
use alluvium_ingest::producer::{Delivery, Producer, ProducerProgress, ProducerSettings, UserRecord};
use alluvium_ingest::sender::Latencies;
use alluvium_ingest::{EventBody, IngestError, Outcome as Sent, producer};
use indicatif::ProgressBar;
use serde::Deserialize;
use tokio::sync::mpsc;

/// Deliveries, of a few dozen bytes each.
const SWEEP_ABOVE: usize = 100_000;
/// How many bodies are read ahead.
const READ_AHEAD: usize = 8;

/// Sends each event as a user record, when its body is due. Returns what came of it, and why the first event was given up that was.
///
/// # Errors
///
/// When the bodies' source fails, or a record can never be sent; what was taken in before is sent first.
pub async fn produce<I>(
    destination: Arc<dyn Destination>,
    settings: ProducerSettings,
    bodies: I,
    bar: &ProgressBar,
) -> anyhow::Result<(Sent, Option<String>)>
where
    I: Iterator<Item = Result<EventBody, IngestError>> + Send + 'static,
{
    let mut sending = Sending {
        producer: Producer::start(destination, settings)?,
        waiting: VecDeque::new(),
        sweep_above: SWEEP_ABOVE,
        latencies: Latencies::default(),
        given_up: None,
    };
    let (hand_over, mut handed_over) = mpsc::channel(READ_AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        for body in bodies {
            if hand_over.blocking_send(body).is_err() {
                break;
            }
        }
    });
    let started = Instant::now();
    let mut failure = None;
    while let Some(body) = handed_over.recv().await {
        let sent = match body {
            Ok(body) => sending.send(&body, started).await,
            Err(error) => Err(error.into()),
        };
        bar.set_position(sending.producer.progress().delivered_records);
        if sent.is_err() || sending.given_up.is_some() {
            failure = sent.err();
            break;
        }
    }
    drop(handed_over);
    if let Err(error) = reading.await
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
    let (sent, given_up) = sending.close().await;
    match failure {
        // What was sent before is told all the same.
        Some(error) => Ok((sent, Some(error.to_string()))),
        None => Ok((sent, given_up)),
    }
}

struct Sending {
    producer: Producer,
    /// In the order in which they were taken in, which is about that in which they are settled.
    waiting: VecDeque<Delivery>,
    /// How many may wait before those are looked for that are settled behind one that is not.
    sweep_above: usize,
    latencies: Latencies,
    given_up: Option<String>,
}

impl Sending {
    async fn send(&mut self, body: &EventBody, started: Instant) -> anyhow::Result<()> {
        tokio::time::sleep_until((started + body.due).into()).await;
        for event in body.ndjson.split(|byte| *byte == b'\n').filter(|event| !event.is_empty()) {
            let key = partition_key(event);
            let delivery = self.producer.send(UserRecord::new(&key, event)).await?;
            self.waiting.push_back(delivery);
        }
        self.take_settled();
        Ok(())
    }

    fn take_settled(&mut self) {
        while let Some(outcome) = self.waiting.front().and_then(Delivery::now) {
            self.waiting.pop_front();
            self.count(outcome);
        }
        // One shard may be behind all others.
        if self.waiting.len() > self.sweep_above {
            for delivery in std::mem::take(&mut self.waiting) {
                match delivery.now() {
                    Some(outcome) => self.count(outcome),
                    None => self.waiting.push_back(delivery),
                }
            }
            self.sweep_above = (2 * self.waiting.len()).max(SWEEP_ABOVE);
        }
    }

    fn count(&mut self, outcome: producer::Outcome) {
        match outcome {
            producer::Outcome::Delivered(delivered) => self.latencies.record(delivered.total),
            producer::Outcome::Undelivered(undelivered) => {
                self.given_up.get_or_insert_with(|| told(&undelivered));
            }
        }
    }

    async fn close(mut self) -> (Sent, Option<String>) {
        let ProducerProgress { delivered_records, delivered_bytes, undelivered_records, calls, retries, .. } =
            self.producer.close().await;
        for delivery in std::mem::take(&mut self.waiting) {
            self.count(delivery.outcome().await);
        }
        let sent = Sent {
            events: delivered_records,
            bodies: calls,
            bytes: delivered_bytes,
            failed_events: undelivered_records,
            retries,
            latencies: self.latencies,
        };
        (sent, self.given_up)
    }
}

fn told(undelivered: &producer::Undelivered) -> String {
    let producer::Undelivered { why, attempts, last_error, may_be_stored, .. } = undelivered;
    let last_error = last_error.as_deref().unwrap_or("it was never sent");
    let stored = if *may_be_stored { "; it may be stored all the same" } else { "" };
    let times = if *attempts == 1 { "time" } else { "times" };
    format!("an event was given up ({}, sent {attempts} {times}): {last_error}{stored}", why.as_str())
}

/// The event's source, so that the events of one source lie in one shard in their order; without one, its content's hash.
fn partition_key(event: &[u8]) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        source: Cow<'a, str>,
    }
    match serde_json::from_slice::<Event<'_>>(event) {
        Ok(Event { source }) if (1..=256).contains(&source.len()) => source,
        _ => content_hash(event).into(),
    }
}

/// How files and pipes are sent.
pub fn settings(name: &str) -> ProducerSettings {
    // A shard may be slower than a file is read: what waits for it is not given up for that.
    let record_time_to_live = Duration::from_secs(120);
    ProducerSettings { name: name.to_owned(), record_time_to_live, ..ProducerSettings::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_source_share_a_key() {
        assert_eq!(partition_key(br#"{"id":"1","source":"device-7","value":1}"#), "device-7");
        assert_eq!(partition_key(br#"{"source":"caf\u00e9"}"#), "caf\u{e9}");
        let long = format!(r#"{{"source":"{}"}}"#, "x".repeat(257));
        for other in [r#"{"value":1}"#, "no json", r#"{"source":7}"#, r#"{"source":""}"#, &long] {
            assert_eq!(partition_key(other.as_bytes()), content_hash(other.as_bytes()), "{other}");
        }
    }
}
