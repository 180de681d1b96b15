//! The memory that requests at work may hold together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rejection::Rejection;

/// Bytes are counted in units of this size, so that a 64-bit budget fits the semaphore's 32-bit calls.
const UNIT_BYTES: usize = 1024;

/// A budget of bytes that all requests share.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    limit_bytes: usize,
}

/// The part of a [`Budget`] that one request has taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
    used_bytes: usize,
}

impl Budget {
    pub(crate) fn of(limit_bytes: usize) -> Self {
        let units = limit_bytes.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), limit_bytes }
    }

    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), permit: None, used_bytes: 0 }
    }
}

impl Reservation {
    /// Takes `bytes` more out of the budget, without waiting.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Rejection> {
        self.used_bytes += bytes;
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = self.used_bytes.div_ceil(UNIT_BYTES).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let busy = || Rejection::TooManyBytes { limit: self.budget.limit_bytes };
        let missing = u32::try_from(missing).map_err(|_| busy())?;
        let taken = self.budget.units.clone().try_acquire_many_owned(missing).map_err(|_| busy())?;
        match &mut self.permit {
            Some(permit) => permit.merge(taken),
            None => self.permit = Some(taken),
        }
        Ok(())
    }

    /// Gives back what it has taken beyond `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.used_bytes = self.used_bytes.min(bytes);
        let kept = self.used_bytes.div_ceil(UNIT_BYTES);
        if let Some(permit) = &mut self.permit {
            drop(permit.split(permit.num_permits().saturating_sub(kept)));
        }
    }
}
