//! Completeness where a stream's numbers have gaps: the batches of the ledger are made of the very records that the stream holds.
//!
//! A batch is named by a hash over the identities of its records. So who reads the records of its runs again, and hashes their
//! identities, knows that these records were in it and no others. Nothing is asked of the numbers but their order.
//!
//! The stream is read once, shard by shard and in order, which is the order that the hash takes: of each batch no more is held
//! than the hash so far, and of a run that is being read its records, until they are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alluvium_core::ports::{Advice, PortError, ShardState, Stream};
use alluvium_core::{
    BatchHasher, BatchIdentity, LedgerEntry, RecordIdentity, SequenceNumber, ShardId, ShardRange, StreamRecord,
};

use super::report::ShardAudit;
use super::sweep::Sweep;
use super::{Findings, counted};
use crate::error::Result;

/// How much of a shard is read at a time.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// How long is waited for a record where there should be one.
const WAIT: Duration = Duration::from_secs(1);

/// How often a shard may say that it holds more and give nothing.
const MOST_EMPTY_PAGES: u32 = 60;

/// How the transform reads a stream's records.
pub trait RecordReader: Send + Sync {
    /// As whom a record is delivered: by itself, or where the delivery takes aggregates apart, as the user records in it, in their
    /// order. None: it is an aggregate of no user record, and never delivered.
    fn identities(&self, record: &StreamRecord) -> Vec<RecordIdentity> {
        vec![record.identity.clone()]
    }

    /// The events of records that were delivered together, by dataset; those that belong to none under `dead_letters`.
    fn received(&self, records: Vec<StreamRecord>) -> BTreeMap<String, u64>;
}

/// A batch of the ledger, and what was found of it in the stream.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) identity: &'a BatchIdentity,
    pub(super) covers: &'a [ShardRange],
    /// The events that the ledger has received, by dataset.
    received: BTreeMap<String, u64>,
    pub(super) standing: Standing,
    pub(super) hasher: BatchHasher,
    /// The events that were counted.
    counted: BTreeMap<String, u64>,
    runs_left: usize,
}

/// Whether a batch can be compared with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Held,
    /// It shares an aggregated record with another batch, so its events cannot be counted. Its identity can be compared.
    HeldInPart,
    /// It cannot be told which user records of an aggregated record were in it.
    Unclear,
    /// The stream no longer holds all its records.
    Forgotten,
}

impl<'a> Batch<'a> {
    fn of(entry: &'a LedgerEntry) -> Self {
        Self {
            identity: &entry.batch,
            covers: &entry.covers,
            received: BTreeMap::new(),
            standing: Standing::Held,
            hasher: BatchHasher::default(),
            counted: BTreeMap::new(),
            runs_left: entry.covers.len(),
        }
    }

    fn events(&self) -> u64 {
        self.received.values().sum()
    }

    pub(super) fn count(&mut self, reader: &dyn RecordReader, records: Vec<StreamRecord>) {
        for (dataset, events) in reader.received(records) {
            *self.counted.entry(dataset).or_default() += events;
        }
    }

    /// Whether this is the last of its runs.
    pub(super) fn is_last_run(&self) -> bool {
        self.runs_left == 1
    }

    /// Ends one of its runs.
    pub(super) fn end_run(&mut self) {
        self.hasher.rest();
        self.runs_left -= 1;
    }

    /// Compares what was found with what the ledger says; `false`: it is not so.
    fn is_proven(&self, findings: &mut Findings) -> bool {
        if self.hasher.clone().finish() != *self.identity {
            findings.problem(format!(
                "Batch {}: the records that the stream holds from {} are not those that the batch was made of.",
                self.identity,
                self.covers.iter().map(told).collect::<Vec<_>>().join(", ")
            ));
            return false;
        }
        let none = |counts: &BTreeMap<String, u64>| counts.values().all(|count| *count == 0);
        let is_counted = self.counted == self.received || none(&self.counted) && none(&self.received);
        if self.standing == Standing::Held && !is_counted {
            findings.problem(format!(
                "Batch {}: its records hold {:?} events, the ledger has received {:?}.",
                self.identity, self.counted, self.received
            ));
            return false;
        }
        true
    }
}

fn told(ShardRange { shard, first, last }: &ShardRange) -> String {
    format!("{first} to {last} of {shard}")
}

