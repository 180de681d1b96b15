//! One invocation: the messages committed together, and each that is not dealt with named for the queue.

mod report;

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::trace::{STEP, Stage, follow};
use alluvium_aws::{DynamoHotIndex, Metrics, SnsTopic};
use alluvium_core::clock::Micros;
use alluvium_core::ports::PortError;
use alluvium_core::{Clock, CommitAnnouncement, Datasets};
use alluvium_lake::{LakeError, LakeSettings, Outcome, SharedCommit, SharedLake};
use alluvium_transform::DataFiles;
use async_trait::async_trait;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use object_store::ObjectStore;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{Instrument as _, debug_span};
use url::Url;

/// What invocations work on.
pub struct Handler {
    /// The store that is rooted at the lake.
    pub store: Arc<dyn ObjectStore>,
    /// The lake's URL.
    pub root: Url,
    /// The datasets that have tables.
    pub datasets: Arc<Datasets>,
    /// The hot index, which is told of tables that are new.
    pub hot: Arc<dyn Marks>,
    /// Where commits are told of; `None`: nowhere.
    pub announcer: Option<Arc<dyn Announcer>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How the tables are written.
    pub settings: LakeSettings,
    /// The tables as they were last seen; none before the first invocation and after one that did not end.
    pub lake: Mutex<Option<SharedLake>>,
}

/// What the commit function asks of the hot index.
#[async_trait]
pub trait Marks: Send + Sync {
    /// Says that the index has every event of a dataset, unless something is said of the dataset already.
    ///
    /// # Errors
    ///
    /// When it could not be said; saying it again is harmless.
    async fn complete_from_the_beginning(&self, dataset: &str) -> Result<(), PortError>;
}

#[async_trait]
impl Marks for DynamoHotIndex {
    async fn complete_from_the_beginning(&self, dataset: &str) -> Result<(), PortError> {
        self.set_complete_since_if_absent(dataset, Micros::MIN).await.map(drop)
    }
}

/// Tells others of commits.
#[async_trait]
pub trait Announcer: Send + Sync {
    /// Tells of what came into one dataset.
    ///
    /// # Errors
    ///
    /// When it could not be told; it is not told again.
    async fn announce(&self, announcement: &CommitAnnouncement) -> Result<(), PortError>;
}

#[async_trait]
impl Announcer for SnsTopic {
    async fn announce(&self, announcement: &CommitAnnouncement) -> Result<(), PortError> {
        self.publish(announcement).await
    }
}

/// How long it is waited for what tells of commits: the queue's messages are not acknowledged before, so a topic that does not answer must not keep
/// the function from its end.
const ANNOUNCING: Duration = Duration::from_secs(5);

/// What became of an event's messages.
#[derive(Debug)]
pub struct Handled {
    /// Names the messages that must come again. Every other one is dealt with (LK-1).
    pub response: SqsBatchResponse,
    /// The receipts of those among them that were refused: waiting helps none of these.
    pub refused: Vec<String>,
    /// Announcements that could not be made. The commits stand.
    pub untold: usize,
}

/// Why the lake could not be opened.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the hot index cannot be told that a dataset is new: {0}")]
    Hot(#[from] PortError),
}

