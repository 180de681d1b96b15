//! What an invocation says of itself: its metrics, and a line for each dataset.

use std::time::Duration;

use alluvium_aws::Metrics;
use alluvium_core::clock::Micros;
use alluvium_core::{CommitMessage, DeliveryBatch, LedgerEntry};

/// Reports what came.
pub(super) fn received(metrics: &mut Metrics, batch: &DeliveryBatch) {
    let records = batch.records.len() as u64;
    let bytes = batch.records.iter().map(|record| record.data.len() as u64).sum();
    metrics.count("Records", records).count("BatchRecords", records).bytes("BatchBytes", bytes);
    // Alarms see a zero, and not that nothing was said.
    metrics.count("StorageFailures", 0).count("HotThrottled", 0);
}

/// Reports what became of it, by the batch's ledger, which is stored at this time. `oldest` is the arrival of the oldest record.
pub(super) fn stored(metrics: &mut Metrics, message: &CommitMessage, oldest: Option<Micros>, now: Micros) {
    metrics.count("Filtered", 0).count("DeadLetters", 0).difference("LedgerDifference", 0);
    for entry in &message.ledger {
        metrics.with("Dataset", &entry.dataset).count("Events", entry.received).count("Rows", entry.written);
        metrics.count("Filtered", entry.filtered).difference("LedgerDifference", difference(entry));
        for (reason, dead) in &entry.dead_by_reason {
            metrics.with("Reason", reason.as_str()).count("DeadLetters", *dead);
        }
        tracing::info!(
            batch = %message.batch,
            dataset = entry.dataset,
            received = entry.received,
            written = entry.written,
            filtered = entry.filtered,
            dead = entry.dead,
            "stored"
        );
    }
    if let Some(oldest) = oldest {
        let age = u64::try_from(now.saturating_sub(oldest)).unwrap_or(0);
        metrics.millis("FreshnessMilliseconds", Duration::from_micros(age));
    }
    if !message.traces.is_empty() {
        let traces: Vec<_> = message.traces.iter().map(|parent| format!("{:032x}", parent.trace())).collect();
        tracing::info!(batch = %message.batch, traces = traces.join(" "), "the batch holds records of traced requests");
    }
}

/// By how many events an entry does not balance (TR-2), whichever way: those that one dataset has too many do not make up for those
/// that another lacks.
fn difference(entry: &LedgerEntry) -> i64 {
    let accounted = entry.written + entry.filtered + entry.dead;
    i64::try_from(entry.received.abs_diff(accounted)).unwrap_or(i64::MAX)
}
