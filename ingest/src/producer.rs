//! The producer: what the Kinesis Producer Library is for Java, for Rust. It stands alone, and needs nothing else of this project.
//!
//! User records that are sent one by one travel together: the *aggregator* puts those of one shard into one record, the *limiter* holds
//! back what the shard would not take, the *collector* fills calls with the records of all shards, and the *retrier* sends again what a
//! call did not store. The *shard map* says which shard a record will lie in, before it is there.
//!
//! ```text
//!  send ──▶ aggregator ──▶ limiter ──▶ collector ──▶ call ──▶ destination
//!               ▲   by lane                            │
//!           shard map                    retrier ◀─────┘ verdicts ──▶ outcomes
//! ```
//!
//! All of this is a state machine without I/O (`pipeline`), driven by one task (`driver`). Memory is bounded by
//! [`buffered_bytes`](ProducerSettings::buffered_bytes): [`Producer::send`] waits while it is used.
//!
//! ```
//! use std::sync::Arc;
//!
//! use alluvium_core::Destination;
//! use alluvium_ingest::producer::{Outcome, Producer, ProducerSettings, UserRecord};
//!
//! async fn send(destination: Arc<dyn Destination>) -> Result<(), Box<dyn std::error::Error>> {
//!     let producer = Producer::start(destination, ProducerSettings::default())?;
//!     let delivery = producer.send(UserRecord::new("device-7", br#"{"temperature": 21.5}"#)).await?;
//!     match delivery.outcome().await {
//!         Outcome::Delivered(delivered) => println!("{} {}", delivered.shard, delivered.sequence),
//!         Outcome::Undelivered(undelivered) => println!("{:?}", undelivered.why),
//!     }
//!     producer.close().await;
//!     Ok(())
//! }
//! ```

mod aggregate;
mod aggregator;
mod collector;
#[cfg(test)]
mod decode;
mod driver;
mod entry;
mod http;
mod key_table;
mod kpl;
mod limiter;
mod lot;
#[cfg(test)]
mod memory_destination;
mod meters;
mod moment;
mod outcome;
mod pipeline;
mod progress;
mod record;
mod retrier;
mod settings;
mod shard_map;
#[cfg(test)]
mod simulation;
mod spill;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{self, AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium_core::{Destination, DestinationLimits};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, TryAcquireError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::IngestError;
use aggregate::Shape;
use moment::Moment;
use pipeline::{Pipeline, Wake};

pub use http::{BodyEncoding, HttpDestination, HttpSettings};
pub use lot::Delivery;
pub use outcome::{Delivered, GivenUp, Outcome, Undelivered};
pub use progress::ProducerProgress;
pub use record::UserRecord;
pub use settings::{Aggregation, Misplaced, Ordering, ProducerSettings};
pub use spill::{Sent, SpillError, SpillSettings, SpillingProducer};

/// Why a user record was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It can never be sent: change it. The text says what is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The budget is used: try again when something is settled, or wait with [`Producer::send`].
    #[error("the producer holds as much as it may")]
    Full,
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
}

/// Sends user records to a destination. It is used through a reference, by any number of tasks and threads.
///
/// Dropped without [`close`](Self::close) it gives up what is not settled, and warns. The end of its runtime does the same, and so does a
/// panic inside it: it is closed then, and every delivery has its outcome.
#[derive(Debug)]
pub struct Producer {
    shared: Arc<Shared>,
    driver: JoinHandle<()>,
}

/// What a user record takes of the budget.
#[derive(Debug, Clone, Copy)]
struct Charge {
    bytes: u32,
    /// Of these, what keeping track of it takes.
    tracking_bytes: u32,
}

/// What senders and the driver share.
#[derive(Debug)]
struct Shared {
    name: String,
    pipeline: Mutex<Pipeline>,
    /// In bytes.
    budget: Semaphore,
    buffered_bytes: usize,
    shape: Shape,
    limits: DestinationLimits,
    request_timeout: Duration,
    started: Instant,
    /// Wakes the driver.
    woken: Notify,
    /// Wakes those who wait for a flush, or for the shard map.
    settled: Notify,
    /// Whether the first question for the shard map was answered, or nothing more is taken in.
    mapped: AtomicBool,
    /// What keeping track of a user record is counted at, by the newest shard map.
    tracking_bytes: AtomicU32,
}

