//! A batch as the tables take it: one part for each table that it feeds.
//!
//! The part in a table is the batch's data file there and the dataset's ledger entry. An entry of a dataset whose table gets no file
//! (all its events were filtered, or are dead) needs a commit whose identity is remembered: it rides with the batch's file in
//! `dead_letters`, or in the first other table by name. A batch without any file has its one part in `dead_letters`, where a
//! transaction remembers it.

use std::collections::BTreeMap;

use alluvium_core::clock::Micros;
use alluvium_core::{CommitMessage, DataFileEntry, DatasetName, LedgerEntry, TraceParent};
use deltalake_core::kernel::{Action, Transaction};

use super::CommittedBatch;
use crate::app_id::AppId;
use crate::commit::{BatchNote, Commit};
use crate::error::Result;
use crate::message::{check, entries, has_waited, refused};
use crate::state::IdentityBits;
use crate::table::{Table, add};

/// One batch, checked.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) identity: IdentityBits,
    pub(super) note: BatchNote,
    parts: BTreeMap<String, Part>,
    traces: Vec<TraceParent>,
}

#[derive(Debug, Default)]
struct Part {
    file: Option<DataFileEntry>,
    entries: Vec<LedgerEntry>,
}

impl Batch {
    /// # Errors
    ///
    /// When the message contradicts itself (TR-2).
    pub(super) fn of(message: &CommitMessage) -> Result<Self> {
        check(message)?;
        let no_identity = || refused(message, "expected an identity of 32 hexadecimal digits".to_owned());
        let identity = IdentityBits::of(&message.batch).ok_or_else(no_identity)?;
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        for file in &message.files {
            parts.entry(file.dataset.clone()).or_default().file = Some(file.clone());
        }
        let dead_letters = String::from(DatasetName::dead_letters());
        let first = parts.keys().next().cloned();
        let carrier = first.filter(|_| !parts.contains_key(&dead_letters)).unwrap_or(dead_letters);
        for entry in entries(message) {
            let table = if parts.contains_key(&entry.dataset) { &entry.dataset } else { &carrier };
            parts.entry(table.clone()).or_default().entries.push(entry);
        }
        let mut files: Vec<_> = message.files.iter().map(|file| file.path.clone()).collect();
        files.sort_unstable();
        let note = BatchNote { batch: message.batch.clone(), files };
        Ok(Self { identity, note, parts, traces: message.traces.clone() })
    }

    /// What is said of it when it is in.
    pub(super) fn committed(&self) -> CommittedBatch {
        let entries = || self.parts.values().flat_map(|part| &part.entries);
        CommittedBatch {
            batch: self.note.batch.clone(),
            events: entries().map(|entry| entry.received).sum(),
            arrival: entries().map(|entry| entry.arrival).max().unwrap_or_default(),
            traces: self.traces.clone(),
        }
    }

    /// Its file for a table.
    pub(super) fn file_for(&self, table: &str) -> Option<&DataFileEntry> {
        self.parts.get(table)?.file.as_ref()
    }

    /// Refuses it when a file of it is gone that a table does not have yet. It is looked for only after so long that vacuum may have
    /// deleted it.
    pub(super) async fn check_there(&self, tables: &BTreeMap<String, Table>, now: Micros) -> Result<()> {
        if !has_waited(self.parts.values().flat_map(|part| &part.entries), now) {
            return Ok(());
        }
        for (name, part) in &self.parts {
            if let (Some(table), Some(file)) = (tables.get(name), &part.file) {
                table.check_there(self.note.batch.as_str(), file).await?;
            }
        }
        Ok(())
    }
}

/// The parts of these batches that a table does not have; `None`: it has all that are for it. Each batch is there once.
pub(super) fn plan(batches: &[Batch], table: &Table, now: Micros) -> Option<Commit> {
    let name = table.log.name();
    let mut commit = Commit::default();
    for batch in batches {
        let Some(part) = batch.parts.get(name).filter(|_| !table.state.kept.contain_batch(batch.identity)) else {
            continue;
        };
        commit.actions.push(match &part.file {
            Some(file) => add(name, file, now),
            None => Action::Txn(Transaction::new_with_last_update(AppId::Batch(batch.identity), 0, Some(now / 1_000))),
        });
        commit.ledger.extend(part.entries.iter().cloned());
        commit.batches.push(batch.note.clone());
    }
    (!commit.batches.is_empty()).then_some(commit)
}

#[cfg(test)]
mod tests;
