//! Loading: one upload after the other, from its content into the stream.

use std::collections::HashSet;
use std::time::Duration;

use alluvium_core::ports::{Advice, PutVerdict, Refusal};

use super::Uploads;
use super::reader::{Chunk, Reader};
use super::upload::{ODD_LINES, OddLine, Upload, UploadState};
use crate::gateway::frame::Framed;

/// How often it is looked for what is past its time.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long after which failure the stream, or the disk, is asked again.
const TRY_AGAIN: Duration = Duration::from_millis(250);
const TRY_DISK_AGAIN: Duration = Duration::from_secs(5);

/// Why loading stopped on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// The node stops, or the stream takes nothing any more.
    Node,
    /// The upload was taken back.
    TakenBack,
}

impl Uploads {
    /// Loads what there is to load, until [`stop`](Self::stop) is called or the stream takes nothing any more. Run it once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; what was put last is put again by the next start, with the same ids.
    pub async fn load(self) {
        while !self.shared.stop.is_cancelled() {
            self.forget_old().await;
            let next = self.table().next();
            let Some(upload) = next else {
                tokio::select! {
                    () = self.shared.work.notified() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    () = self.shared.stop.cancelled() => {}
                }
                continue;
            };
            let id = upload.id.clone();
            self.shared.loading.send_replace(Some(id.clone()));
            let loaded = self.load_one(upload).await;
            match loaded {
                Ok(()) => {}
                Err(Stopped::TakenBack) => {
                    let _ = self.on_disk("remove", move |folder| folder.remove(&id)).await;
                }
                Err(Stopped::Node) => break,
            }
            self.shared.loading.send_replace(None);
        }
        self.shared.loading.send_replace(None);
    }

    async fn load_one(&self, mut upload: Upload) -> Result<(), Stopped> {
        upload.state = UploadState::Loading;
        self.keep(&upload).await?;
        let error = match self.reader(&upload).await {
            Ok(reader) => self.load_from(reader, &mut upload).await?,
            Err(error) => Some(error),
        };
        let outcome = if error.is_some() { "failed" } else { "done" };
        metrics::counter!("alluvium_uploads_total", "state" => outcome).increment(1);
        tracing::info!(
            upload = upload.id,
            dataset = upload.dataset,
            outcome,
            accepted = upload.accepted,
            odd = upload.odd,
            error,
            "an upload has ended"
        );
        upload.end(self.shared.parts.clock.now_micros(), error);
        self.keep(&upload).await?;
        let id = upload.id;
        // Said in the log; what stays behind is found by the next start.
        let _ = self.on_disk("remove", move |folder| folder.remove_content(&id)).await;
        Ok(())
    }

    async fn reader(&self, upload: &Upload) -> Result<Reader, String> {
        let Some(dataset) = self.shared.parts.datasets.get(&upload.dataset).cloned() else {
            return Err(format!("the dataset `{}` is here no more", upload.dataset));
        };
        let (shared, upload) = (self.shared.clone(), upload.clone());
        blocking(move || Reader::open(&shared.folder.content(&upload.id), &upload, &dataset, &shared.settings)).await
    }

    /// Loads all that a reader gives; says why it ended before its end, if it did.
    async fn load_from(&self, mut reader: Reader, upload: &mut Upload) -> Result<Option<String>, Stopped> {
        loop {
            self.wait_for_the_others(upload).await?;
            let (chunk, rest) = blocking(move || (reader.next_chunk(), reader)).await;
            reader = rest;
            let Chunk { framed, position, line, odd, odd_lines, end } = chunk;
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
            self.keep(upload).await?;
        }
    }

    /// Waits while commits are too far behind.
    async fn wait_for_the_others(&self, upload: &Upload) -> Result<(), Stopped> {
        while (self.shared.parts.lag)() > self.shared.settings.most_lag {
            self.pause(TRY_AGAIN).await?;
            self.check(upload)?;
        }
        if self.shared.stop.is_cancelled() { Err(Stopped::Node) } else { Ok(()) }
    }

    /// Puts events into the stream until it has all of them; says how many it has.
    async fn put(&self, framed: Framed, upload: &mut Upload) -> Result<u64, Stopped> {
        let Framed { mut batch, mut events_by_record, events, event_bytes } = framed;
        let mut refused = 0;
        while !batch.records.is_empty() {
            let verdicts = match self.shared.parts.stream.append(batch.clone()).await {
                Ok(verdicts) => verdicts,
                Err(error) if error.advice == Advice::Stop => {
                    tracing::error!(%error, upload = upload.id, "the stream takes nothing of an upload; it goes on after the next start");
                    return Err(Stopped::Node);
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
                self.pause(TRY_AGAIN).await?;
                self.check(upload)?;
            }
        }
        upload.odd += refused;
        metrics::counter!("alluvium_events_accepted_total", "dataset" => upload.dataset.clone())
            .increment(events - refused);
        metrics::counter!("alluvium_ingest_bytes_total").increment(event_bytes);
        Ok(events - refused)
    }

    /// Keeps how far an upload is, and tells of it.
    async fn keep(&self, upload: &Upload) -> Result<(), Stopped> {
        self.check(upload)?;
        loop {
            let kept = upload.clone();
            if self.on_disk("keep", move |folder| folder.keep(&kept)).await.is_ok() {
                break;
            }
            self.pause(TRY_DISK_AGAIN).await?;
        }
        if self.table().update(upload.clone()) { Ok(()) } else { Err(Stopped::TakenBack) }
    }

    fn check(&self, upload: &Upload) -> Result<(), Stopped> {
        if self.table().get(&upload.id).is_some() { Ok(()) } else { Err(Stopped::TakenBack) }
    }

    async fn pause(&self, time: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.shared.stop.cancelled() => Err(Stopped::Node),
        }
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
