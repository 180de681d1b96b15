//! Latencies in buckets, so that any number of them takes the same memory.

use std::time::Duration;

/// Each doubling is divided into this many buckets, so a percentile is at most 1/32 above the true one.
const STEPS: usize = 32;
const STEPS_LOG2: u32 = STEPS.ilog2();
const BUCKETS: usize = STEPS * (64 - STEPS_LOG2 as usize + 1);

/// A histogram of latencies in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latencies {
    counts: Box<[u64]>,
    total: u64,
    longest_micros: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into(), total: 0, longest_micros: 0 }
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket_of(micros)] += 1;
        self.total += 1;
        self.longest_micros = self.longest_micros.max(micros);
    }

    #[cfg(test)]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The latency that a share of `quantile` (0 to 1) did not exceed, up to 1/32 too high; `None`: none was counted.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let rank = ((self.total as f64 * quantile).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_micros(highest_of(bucket).min(self.longest_micros)))
    }
}

/// Values below [`STEPS`] have a bucket each; above, the bits after the first say which step of its doubling a value is in.
fn bucket_of(micros: u64) -> usize {
    let Some(doubling) = micros.checked_ilog2().and_then(|log2| log2.checked_sub(STEPS_LOG2)) else {
        return micros as usize;
    };
    let step = (micros >> doubling) as usize - STEPS;
    (doubling as usize + 1) * STEPS + step
}

/// The highest value of a bucket.
fn highest_of(bucket: usize) -> u64 {
    let Some(doubling) = (bucket / STEPS).checked_sub(1) else { return bucket as u64 };
    let first = ((bucket % STEPS + STEPS) as u64) << doubling;
    first + ((1 << doubling) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_no_bucket_is_wide() {
        for micros in (0..100_000).chain([u64::MAX / 2, u64::MAX - 1, u64::MAX]) {
            let highest = highest_of(bucket_of(micros));
            assert!(highest >= micros && highest - micros <= micros / STEPS as u64, "{micros}: {highest}");
        }
        assert!(bucket_of(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_are_close_to_the_sorted_list_s() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        (1..=10_000).for_each(|micros| latencies.record(Duration::from_micros(micros)));
        for quantile in [0.5, 0.9, 0.99] {
            let exact = quantile * 10_000.0;
            let found = latencies.quantile(quantile).map(|found| found.as_micros() as f64);
            assert!(found.is_some_and(|found| found >= exact && found <= exact * (1.0 + 1.0 / 32.0)), "{found:?}");
        }
        assert_eq!(latencies.quantile(1.0), Some(Duration::from_micros(10_000)));
    }
}
