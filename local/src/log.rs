//! The stream on one machine: a sharded, segmented append log that syncs before it acknowledges (IN-1).
//!
//! Each shard is a folder of segment files, written by one thread. The thread takes all records that wait, writes them, syncs
//! once and then answers every caller (group commit), so that the price of a sync is shared by all who wait for it. Readers
//! see durable records only. Opening reads everything back: a torn tail is cut off and reported, damage to acknowledged
//! records is refused and never repaired.
//!
//! The bytes are described in `docs/formats/log.md`.

mod error;
mod format;
mod queue;
mod read;
mod recover;
mod segment;
mod settings;
mod shard;
mod stats;
mod stream_file;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use alluvium_core::clock::{Clock, Micros};
use alluvium_core::identity::{SequenceNumber, ShardId};
use alluvium_core::limits::PARTITION_KEY_CHARS;
use alluvium_core::ports::{PortError, PutVerdict, ReadPage, Refusal, ShardState, Stream};
use alluvium_core::record::{PutBatch, PutRecord, hash_key, shard_of_hash_key};
use async_trait::async_trait;
use tokio::time::Instant;

use crate::disk::{Disk, ensure_folder};

pub use error::LogError;
pub use recover::{RecoveryReport, ShardRecovery, TornTail};
pub use settings::LogSettings;
pub use stats::{LogStats, ShardStats};

use shard::{Shard, View};
use writer::Writer;

/// A sharded append log in one folder. Only one may be open on a folder at a time; the caller holds the folder's lock.
///
/// Dropping it without [`close`](Self::close) blocks until what waits is written.
#[derive(Debug)]
pub struct Log {
    shards: Vec<Arc<Shard>>,
    settings: LogSettings,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

impl Log {
    /// Opens the log in `folder`, or makes one there; the folder's parent must exist. Reads all of it back, so it takes a while
    /// (about a second per GB), and blocks.
    ///
    /// # Errors
    ///
    /// When a setting is impossible or differs from the one that the log was created with, when acknowledged records are
    /// damaged or missing, and when the system refuses.
    pub fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        settings: LogSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, RecoveryReport), LogError> {
        settings.check()?;
        ensure_folder(disk.as_ref(), folder).map_err(LogError::io("make the folder", folder))?;
        stream_file::check_or_make(disk.as_ref(), folder, settings.shards)?;
        let mut report = RecoveryReport { shards: Vec::new() };
        let mut opened = Vec::new();
        for number in 0..settings.shards {
            let folder = folder.join(ShardId::numbered(number).as_str());
            let recovered = recover::recover(disk.as_ref(), &folder, number)?;
            report.shards.push(recovered.report);
            let view = View::over(recovered.segments);
            let shard = Shard::new(number, folder, Arc::clone(&disk), Arc::clone(&clock), settings.clone(), view);
            let shard = Arc::new(shard);
            opened.push(Writer::new(shard, recovered.file, recovered.mark, recovered.newest_arrival));
        }
        let mut log = Self { shards: Vec::new(), settings, writers: Mutex::default() };
        // Only now that every shard is whole.
        for (number, writer) in opened.into_iter().enumerate() {
            log.shards.push(writer.shard());
            let writer = std::thread::Builder::new().name(format!("log-{number}")).spawn(move || writer.run());
            let writer = writer.map_err(LogError::io("start a writer for", folder))?;
            log.writers.get_mut().unwrap_or_else(PoisonError::into_inner).push(writer);
        }
        Ok((log, report))
    }

    /// How many shards the log in `folder` has, whatever the settings say; `None`: there is no log.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read or the file that says it is damaged.
    pub fn shards_in(disk: &dyn Disk, folder: &Path) -> Result<Option<u32>, LogError> {
        stream_file::shards_in(disk, folder)
    }

    /// Says that every reader of a shard has passed `up_to`, and removes segments that hold nothing newer, once they are past
    /// retention or in the way of new records. Nothing that a reader has yet to read is ever removed; what is said is forgotten
    /// when the log is closed.
    ///
    /// # Errors
    ///
    /// When the shard is unknown or a segment cannot be removed; the next call tries again.
    pub async fn trim(&self, shard: &ShardId, up_to: SequenceNumber) -> Result<(), PortError> {
        let shard = Arc::clone(self.shard(shard)?);
        shard.raise_low_water(up_to.as_u64().unwrap_or(u64::MAX));
        Ok(blocking(move || shard.remove_passed(0)).await?)
    }

    /// Sees to it that no segment takes more records that has one which arrived up to `until`, so that it can be removed when its time
    /// has come, however little comes after. What was appended before is durable, and can be read, when it returns.
    ///
    /// # Errors
    ///
    /// When the log is closed. A segment that could not be started is no error: the next call tries again.
    pub async fn seal(&self, until: Micros) -> Result<(), PortError> {
        for shard in &self.shards {
            let sealed = shard.queue.seal(until).await.map_err(|queue::Closed| LogError::Closed)?;
            // Without an answer the writer is gone, which the next append says.
            let _ = sealed.await;
        }
        Ok(())
    }

    /// When the newest record arrived that it holds; `None`: it holds none.
    pub fn newest_arrival(&self) -> Option<Micros> {
        let of_shard =
            |shard: &Arc<Shard>| shard.view().segments.iter().filter_map(|segment| segment.newest_arrival).max();
        self.shards.iter().filter_map(of_shard).max()
    }