/// Compares the ledger's batches with what the stream holds. Findings about records go to `coverage`, those about batches to
/// `content`.
pub(super) async fn check(
    stream: &dyn Stream,
    reader: &dyn RecordReader,
    entries: &[LedgerEntry],
    coverage: &mut Findings,
    content: &mut Findings,
) -> Result<Vec<ShardAudit>> {
    let mut batches = batches_of(entries, coverage);
    let known: BTreeMap<ShardId, ShardState> =
        stream.shards().await?.into_iter().map(|state| (state.shard.clone(), state)).collect();
    let covered = batches.iter().flat_map(|batch| batch.covers).map(|range| &range.shard);
    // In this order, for it is that of the identities in a batch's hash.
    let shards: BTreeSet<ShardId> = covered.chain(known.keys()).cloned().collect();
    let mut audits = Vec::new();
    for shard in &shards {
        let mut sweep = Sweep::new(shard, &batches);
        match known.get(shard) {
            Some(state) => {
                read_shard(stream, state, |record| sweep.take(record, &mut batches, reader, coverage)).await?;
            }
            None => coverage.note(format!("{shard}: the stream no longer has this shard.")),
        }
        audits.extend(sweep.finish(&mut batches, reader, coverage));
    }
    prove(&batches, &mut audits, content);
    Ok(audits)
}

/// The batches of the ledger, each once.
fn batches_of<'a>(entries: &'a [LedgerEntry], findings: &mut Findings) -> Vec<Batch<'a>> {
    let mut batches: BTreeMap<&BatchIdentity, Batch<'a>> = BTreeMap::new();
    for entry in entries {
        let batch = batches.entry(&entry.batch).or_insert_with(|| Batch::of(entry));
        *batch.received.entry(entry.dataset.clone()).or_default() += entry.received;
        if batch.covers != entry.covers {
            findings.problem(format!(
                "Batch {}: its entry for `{}` covers other records than those for other datasets.",
                entry.batch, entry.dataset
            ));
        }
    }
    for batch in batches.values_mut() {
        batch.received.retain(|_, received| *received > 0);
    }
    batches.into_values().collect()
}

/// Gives each record that a shard holds to `take`, in order, up to the newest that it had when its state was asked for.
async fn read_shard(stream: &dyn Stream, state: &ShardState, mut take: impl FnMut(StreamRecord)) -> Result<()> {
    let mut after: Option<SequenceNumber> = None;
    let mut empty_pages = 0;
    loop {
        let page = stream.read(&state.shard, after, PAGE_BYTES, WAIT).await?;
        let Some(last) = page.records.last().map(|record| record.identity.sequence) else {
            if !page.more {
                return Ok(());
            }
            empty_pages += 1;
            if empty_pages > MOST_EMPTY_PAGES {
                let message = format!("{} says that it holds more records, and gives none", state.shard);
                return Err(PortError::new(Advice::Retry, message).into());
            }
            continue;
        };
        empty_pages = 0;
        after = Some(last);
        page.records.into_iter().for_each(&mut take);
        if state.newest.map_or(!page.more, |newest| last >= newest) {
            return Ok(());
        }
    }
}

/// How many batches there are of one kind, and events in them.
#[derive(Default)]
struct Tally {
    batches: u64,
    events: u64,
}

fn prove(batches: &[Batch<'_>], shards: &mut [ShardAudit], findings: &mut Findings) {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for batch in batches {
        let kind = match batch.standing {
            _ if batch.covers.is_empty() => "Not provable, because they were put directly and not through the stream",
            Standing::Forgotten => "Not provable, because the stream no longer holds all their records",
            Standing::Unclear => "Not provable, because they share an aggregated record with a batch that is not",
            Standing::Held | Standing::HeldInPart if !batch.is_proven(findings) => continue,
            Standing::Held => {
                "Proven, by the identities of the records that the stream holds and by the events in them"
            }
            Standing::HeldInPart => {
                "Proven by identities alone, because they share an aggregated record with another batch"
            }
        };
        let tally = tallies.entry(kind).or_default();
        tally.batches += 1;
        tally.events += batch.events();
        if matches!(batch.standing, Standing::Held | Standing::HeldInPart) {
            batch.covers.iter().for_each(|range| prove_from(range, shards));
        }
    }
    for (kind, Tally { batches, events }) in tallies {
        let (batches, events) = (counted(batches, "batch", "batches"), counted(events, "event", "events"));
        findings.note(format!("{kind}: {batches} of {events}."));
    }
}

fn prove_from(range: &ShardRange, shards: &mut [ShardAudit]) {
    if let Some(shard) = shards.iter_mut().find(|shard| shard.shard == range.shard) {
        shard.proven_from = Some(shard.proven_from.map_or(range.first, |from| from.min(range.first)));
    }
}

#[cfg(test)]
mod tests;