impl Handler {
    /// Commits what the messages name. `metrics` gets what there is to report.
    pub async fn handle(&self, event: SqsEvent, metrics: &mut Metrics) -> Handled {
        report::received(metrics, event.records.len());
        let paths: Vec<String> = event.records.iter().map(|message| message.body.clone().unwrap_or_default()).collect();
        let mut lake = self.lake.lock().await;
        // Taken out, so that an invocation that is cut off leaves none behind that may be half advanced.
        let opened = match lake.take() {
            Some(opened) => Ok(opened),
            None => self.open().instrument(debug_span!(target: STEP, "open lake")).await,
        };
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(%error, "the lake cannot be opened; every message comes again");
                metrics.count("CommitFailures", 1);
                return Handled { response: again(&event.records), refused: Vec::new(), untold: 0 };
            }
        };
        let begun = Instant::now();
        let commit = opened.commit_paths(&paths).await;
        metrics.millis("CommitMilliseconds", begun.elapsed());
        report::committed(metrics, &commit, self.clock.now_micros());
        let requests =
            commit.batches.iter().flat_map(|batch| batch.traces.iter().map(|request| (request, batch.batch.as_str())));
        follow(Stage::Commit, requests);
        if commit.failure.is_none() {
            *lake = Some(opened);
        }
        drop(lake);
        let untold = self.announce(&event.records, &commit).await;
        if self.announcer.is_some() {
            metrics.count("CommitsUntold", untold as u64);
        }
        Handled { untold, ..handled(event.records, &paths, commit) }
    }

    /// Tells of what was committed, and of what was found to be committed by an earlier delivery of its message: that one may have ended before it
    /// told. Says how much could not be told.
    async fn announce(&self, messages: &[SqsMessage], commit: &SharedCommit) -> usize {
        let Some(announcer) = &self.announcer else { return 0 };
        let parts = messages.iter().zip(&commit.outcomes).zip(&commit.parts).filter(|((message, outcome), _)| {
            matches!(outcome, Outcome::Committed)
                || matches!(outcome, Outcome::AlreadyIn) && is_delivered_again(message)
        });
        let parts = parts.flat_map(|(_, parts)| parts.clone());
        let version = |table: &str| commit.tables.iter().find(|made| made.table == table).map(|made| made.version);
        let announcements = CommitAnnouncement::of(parts, version, self.clock.now_micros());
        let told = announcements.iter().map(async |announcement| {
            let told = tokio::time::timeout(ANNOUNCING, announcer.announce(announcement)).await;
            let error = match told {
                Ok(Ok(())) => return 0,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("there was no answer within {} s", ANNOUNCING.as_secs()),
            };
            let CommitAnnouncement { dataset, table_version, rows, .. } = announcement;
            tracing::error!(dataset, table_version, rows, error, "a commit stands and could not be told of");
            1
        });
        futures::future::join_all(told).await.into_iter().sum()
    }

    /// Opens the lake. Of a dataset of which nothing was ever committed, the hot index has everything: nothing came before it.
    async fn open(&self) -> Result<SharedLake, OpenError> {
        let (store, root, clock) = (self.store.clone(), self.root.clone(), self.clock.clone());
        let format = Arc::new(DataFiles::new(self.datasets.clone()));
        let (lake, opening) =
            SharedLake::open(store, root, &self.datasets, format, clock, self.settings.clone()).await?;
        tracing::info!(created = ?opening.created, evolved = ?opening.evolved, "the lake is open");
        // Dead letters have no chunks: reads of them go to the lake, as they do without a mark.
        for dataset in opening.empty.iter().filter(|table| self.datasets.get(table).is_some()) {
            self.hot.complete_from_the_beginning(dataset).await?;
        }
        Ok(lake)
    }
}

fn handled(messages: Vec<SqsMessage>, paths: &[String], commit: SharedCommit) -> Handled {
    let mut unfinished = Vec::new();
    let mut refused = Vec::new();
    for ((message, path), outcome) in messages.into_iter().zip(paths).zip(commit.outcomes) {
        match outcome {
            Outcome::Committed | Outcome::AlreadyIn => continue,
            // A deploy that adds a dataset may reach the transform first: that passes.
            Outcome::Refused(error @ LakeError::NoTable(_)) => {
                tracing::error!(path, %error, "a commit message is for a table that this release does not know; it comes again");
            }
            Outcome::Refused(error) => {
                tracing::error!(path, %error, "a commit message is refused; it ends in the dead-letter queue");
                refused.extend(message.receipt_handle.clone());
            }
            Outcome::Unfinished => {}
        }
        unfinished.push(message);
    }
    Handled { response: again(&unfinished), refused, untold: 0 }
}

/// Whether the queue has delivered a message before. Amazon Simple Queue Service Developer Guide, "Message system attributes".
fn is_delivered_again(message: &SqsMessage) -> bool {
    let count = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    count.is_some_and(|count: u32| count > 1)
}

/// The answer that has these messages come again.
fn again(messages: &[SqsMessage]) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = messages
        .iter()
        .map(|message| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message.message_id.clone().unwrap_or_default();
            failure
        })
        .collect();
    response
}

#[cfg(test)]
mod tests;