/// Wakes the driver when it is dropped by a panic.
struct Alarm<'a>(&'a Notify);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.notify_one();
        }
    }
}

impl Shared {
    /// A panic in `act` breaks the pipeline, and the driver gives it up.
    fn with_pipeline<T>(&self, act: impl FnOnce(&mut Pipeline, Moment) -> T) -> T {
        let _alarm = Alarm(&self.woken);
        let mut pipeline = self.pipeline.lock().unwrap_or_else(PoisonError::into_inner);
        // Told under the lock, so that it does not go back from one who holds it to the next.
        let now = Moment::after_start(self.started.elapsed());
        act(&mut pipeline, now)
    }

    fn wake(&self, wake: Wake) {
        if wake == Wake::Driver {
            self.woken.notify_one();
        }
    }

    /// Waits while the first question for the shard map is open, but for the record that has it asked. What would be taken in
    /// meanwhile could not be sent, and would be put together anew after the answer.
    async fn until_mapped(&self) {
        loop {
            let told = self.settled.notified();
            if self.mapped.load(atomic::Ordering::Acquire)
                || self.with_pipeline(|pipeline, _| pipeline.progress().pending_records) == 0
            {
                return;
            }
            told.await;
        }
    }

    fn set_mapped(&self) {
        if !self.mapped.swap(true, atomic::Ordering::AcqRel) {
            self.settled.notify_waiters();
        }
    }

    /// Gives senders the room that settled records leave.
    fn pass_on_freed(&self) {
        let freed = self.with_pipeline(|pipeline, _| pipeline.take_freed());
        if freed > 0 {
            self.budget.add_permits(freed);
            self.settled.notify_waiters();
        }
    }

    /// Takes nothing more in, gives up what is not settled, and wakes everyone who waits; how many user records that are. It does not panic:
    /// what a broken pipeline can no longer give up, it drops, which settles it too.
    fn abandon(&self) -> u64 {
        let abandon = || self.with_pipeline(|pipeline, now| pipeline.abandon(now));
        let abandoned = catch_unwind(AssertUnwindSafe(abandon));
        self.budget.close();
        self.set_mapped();
        self.settled.notify_waiters();
        abandoned.unwrap_or_else(|_| self.with_pipeline(|pipeline, _| pipeline.progress().pending_records))
    }

    fn abandon_with_a_warning(&self) {
        let abandoned = self.abandon();
        if abandoned > 0 {
            let producer = self.name.as_str();
            tracing::warn!(producer, abandoned, "dropped before everything was settled; close it, or flush it first");
        }
    }
}

impl Producer {
    /// Starts a producer on the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// When a setting cannot be used.
    ///
    /// # Panics
    ///
    /// When there is no tokio runtime.
    pub fn start(destination: Arc<dyn Destination>, settings: ProducerSettings) -> Result<Self, IngestError> {
        settings.check()?;
        let limits = destination.limits();
        let first_id = uuid::Uuid::new_v4().as_u128();
        let pipeline = Pipeline::new(&settings, limits, first_id);
        let tracking_bytes = pipeline.tracking_bytes();
        let shared = Arc::new(Shared {
            pipeline: Mutex::new(pipeline),
            budget: Semaphore::new(settings.buffered_bytes),
            buffered_bytes: settings.buffered_bytes,
            shape: Shape::new(&settings, limits),
            limits,
            request_timeout: settings.request_timeout,
            started: Instant::now(),
            woken: Notify::new(),
            settled: Notify::new(),
            mapped: AtomicBool::new(false),
            tracking_bytes: AtomicU32::new(tracking_bytes),
            name: settings.name,
        });
        let driver = tokio::spawn(driver::drive(shared.clone(), destination));
        Ok(Self { shared, driver })
    }

