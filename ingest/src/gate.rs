//! The gate through which requests come in: so many at a time, and none any more once it is shut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lets requests in.
#[derive(Debug)]
pub(crate) struct Gate {
    slots: Arc<Semaphore>,
    most: u32,
    shut: AtomicBool,
}

/// A request that is in, until it is dropped.
#[derive(Debug)]
#[must_use = "the request is in for as long as this is held"]
pub(crate) struct Admission(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// Why a request was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// As many are in as may be.
    Full,
    /// None comes in any more.
    Shut,
}

impl Gate {
    /// For `most` requests at a time, a million at the most.
    pub(crate) fn of(most: usize) -> Self {
        let most = u32::try_from(most).expect("the settings bound it to a million");
        Self { slots: Arc::new(Semaphore::new(most as usize)), most, shut: AtomicBool::new(false) }
    }

    /// Lets a request in if it may.
    pub(crate) fn admit(&self) -> Result<Admission, Turned> {
        // Who waits for it to be empty gets every slot that comes free: then none is left to be refused for.
        if self.shut.load(Ordering::SeqCst) {
            return Err(Turned::Shut);
        }
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| Turned::Full)?;
        // And with the slot in hand: once `empty` has had all slots, no request gets past this line.
        if self.shut.load(Ordering::SeqCst) {
            return Err(Turned::Shut);
        }
        Ok(Admission(slot))
    }

    /// Lets no request in from now on. Those that are in stay.
    pub(crate) fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    /// Waits until no request is in. [`shut`](Self::shut) it before, else it may wait for ever.
    pub(crate) async fn empty(&self) {
        let slots = self.slots.acquire_many(self.most).await;
        drop(slots.expect("the semaphore is never closed"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_are_in_at_a_time_and_none_after_it_is_shut() {
        let gate = Gate::of(2);
        let (one, other) = (gate.admit().unwrap(), gate.admit().unwrap());
        assert_eq!(gate.admit().unwrap_err(), Turned::Full);
        drop(one);
        let again = gate.admit().unwrap();
        gate.shut();
        drop(again);
        assert_eq!(gate.admit().unwrap_err(), Turned::Shut);
        let mut emptied = std::pin::pin!(gate.empty());
        assert_eq!(futures::poll!(&mut emptied), std::task::Poll::Pending, "one is still in");
        assert_eq!(gate.admit().unwrap_err(), Turned::Shut, "while it is waited for");
        drop(other);
        emptied.await;
    }
}
