//! How far an upload is while it is loaded here: kept now and then, at a set pace, until time is up.

use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alluvium_aws::uploads::{Held, Keeping};
use alluvium_core::clock::Micros;
use alluvium_core::upload::Upload;
use alluvium_ingest::uploads::{Stopped, UploadKeeper};
use async_trait::async_trait;
use tokio::time::Instant;

use crate::handler::Shelf;

/// How often it is kept how far an upload is. What is put behind that is put again after a crash, with the same ids.
const KEPT_EVERY: Duration = Duration::from_secs(2);

/// How old what was learned of an upload may be when more of it is put: whoever erases it waits for that long, and for one put.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// How long after a failure it is tried again to keep it.
const AGAIN: Duration = Duration::from_secs(1);

/// Keeps one upload that is held.
pub struct Keeper<'a> {
    shelf: &'a dyn Shelf,
    /// Until when it is held.
    until: Micros,
    /// When nothing more is put.
    stop_at: Instant,
    bytes_per_second: NonZeroU64,
    inner: Mutex<Inner>,
}

struct Inner {
    held: Held,
    /// When the stream takes more.
    turn_at: Instant,
    kept_at: Instant,
    /// Why it is not to be loaded any further.
    lost: Option<Keeping>,
}

impl<'a> Keeper<'a> {
    pub fn new(
        shelf: &'a dyn Shelf,
        held: Held,
        (until, stop_at): (Micros, Instant),
        bytes_per_second: NonZeroU64,
    ) -> Self {
        let now = Instant::now();
        let inner = Inner { held, turn_at: now, kept_at: now, lost: None };
        Self { shelf, until, stop_at, bytes_per_second, inner: Mutex::new(inner) }
    }

    /// Why it was not to be loaded any further.
    pub fn lost(&self) -> Option<Keeping> {
        self.inner().lost
    }

    /// Keeps it now, given back or still held.
    pub async fn keep_now(&self, upload: &Upload, hold: Hold) -> Result<(), Stopped> {
        let until = (hold == Hold::On).then_some(self.until);
        loop {
            let mut held = self.inner().held.clone();
            held.upload = upload.clone();
            match self.shelf.keep(&mut held, until).await {
                Ok(Keeping::Kept) => {
                    let mut inner = self.inner();
                    inner.held = held;
                    inner.kept_at = Instant::now();
                    return Ok(());
                }
                Ok(lost) => {
                    self.inner().lost = Some(lost);
                    return Err(Stopped::TakenBack);
                }
                Err(error) => {
                    tracing::warn!(%error, upload = upload.id, "how far an upload is cannot be kept; it is tried again");
                    self.sleep(AGAIN).await?;
                }
            }
        }
    }

    /// Keeps it unless that was done less than `time` ago.
    async fn keep_after(&self, time: Duration, upload: &Upload) -> Result<(), Stopped> {
        let kept_at = self.inner().kept_at;
        if kept_at.elapsed() < time { Ok(()) } else { self.keep_now(upload, Hold::On).await }
    }

    async fn sleep(&self, time: Duration) -> Result<(), Stopped> {
        self.sleep_until(Instant::now() + time).await
    }

    async fn sleep_until(&self, time: Instant) -> Result<(), Stopped> {
        if time >= self.stop_at {
            return Err(Stopped::ForNow);
        }
        tokio::time::sleep_until(time).await;
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an upload stays this invocation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    On,
    Off,
}

#[async_trait]
impl UploadKeeper for Keeper<'_> {
    /// Waits until the pace allows more, so that what comes in otherwise has its share of the stream.
    async fn turn(&self, upload: &Upload, bytes: u64) -> Result<(), Stopped> {
        let turn_at = {
            let mut inner = self.inner();
            let time = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.get() as f64);
            inner.turn_at = (inner.turn_at + time).max(Instant::now());
            inner.turn_at
        };
        self.sleep_until(turn_at).await?;
        // So that nothing is put of an upload that was taken back while it waited.
        self.keep(upload).await
    }

    async fn pause(&self, upload: &Upload, time: Duration) -> Result<(), Stopped> {
        self.sleep(time).await?;
        self.keep(upload).await
    }

    /// To keep it is to learn whether it is there still.
    async fn check(&self, upload: &Upload) -> Result<(), Stopped> {
        self.keep_after(KNOWN_FOR, upload).await
    }

    async fn keep(&self, upload: &Upload) -> Result<(), Stopped> {
        self.keep_after(KEPT_EVERY, upload).await
    }
}
