//! The messages of one commit cycle: checked, in order, and without those that are in already.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::clock::Micros;
use alluvium_core::{CommitMessage, DataFileEntry, LedgerEntry, SequenceNumber, ShardId, ShardRange};

use crate::app_id::{AppId, transaction_version};
use crate::commit::Commit;
use crate::error::{LakeError, Result, Straddle};
use crate::message::{check, entries, has_waited, refused};
use crate::table::{Table, add, transactions};

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
            check(message)?;
            check_covers(message)?;
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

    /// Refuses batches of which a file for this table is gone: of those that have waited long enough for vacuum to delete it.
    pub(crate) async fn check_there(&self, table: &Table, now: Micros) -> Result<()> {
        for batch in self.batches.iter().filter(|batch| has_waited(&batch.ledger, now)) {
            if let Some(file) = batch.file(table.log.name()) {
                table.check_there(batch.message.batch.as_str(), file).await?;
            }
        }
        Ok(())
    }

    /// The files for a table.
    pub(crate) fn files_of(&self, table: &str) -> Vec<&DataFileEntry> {
        self.batches.iter().filter_map(|batch| batch.file(table)).collect()
    }

    /// What is to be added to a table: the files for it, and its marks; `None`: there is nothing that it does not have.
    pub(crate) fn plan(&self, table: &Table, now: Micros) -> Result<Option<Commit>> {
        let name = table.log.name();
        let mut commit = Commit::default();
        let mut marks = table.state.marks.clone();
        for batch in &self.batches {
            let (entry, file) = (batch.entry(name), batch.file(name));
            if entry.is_none() && file.is_none() {
                continue;
            }
            if standing(batch.message, &marks, &format!("the mark of `{name}`"))? == Standing::Below {
                continue;
            }
            raise(&mut marks, batch.message);
            if file.is_some_and(|file| table.state.kept.contain(&file.path)) {
                // These records are in under this very identity (LK-1), and so is their entry.
                continue;
            }
            commit.ledger.extend(entry.cloned());
            commit.actions.extend(file.map(|file| add(name, file, now)));
        }
        commit.actions.extend(transactions(&table.state.marks, &marks, AppId::Mark));
        Ok((!commit.actions.is_empty()).then_some(commit))
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

fn straddles(message: &CommitMessage, range: &ShardRange, what: &str, mark: SequenceNumber) -> LakeError {
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

/// What the marks and the position need of a message: records of the stream, with numbers that a Delta transaction can hold.
fn check_covers(message: &CommitMessage) -> Result<()> {
    if message.covers.is_empty() {
        return Err(refused(message, "it covers no record".to_owned()));
    }
    match message.covers.iter().find(|range| transaction_version(range.last).is_none()) {
        Some(ShardRange { shard, last, .. }) => {
            Err(refused(message, format!("{last} of {shard} does not fit a Delta transaction's 63 bits")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
