//! One invocation: the content that a message tells of is loaded until it ends or time is up, and what is left asks for another invocation.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::uploads::{Arrived, Claim, Held, Keeping};
use alluvium_aws::{Metrics, S3Uploads, SqsCommitQueue};
use alluvium_core::clock::{Micros, micros};
use alluvium_core::file::OpenFile;
use alluvium_core::ports::{Advice, CommitQueue as _, PortError, Stream};
use alluvium_core::upload::{Upload, UploadState};
use alluvium_core::{Clock, Datasets};
use alluvium_ingest::UploadSettings;
use alluvium_ingest::uploads::{Content, Loading, Stopped, content_hash};
use async_trait::async_trait;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::keeper::{Hold, Keeper};
use crate::notification;

/// How long before its deadline an invocation puts no more.
const SPARE: Duration = Duration::from_secs(60);
/// How long before its deadline it waits no longer for what it has begun.
const LAST: Duration = Duration::from_secs(30);

/// How long after the deadline an upload may be taken that an invocation held which ended without a word.
const FREE_AFTER: Duration = Duration::from_secs(5);
/// How much later than the upload is free its message comes again. Were it earlier, the message would find it held, and have come in vain.
const COMES_AFTER: Duration = Duration::from_secs(10);

/// By how much longer a message is hidden for each time that it came, and for how long at most. Behind the queue's number of tries it is set aside.
const AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(900));

/// What invocations work on.
pub struct Handler {
    /// Where uploads are kept.
    pub shelf: Arc<dyn Shelf>,
    /// Where messages come from.
    pub queue: Arc<dyn Messages>,
    /// Where events go.
    pub stream: Arc<dyn Stream>,
    /// The datasets that there are.
    pub datasets: Arc<Datasets>,
    /// The limits.
    pub settings: UploadSettings,
    /// How fast events are put.
    pub bytes_per_second: NonZeroU64,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Where uploads are kept, as far as loading needs it: see [`S3Uploads`].
#[async_trait]
pub trait Shelf: Send + Sync {
    async fn claim(&self, content: &Arrived, by: &str, until: Micros) -> Result<Claim, PortError>;
    async fn keep(&self, held: &mut Held, until: Option<Micros>) -> Result<Keeping, PortError>;
    fn open(&self, held: &Held) -> Arc<dyn OpenFile>;
    async fn discard(&self, content: &Arrived) -> Result<(), PortError>;
}

/// The queue that calls.
#[async_trait]
pub trait Messages: Send + Sync {
    /// Makes a message come again after `wait`.
    async fn postpone(&self, receipt: &str, wait: Duration) -> Result<(), PortError>;
    /// Sends a message.
    async fn send(&self, body: &str) -> Result<(), PortError>;
}

#[async_trait]
impl Shelf for S3Uploads {
    async fn claim(&self, content: &Arrived, by: &str, until: Micros) -> Result<Claim, PortError> {
        Self::claim(self, content, by, until).await
    }

    async fn keep(&self, held: &mut Held, until: Option<Micros>) -> Result<Keeping, PortError> {
        Self::keep(self, held, until).await
    }

    fn open(&self, held: &Held) -> Arc<dyn OpenFile> {
        Self::open(self, held)
    }

    async fn discard(&self, content: &Arrived) -> Result<(), PortError> {
        Self::discard(self, content).await
    }
}

#[async_trait]
impl Messages for SqsCommitQueue {
    async fn postpone(&self, receipt: &str, wait: Duration) -> Result<(), PortError> {
        Self::postpone(self, receipt, wait).await
    }

