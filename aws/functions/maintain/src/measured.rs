//! What an invocation adds to the stage's metrics, under the names that they have on AWS.

use std::time::Duration;

use alluvium_aws::Metrics;
use alluvium_lake::{Compaction, Expiry, Vacuumed};

/// The sums of one invocation; what it does not measure is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// `CompactedBytes`: bytes of the files that compaction replaced.
    pub compacted_bytes: Option<u64>,
    /// `DuplicatesRemoved`: rows that were not the first arrival of their event key.
    pub duplicates_removed: Option<u64>,
    /// `RowsExpired`: rows that left because they were past their retention.
    pub rows_expired: Option<u64>,
    /// `VacuumedBytes`: bytes of files that were deleted.
    pub vacuumed_bytes: Option<u64>,
    /// `AuditProblems`: sentences about what does not balance.
    pub audit_problems: Option<u64>,
    /// `AuditLedgerDifference`: events and rows for which the ledger does not account.
    pub audit_ledger_difference: Option<u64>,
    /// `ErasuresOpen`: erasures that are not closed.
    pub erasures_open: Option<u64>,
    /// `ErasureOverdueSeconds`: how long ago the oldest of them was to be closed; 0: none is late.
    pub erasure_overdue: Option<Duration>,
    /// `MaintenanceFailures`: pieces of work that failed.
    pub failures: u64,
}

impl Measured {
    /// Of rounds of compaction.
    pub fn compacted(rounds: &[Compaction]) -> Self {
        Self {
            compacted_bytes: Some(rounds.iter().map(|round| round.bytes_before).sum()),
            duplicates_removed: Some(rounds.iter().map(|round| round.duplicates).sum()),
            ..Self::default()
        }
    }

    /// Of retention.
    pub fn expired(tables: &[Expiry]) -> Self {
        Self { rows_expired: Some(tables.iter().map(|table| table.rows).sum()), ..Self::default() }
    }

    /// Of vacuum.
    pub fn vacuumed(tables: &[Vacuumed]) -> Self {
        let bytes = |of: &Vacuumed| {
            let Vacuumed { removed, orphans, key_filters, log_entries, .. } = of;
            removed.bytes + orphans.bytes + key_filters.bytes + log_entries.bytes
        };
        Self { vacuumed_bytes: Some(tables.iter().map(bytes).sum()), ..Self::default() }
    }

    /// As metrics of a stage.
    pub fn metrics(&self, stage: &str) -> Metrics {
        let mut metrics = Metrics::new(stage);
        for (name, bytes) in [("CompactedBytes", self.compacted_bytes), ("VacuumedBytes", self.vacuumed_bytes)] {
            bytes.map(|bytes| metrics.bytes(name, bytes));
        }
        self.erasure_overdue.map(|overdue| metrics.seconds("ErasureOverdueSeconds", overdue));
        let counts = [
            ("DuplicatesRemoved", self.duplicates_removed),
            ("RowsExpired", self.rows_expired),
            ("AuditProblems", self.audit_problems),
            ("AuditLedgerDifference", self.audit_ledger_difference),
            ("ErasuresOpen", self.erasures_open),
            ("MaintenanceFailures", Some(self.failures)),
        ];
        for (name, count) in counts {
            count.map(|count| metrics.count(name, count));
        }
        metrics
    }
}
