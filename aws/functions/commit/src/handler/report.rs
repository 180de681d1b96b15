//! What an invocation says of itself: its metrics, and a line for each table.

use std::time::Duration;

use alluvium_aws::Metrics;
use alluvium_core::clock::Micros;
use alluvium_lake::{Outcome, SharedCommit};

/// Reports what came.
pub(super) fn received(metrics: &mut Metrics, messages: usize) {
    metrics.count("CommitMessages", messages as u64);
    // Alarms see a zero, and not that nothing was said.
    metrics.count("CommitRefused", 0).count("CommitFailures", 0).count("EventsCommitted", 0);
}

/// Reports what became of it. How far behind it was is said by the batch that waited for the longest: from the arrival of its newest
/// record, as the ledger has it.
pub(super) fn committed(metrics: &mut Metrics, commit: &SharedCommit, now: Micros) {
    let refused = commit.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Refused(_))).count();
    metrics.count("CommitRefused", refused as u64).count("CommitFailures", u64::from(commit.failure.is_some()));
    metrics.count("EventsCommitted", commit.batches.iter().map(|batch| batch.events).sum());
    if let Some(oldest) = commit.batches.iter().map(|batch| batch.arrival).min() {
        let lag = u64::try_from(now.saturating_sub(oldest)).unwrap_or(0);
        metrics.seconds("CommitLagSeconds", Duration::from_micros(lag));
    }
    for table in &commit.tables {
        tracing::info!(
            table = table.table,
            version = table.version,
            files = table.files,
            rows = table.rows,
            "committed"
        );
    }
    if let Some(version) = commit.ledger_version {
        tracing::info!(version, entries = commit.ledger_entries, waiting = commit.waiting, "the ledger is written");
    }
    if let Some(error) = &commit.failure {
        tracing::error!(%error, "a commit did not end; its messages come again");
    }
}
