//! What becomes of a batch: delivered, or set aside where it can be found.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use alluvium_core::StreamRecord;
use alluvium_core::clock::{Clock, Micros};
use alluvium_core::ports::{DataFiles, Put};
use bytes::Bytes;

use super::FirehoseError;
use super::cut::{Batch, Work};
use super::event::Event;
use super::failed::{ERROR_PREFIX, Failure, Lines, object_path};
use super::invoke::{GivenUp, Invoker};
use super::response::Verdict;
use crate::delivery::until_stored;

/// The folder of what the function wanted written, which the transform never does.
pub const UNEXPECTED_PREFIX: &str = "unexpected/";

/// Hands batches over and sees to what comes of them.
pub(super) struct Settler {
    pub(super) invoker: Invoker,
    pub(super) landing: Arc<dyn DataFiles>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Settler {
    /// Hands a batch over. When it returns, each of its records is delivered or stored in the landing store (IN-1).
    ///
    /// # Errors
    ///
    /// When the landing store refuses for good.
    pub(super) async fn settle(&self, batch: Batch) -> Result<(), FirehoseError> {
        match batch.work {
            Work::Invoke(event) if event.is_empty() => Ok(()),
            Work::Invoke(event) => self.hand_over(&event).await,
            Work::TooLarge(record) => {
                self.count(std::slice::from_ref(&record));
                let most = self.invoker.settings.event_bytes;
                let message = format!("with this record alone an event would have more than {most} bytes");
                let failure = Failure::new("Lambda.InvocationPayloadTooLarge", message);
                self.set_aside(0, &[(&record, &failure)]).await
            }
        }
    }

    async fn hand_over(&self, event: &Event) -> Result<(), FirehoseError> {
        let progress = &self.invoker.progress;
        self.count(&event.records);
        progress.batches.fetch_add(1, Ordering::Relaxed);
        let (attempts, verdicts) = match self.invoker.invoke(event).await {
            Ok(answer) => answer,
            Err(GivenUp { attempts, why }) => {
                progress.failed_batches.fetch_add(1, Ordering::Relaxed);
                let all: Vec<_> = event.records.iter().map(|record| (record, &why)).collect();
                return self.set_aside(attempts, &all).await;
            }
        };
        let (mut failed, mut returned) = (Vec::new(), Vec::new());
        for (record, verdict) in event.records.iter().zip(&verdicts) {
            match verdict {
                Verdict::Dropped => {
                    progress.delivered.fetch_add(1, Ordering::Relaxed);
                }
                Verdict::Ok(data) => returned.push(data.as_slice()),
                Verdict::Failed(failure) => failed.push((record, failure)),
            }
        }
        if !returned.is_empty() {
            let now = self.clock.now_micros();
            tracing::warn!(
                records = returned.len(),
                "the function returned records to write; they are under {UNEXPECTED_PREFIX}"
            );
            self.store(UNEXPECTED_PREFIX, now, returned.concat().into()).await?;
            progress.unexpected.fetch_add(returned.len() as u64, Ordering::Relaxed);
        }
        if failed.is_empty() { Ok(()) } else { self.set_aside(attempts, &failed).await }
    }

    fn count(&self, records: &[StreamRecord]) {
        let bytes: usize = records.iter().map(|record| record.data.len()).sum();
        self.invoker.progress.records.fetch_add(records.len() as u64, Ordering::Relaxed);
        self.invoker.progress.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Stores records that were not processed as one object under the error prefix.
    async fn set_aside(&self, attempts: u32, records: &[(&StreamRecord, &Failure)]) -> Result<(), FirehoseError> {
        let now = self.clock.now_micros();
        let lines = Lines { attempts, ended: now, function_arn: &self.invoker.settings.names.function_arn };
        let path = self.store(ERROR_PREFIX, now, lines.of(records.iter().copied())).await?;
        if let Some((_, failure)) = records.first() {
            let (code, error) = (failure.code, &failure.message);
            tracing::error!(records = records.len(), attempts, code, %error, path, "records were not processed and are set aside");
        }
        self.invoker.progress.failed_records.fetch_add(records.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Stores an object under a name that was free, however long that takes.
    async fn store(&self, prefix: &str, now: Micros, bytes: Bytes) -> Result<String, FirehoseError> {
        loop {
            let path =
                object_path(prefix, &self.invoker.settings.names.delivery_stream_arn, now, self.invoker.chance.id());
            let put = until_stored(&path, || self.landing.put_if_absent(&path, bytes.clone())).await;
            if put.map_err(FirehoseError::Landing)? == Put::Written {
                return Ok(path);
            }
            // Either this call stored it and did not learn so, or another run with the same seed has used the name.
            let there = until_stored(&path, || self.landing.get(&path)).await.map_err(FirehoseError::Landing)?;
            if there == bytes {
                return Ok(path);
            }
        }
    }
}
