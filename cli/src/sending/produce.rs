//! Sending through the producer: what `send`, `generate`, `replay` and the demo do.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_core::Destination;
use alluvium_core::identity::content_hash;
use alluvium_ingest::producer::{
    Delivery, Outcome, Producer, ProducerProgress, ProducerSettings, SendError, Undelivered, UserRecord,
};
use alluvium_ingest::{EventBody, IngestError};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};

use super::latencies::Latencies;

/// Deliveries, of a few dozen bytes each.
const SWEEP_ABOVE: usize = 100_000;
/// How many bodies are read ahead.
const READ_AHEAD: usize = 8;
/// How often it is looked what was settled while nothing is to be sent.
const LOOK: Duration = Duration::from_millis(100);

/// What travels as a user record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travels {
    /// Each event: for streams, where the producer puts them together.
    #[cfg_attr(
        not(any(test, feature = "aws")),
        expect(dead_code, reason = "only a program built with AWS sends to streams")
    )]
    Event,
    /// A whole body of events: for a gateway, which takes one apart. This many are on their way or wait for it.
    Body {
        /// More are not begun.
        at_a_time: usize,
    },
}

/// A destination, and how it is sent to.
#[derive(Debug)]
pub struct Way {
    /// Where to.
    pub destination: Arc<dyn Destination>,
    /// How.
    pub settings: ProducerSettings,
    /// What as.
    pub travels: Travels,
}

impl Way {
    /// To a node at `url`, whole bodies, so many at a time.
    pub fn of_bodies(destination: Arc<dyn Destination>, url: &str, concurrency: usize) -> Self {
        let settings =
            ProducerSettings { name: url.to_owned(), max_calls: concurrency, ..ProducerSettings::for_bodies() };
        // Each that is on its way has one behind it that was read already.
        let travels = Travels::Body { at_a_time: concurrency.saturating_mul(2) };
        Self { destination, settings, travels }
    }
}

/// What sending came to.
#[derive(Debug, Default)]
pub struct Sent {
    /// Events acknowledged.
    pub events: u64,
    /// Calls that were made.
    pub calls: u64,
    /// Bytes of the events acknowledged, before compression.
    pub bytes: u64,
    /// Events that were given up.
    pub failed_events: u64,
    /// How often a record was sent again.
    pub retries: u64,
    /// From each record's first sending to its acknowledgement.
    pub latencies: Latencies,
    /// Why the first was given up, or reading ended.
    pub failure: Option<String>,
}

/// Sends bodies, each when it is due, until there are no more or something is given up; `show` is told how many events are
/// acknowledged, every now and then. The iterator runs on a thread for blocking work, a few bodies ahead.
///
/// # Errors
///
/// When a setting cannot be used. What goes wrong later is told beside what was sent before.
pub async fn produce<I>(way: Way, bodies: I, show: impl Fn(u64)) -> Result<Sent, IngestError>
where
    I: Iterator<Item = Result<EventBody, IngestError>> + Send + 'static,
{
    let Way { destination, settings, travels } = way;
    let mut sending = Sending {
        producer: Producer::start(destination, settings)?,
        waiting: VecDeque::new(),
        sweep_above: SWEEP_ABOVE,
        sent: Sent::default(),
        show,
    };
    let (hand_over, mut handed_over) = mpsc::channel(READ_AHEAD);
    // A thread of its own: nothing waits for it when sending has failed, while it may wait for input without an end.
    let reading = std::thread::spawn(move || {
        for body in bodies {
            if hand_over.blocking_send(body).is_err() {
                break;
            }
        }
    });
    let started = Instant::now();
    while sending.sent.failure.is_none() {
        let body = tokio::select! {
            body = handed_over.recv() => body,
            () = sleep(LOOK) => {
                sending.look();
                continue;
            }
        };
        match body {
            Some(Ok(body)) => sending.send_when_due(&body, travels, started).await,
            Some(Err(error)) => sending.sent.failure = Some(error.to_string()),
            None => break,
        }
    }
    drop(handed_over);
    if sending.sent.failure.is_none()
        && let Err(panic) = reading.join()
    {
        std::panic::resume_unwind(panic);
    }
    Ok(sending.close().await)
}

