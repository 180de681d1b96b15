//! The limiter: what a shard takes in a second, kept before the service has to say so.
//!
//! Each shard has two token buckets, one of bytes and one of records, that fill at the rate that the service promises. When it throttles
//! all the same, since other producers use the shard too, the rate is cut to two thirds and grows back little by little: additive
//! increase, multiplicative decrease, by which producers that do not know of each other come to share a shard evenly.

use std::time::Duration;

use alluvium_core::destination::ShardRates;

use super::moment::Moment;

/// How much of a second's worth a bucket holds: what may be sent at once after a quiet time.
const BURST: Duration = Duration::from_millis(250);
/// When there are no tokens, lanes wait for a whole number of these, so that many shards are served by one call.
const TICK: Duration = Duration::from_millis(25);
/// What is left of the rate after throttling.
const CUT: f64 = 2.0 / 3.0;
/// Throttling within this time is one event: the calls were on their way together.
const CUT_PAUSE: Duration = Duration::from_millis(250);
/// What share of the full rate comes back in a second.
const RECOVERY: f64 = 0.05;
/// The rate never falls below this share.
const LEAST_SHARE: f64 = 0.05;

/// Whether an entry may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Now,
    /// Not before this moment.
    At(Moment),
}

#[derive(Debug, Clone, Copy)]
struct Tokens {
    per_second: f64,
    held: f64,
}

impl Tokens {
    fn new(per_second: f64) -> Self {
        Self { per_second, held: per_second * BURST.as_secs_f64() }
    }

    fn most(&self) -> f64 {
        self.per_second * BURST.as_secs_f64()
    }

    fn fill(&mut self, elapsed: Duration, share: f64) {
        self.held = (self.held + self.per_second * share * elapsed.as_secs_f64()).min(self.most());
    }

    /// How long until this many can be taken; a full bucket gives any number and owes what it did not hold.
    fn wait(&self, tokens: f64, share: f64) -> Duration {
        let missing = tokens.min(self.most()) - self.held;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        // Rounded up, or else the time would come with a token's last bit still missing.
        Duration::from_secs_f64(missing / (self.per_second * share)) + Duration::from_micros(1)
    }
}

/// The two buckets of a shard.
#[derive(Debug, Clone)]
pub(super) struct ShardLimiter {
    bytes: Tokens,
    records: Tokens,
    /// How much of the full rate is used.
    share: f64,
    filled: Moment,
    last_cut: Option<Moment>,
}

impl ShardLimiter {
    /// `rate` is how much of the rates is used, 1 being all.
    pub(super) fn new(rates: ShardRates, rate: f64, now: Moment) -> Self {
        Self {
            bytes: Tokens::new(rates.bytes_per_second as f64 * rate),
            records: Tokens::new(rates.records_per_second as f64 * rate),
            share: 1.0,
            filled: now,
            last_cut: None,
        }
    }

    fn fill(&mut self, now: Moment) {
        let elapsed = now.since(self.filled);
        self.filled = self.filled.max(now);
        self.bytes.fill(elapsed, self.share);
        self.records.fill(elapsed, self.share);
        self.share = (self.share + RECOVERY * elapsed.as_secs_f64()).min(1.0);
    }

    /// Takes the tokens of a record of this many bytes, if there are enough.
    pub(super) fn admit(&mut self, bytes: usize, now: Moment) -> Admission {
        self.fill(now);
        let bytes = bytes as f64;
        let wait = self.bytes.wait(bytes, self.share).max(self.records.wait(1.0, self.share));
        if !wait.is_zero() {
            return Admission::At((now + wait).rounded_up(TICK));
        }
        self.bytes.held -= bytes;
        self.records.held -= 1.0;
        Admission::Now
    }

    /// The service would not take a record.
    pub(super) fn throttled(&mut self, now: Moment) {
        self.fill(now);
        if self.last_cut.is_none_or(|last| now.since(last) >= CUT_PAUSE) {
            self.last_cut = Some(now);
            self.share = (self.share * CUT).max(LEAST_SHARE);
            self.bytes.held = self.bytes.held.min(0.0);
            self.records.held = self.records.held.min(0.0);
        }
    }

    /// How much of the full rate is used, 0 to 1.
    #[cfg(test)]
    pub(super) fn share(&self) -> f64 {
        self.share
    }
}

#[cfg(test)]
mod tests;