    async fn send(&self, body: &str) -> Result<(), PortError> {
        self.enqueue(body).await
    }
}

/// What becomes of a message.
#[derive(Debug, PartialEq)]
enum Fate {
    /// There is nothing more to do for it.
    Settled,
    /// Another one takes its place, for loading goes on.
    GoesOn,
    /// It comes again after this time.
    Again(Duration),
}

impl Handler {
    /// Loads what the messages tell of, until `deadline`. Each message that the answer names comes again.
    pub async fn handle(&self, event: SqsEvent, deadline: Instant, metrics: &mut Metrics) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for message in event.records {
            let mut fate = self.message(&message, deadline, metrics).await;
            if fate == Fate::GoesOn {
                fate = match self.queue.send(message.body.as_deref().unwrap_or_default()).await {
                    Ok(()) => Fate::Settled,
                    Err(error) => {
                        tracing::warn!(%error, "an upload goes on with the message that it came by");
                        Fate::Again(Duration::ZERO)
                    }
                };
            }
            if let Fate::Again(wait) = fate {
                self.postpone(&message, wait).await;
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = message.message_id.unwrap_or_default();
                response.batch_item_failures.push(failure);
            }
        }
        response
    }

    /// Were the invocation to end without a word, the message would be hidden for hours.
    async fn postpone(&self, message: &SqsMessage, wait: Duration) {
        let Some(receipt) = &message.receipt_handle else { return };
        if let Err(error) = self.queue.postpone(receipt, wait).await {
            tracing::warn!(%error, "a message comes again only after the queue's own time");
        }
    }

    async fn message(&self, message: &SqsMessage, deadline: Instant, metrics: &mut Metrics) -> Fate {
        let again = || Fate::Again(AGAIN.0.saturating_mul(came(message)).min(AGAIN.1));
        let contents = match notification::read(message.body.as_deref().unwrap_or_default()) {
            Ok(contents) => contents,
            Err(problem) => {
                tracing::error!(problem, "a message cannot be read; it is set aside in the end");
                return again();
            }
        };
        let left = deadline.saturating_duration_since(Instant::now());
        self.postpone(message, left + FREE_AFTER + COMES_AFTER).await;
        let by = message.message_id.as_deref().unwrap_or_default();
        let mut fate = Fate::Settled;
        for content in contents {
            match self.content(&content, by, deadline, metrics).await {
                Ok(Fate::Settled) => {}
                Ok(other) => fate = other,
                Err(error) => {
                    tracing::warn!(%error, key = content.key, "an upload is not loaded yet; it is tried again");
                    fate = again();
                }
            }
        }
        fate
    }

    async fn content(
        &self,
        content: &Arrived,
        by: &str,
        deadline: Instant,
        metrics: &mut Metrics,
    ) -> Result<Fate, PortError> {
        let left = deadline.saturating_duration_since(Instant::now()) + FREE_AFTER;
        let until = self.clock.now_micros().saturating_add(micros(left));
        let held = match self.shelf.claim(content, by, until).await? {
            Claim::Mine(held) => *held,
            Claim::Nobodys => {
                self.shelf.discard(content).await?;
                return Ok(Fate::Settled);
            }
            // The same message twice: it is deleted when the other invocation is done, and until then it is what saves the upload.
            Claim::Others { by: other, until } if other == by => return Ok(self.once_free(until)),
            // Whoever loads it has a message of its own.
            Claim::Others { .. } => return Ok(Fate::Settled),
        };
        let before = held.upload.clone();
        let stop_at = deadline.checked_sub(SPARE).unwrap_or(deadline);
        let file = self.shelf.open(&held);
        let keeper = Keeper::new(&*self.shelf, held, (until, stop_at), self.bytes_per_second);
        let mut upload = before.clone();
        let last = deadline.checked_sub(LAST).unwrap_or(deadline);
        let loaded = match timeout_at(last, self.load(file, &mut upload, &keeper)).await {
            Ok(loaded) => loaded,
            Err(_) => Err(Stopped::ForNow),
        };
        metrics.with("Dataset", &upload.dataset).count("UploadEvents", upload.accepted - before.accepted);
        let stopped = match loaded {
            Ok(error) => {
                upload.end(self.clock.now_micros(), error);
                let kept = keeper.keep_now(&upload, Hold::Off).await;
                if kept.is_ok() {
                    self.ended(&upload, metrics);
                    self.shelf.discard(content).await?;
                    return Ok(Fate::Settled);
                }
                kept
            }
            Err(Stopped::ForNow) => keeper.keep_now(&upload, Hold::Off).await,
            Err(stopped) => Err(stopped),
        };
        match (stopped, keeper.lost()) {
            (Ok(()), _) => {
                let on = (upload.position, &upload.content) != (before.position, &before.content);
                tracing::info!(upload = upload.id, accepted = upload.accepted, on, "an upload is loaded in part");
                // How often it was tried is counted anew only where an invocation got on.
                Ok(if on { Fate::GoesOn } else { Fate::Again(AGAIN.1) })
            }
            // It is held still, as this message and no other.
            (Err(Stopped::ForNow), _) => Ok(self.once_free(until)),
            (Err(Stopped::TakenBack), Some(Keeping::Gone)) => {
                self.shelf.discard(content).await?;
                Ok(Fate::Settled)
            }
            // It is somebody else's, and they have a message of their own.
            (Err(Stopped::TakenBack), _) => Ok(Fate::Settled),
        }
    }

