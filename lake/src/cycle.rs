//! The messages of one commit cycle: checked, in order, and without those that are in already.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{BatchIdentity, CommitMessage, DataFileEntry, DatasetName, LedgerEntry, SequenceNumber, ShardId};
use serde::Deserialize;

use crate::app_id::transaction_version;
use crate::error::{LakeError, Result, Straddle};

/// Where a batch stands to a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All of it lies above: it is new.
    Above,
    /// All of it lies at or below: it is in.
    Below,
}

/// How far each shard is.
pub(crate) type Marks = BTreeMap<ShardId, SequenceNumber>;

/// One batch of a cycle.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) message: &'a CommitMessage,
    /// Its ledger entries. A batch without any event has one of zeros in `dead_letters`, so that the ledger covers every record.
    pub(crate) ledger: Vec<LedgerEntry>,
}

/// The batches of a cycle that are new.
#[derive(Debug)]
pub(crate) struct Cycle<'a> {
    pub(crate) batches: Vec<Batch<'a>>,
    /// Up to where every table has its records when all of them are in.
    pub(crate) reached: Marks,
}

impl<'a> Cycle<'a> {
    /// Checks the messages, one by one, against each other, and against what has been reached before.
    pub(crate) fn new(messages: &'a [CommitMessage], reached: &Marks) -> Result<Self> {
        let mut cycle = Self { batches: Vec::with_capacity(messages.len()), reached: reached.clone() };
        for message in messages {
            check(message).map_err(|problem| refused(message, problem))?;
            if standing(message, &cycle.reached, "the position")? == Standing::Below {
                continue;
            }
            check_no_gap(message, &cycle.reached)?;
            raise(&mut cycle.reached, message);
            cycle.batches.push(Batch { message, ledger: entries(message) });
        }
        Ok(cycle)
    }

    /// The tables that the batches have something for, by name.
    pub(crate) fn tables(&self) -> BTreeSet<&str> {
        let entries = self.batches.iter().flat_map(|batch| &batch.ledger).map(|entry| entry.dataset.as_str());
        let files = self.batches.iter().flat_map(|batch| &batch.message.files).map(|file| file.dataset.as_str());
        entries.chain(files).collect()
    }
}

impl Batch<'_> {
    pub(crate) fn entry(&self, table: &str) -> Option<&LedgerEntry> {
        self.ledger.iter().find(|entry| entry.dataset == table)
    }

    pub(crate) fn file(&self, table: &str) -> Option<&DataFileEntry> {
        self.message.files.iter().find(|file| file.dataset == table)
    }
}

/// Where a batch stands to the marks. `what` says in an error whose marks they are.
pub(crate) fn standing(message: &CommitMessage, marks: &Marks, what: &str) -> Result<Standing> {
    let mut all = None;
    for range in &message.covers {
        let mark = marks.get(&range.shard);
        let here = match mark {
            Some(mark) if range.last <= *mark => Standing::Below,
            Some(mark) if range.first <= *mark => return Err(straddles(message, range, what, *mark)),
            _ => Standing::Above,
        };
        if *all.get_or_insert(here) != here {
            return Err(straddles(message, range, what, mark.copied().unwrap_or_default()));
        }
    }
    Ok(all.expect("a message that covers no record was refused"))
}

/// Moves the marks to the end of what a batch covers.
pub(crate) fn raise(marks: &mut Marks, message: &CommitMessage) {
    for range in &message.covers {
        marks.insert(range.shard.clone(), range.last);
    }
}

/// Moves each mark to where another is, if that is farther.
pub(crate) fn raise_all(marks: &mut Marks, to: &Marks) {
    for (shard, to) in to {
        let mark = marks.entry(shard.clone()).or_insert(*to);
        *mark = (*mark).max(*to);
    }
}

fn straddles(
    message: &CommitMessage,
    range: &alluvium_core::ShardRange,
    what: &str,
    mark: SequenceNumber,
) -> LakeError {
    LakeError::Straddles(Box::new(Straddle {
        batch: message.batch.to_string(),
        shard: range.shard.clone(),
        first: range.first,
        last: range.last,
        what: what.to_owned(),
        mark,
    }))
}

