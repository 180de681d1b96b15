//! What an invocation by the schedule reports.

use std::time::Duration;

use alluvium_aws::Metrics;
use alluvium_core::clock::Micros;

/// What came of the windows that were due.
#[derive(Debug, Default)]
pub(super) struct Measured {
    made: u64,
    failed: u64,
    behind: Micros,
}

impl Measured {
    /// A window was made.
    pub(super) fn made(&mut self) {
        self.made += 1;
    }

    /// A report could not be made, or is broken.
    pub(super) fn failed(&mut self) {
        self.failed += 1;
    }

    /// A window stays without its result, and was due so long ago.
    pub(super) fn waits(&mut self, behind: Micros) {
        self.behind = self.behind.max(behind);
    }

    /// Reports it, with a zero for what did not come about: alarms look at it.
    pub(super) fn report(self, metrics: &mut Metrics) {
        let behind = Duration::from_micros(u64::try_from(self.behind).unwrap_or(0));
        metrics.count("ReportsMade", self.made).count("ReportsFailed", self.failed);
        metrics.seconds("ReportsBehindSeconds", behind).count("StatementsFailed", 0);
    }
}
