//! What work takes.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

/// Time, CPU and writes of one kind of work, added up.
#[derive(Debug, Default)]
pub struct Took {
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub written_bytes: u64,
}

impl Took {
    /// Does a piece of it.
    pub async fn time<T>(&mut self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let (started, cpu_before, written_before) = (Instant::now(), cpu_seconds()?, written_bytes()?);
        let outcome = work.await?;
        self.seconds += started.elapsed().as_secs_f64();
        self.cpu_seconds += cpu_seconds()? - cpu_before;
        self.written_bytes += written_bytes()? - written_before;
        Ok(outcome)
    }
}

/// How long each of several pieces of work took.
#[derive(Debug, Default)]
pub struct Measured(Vec<Duration>);

impl Measured {
    /// Does one of them.
    pub async fn time<T>(&mut self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let started = Instant::now();
        let outcome = work.await?;
        self.0.push(started.elapsed());
        Ok(outcome)
    }

    /// How many a second, and quantiles.
    pub fn report(&mut self) -> Value {
        self.0.sort_unstable();
        let count = self.0.len();
        let all: f64 = self.0.iter().map(Duration::as_secs_f64).sum();
        let millis = |q: f64| {
            let at = ((q * count as f64).ceil() as usize).clamp(1, count.max(1)) - 1;
            self.0.get(at).map(|took| took.as_secs_f64() * 1e3)
        };
        json!({"per_second": count as f64 / all.max(1e-9), "p50_ms": millis(0.5), "p99_ms": millis(0.99)})
    }
}

/// The time that the threads of this process have spent on a core; one that has ended is not counted any more.
pub fn cpu_seconds() -> anyhow::Result<f64> {
    let mut nanos = 0;
    for thread in std::fs::read_dir("/proc/self/task").context("only Linux tells CPU times this way")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(nanos as f64 / 1e9)
}

/// What this process has handed to the disk, as far as it was not taken back.
pub fn written_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/io").context("only Linux tells writes this way")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("the system tells no writes")?.parse()?)
}
