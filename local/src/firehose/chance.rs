//! Ids and jitter, from one seed.

use std::sync::Mutex;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// A seeded source of ids and of pauses.
#[derive(Debug)]
pub(super) struct Chance(Mutex<StdRng>);

impl Chance {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// A UUID of version 4.
    pub(super) fn id(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.with(|rng| rng.random())).into_uuid()
    }

    pub(super) fn number(&self) -> u64 {
        self.with(|rng| rng.random())
    }

    /// The pause before the `retry`th try again, counted from 0: doubled each time, and half as long to half as long again.
    pub(super) fn pause(&self, first: Duration, retry: u32) -> Duration {
        first.saturating_mul(2_u32.saturating_pow(retry.min(10))).mul_f64(self.with(|rng| rng.random_range(0.5..1.5)))
    }
}