/// A record that was taken in.
struct Waiting {
    delivery: Delivery,
    events: u64,
}

struct Sending<S> {
    producer: Producer,
    /// In the order in which they were taken in, which is about that in which they are settled.
    waiting: VecDeque<Waiting>,
    /// How many may wait before those are looked for that are settled behind one that is not.
    sweep_above: usize,
    sent: Sent,
    show: S,
}

impl<S: Fn(u64)> Sending<S> {
    async fn send_when_due(&mut self, body: &EventBody, travels: Travels, started: Instant) {
        // A body that is due beyond what the clock can count is never due.
        let due = started.checked_add(body.due);
        while due.is_none_or(|due| Instant::now() < due) {
            tokio::select! {
                () = sleep_until(due.unwrap_or(started).into()), if due.is_some() => {}
                () = sleep(LOOK) => {}
            }
            self.look();
            if self.sent.failure.is_some() {
                return;
            }
        }
        if let Err(error) = self.send(body, travels).await {
            self.sent.failure.get_or_insert_with(|| error.to_string());
        }
        self.look();
    }

    async fn send(&mut self, body: &EventBody, travels: Travels) -> Result<(), SendError> {
        let Travels::Body { at_a_time } = travels else {
            for event in body.ndjson.split(|byte| *byte == b'\n').filter(|event| !event.is_empty()) {
                let key = partition_key(event);
                let delivery = self.producer.send(UserRecord::new(&key, event)).await?;
                self.waiting.push_back(Waiting { delivery, events: 1 });
            }
            return Ok(());
        };
        while self.waiting.len() >= at_a_time
            && let Some(Waiting { delivery, events }) = self.waiting.pop_front()
        {
            let outcome = delivery.outcome().await;
            self.count(outcome, events);
        }
        if self.sent.failure.is_none() {
            // Which key it has is all the same: a gateway gives each of its events one.
            let delivery = self.producer.send(UserRecord::new("body", &body.ndjson)).await?;
            self.waiting.push_back(Waiting { delivery, events: body.events });
        }
        Ok(())
    }

    fn look(&mut self) {
        while let Some(first) = self.waiting.front()
            && let Some(outcome) = first.delivery.now()
        {
            let events = first.events;
            self.waiting.pop_front();
            self.count(outcome, events);
        }
        // One shard may be behind all others.
        if self.waiting.len() > self.sweep_above {
            for waiting in std::mem::take(&mut self.waiting) {
                match waiting.delivery.now() {
                    Some(outcome) => self.count(outcome, waiting.events),
                    None => self.waiting.push_back(waiting),
                }
            }
            self.sweep_above = (2 * self.waiting.len()).max(SWEEP_ABOVE);
        }
        (self.show)(self.sent.events);
    }

    fn count(&mut self, outcome: Outcome, events: u64) {
        match outcome {
            Outcome::Delivered(delivered) => {
                self.sent.events += events;
                self.sent.latencies.record(delivered.total - delivered.buffered);
            }
            Outcome::Undelivered(undelivered) => {
                self.sent.failed_events += events;
                self.sent.failure.get_or_insert_with(|| told(&undelivered, events));
            }
        }
    }

    async fn close(mut self) -> Sent {
        let ProducerProgress { delivered_bytes, calls, retries, .. } = self.producer.close().await;
        for Waiting { delivery, events } in std::mem::take(&mut self.waiting) {
            let outcome = delivery.outcome().await;
            self.count(outcome, events);
        }
        Sent { bytes: delivered_bytes, calls, retries, ..self.sent }
    }
}

fn told(undelivered: &Undelivered, events: u64) -> String {
    let Undelivered { why, attempts, last_error, may_be_stored, .. } = undelivered;
    let last_error = last_error.as_deref().unwrap_or("it was never sent");
    let stored = if *may_be_stored { "; it may be stored all the same" } else { "" };
    let times = if *attempts == 1 { "time" } else { "times" };
    let what = if events == 1 { "an event was".to_owned() } else { format!("{events} events were") };
    format!("{what} given up ({}, sent {attempts} {times}): {last_error}{stored}", why.as_str())
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

#[cfg(test)]
mod tests;
