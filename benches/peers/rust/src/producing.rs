//! What the measured producers share: the records of a file, a pace, and latencies.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

/// The records of a file, each a line of its partition key, a tab and its data.
///
/// # Errors
///
/// When a line has no tab.
pub fn records(text: &str) -> anyhow::Result<Vec<(&str, &str)>> {
    text.lines().map(|line| line.split_once('\t').context("expected KEY, a tab, DATA")).collect()
}

/// Lets records go at a rate, a millisecond's worth at a time.
#[derive(Debug)]
pub struct Paced {
    started: Instant,
    rate: Option<u64>,
    taken: u64,
}

impl Paced {
    /// So many a second; `None`: as fast as they are taken.
    pub fn at(rate: Option<u64>) -> Self {
        Self { started: Instant::now(), rate, taken: 0 }
    }

    fn due(&self) -> Option<Instant> {
        let rate = self.rate?;
        Some(self.started + Duration::from_millis(self.taken * 1_000 / rate))
    }

    /// Whether the next one is not due yet.
    pub fn is_ahead(&self) -> bool {
        self.due().is_some_and(|due| due > Instant::now())
    }

    /// Waits until the next one is due.
    pub async fn wait(&self) {
        if let Some(due) = self.due() {
            tokio::time::sleep_until(due).await;
        }
    }

    /// Counts one.
    pub fn took_one(&mut self) {
        self.taken += 1;
    }
}

/// How long records took.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// The latency below which this share of them lies; `None`: there are none.
    pub fn quantile(&mut self, share: f64) -> Option<Duration> {
        self.0.sort_unstable();
        let last = self.0.len().checked_sub(1)?;
        self.0.get((last as f64 * share).round() as usize).copied()
    }
}