    /// Takes a user record in, and waits first while the budget is used, or the destination was not asked for its shards. The record is copied, and sent by and by; what becomes of it
    /// the delivery says.
    ///
    /// # Errors
    ///
    /// When the record can never be sent, or the producer is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it returns: the record was not taken in.
    pub async fn send(&self, record: UserRecord<'_>) -> Result<Delivery, SendError> {
        let charge = self.check(&record)?;
        if !self.shared.mapped.load(atomic::Ordering::Acquire) {
            self.shared.until_mapped().await;
        }
        let permit = match self.shared.budget.try_acquire_many(charge.bytes) {
            Ok(permit) => permit,
            Err(_) => self.shared.budget.acquire_many(charge.bytes).await.map_err(|_| SendError::Closed)?,
        };
        self.add(record, charge, permit)
    }

    /// Takes a user record in if the budget allows it now.
    ///
    /// # Errors
    ///
    /// When the budget is used, the record can never be sent, or the producer is closed. The record was not taken in then.
    pub fn try_send(&self, record: UserRecord<'_>) -> Result<Delivery, SendError> {
        let charge = self.check(&record)?;
        let permit = self.shared.budget.try_acquire_many(charge.bytes).map_err(|error| match error {
            TryAcquireError::NoPermits => SendError::Full,
            TryAcquireError::Closed => SendError::Closed,
        })?;
        self.add(record, charge, permit)
    }

    /// What a record takes of the budget.
    fn check(&self, record: &UserRecord<'_>) -> Result<Charge, SendError> {
        let shared = &*self.shared;
        let tracking_bytes = shared.tracking_bytes.load(atomic::Ordering::Relaxed);
        let charge = Pipeline::check(&shared.shape, &shared.limits, record, tracking_bytes);
        let charge = charge.map_err(SendError::Invalid)?;
        if charge > shared.buffered_bytes {
            let most = shared.buffered_bytes;
            return Err(SendError::Invalid(format!("it takes {charge} bytes of a budget of {most}")));
        }
        // The budget is no larger than that.
        Ok(Charge { bytes: charge as u32, tracking_bytes })
    }

    fn add(&self, record: UserRecord<'_>, charge: Charge, room: SemaphorePermit<'_>) -> Result<Delivery, SendError> {
        // Hashed before the lock is taken.
        let hash_key = record.hash_key();
        let tracking_bytes = charge.tracking_bytes;
        let added = self.shared.with_pipeline(|pipeline, now| pipeline.add(record, hash_key, tracking_bytes, now));
        let (delivery, wake) = added.ok_or(SendError::Closed)?;
        // Given back when the record is settled.
        room.forget();
        self.shared.wake(wake);
        Ok(delivery)
    }

    /// Sends everything that was taken in before without waiting for more, and waits until all of it is settled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the wait, not the sending.
    pub async fn flush(&self) {
        let (flush, wake) = self.shared.with_pipeline(|pipeline, _| pipeline.flush());
        self.shared.wake(wake);
        self.until_settled(flush).await;
    }

    async fn until_settled(&self, flush: u64) {
        loop {
            let settled = self.shared.settled.notified();
            if self.shared.with_pipeline(|pipeline, _| pipeline.is_settled(flush)) {
                return;
            }
            settled.await;
        }
    }

    /// Takes nothing more in, sends everything, waits until it is settled, and says what the producer came to. That takes no longer than
    /// a record's time to live, a linger and one call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the wait; the producer is closed all the same.
    pub async fn close(&self) -> ProducerProgress {
        self.shared.budget.close();
        self.shared.set_mapped();
        let (flush, wake) = self.shared.with_pipeline(|pipeline, _| pipeline.close());
        self.shared.wake(wake);
        self.until_settled(flush).await;
        self.progress()
    }

    /// Whether the destination does not answer: the last calls failed as a whole, one after the other.
    pub fn is_away(&self) -> bool {
        self.shared.with_pipeline(|pipeline, _| pipeline.is_away())
    }

    /// How far it is.
    pub fn progress(&self) -> ProducerProgress {
        self.shared.with_pipeline(|pipeline, _| pipeline.progress())
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.driver.abort();
        self.shared.abandon_with_a_warning();
    }
}

#[cfg(test)]
mod tests;