    /// Whether it holds a record that arrived up to `until`.
    pub fn holds_arrivals(&self, until: Micros) -> bool {
        let stats = self.stats();
        stats.shards.iter().any(|shard| shard.oldest_arrival.is_some_and(|oldest| oldest <= until))
    }

    /// How much the log holds.
    pub fn stats(&self) -> LogStats {
        LogStats { shards: self.shards.iter().map(|shard| shard.stats()).collect(), max_bytes: self.settings.max_bytes }
    }

    /// Takes no more, waits until everything taken so far is durable and answered, and stops the writers. What was stored can
    /// still be read.
    pub async fn close(&self) {
        self.shards.iter().for_each(|shard| shard.queue.close());
        let writers = self.take_writers();
        let joined = tokio::task::spawn_blocking(move || join(writers)).await;
        joined.expect("joining a thread does not panic");
    }

    fn take_writers(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.writers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn shard(&self, id: &ShardId) -> Result<&Arc<Shard>, LogError> {
        let found = self.shards.iter().find(|shard| shard.id == *id);
        found.ok_or_else(|| LogError::NoShard { name: id.to_string(), shards: self.shards.len() })
    }

    fn shard_of(&self, record: &PutRecord) -> usize {
        if self.shards.len() == 1 {
            return 0;
        }
        let key = record.explicit_hash_key.unwrap_or_else(|| hash_key(&record.partition_key));
        shard_of_hash_key(key, self.settings.shards) as usize
    }

    fn check(&self, record: &PutRecord) -> Result<(), String> {
        let key_chars = record.partition_key.chars().count();
        if !(1..=PARTITION_KEY_CHARS).contains(&key_chars) {
            return Err(format!("a partition key has 1 to {PARTITION_KEY_CHARS} characters, this one has {key_chars}"));
        }
        if record.data.len() > self.settings.record_bytes {
            let (length, most) = (record.data.len(), self.settings.record_bytes);
            return Err(format!("a record has at most {most} bytes, this one has {length}"));
        }
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shards.iter().for_each(|shard| shard.queue.close());
        join(self.take_writers());
    }
}

fn join(writers: Vec<JoinHandle<()>>) {
    for writer in writers {
        // A writer that panicked has said so, and its callers have been told.
        let _ = writer.join();
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("reading and removing segments does not panic")
}

#[async_trait]
impl Stream for Log {
    async fn append(&self, batch: PutBatch) -> Result<Vec<PutVerdict>, PortError> {
        let mut verdicts = vec![PutVerdict::Refused(Refusal::Full); batch.records.len()];
        let mut by_shard: Vec<(Vec<usize>, Vec<PutRecord>)> = vec![Default::default(); self.shards.len()];
        for (index, record) in batch.records.into_iter().enumerate() {
            match self.check(&record) {
                Ok(()) => {
                    let (indexes, records) = &mut by_shard[self.shard_of(&record)];
                    indexes.push(index);
                    records.push(record);
                }
                Err(why) => verdicts[index] = PutVerdict::Refused(Refusal::Invalid(why)),
            }
        }
        // All shards get their part before any is waited for.
        let mut waiting = Vec::new();
        for (shard, (indexes, records)) in self.shards.iter().zip(by_shard) {
            if records.is_empty() {
                continue;
            }
            match shard.queue.put(records).await {
                Ok(answer) => waiting.push((indexes, Some(answer))),
                Err(queue::Closed) => waiting.push((indexes, None)),
            }
        }
        if !waiting.is_empty() && waiting.iter().all(|(_, answer)| answer.is_none()) {
            return Err(LogError::Closed.into());
        }
        for (indexes, answer) in waiting {
            let answer = match answer {
                Some(answer) => answer.await.ok(),
                None => None,
            };
            let failed = || vec![PutVerdict::Refused(Refusal::Failed(LogError::Closed.to_string())); indexes.len()];
            let answer = answer.unwrap_or_else(failed);
            indexes.into_iter().zip(answer).for_each(|(index, verdict)| verdicts[index] = verdict);
        }
        Ok(verdicts)
    }

    async fn read(
        &self,
        shard: &ShardId,
        after: Option<SequenceNumber>,
        max_bytes: usize,
        wait: Duration,
    ) -> Result<ReadPage, PortError> {
        let shard = self.shard(shard)?;
        // A position that does not fit was not given out by this log: no record has the number that it becomes.
        let after = after.map(|after| after.as_u64().unwrap_or(u64::MAX));
        // A wait too long for the clock is one without an end.
        let until = Instant::now().checked_add(wait);
        let mut newest = shard.newest.subscribe();
        loop {
            newest.mark_unchanged();
            let page = {
                let shard = Arc::clone(shard);
                match shard.read_from(after)? {
                    Some(from) => Some(blocking(move || shard.read_page(&from, max_bytes)).await?),
                    None => None,
                }
            };
            if let Some(page) = page {
                return Ok(page);
            }
            let changed = newest.changed();
            let in_time = match until {
                Some(until) => tokio::time::timeout_at(until, changed).await.is_ok(),
                None => changed.await.is_ok(),
            };
            if !in_time {
                return Ok(ReadPage::default());
            }
        }
    }

    async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
        Ok(self.shards.iter().map(|shard| shard.state()).collect())
    }
}

#[cfg(test)]
mod tests;
