//! Spilling to disk: when the destination is away, new records go to a folder, and come back in order when it is there again, also after
//! a restart.
//!
//! A spilled record is durable when [`SpillingProducer::send`] returns, and is sent until the destination has it or refuses it. While
//! anything is spilled, new records go behind it. A segment of the folder is deleted once all its records are settled, so after a restart
//! the records of the oldest segment may be sent again; consumers tell by their event ids.

mod folder;
mod frame;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Delivery, GivenUp, Outcome, Producer, ProducerProgress, SendError, UserRecord};
use folder::Folder;
use frame::SpilledRecord;

/// How much is read back at a time.
const READ_BYTES: u64 = 256 * 1024;
/// How long after a failure that concerns everything it is tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// How many records wait for one write at most.
const WAITING_RECORDS: usize = 1_024;

/// Where records are spilled to, and when.
///
/// With [`Ordering::PerKey`](super::Ordering::PerKey) the order of what is spilled has one gap. A piece of the folder is sent without waiting
/// for each record's outcome, so when one of them expires, or is denied, just before the destination takes records again, the next ones of
/// its key are stored before it is sent once more. Each is delivered all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpillSettings {
    /// The folder. No two producers may share it.
    pub folder: PathBuf,
    /// The most bytes of the folder. Default: 1 GiB.
    #[serde(default = "max_bytes")]
    pub max_bytes: u64,
    /// Where a new segment is begun. Default: 4 MiB.
    #[serde(default = "segment_bytes")]
    pub segment_bytes: u64,
    /// How long a record waits for room in the producer's budget before it is spilled. Default: 1 s.
    #[serde(default = "patience", with = "alluvium_core::duration::text")]
    pub patience: Duration,
}

fn max_bytes() -> u64 {
    1024 * 1024 * 1024
}

fn segment_bytes() -> u64 {
    4 * 1024 * 1024
}

fn patience() -> Duration {
    Duration::from_secs(1)
}

impl SpillSettings {
    /// The defaults with this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        let (max_bytes, segment_bytes, patience) = (max_bytes(), segment_bytes(), patience());
        Self { folder: folder.into(), max_bytes, segment_bytes, patience }
    }
}

/// Why a record was not spilled, or a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The producer did not take the record and never will.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The folder is full: try again when the destination is back.
    #[error("the spill folder holds the {max_bytes} bytes that it may")]
    Full {
        /// The setting.
        max_bytes: u64,
    },
    /// The folder cannot be read or written: see to it.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no segment that this release reads: move it away, or use the release that wrote it.
    #[error("{} is no spill segment of this release", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The folder turned out to be damaged while it was read back, as an error in the log says: move the segment away and start anew.
    #[error("the spill cannot be read back; the log names the segment")]
    Stuck,
    /// A segment is damaged where no crash leaves it so: move it away to go on without what it holds.
    #[error("{} is damaged at byte {offset}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
}

/// Where a record went.
#[derive(Debug, Clone)]
pub enum Sent {
    /// To the producer, which says what becomes of it.
    Taken(Delivery),
    /// To the folder, where it is durable until the destination has it.
    Spilled,
}

struct Write {
    frame: Vec<u8>,
    written: oneshot::Sender<Result<(), SpillError>>,
}

/// What senders, the writer and the one who sends again share.
#[derive(Debug)]
struct Spill {
    producer: Producer,
    folder: Mutex<Folder>,
    /// Records in the folder that are not settled.
    records: AtomicU64,
    /// Records of the folder that the destination refused.
    refused: AtomicU64,
    /// Whether the folder is damaged where the next records should be.
    stuck: AtomicBool,
    more: Notify,
    patience: Duration,
}

/// A producer with a spill folder.
#[derive(Debug)]
pub struct SpillingProducer {
    spill: Arc<Spill>,
    writes: mpsc::Sender<Write>,
    returns: JoinHandle<()>,
}

impl Spill {
    /// Works on the folder on a thread for blocking work.
    async fn with_folder<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Folder) -> T + Send + 'static,
    ) -> T {
        let spill = self.clone();
        let work = move || work(&mut spill.folder.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(work).await.expect("work on the folder does not panic")
    }
}

impl SpillingProducer {
    /// Opens the folder, and sends what is in it from before.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used. What a crash left half written at its end is no error: it was never said to be spilled.
    pub async fn start(producer: Producer, settings: SpillSettings) -> Result<Self, SpillError> {
        let patience = settings.patience;
        let opened = tokio::task::spawn_blocking(move || Folder::open(settings)).await;
        let folder = opened.expect("opening a folder does not panic")?;
        let spill = Arc::new(Spill {
            producer,
            records: AtomicU64::new(folder.records()),
            folder: Mutex::new(folder),
            refused: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
            more: Notify::new(),
            patience,
        });
        let (writes, waiting) = mpsc::channel(WAITING_RECORDS);
        tokio::spawn(write(spill.clone(), waiting));
        let returns = tokio::spawn(send_back(spill.clone()));
        Ok(Self { spill, writes, returns })
    }

