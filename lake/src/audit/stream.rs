//! Completeness: the events that the stream still holds, counted again, are those of the ledger.

use std::collections::BTreeMap;

use alluvium_core::ports::PortError;
use alluvium_core::{LedgerEntry, SequenceNumber, ShardId, ShardRange};
use async_trait::async_trait;

use super::report::ShardAudit;
use super::{Findings, counted};
use crate::error::Result;

/// How often the counting begins anew because the stream forgot records meanwhile.
const ATTEMPTS: usize = 3;

/// Counts the events that a stream holds.
#[async_trait]
pub trait StreamCounts: Send + Sync {
    /// The events of a run of records, by dataset; those that belong to none under `dead_letters`. `None`: the stream no longer
    /// holds the whole run.
    ///
    /// # Errors
    ///
    /// When the stream cannot be read.
    async fn received(&self, run: &ShardRange) -> std::result::Result<Option<BTreeMap<String, u64>>, PortError>;

    /// The oldest record of a shard that the stream still holds; `None`: it holds none.
    ///
    /// # Errors
    ///
    /// When the stream cannot be asked.
    async fn oldest(&self, shard: &ShardId) -> std::result::Result<Option<SequenceNumber>, PortError>;

    /// The newest record of a shard; `None`: there never was one.
    ///
    /// # Errors
    ///
    /// When the stream cannot be asked.
    async fn newest(&self, shard: &ShardId) -> std::result::Result<Option<SequenceNumber>, PortError>;
}

/// Where the counting of each shard begins.
type Starts = BTreeMap<ShardId, SequenceNumber>;

pub(super) async fn check(
    stream: &dyn StreamCounts,
    entries: &[LedgerEntry],
    shards: &mut [ShardAudit],
    findings: &mut Findings,
) -> Result<()> {
    for shard in shards.iter_mut() {
        let newest = stream.newest(&shard.shard).await?;
        let behind = |newest: SequenceNumber| Some(newest.as_u64()?.saturating_sub(shard.position.as_u64()?));
        shard.records_behind = newest.and_then(behind);
        if let Some(behind) = shard.records_behind.filter(|behind| *behind > 0) {
            let behind = counted(behind, "record is", "records are");
            findings.note(format!("{}: {behind} in the stream and not yet committed.", shard.shard));
        }
    }
    for _ in 0..ATTEMPTS {
        let mut starts = Starts::new();
        for shard in shards.iter() {
            if let Some(oldest) = stream.oldest(&shard.shard).await? {
                starts.insert(shard.shard.clone(), oldest);
            }
        }
        let whole = whole_batches(entries, &mut starts);
        let Some(held) = count(stream, shards, &starts).await? else { continue };
        compare(entries, &whole, &held, findings);
        for shard in shards.iter_mut() {
            shard.proven_from = starts.get(&shard.shard).copied().filter(|start| *start <= shard.position);
        }
        return Ok(());
    }
    findings.note("Not provable: the stream forgot its records faster than they could be counted.".to_owned());
    Ok(())
}

/// Moves each start forward until no batch lies across it, and tells of each entry whether its records all lie after the
/// starts. A batch of several shards counts only when all of its runs do.
fn whole_batches(entries: &[LedgerEntry], starts: &mut Starts) -> Vec<bool> {
    let mut whole = vec![true; entries.len()];
    let mut settled = false;
    while !settled {
        settled = true;
        for (entry, whole) in entries.iter().zip(&mut whole).filter(|(_, whole)| **whole) {
            let held = |range: &ShardRange| starts.get(&range.shard).is_some_and(|start| range.first >= *start);
            if entry.covers.iter().all(held) {
                continue;
            }
            *whole = false;
            settled = false;
            for range in &entry.covers {
                let Some(start) = starts.get_mut(&range.shard) else { continue };
                // After the last record of a batch that is not counted; where numbers are not counted up, the next one held
                // cannot be named, and the following batch's first record takes its place.
                let after = range.last.as_u64().map_or(range.last, |last| (last + 1).into());
                *start = (*start).max(after);
            }
        }
    }
    whole
}

/// The events from the starts to the positions, by dataset; `None`: the stream forgot some meanwhile.
async fn count(
    stream: &dyn StreamCounts,
    shards: &[ShardAudit],
    starts: &Starts,
) -> Result<Option<BTreeMap<String, u64>>> {
    let mut held = BTreeMap::new();
    for shard in shards {
        let Some(first) = starts.get(&shard.shard).copied().filter(|first| *first <= shard.position) else { continue };
        let run = ShardRange { shard: shard.shard.clone(), first, last: shard.position };
        let Some(counts) = stream.received(&run).await? else { return Ok(None) };
        for (dataset, events) in counts {
            *held.entry(dataset).or_default() += events;
        }
    }
    Ok(Some(held))
}

fn compare(entries: &[LedgerEntry], whole: &[bool], held: &BTreeMap<String, u64>, findings: &mut Findings) {
    let mut ledger: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut proven, mut unprovable) = (0, 0);
    for (entry, whole) in entries.iter().zip(whole) {
        if *whole {
            *ledger.entry(&entry.dataset).or_default() += entry.received;
            proven += entry.received;
        } else {
            unprovable += entry.received;
        }
    }
    let datasets: std::collections::BTreeSet<&str> =
        ledger.keys().copied().chain(held.keys().map(String::as_str)).collect();
    for dataset in datasets {
        let in_ledger = ledger.get(dataset).copied().unwrap_or_default();
        let in_stream = held.get(dataset).copied().unwrap_or_default();
        if in_ledger != in_stream {
            findings.problem(format!(
                "Dataset `{dataset}`: the stream holds {} up to the position, the ledger has received {in_ledger}.",
                counted(in_stream, "event", "events")
            ));
        }
    }
    findings.note(format!("{} counted again in the stream.", counted(proven, "event was", "events were")));
    if unprovable > 0 {
        findings.note(format!(
            "Not provable: {}, because the stream no longer holds all records of their batches.",
            counted(unprovable, "event", "events")
        ));
    }
}
