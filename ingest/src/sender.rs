//! Sending bodies of events to a gateway over HTTP, several at a time, each until it is acknowledged or given up.

pub(crate) mod attempt;
mod backoff;
mod latencies;
mod progress;
mod settings;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::{Client, Url};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::{EventBody, IngestError, Receipt};
use attempt::Attempt;
use backoff::Backoff;

pub use latencies::Latencies;
pub use progress::{Outcome, SendProgress};
pub(crate) use settings::client;
pub use settings::{SendEncoding, SenderSettings};

/// What a body that was acknowledged came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// How many events the gateway took in.
    pub accepted: u64,
    /// Where they lie in the stream.
    pub receipt: Receipt,
    /// How often the body was sent.
    pub attempts: u32,
    /// From the last attempt's beginning to its answer.
    pub latency: Duration,
}

/// Sends bodies of events to one URL, such as `http://127.0.0.1:8080/v1/telemetry`. Clones share it.
#[derive(Debug, Clone)]
pub struct HttpSender {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    url: Url,
    settings: SenderSettings,
    slots: Semaphore,
    progress: Arc<SendProgress>,
    latencies: Mutex<Latencies>,
}

impl HttpSender {
    /// A sender to `url`.
    ///
    /// # Errors
    ///
    /// When the URL or a setting cannot be used, or the HTTP client cannot be set up.
    pub fn new(url: &str, settings: SenderSettings) -> Result<Self, IngestError> {
        settings.check()?;
        let url = destination_url(url)?;
        let client = client(&url, &settings)?;
        let slots = Semaphore::new(settings.concurrency);
        let (progress, latencies) = (Arc::default(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { client, url, settings, slots, progress, latencies }) })
    }

    /// Counters that move while sending goes on.
    pub fn progress(&self) -> Arc<SendProgress> {
        self.shared.progress.clone()
    }

    /// What sending has come to so far.
    pub fn outcome(&self) -> Outcome {
        let latencies = self.shared.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Outcome::of(&self.shared.progress, latencies)
    }

    /// Sends one body, and again while an answer says that it may go through later, with the same idempotency key each time.
    /// Waits first while as many bodies are on their way as the setting `concurrency` allows.
    ///
    /// # Errors
    ///
    /// When the receiver refuses the body for good, or the attempts or the time run out.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether the events were stored.
    pub async fn send(&self, body: EventBody) -> Result<Acknowledged, IngestError> {
        let shared = &*self.shared;
        let _slot = shared.slots.acquire().await.expect("the semaphore is never closed");
        let _on_its_way = shared.progress.on_its_way();
        let sent = self.send_until_settled(&body).await;
        match &sent {
            Ok(acknowledged) => {
                shared.progress.acknowledged(acknowledged.accepted, body.ndjson.len());
                let mut latencies = shared.latencies.lock().unwrap_or_else(PoisonError::into_inner);
                latencies.record(acknowledged.latency);
            }
            Err(_) => shared.progress.failed(body.events),
        }
        sent
    }

    async fn send_until_settled(&self, body: &EventBody) -> Result<Acknowledged, IngestError> {
        let shared = &*self.shared;
        let settings = &shared.settings;
        let key = body.idempotency_key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
        let payload = settings.encoding.encode(&body.ndjson);
        let started = Instant::now();
        let mut backoff = Backoff::new(settings.first_pause, settings.longest_pause, &key);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let began = Instant::now();
            let attempt = attempt::post(&shared.client, &shared.url, settings, payload.clone(), &key).await;
            let (last, retry_after) = match attempt {
                Attempt::Accepted(acceptance) => {
                    let latency = began.elapsed();
                    let (accepted, receipt) = (acceptance.accepted, acceptance.receipt);
                    return Ok(Acknowledged { accepted, receipt, attempts, latency });
                }
                Attempt::Refused { status, detail } => {
                    return Err(IngestError::Refused {
                        url: shared.url.to_string(),
                        events: body.events,
                        status,
                        detail,
                    });
                }
                Attempt::Later { problem, retry_after, .. } => (problem, retry_after),
            };
            let pause = backoff.pause(retry_after);
            let elapsed = started.elapsed();
            if attempts >= settings.attempts || elapsed + pause > settings.give_up_after {
                let url = shared.url.to_string();
                return Err(IngestError::GaveUp { url, events: body.events, attempts, elapsed, last });
            }
            tracing::debug!(url = %shared.url, attempts, ?pause, last, "sending again");
            shared.progress.retried();
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends bodies, each when it is due and as many at a time as the setting `concurrency` allows, until there are no more.
    /// The iterator runs on a thread for blocking work and is never more than `concurrency` bodies ahead.
    ///
    /// # Errors
    ///
    /// The first error of the iterator or of a body; bodies on their way are waited for, and no more are begun. What was
    /// acknowledged until then is in [`outcome`](Self::outcome).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops sending; it is open whether the bodies on their way were stored.
    pub async fn send_all<I>(&self, bodies: I) -> Result<Outcome, IngestError>
    where
        I: Iterator<Item = Result<EventBody, IngestError>> + Send + 'static,
    {
        let concurrency = self.shared.settings.concurrency;
        let (hand_over, mut handed_over) = mpsc::channel(concurrency);
        let feeder = tokio::task::spawn_blocking(move || {
            for body in bodies {
                if hand_over.blocking_send(body).is_err() {
                    break;
                }
            }
        });
        let started = Instant::now();
        let mut on_their_way = FuturesUnordered::new();
        let mut next: Option<EventBody> = None;
        let mut ended = false;
        let mut failure = None;
        while failure.is_none() && !(ended && next.is_none() && on_their_way.is_empty()) {
            tokio::select! {
                Some(sent) = on_their_way.next(), if !on_their_way.is_empty() => failure = Result::err(sent),
                body = handed_over.recv(), if next.is_none() && !ended => match body {
                    Some(Ok(body)) => next = Some(body),
                    Some(Err(error)) => failure = Some(error),
                    None => ended = true,
                },
                body = when_due(&mut next, started), if on_their_way.len() < concurrency => on_their_way.push(self.send(body)),
            }
        }
        drop(handed_over);
        while let Some(sent) = on_their_way.next().await {
            failure = failure.or(sent.err());
        }
        if let Err(error) = feeder.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
        failure.map_or_else(|| Ok(self.outcome()), Err)
    }
}

/// The URL of a gateway's route.
///
/// # Errors
///
/// When it is none.
pub(crate) fn destination_url(url: &str) -> Result<Url, IngestError> {
    let url = Url::parse(url).map_err(|error| {
        IngestError::setting("url", format!("`{url}` is no URL ({error}); expected http://host:port/v1/dataset"))
    })?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(IngestError::setting("url", format!("`{url}`: expected http:// or https:// and a host")));
    }
    Ok(url)
}

/// Waits until the next body is due and takes it; waits for ever when there is none.
///
/// # Cancel safety
///
/// The body stays where it is until it is returned.
async fn when_due(next: &mut Option<EventBody>, started: Instant) -> EventBody {
    // A body that is due beyond what the clock can count is never due.
    let due = next.as_ref().and_then(|body| started.checked_add(body.due));
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
    next.take().expect("it was there before the wait, and nobody else can take it")
}

#[cfg(test)]
mod tests;
