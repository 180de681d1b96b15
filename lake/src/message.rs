//! A commit message as every committer takes it: what must hold of it for its numbers to be believed, and its ledger entries.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::clock::{Micros, micros};
use alluvium_core::{BatchIdentity, CommitMessage, DataFileEntry, DatasetName, LedgerEntry};
use serde::Deserialize;

use crate::ages;
use crate::error::{LakeError, Result};

/// The most events, rows or bytes that are believed of one batch. Sums of many stay far below 2^63, which is what Delta counts to.
const MOST: u64 = 1 << 48;

/// The ledger entries of a message. A batch without any event has one of zeros in `dead_letters`, so that the ledger covers every
/// record.
pub(crate) fn entries(message: &CommitMessage) -> Vec<LedgerEntry> {
    if !message.ledger.is_empty() {
        return message.ledger.clone();
    }
    vec![LedgerEntry {
        batch: message.batch.clone(),
        dataset: DatasetName::dead_letters().into(),
        received: 0,
        written: 0,
        filtered: 0,
        dead: 0,
        bytes: 0,
        dead_by_reason: BTreeMap::new(),
        redriven: Some(0),
        arrival: 0,
        covers: message.covers.clone(),
    }]
}

/// Whether vacuum may have taken the data files of a batch with these entries for orphans: they are no older than its newest record.
pub(crate) fn has_waited<'a>(entries: impl IntoIterator<Item = &'a LedgerEntry>, now: Micros) -> bool {
    let arrival = entries.into_iter().map(|entry| entry.arrival).max();
    arrival.is_some_and(|arrival| arrival < now - micros(ages::UNASKED))
}

pub(crate) fn refused(message: &CommitMessage, problem: String) -> LakeError {
    LakeError::Message { batch: message.batch.to_string(), problem }
}

/// What must hold of a message for its numbers to be believed (TR-2).
pub(crate) fn check(message: &CommitMessage) -> Result<()> {
    find_contradiction(message).map_err(|problem| refused(message, problem))
}

fn find_contradiction(message: &CommitMessage) -> std::result::Result<(), String> {
    let mut shards = BTreeSet::new();
    for range in &message.covers {
        if range.first > range.last || !shards.insert(&range.shard) {
            return Err(format!("its runs of records are no runs, or two are of {}", range.shard));
        }
    }
    let mut datasets = BTreeSet::new();
    for entry in &message.ledger {
        if !is_believable(entry) || !entry.balances() {
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

fn is_believable(entry: &LedgerEntry) -> bool {
    let LedgerEntry { received, written, filtered, dead, bytes, redriven, .. } = entry;
    let counts = [received, written, filtered, dead, bytes].into_iter().chain(redriven);
    let counts = counts.chain(entry.dead_by_reason.values());
    counts.into_iter().all(|count| *count <= MOST)
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
    if file.size_bytes > MOST {
        return Err(format!("no file has the {} bytes that it says of `{}`", file.size_bytes, file.path));
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