    /// Takes a record in: to the producer while the destination answers and nothing is spilled, else to the folder.
    ///
    /// # Errors
    ///
    /// When the record can never be sent, the producer is closed, or the folder is full or cannot be written.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether the record was spilled.
    pub async fn send(&self, record: UserRecord<'_>) -> Result<Sent, SpillError> {
        let spill = &*self.spill;
        if spill.stuck.load(Ordering::SeqCst) {
            return Err(SpillError::Stuck);
        }
        if spill.records.load(Ordering::SeqCst) == 0 && !spill.producer.is_away() {
            if let Ok(sent) = tokio::time::timeout(spill.patience, spill.producer.send(record)).await {
                return Ok(Sent::Taken(sent?));
            }
        } else {
            spill.producer.check(&record)?;
        }
        let (written, answer) = oneshot::channel();
        let closed = |_| SpillError::Send(SendError::Closed);
        let write = Write { frame: frame::encode(&record), written };
        self.writes.send(write).await.map_err(|_| SpillError::Send(SendError::Closed))?;
        answer.await.map_err(closed)??;
        Ok(Sent::Spilled)
    }

    /// Records in the folder that the destination does not have yet.
    pub fn spilled_records(&self) -> u64 {
        self.spill.records.load(Ordering::SeqCst)
    }

    /// Records of the folder that the destination refused, which are gone.
    pub fn refused_records(&self) -> u64 {
        self.spill.refused.load(Ordering::SeqCst)
    }

    /// How far the producer is.
    pub fn progress(&self) -> ProducerProgress {
        self.spill.producer.progress()
    }

    /// Takes nothing more in, and waits until what the producer has is settled. What is in the folder stays there for the next start.
    pub async fn close(self) -> ProducerProgress {
        self.returns.abort();
        self.spill.producer.close().await
    }
}

impl Drop for SpillingProducer {
    fn drop(&mut self) {
        self.returns.abort();
    }
}

/// Writes what waits, as much of it as there is with one sync.
async fn write(spill: Arc<Spill>, mut waiting: mpsc::Receiver<Write>) {
    let mut writes = Vec::new();
    while waiting.recv_many(&mut writes, WAITING_RECORDS).await > 0 {
        let batch = std::mem::take(&mut writes);
        let (frames, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|write| (write.frame, write.written)).unzip();
        let count = frames.len() as u64;
        // Counted first, so that nothing overtakes them.
        spill.records.fetch_add(count, Ordering::SeqCst);
        let written = spill.with_folder(move |folder| folder.append(&frames)).await;
        match written {
            Ok(()) => spill.more.notify_one(),
            Err(_) => {
                spill.records.fetch_sub(count, Ordering::SeqCst);
            }
        }
        for answer in answers {
            // Whoever no longer waits for the answer has left it open.
            let _ = answer.send(match &written {
                Ok(()) => Ok(()),
                Err(SpillError::Full { max_bytes }) => Err(SpillError::Full { max_bytes: *max_bytes }),
                Err(error) => Err(SpillError::Io {
                    path: PathBuf::from("spill"),
                    source: std::io::Error::other(error.to_string()),
                }),
            });
        }
    }
}

/// Sends what is in the folder, in order, a piece at a time.
async fn send_back(spill: Arc<Spill>) {
    loop {
        let read = spill.with_folder(|folder| folder.read(READ_BYTES)).await;
        let records = match read {
            Ok(records) => records,
            Err(error @ SpillError::Io { .. }) => {
                tracing::warn!(%error, "the spill cannot be read; it is tried again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "the spill cannot be read; what is in it stays there, and nothing more is taken in");
                spill.stuck.store(true, Ordering::SeqCst);
                return;
            }
        };
        if records.is_empty() {
            spill.more.notified().await;
            continue;
        }
        let count = records.len() as u64;
        if send_piece(&spill, records).await.is_err() {
            // The producer is closed; the rest stays for the next start.
            return;
        }
        if let Err(error) = spill.with_folder(Folder::release).await {
            tracing::warn!(%error, "a spill segment whose records are settled cannot be deleted");
        }
        spill.records.fetch_sub(count, Ordering::SeqCst);
    }
}

/// Sends records until each is delivered or refused.
async fn send_piece(spill: &Spill, mut records: Vec<SpilledRecord>) -> Result<(), SendError> {
    while !records.is_empty() {
        let mut deliveries = Vec::with_capacity(records.len());
        for record in &records {
            deliveries.push(spill.producer.send(record.as_user_record()).await);
        }
        let (mut left, mut denied) = (Vec::new(), None);
        for (record, delivery) in records.into_iter().zip(deliveries) {
            let outcome = match delivery {
                Ok(delivery) => delivery.outcome().await,
                Err(SendError::Invalid(why)) => {
                    tracing::warn!(why, "a spilled record can never be sent");
                    spill.refused.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match outcome {
                Outcome::Delivered(_) => {}
                Outcome::Undelivered(given_up) => match given_up.why {
                    GivenUp::Expired => left.push(record),
                    GivenUp::Denied => {
                        denied = given_up.last_error;
                        left.push(record);
                    }
                    GivenUp::Abandoned => return Err(SendError::Closed),
                    GivenUp::Refused => {
                        tracing::warn!(why = given_up.last_error.as_deref(), "a spilled record was refused");
                        spill.refused.fetch_add(1, Ordering::SeqCst);
                    }
                },
            }
        }
        if let Some(why) = denied {
            tracing::warn!(why = &*why, "the destination takes nothing from here; what is spilled waits");
            tokio::time::sleep(PAUSE).await;
        }
        records = left;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
