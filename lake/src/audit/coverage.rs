//! Coverage: the runs of records that the batches cover leave no gap and do not overlap, up to the position.

use std::collections::BTreeMap;

use alluvium_core::{LedgerEntry, SequenceNumber, ShardId};

use super::Findings;
use super::report::ShardAudit;
use crate::cycle::Marks;

type Run = (SequenceNumber, SequenceNumber);

/// Checks each shard by itself.
///
/// Within a dataset no two batches may overlap: their records would be in twice. Over all datasets together the runs must follow
/// each other without a gap. They may overlap there: after a crash the same records come in other batches, for those tables only
/// that did not have them.
pub(super) fn check(entries: &[LedgerEntry], positions: &Marks, findings: &mut Findings) -> Vec<ShardAudit> {
    let mut by_shard: BTreeMap<&ShardId, BTreeMap<&str, Vec<Run>>> = BTreeMap::new();
    for entry in entries {
        for range in &entry.covers {
            let runs = by_shard.entry(&range.shard).or_default().entry(&entry.dataset).or_default();
            runs.push((range.first, range.last));
        }
    }
    for shard in positions.keys().filter(|shard| !by_shard.contains_key(*shard)) {
        findings.problem(format!("{shard}: the lake has a position, and the ledger covers no record of it."));
    }
    let mut shards = Vec::new();
    for (shard, datasets) in by_shard {
        let mut all = Vec::new();
        for (dataset, mut runs) in datasets {
            runs.sort_unstable();
            for pair in runs.windows(2) {
                if pair[1].0 <= pair[0].1 {
                    findings.problem(format!(
                        "{shard}, dataset `{dataset}`: records {} to {} are covered twice.",
                        pair[1].0,
                        pair[0].1.min(pair[1].1)
                    ));
                }
            }
            all.extend(runs);
        }
        all.sort_unstable();
        shards.push(check_shard(shard, &all, positions.get(shard).copied(), findings));
    }
    shards
}

fn check_shard(shard: &ShardId, runs: &[Run], position: Option<SequenceNumber>, findings: &mut Findings) -> ShardAudit {
    let (first, mut end) = runs[0];
    for (next, last) in &runs[1..] {
        if *next > end && !follows(end, *next) {
            findings.problem(format!("{shard}: no batch covers the records between {end} and {next}."));
        }
        end = end.max(*last);
    }
    if position != Some(end) {
        let position = position.map_or_else(|| "nowhere".to_owned(), |position| position.to_string());
        findings.problem(format!(
            "{shard}: the ledger covers the records up to {end}, and the position stands at {position}."
        ));
    }
    findings.note(format!("{shard}: records {first} to {end}."));
    ShardAudit {
        shard: shard.clone(),
        first,
        position: position.unwrap_or(end),
        proven_from: None,
        records_behind: None,
    }
}

fn follows(end: SequenceNumber, next: SequenceNumber) -> bool {
    match (end.as_u64(), next.as_u64()) {
        (Some(end), Some(next)) => next == end + 1,
        // Kinesis leaves gaps between its numbers; they prove nothing.
        _ => true,
    }
}
