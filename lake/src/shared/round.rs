//! One round of commits: the messages that came together, and what becomes of each.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use alluvium_core::clock::Micros;
use alluvium_core::{BatchIdentity, BatchPart, CommitMessage, TraceParent};
use futures::StreamExt as _;

use super::batch::Batch;
use crate::commit::BatchNote;
use crate::error::{LakeError, Result};
use crate::ledger::{Ledger, LedgerCommit};
use crate::state::IdentityBits;
use crate::table::{Appended, Table, TableCommit};

/// The files of how many batches are looked for at a time.
const LOOK_AHEAD: usize = 16;

/// What became of one message.
#[derive(Debug)]
pub enum Outcome {
    /// Its batch is in, by this call.
    Committed,
    /// Its batch was in before, or an earlier message of this call brought it.
    AlreadyIn,
    /// It is never taken as it is. The error says why, and what would be right.
    Refused(LakeError),
    /// It must come again: see [`SharedCommit::failure`].
    Unfinished,
}

impl Outcome {
    /// Whether the message is dealt with, so that it need not come again.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Committed | Self::AlreadyIn)
    }
}

/// A batch that a call brought in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedBatch {
    /// The batch.
    pub batch: BatchIdentity,
    /// Its events, by its ledger: every one that it received, whatever became of it.
    pub events: u64,
    /// The arrival of its newest record.
    pub arrival: Micros,
    /// Traces of requests whose records are in it.
    pub traces: Vec<TraceParent>,
}

/// What one call of [`SharedLake::commit`](super::SharedLake::commit) did.
#[derive(Debug)]
#[must_use = "it says which messages must come again"]
pub struct SharedCommit {
    /// What became of each message, in the order in which they were given.
    pub outcomes: Vec<Outcome>,
    /// What the batch of each message brings to which dataset, in the same order; of one that could not be read nothing.
    pub parts: Vec<Vec<BatchPart>>,
    /// What kept the call from its end; `None`: every message that is not refused is dealt with.
    pub failure: Option<LakeError>,
    /// The batches that are in by this call, those included that others had left half done.
    pub batches: Vec<CommittedBatch>,
    /// The commits of the datasets' tables and `dead_letters`, in the order in which they were made.
    pub tables: Vec<TableCommit>,
    /// The version of the ledger that ended the call; `None`: there was nothing to copy.
    pub ledger_version: Option<u64>,
    /// The entries that were copied into the ledger.
    pub ledger_entries: usize,
    /// Commits that the ledger cannot copy yet, because a batch in one of them is half done: another committer is at it, or has
    /// died and its message must come again.
    pub waiting: usize,
}

/// The messages of one call.
#[derive(Debug)]
pub(super) struct Round {
    /// In the order of the messages.
    verdicts: Vec<Verdict>,
    /// In the same order.
    parts: Vec<Vec<BatchPart>>,
    /// One for each identity, but for those that are in already.
    batches: Vec<Batch>,
    /// The batches of which a part was written.
    written: HashSet<IdentityBits>,
    unread: Option<LakeError>,
    tables: Vec<TableCommit>,
    ledger: Option<LedgerCommit>,
}

#[derive(Debug)]
enum Verdict {
    Refused(LakeError),
    /// The message could not be read for now.
    Unread,
    /// It is the first message of this batch.
    First(IdentityBits),
    Repeated(IdentityBits),
}

impl Round {
    /// Checks the messages, each by itself.
    pub(super) fn new(
        messages: impl Iterator<Item = Result<impl Borrow<CommitMessage>>>,
        tables: &BTreeMap<String, Table>,
    ) -> Self {
        let mut round = Self {
            verdicts: Vec::new(),
            parts: Vec::new(),
            batches: Vec::new(),
            written: HashSet::new(),
            unread: None,
            tables: Vec::new(),
            ledger: None,
        };
        let mut seen = HashSet::new();
        for message in messages {
            round.parts.push(message.as_ref().map_or_else(|_| Vec::new(), |message| BatchPart::of(message.borrow())));
            let batch = message.and_then(|message| {
                let batch = Batch::of(message.borrow())?;
                match named(message.borrow()).find(|table| !tables.contains_key(*table)) {
                    Some(unknown) => Err(LakeError::NoTable(unknown.to_owned())),
                    None => Ok(batch),
                }
            });
            round.verdicts.push(match batch {
                Ok(batch) if seen.insert(batch.identity) => {
                    let verdict = Verdict::First(batch.identity);
                    round.batches.push(batch);
                    verdict
                }
                Ok(batch) => Verdict::Repeated(batch.identity),
                Err(error @ LakeError::Store { .. }) => {
                    round.unread.get_or_insert(error);
                    Verdict::Unread
                }
                Err(refusal) => Verdict::Refused(refusal),
            });
        }
        round
    }

    /// Adds a batch of which no message came, but which is half done.
    pub(super) fn help(&mut self, message: &CommitMessage) {
        if let Ok(batch) = Batch::of(message)
            && self.batches.iter().all(|other| other.identity != batch.identity)
        {
            self.batches.push(batch);
        }
    }

    /// The batches whose parts are to be written where they are missing.
    pub(super) fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// Leaves out the batches that are in, and refuses those of which other files are in in part.
    pub(super) fn compare(&mut self, tables: &BTreeMap<String, Table>, ledger: &Ledger) {
        let notes = notes(tables, ledger);
        let mut contradicting = HashSet::new();
        self.batches.retain(|batch| match standing(batch, tables, &notes) {
            Standing::Missing => true,
            Standing::In => false,
            Standing::Contradicts => {
                contradicting.insert(batch.identity);
                false
            }
        });
        for verdict in &mut self.verdicts {
            if let Verdict::First(batch) | Verdict::Repeated(batch) = verdict
                && contradicting.contains(batch)
            {
                *verdict = Verdict::Refused(LakeError::Message {
                    batch: batch.to_string(),
                    problem: "other files of the same records are in in part; the message that names those must come again, and \
                              this one is left over"
                        .to_owned(),
                });
            }
        }
    }

