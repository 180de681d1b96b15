//! One shard, read from its oldest record to its newest, against the runs of records that the ledger's batches cover.

use std::collections::BTreeMap;

use alluvium_core::{BatchHasher, RecordIdentity, SequenceNumber, ShardId, StreamRecord};

use super::identities::{Batch, RecordReader, Standing};
use super::report::ShardAudit;
use super::{Findings, counted};

/// The most bytes of one run's records that are held to be counted together, as they were delivered. No delivery has as many.
const MOST_HELD_BYTES: usize = 32 * 1024 * 1024;

/// A run of one batch's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    first: SequenceNumber,
    last: SequenceNumber,
    /// The batch's place.
    batch: usize,
}

/// A run that has begun and not ended, with its records that are not counted yet.
#[derive(Debug)]
struct OpenRun {
    run: Run,
    records: Vec<StreamRecord>,
    held_bytes: usize,
}

/// Records of which the same is to be said.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: SequenceNumber,
    last: SequenceNumber,
    records: u64,
}

impl Span {
    fn of(at: SequenceNumber) -> Self {
        Self { first: at, last: at, records: 1 }
    }

    fn and(self, at: SequenceNumber) -> Self {
        Self { last: at, records: self.records + 1, ..self }
    }
}

/// How far a shard is read, and what was found.
#[derive(Debug)]
pub(super) struct Sweep<'a> {
    shard: &'a ShardId,
    /// By their first records.
    runs: Vec<Run>,
    /// How many of them have begun.
    begun: usize,
    open: Vec<OpenRun>,
    /// The newest record that the ledger covers.
    committed: Option<SequenceNumber>,
    /// The oldest record that the stream holds.
    oldest: Option<SequenceNumber>,
    /// Records after everything that the ledger covers.
    waiting: u64,
    lost: Option<Span>,
    /// By the places of two batches.
    twice: BTreeMap<(usize, usize), Span>,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(shard: &'a ShardId, batches: &[Batch<'_>]) -> Self {
        let ranges =
            batches.iter().enumerate().flat_map(|(place, batch)| batch.covers.iter().map(move |range| (place, range)));
        let ranges = ranges.filter(|(_, range)| range.shard == *shard);
        let mut runs: Vec<_> =
            ranges.map(|(batch, range)| Run { first: range.first, last: range.last, batch }).collect();
        runs.sort_unstable();
        Self {
            shard,
            committed: runs.iter().map(|run| run.last).max(),
            runs,
            begun: 0,
            open: Vec::new(),
            oldest: None,
            waiting: 0,
            lost: None,
            twice: BTreeMap::new(),
        }
    }

    /// Takes the next record.
    pub(super) fn take(
        &mut self,
        record: StreamRecord,
        batches: &mut [Batch<'_>],
        reader: &dyn RecordReader,
        findings: &mut Findings,
    ) {
        let at = record.identity.sequence;
        let oldest = *self.oldest.get_or_insert(at);
        let identities = reader.identities(&record);
        if identities.is_empty() {
            // An aggregate of no user record: nothing of it was ever delivered.
            return;
        }
        while let Some(run) = self.runs.get(self.begun).copied().filter(|run| run.first <= at) {
            if run.first < oldest {
                batches[run.batch].standing = Standing::Forgotten;
            }
            self.open.push(OpenRun { run, records: Vec::new(), held_bytes: 0 });
            self.begun += 1;
        }
        self.end_runs(|run| run.last < at, batches, reader);
        if self.open.is_empty() {
            if self.committed.is_none_or(|committed| at > committed) {
                self.waiting += 1;
            } else {
                self.lost = Some(self.lost.map_or(Span::of(at), |lost| lost.and(at)));
                return;
            }
        }
        self.tell_lost(findings);
        match &mut self.open[..] {
            [] => {}
            [open] => open.give(record, &identities, batches, reader),
            _ => self.share(&record, &identities, batches, reader),
        }
        self.end_runs(|run| run.last == at, batches, reader);
    }

    /// Ends the shard: what has not begun by now is not there.
    pub(super) fn finish(
        mut self,
        batches: &mut [Batch<'_>],
        reader: &dyn RecordReader,
        findings: &mut Findings,
    ) -> Option<ShardAudit> {
        self.tell_lost(findings);
        self.end_runs(|_| true, batches, reader);
        for run in &self.runs[self.begun..] {
            if self.oldest.is_none() {
                batches[run.batch].standing = Standing::Forgotten;
            }
            batches[run.batch].end_run();
        }
        for ((one, other), Span { first, last, records }) in &self.twice {
            let records = counted(*records, "record", "records");
            findings.problem(format!(
                "{}: the batches {} and {} both cover {records} from {first} to {last}.",
                self.shard, batches[*one].identity, batches[*other].identity
            ));
        }
        if self.waiting > 0 {
            let waiting = counted(self.waiting, "record is", "records are");
            findings.note(format!("{}: {waiting} in the stream and not yet committed.", self.shard));
        }
        let (first, position) = (self.runs.first()?.first, self.committed?);
        findings.note(format!("{}: records {first} to {position}.", self.shard));
        let records_behind = self.oldest.map(|_| self.waiting);
        Some(ShardAudit { shard: self.shard.clone(), first, position, proven_from: None, records_behind })
    }

    fn end_runs(&mut self, ends: impl Fn(&Run) -> bool, batches: &mut [Batch<'_>], reader: &dyn RecordReader) {
        for mut open in self.open.extract_if(.., |open| ends(&open.run)) {
            open.count(batches, reader);
            batches[open.run.batch].end_run();
        }
    }

    fn tell_lost(&mut self, findings: &mut Findings) {
        if let Some(Span { first, last, records }) = self.lost.take() {
            let records = counted(records, "record", "records");
            findings.problem(format!(
                "{}: no batch covers {records} from {first} to {last}, and later ones are committed: they are lost, or their \
                 message is still on its way.",
                self.shard
            ));
        }
    }

    /// Takes a record that lies in several runs.
    fn share(
        &mut self,
        record: &StreamRecord,
        identities: &[RecordIdentity],
        batches: &mut [Batch<'_>],
        reader: &dyn RecordReader,
    ) {
        let at = record.identity.sequence;
        if let Some(hashers) = self.cut(at, identities, batches) {
            for (open, hasher) in self.open.iter().zip(hashers) {
                let batch = &mut batches[open.run.batch];
                (batch.hasher, batch.standing) = (hasher, Standing::HeldInPart);
            }
        } else if self.is_cut_at(at) && identities.len() > 1 && self.is_unprovable_before_the_last(batches) {
            for open in &self.open {
                let standing = &mut batches[open.run.batch].standing;
                *standing = (*standing).max(Standing::Unclear);
            }
        } else {
            let pair = (self.open[0].run.batch, self.open[1].run.batch);
            self.twice.entry(pair).and_modify(|span| *span = span.and(at)).or_insert(Span::of(at));
            for open in &mut self.open {
                open.give(record.clone(), identities, batches, reader);
            }
        }
    }

    /// Whether all open runs but the last end with this record, and all but the first begin with it.
    fn is_cut_at(&self, at: SequenceNumber) -> bool {
        let ends = self.open.iter().rev().skip(1).all(|open| open.run.last == at);
        ends && self.open.iter().skip(1).all(|open| open.run.first == at)
    }

    fn is_unprovable_before_the_last(&self, batches: &[Batch<'_>]) -> bool {
        let before = self.open.iter().rev().skip(1).map(|open| &batches[open.run.batch]);
        before.into_iter().any(|batch| !batch.is_last_run() || batch.standing >= Standing::Unclear)
    }

    /// Where a delivery ended among the user records of an aggregated one, the hash of each batch tells which were its own. Returns
    /// the hashes then; `None`: the record was not cut, or that cannot be told.
    fn cut(
        &self,
        at: SequenceNumber,
        identities: &[RecordIdentity],
        batches: &[Batch<'_>],
    ) -> Option<Vec<BatchHasher>> {
        if !self.is_cut_at(at) || self.is_unprovable_before_the_last(batches) {
            return None;
        }
        let (last, before) = self.open.split_last()?;
        let mut rest = identities;
        let mut hashers = Vec::new();
        for open in before {
            let batch = &batches[open.run.batch];
            let mut hasher = batch.hasher.clone();
            while hasher.clone().finish() != *batch.identity {
                let (identity, after) = rest.split_first()?;
                hasher.push(identity);
                rest = after;
            }
            hashers.push(hasher);
        }
        let last = &batches[last.run.batch];
        if rest.is_empty() || last.standing >= Standing::Unclear {
            return None;
        }
        let mut hasher = last.hasher.clone();
        rest.iter().for_each(|identity| hasher.push(identity));
        hashers.push(hasher);
        Some(hashers)
    }
}

impl OpenRun {
    fn give(
        &mut self,
        record: StreamRecord,
        identities: &[RecordIdentity],
        batches: &mut [Batch<'_>],
        reader: &dyn RecordReader,
    ) {
        let batch = &mut batches[self.run.batch];
        if batch.standing >= Standing::Unclear {
            return;
        }
        identities.iter().for_each(|identity| batch.hasher.push(identity));
        if batch.standing == Standing::HeldInPart {
            return;
        }
        self.held_bytes += record.data.len();
        self.records.push(record);
        if self.held_bytes > MOST_HELD_BYTES {
            self.count(batches, reader);
        }
    }

    fn count(&mut self, batches: &mut [Batch<'_>], reader: &dyn RecordReader) {
        let records = std::mem::take(&mut self.records);
        self.held_bytes = 0;
        if !records.is_empty() {
            batches[self.run.batch].count(reader, records);
        }
    }
}