/// A shard's numbers follow each other without a gap where they fit 64 bits: the local log counts, Kinesis does not.
fn check_no_gap(message: &CommitMessage, position: &Marks) -> Result<()> {
    for range in &message.covers {
        let Some(before) = position.get(&range.shard) else { continue };
        if range.first.as_u64() != before.as_u64().map(|number| number + 1) {
            return Err(LakeError::Gap {
                batch: message.batch.to_string(),
                shard: range.shard.clone(),
                first: range.first,
                position: *before,
            });
        }
    }
    Ok(())
}

fn entries(message: &CommitMessage) -> Vec<LedgerEntry> {
    if !message.ledger.is_empty() {
        return message.ledger.clone();
    }
    vec![LedgerEntry {
        batch: message.batch.clone(),
        dataset: DatasetName::dead_letters().as_str().to_owned(),
        received: 0,
        written: 0,
        filtered: 0,
        dead: 0,
        bytes: 0,
        dead_by_reason: BTreeMap::new(),
        arrival: 0,
        covers: message.covers.clone(),
    }]
}

fn refused(message: &CommitMessage, problem: String) -> LakeError {
    LakeError::Message { batch: message.batch.to_string(), problem }
}

/// What must hold of a message for its numbers to be believed (TR-2).
fn check(message: &CommitMessage) -> std::result::Result<(), String> {
    if message.covers.is_empty() {
        return Err("it covers no record".to_owned());
    }
    let mut shards = BTreeSet::new();
    for range in &message.covers {
        if range.first > range.last || !shards.insert(&range.shard) {
            return Err(format!("its runs of records are no runs, or two are of {}", range.shard));
        }
        if transaction_version(range.last).is_none() {
            return Err(format!("{} of {} does not fit a Delta transaction's 63 bits", range.last, range.shard));
        }
    }
    let mut datasets = BTreeSet::new();
    for entry in &message.ledger {
        if !entry.balances() {
            return Err(format!("its entry for `{}` does not balance", entry.dataset));
        }
        if entry.batch != message.batch || entry.covers != message.covers || !datasets.insert(&entry.dataset) {
            return Err(format!("its entry for `{}` is of another batch, or there are two", entry.dataset));
        }
    }
    let dead: u64 = message.ledger.iter().map(|entry| entry.dead).sum();
    let dead_letters = DatasetName::dead_letters();
    let mut tables = BTreeSet::new();
    for file in &message.files {
        check_file(message, file)?;
        if !tables.insert(file.dataset.as_str()) {
            return Err(format!("it has two files for `{}`", file.dataset));
        }
    }
    let written = message.ledger.iter().map(|entry| (entry.dataset.as_str(), entry.written));
    let expected = written.filter(|(table, _)| *table != dead_letters.as_str()).chain([(dead_letters.as_str(), dead)]);
    let expected: BTreeMap<&str, u64> = expected.collect();
    let found = |table: &str| message.files.iter().find(|file| file.dataset == table).map_or(0, |file| file.rows);
    let tables = expected.keys().copied().chain(message.files.iter().map(|file| file.dataset.as_str()));
    for table in tables {
        let (said, found) = (expected.get(table).copied().unwrap_or_default(), found(table));
        if said != found {
            return Err(format!("its ledger has {said} rows for `{table}`, its file {found}"));
        }
    }
    Ok(())
}

fn check_file(message: &CommitMessage, file: &DataFileEntry) -> std::result::Result<(), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stats {
        num_records: u64,
    }
    let name = file.path.strip_prefix(&file.dataset).and_then(|rest| rest.strip_prefix('/'));
    let identity = name.filter(|name| !name.contains('/')).and_then(BatchIdentity::from_data_file_name);
    if identity.as_ref() != Some(&message.batch) {
        return Err(format!(
            "its file `{}` should be named {}/{}-<content>.parquet",
            file.path, file.dataset, message.batch
        ));
    }
    match serde_json::from_str::<Stats>(&file.stats) {
        Ok(Stats { num_records }) if num_records == file.rows => Ok(()),
        Ok(Stats { num_records }) => {
            Err(format!("the statistics of `{}` count {num_records} rows, the message {}", file.path, file.rows))
        }
        Err(error) => Err(format!("the statistics of `{}` cannot be read: {error}", file.path)),
    }
}

#[cfg(test)]
mod tests;
