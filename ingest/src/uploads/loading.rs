//! Loading one upload: from its content into the stream, part by part, and kept how far it is.

use std::collections::HashSet;
use std::io::Read;
use std::time::Duration;

use alluvium_core::Dataset;
use alluvium_core::ports::{Advice, PutVerdict, Refusal, Stream};
use alluvium_core::upload::{ODD_LINES, OddLine, Upload};
use async_trait::async_trait;

use super::reader::{Chunk, Reader};
use super::settings::UploadSettings;
use crate::gateway::frame::Framed;

/// How long after a failure the stream is asked again.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// Why loading stopped on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// There is no more time, or the stream takes nothing any more: it goes on later, from where it is kept to be.
    ForNow,
    /// The upload was taken back, or somebody else loads it now.
    TakenBack,
}

/// Who keeps how far an upload is while it is loaded.
#[async_trait]
pub trait UploadKeeper: Send + Sync {
    /// Waits until more may be put, `bytes` of events having been put since it was asked last.
    ///
    /// # Errors
    ///
    /// When nothing more is to be put.
    async fn turn(&self, upload: &Upload, bytes: u64) -> Result<(), Stopped>;

    /// Waits for so long, before what the stream did not take is put again.
    ///
    /// # Errors
    ///
    /// When it is not to be put again.
    async fn pause(&self, upload: &Upload, time: Duration) -> Result<(), Stopped>;

    /// Looks whether more may be put, right before it is: reading a part takes time, in which the upload may have been taken back. Cheap: an
    /// adapter may go by what it learned a second ago.
    ///
    /// # Errors
    ///
    /// When nothing more is to be put.
    async fn check(&self, upload: &Upload) -> Result<(), Stopped>;

    /// Keeps how far the upload is: all events up to there are in the stream. Loading may go on from an earlier point, where an adapter keeps
    /// less than it is told.
    ///
    /// # Errors
    ///
    /// When nothing more is to be put.
    async fn keep(&self, upload: &Upload) -> Result<(), Stopped>;
}

/// What loads.
pub struct Loading<'a> {
    /// Where events go.
    pub stream: &'a dyn Stream,
    /// Who keeps how far it is.
    pub keeper: &'a dyn UploadKeeper,
    /// The limits.
    pub settings: &'a UploadSettings,
}

impl std::fmt::Debug for Loading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loading").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Loading<'_> {
    /// Puts what `content` holds behind the upload's position into the stream; the upload says then how far it is. `Ok` says that it ended, and
    /// if before its end, why: a sentence for its sender.
    ///
    /// # Errors
    ///
    /// When it stopped on the way.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; what was put last is put again from where it was kept, with the same ids.
    pub async fn load(
        &self,
        content: Box<dyn Read + Send>,
        upload: &mut Upload,
        dataset: &Dataset,
    ) -> Result<Option<String>, Stopped> {
        let (of, dataset, settings) = (upload.clone(), dataset.clone(), self.settings.clone());
        let opened = blocking(move || Reader::open(content, &of, &dataset, &settings)).await;
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(problem) => return Ok(Some(problem)),
        };
        let mut bytes = 0;
        loop {
            self.keeper.turn(upload, bytes).await?;
            let (chunk, rest) = blocking(move || (reader.next_chunk(), reader)).await;
            reader = rest;
            let Chunk { framed, position, line, odd, odd_lines, end } = chunk;
            bytes = framed.event_bytes;
            let accepted = self.put(framed, upload).await?;
            upload.accepted += accepted;
            upload.position = upload.position.max(position);
            upload.lines = upload.lines.max(line);
            upload.odd += odd;
            let room = ODD_LINES.saturating_sub(upload.odd_lines.len());
            upload.odd_lines.extend(odd_lines.into_iter().take(room));
            if let Some(end) = end {
                return Ok(end.err());
            }
            self.keeper.keep(upload).await?;
        }
    }

    /// Puts events into the stream until it has all of them; says how many it has.
    async fn put(&self, framed: Framed, upload: &mut Upload) -> Result<u64, Stopped> {
        let Framed { mut batch, mut events_by_record, events, event_bytes } = framed;
        let mut refused = 0;
        while !batch.records.is_empty() {
            self.keeper.check(upload).await?;
            let verdicts = match self.stream.append(batch.clone()).await {
                Ok(verdicts) => verdicts,
                Err(error) if error.advice == Advice::Stop => {
                    tracing::error!(%error, upload = upload.id, "the stream takes nothing of an upload; it goes on later");
                    return Err(Stopped::ForNow);
                }
                Err(error) => {
                    tracing::warn!(%error, upload = upload.id, "the stream could not take a part of an upload; it is tried again");
                    Vec::new()
                }
            };
            // A stream that forgets a verdict has not said `Stored` for that record.
            let mut settled = HashSet::new();
            for (index, verdict) in verdicts.into_iter().enumerate().take(events_by_record.len()) {
                match verdict {
                    PutVerdict::Stored { .. } => {
                        settled.insert(index);
                    }
                    PutVerdict::Refused(Refusal::Invalid(problem)) => {
                        refused += u64::from(events_by_record[index]);
                        if upload.odd_lines.len() < ODD_LINES {
                            let problem = format!("the stream refused the events from here on: {problem}");
                            upload.odd_lines.push(OddLine { line: upload.lines + 1, problem });
                        }
                        settled.insert(index);
                    }
                    PutVerdict::Refused(Refusal::Full | Refusal::Failed(_)) => {}
                }
            }
            let left = |index: &usize| !settled.contains(index);
            let indexes = (0..batch.records.len()).filter(left);
            (batch.records, events_by_record) =
                indexes.map(|index| (batch.records[index].clone(), events_by_record[index])).unzip();
            if !batch.records.is_empty() {
                self.keeper.pause(upload, TRY_AGAIN).await?;
            }
        }
        upload.odd += refused;
        metrics::counter!("alluvium_events_accepted_total", "dataset" => upload.dataset.clone())
            .increment(events - refused);
        metrics::counter!("alluvium_ingest_bytes_total").increment(event_bytes);
        Ok(events - refused)
    }
}

/// Does work that blocks off the async runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down, and this with it.
        Err(_) => std::future::pending().await,
    }
}
