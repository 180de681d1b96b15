//! Wall time, CPU time and memory of a piece of work.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

/// A measurement under way. The work must stay on the thread that it is started on.
#[derive(Debug)]
pub struct Measured {
    started: Instant,
    cpu_before: Duration,
}

impl Measured {
    /// Starts the clocks.
    ///
    /// # Errors
    ///
    /// When the system does not tell CPU times.
    pub fn start() -> anyhow::Result<Self> {
        Ok(Self { cpu_before: cpu()?, started: Instant::now() })
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Prints one line of JSON: what the work took, the process's peak memory, and the members of `about`.
    ///
    /// # Errors
    ///
    /// When the system does not tell CPU times or memory.
    pub fn report(self, about: Value) -> anyhow::Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        let cpu_seconds = (cpu()? - self.cpu_before).as_secs_f64();
        let mut line = json!({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak_bytes()?});
        if let (Some(line), Value::Object(about)) = (line.as_object_mut(), about) {
            line.extend(about);
        }
        println!("{line}");
        Ok(())
    }
}

/// The time that this thread has spent on a core, in user and kernel mode.
fn cpu() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").context("only Linux tells CPU times this way")?;
    let nanos = text.split(' ').next().unwrap_or_default();
    Ok(Duration::from_nanos(nanos.parse().with_context(|| format!("not a number of nanoseconds: {nanos}"))?))
}

/// The most memory that this process has held.
fn peak_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status").context("only Linux tells peak memory this way")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the system tells no peak memory")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(kib * 1024)
}