    /// Refuses the batches of which a file is gone that is still to be added.
    pub(super) async fn refuse_gone(&mut self, tables: &BTreeMap<String, Table>, now: Micros) -> Result<()> {
        // Collected, so that whoever commits may do so on another thread.
        let checks: Vec<_> = self.batches.iter().map(|batch| batch.check_there(tables, now)).collect();
        let checked: Vec<_> = futures::stream::iter(checks).buffered(LOOK_AHEAD).collect().await;
        let mut gone = HashMap::new();
        for (batch, checked) in self.batches.iter().zip(checked) {
            match checked {
                Err(LakeError::FileGone { batch: name, path }) => drop(gone.insert(batch.identity, (name, path))),
                checked => checked?,
            }
        }
        self.batches.retain(|batch| !gone.contains_key(&batch.identity));
        for verdict in &mut self.verdicts {
            if let Verdict::First(batch) | Verdict::Repeated(batch) = verdict
                && let Some((batch, path)) = gone.get(batch).cloned()
            {
                *verdict = Verdict::Refused(LakeError::FileGone { batch, path });
            }
        }
        Ok(())
    }

    /// Notes what was appended to a table.
    pub(super) fn appended(&mut self, table: &str, appended: &Appended) {
        self.written.extend(appended.commit.batches.iter().filter_map(|note| IdentityBits::of(&note.batch)));
        self.tables.push(appended.report(table));
    }

    /// Notes what was copied into the ledger.
    pub(super) fn copied(&mut self, commit: Option<LedgerCommit>) {
        self.ledger = commit;
    }

    /// What became of each message, given what is known of the tables now, and what kept the round from its end.
    pub(super) fn finish(
        self,
        tables: &BTreeMap<String, Table>,
        ledger: &Ledger,
        failure: Option<LakeError>,
    ) -> SharedCommit {
        let notes = notes(tables, ledger);
        // After a failure only what the ledger has is known to be done.
        let is_done = |batch: IdentityBits| {
            failure.is_none()
                || !notes.contains_key(&batch) && tables.values().any(|table| table.state.kept.contain_batch(batch))
        };
        let outcome = |verdict| match verdict {
            Verdict::Refused(error) => Outcome::Refused(error),
            Verdict::Unread => Outcome::Unfinished,
            Verdict::First(batch) | Verdict::Repeated(batch) if !is_done(batch) => Outcome::Unfinished,
            Verdict::First(batch) if self.written.contains(&batch) => Outcome::Committed,
            Verdict::First(_) | Verdict::Repeated(_) => Outcome::AlreadyIn,
        };
        let batches =
            self.batches.iter().filter(|batch| self.written.contains(&batch.identity) && is_done(batch.identity));
        let batches = batches.map(Batch::committed).collect();
        let outcomes = self.verdicts.into_iter().map(outcome).collect();
        SharedCommit {
            outcomes,
            batches,
            parts: self.parts,
            failure: failure.or(self.unread),
            tables: self.tables,
            ledger_version: self.ledger.map(|commit| commit.version),
            ledger_entries: self.ledger.map_or(0, |commit| commit.entries),
            waiting: tables.values().map(|table| ledger.uncopied(table).count()).sum(),
        }
    }
}

/// The tables that a message names, with repetitions.
fn named(message: &CommitMessage) -> impl Iterator<Item = &str> {
    let files = message.files.iter().map(|file| file.dataset.as_str());
    files.chain(message.ledger.iter().map(|entry| entry.dataset.as_str()))
}

/// Where a batch stands to what is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Parts of it are missing.
    Missing,
    In,
    /// Parts of it are in, and others missing, with other files than its message names.
    Contradicts,
}

/// What the commits that are not copied yet note of their batches.
pub(crate) fn notes<'a>(tables: &'a BTreeMap<String, Table>, ledger: &Ledger) -> HashMap<IdentityBits, &'a BatchNote> {
    let uncopied = tables.values().flat_map(|table| ledger.uncopied(table));
    let notes = uncopied.flat_map(|commit| &commit.batches);
    notes.filter_map(|note| Some((IdentityBits::of(&note.batch)?, note))).collect()
}

/// The batches of which some parts are in and others are not.
pub(super) fn half_done(tables: &BTreeMap<String, Table>, ledger: &Ledger) -> BTreeSet<IdentityBits> {
    let is_half = |(batch, note): &(IdentityBits, &BatchNote)| {
        note.tables().iter().any(|name| tables.get(name).is_some_and(|table| !table.state.kept.contain_batch(*batch)))
    };
    notes(tables, ledger).into_iter().filter(is_half).map(|(batch, _)| batch).collect()
}

fn standing(batch: &Batch, tables: &BTreeMap<String, Table>, notes: &HashMap<IdentityBits, &BatchNote>) -> Standing {
    let has = |table: &str| tables.get(table).is_some_and(|table| table.state.kept.contain_batch(batch.identity));
    let is_in = |note: &BatchNote| note.tables().iter().all(|table| has(table));
    match notes.get(&batch.identity) {
        Some(note) if is_in(note) => Standing::In,
        Some(note) if **note == batch.note => Standing::Missing,
        Some(_) => Standing::Contradicts,
        // What the ledger has copied is whole.
        None if tables.keys().any(|table| has(table)) => Standing::In,
        None => Standing::Missing,
    }
}