    /// The message comes again when an upload is free that is held until then.
    fn once_free(&self, until: Micros) -> Fate {
        let left = u64::try_from(until.saturating_sub(self.clock.now_micros())).unwrap_or_default();
        Fate::Again(Duration::from_micros(left) + COMES_AFTER)
    }

    /// Loads; says why the content ended before its end, if it did.
    async fn load(
        &self,
        file: Arc<dyn OpenFile>,
        upload: &mut Upload,
        keeper: &Keeper<'_>,
    ) -> Result<Option<String>, Stopped> {
        let most = self.settings.max_bytes;
        if upload.bytes > most {
            return Ok(Some(format!(
                "the file has {} bytes, more than {most}, the most that an upload may have as sent; compress it with gzip or zstd, or split it",
                upload.bytes
            )));
        }
        if upload.bytes == 0 {
            return Ok(Some("the file is empty; expected events, one a line".to_owned()));
        }
        let Some(dataset) = self.datasets.get(&upload.dataset) else {
            return Ok(Some(format!("the dataset `{}` is here no more", upload.dataset)));
        };
        if upload.content.is_none() {
            match content_hash(&*file).await {
                Ok(hash) => upload.content = Some(hash),
                Err(error) => return unread(upload, &error),
            }
            keeper.keep_now(upload, Hold::On).await?;
        }
        let content = Content::of(file, Handle::current());
        let fault = content.fault();
        let loading = Loading { stream: &*self.stream, keeper, settings: &self.settings };
        let ended = loading.load(Box::new(content), upload, dataset).await?;
        match fault.take() {
            // It did not end there: S3 did.
            Some(error) => unread(upload, &error),
            None => Ok(ended),
        }
    }

    fn ended(&self, upload: &Upload, metrics: &mut Metrics) {
        let name = if upload.state == UploadState::Failed { "UploadsFailed" } else { "UploadsDone" };
        metrics.count(name, 1).count("UploadOddLines", upload.odd).bytes("UploadBytes", upload.bytes);
        let took = upload.received.map(|received| self.clock.now_micros().saturating_sub(received));
        let took = took.and_then(|took| u64::try_from(took).ok()).map(Duration::from_micros);
        metrics.seconds("UploadSeconds", took.unwrap_or_default());
        tracing::info!(
            upload = upload.id,
            dataset = upload.dataset,
            state = ?upload.state,
            accepted = upload.accepted,
            odd = upload.odd,
            error = upload.error,
            "an upload has ended"
        );
    }
}

/// What becomes of an upload whose content S3 does not give.
fn unread(upload: &Upload, error: &PortError) -> Result<Option<String>, Stopped> {
    tracing::warn!(%error, upload = upload.id, "the content of an upload cannot be read");
    match error.advice {
        Advice::Stop => Ok(Some("its content is gone from the bucket; put it again as a new upload".to_owned())),
        Advice::Retry | Advice::BackOff => Err(Stopped::ForNow),
    }
}

/// How often a message came, this time included.
fn came(message: &SqsMessage) -> u32 {
    message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests;
