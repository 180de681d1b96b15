//! What waits for a shard's writer: bounded, and taken as a whole.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use alluvium_core::clock::Micros;
use alluvium_core::ports::PutVerdict;
use alluvium_core::record::PutRecord;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// What a waiting record takes in memory besides its key and data.
const RECORD_COST_BYTES: usize = 160;

/// Records of one append call, and where its verdicts go.
#[derive(Debug)]
pub(super) struct Pending {
    pub records: Vec<PutRecord>,
    /// The shard's next record is to begin a new segment if this one has a record that arrived up to then.
    pub seals: Option<Micros>,
    answer: oneshot::Sender<Vec<PutVerdict>>,
    /// Given back with the answer, so that what is being written counts too.
    _room: OwnedSemaphorePermit,
}

impl Pending {
    /// Answers, one verdict per record. Whether anyone still waits does not matter.
    pub(super) fn answer(self, verdicts: Vec<PutVerdict>) {
        debug_assert_eq!(verdicts.len(), self.records.len());
        let _ = self.answer.send(verdicts);
    }
}

/// The queue of one shard.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    room: Arc<Semaphore>,
    capacity_bytes: u32,
}

#[derive(Debug, Default)]
struct Waiting {
    pending: Vec<Pending>,
    closed: bool,
}

/// The queue takes no more.
#[derive(Debug)]
pub(super) struct Closed;

impl Queue {
    pub(super) fn new(capacity_bytes: u32) -> Self {
        let room = Arc::new(Semaphore::new(capacity_bytes as usize));
        Self { waiting: Mutex::default(), filled: Condvar::new(), room, capacity_bytes }
    }

    /// Waits for room, then puts records at the end. What comes back will receive their verdicts.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, nothing was put.
    pub(super) async fn put(&self, records: Vec<PutRecord>) -> Result<oneshot::Receiver<Vec<PutVerdict>>, Closed> {
        let cost = |record: &PutRecord| RECORD_COST_BYTES + record.partition_key.len() + record.data.len();
        let cost: usize = records.iter().map(cost).sum();
        // A call larger than the whole queue goes through alone; its caller holds it in memory already.
        let cost = u32::try_from(cost).unwrap_or(u32::MAX).min(self.capacity_bytes);
        self.enqueue(records, cost, None).await
    }

    /// Asks, behind all that waits, for a new segment if the last one has a record that arrived up to `until`. What comes back says when that was done, or failed.
    ///
    /// # Cancel safety
    ///
    /// As [`put`](Self::put).
    pub(super) async fn seal(&self, until: Micros) -> Result<oneshot::Receiver<Vec<PutVerdict>>, Closed> {
        self.enqueue(Vec::new(), 0, Some(until)).await
    }

    async fn enqueue(
        &self,
        records: Vec<PutRecord>,
        cost: u32,
        seals: Option<Micros>,
    ) -> Result<oneshot::Receiver<Vec<PutVerdict>>, Closed> {
        let room = Arc::clone(&self.room).acquire_many_owned(cost).await.map_err(|_| Closed)?;
        let (answer, verdicts) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Closed);
        }
        waiting.pending.push(Pending { records, seals, answer, _room: room });
        self.filled.notify_one();
        Ok(verdicts)
    }

    /// Blocks until something waits and takes all of it, in order; `None` when the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Vec<Pending>> {
        let mut waiting = self.lock();
        while waiting.pending.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        Some(std::mem::take(&mut waiting.pending))
    }

    /// Takes no more. What waits is still there to be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.filled.notify_all();
    }

    /// Closes, and drops what waits: its callers learn that the writer is gone.
    pub(super) fn abandon(&self) {
        self.close();
        let dropped = std::mem::take(&mut self.lock().pending);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
