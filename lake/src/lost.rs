//! Lost commit messages, made again out of the footers of the data files.
//!
//! A batch whose files are stored and whose message is not, comes into no table, and nothing brings it again when the stream has let
//! go of its records. Each of its files says in its footer all that the message said (see [`alluvium_core::footer`]).
//!
//! Whatever is looked at may change meanwhile. So files are listed first, then messages, then what is in: what came in between is seen
//! as it is in the end. The message is put only if absent, and the tables take each batch once (LK-1), so this may be repeated, done
//! by two at a time, and beside committers. What is younger than `older_than` is left alone: the transform may still be at it.
//!
//! Where one committer writes the lake, nothing is made: records come again out of the log, in the same batches or others, and must begin
//! where the lake ends. So the log is asked whether it holds them.

mod covered;
mod files;
mod footers;
mod report;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::ports::{CommitQueue, ShardState, Stream};
use alluvium_core::{BatchFooter, BatchIdentity, CommitMessage, LedgerEntry, ShardRange};
use object_store::path::Path;
use object_store::{Error, PutMode};

pub use report::{LostBatch, LostOutcome, RecoverReport};

use crate::audit::ledger_entries;
use crate::batches::{BatchStanding, Batches};
use crate::error::{LakeError, Result};
use crate::message::entries;
use crate::pending::{self, StoredMessage};
use crate::reader::LakeReader;
use crate::shared::read_all;
use crate::state::IdentityBits;
use covered::{Covered, Share};
use files::BatchFiles;
use footers::{Read, Whole};

/// What is done with a message that can be made again.
pub enum Recover<'a> {
    /// Nothing: only the report is made.
    DryRun,
    /// Nothing, for the lake of one machine: what is not in comes again out of its log, if that holds it.
    OutOfLog(&'a dyn Stream),
    /// It is stored. Its path must be enqueued.
    Store,
    /// It is stored, and its path enqueued.
    Enqueue(&'a dyn CommitQueue),
}

/// Makes the commit messages again that are lost, of batches whose files are all there; see the [module](self).
///
/// # Errors
///
/// When the store fails, a table's log or the ledger cannot be read, or the stream cannot be asked. What is stored and enqueued by then stays so.
pub async fn recover_messages(
    reader: &LakeReader,
    recover: Recover<'_>,
    older_than: Duration,
    now: Micros,
) -> Result<RecoverReport> {
    let found = files::list(reader).await?;
    let stored = pending::stored(reader).await?;
    // Between the two: it has everything that was found by now, and what it forgets meanwhile is in.
    let log = match recover {
        Recover::OutOfLog(log) => Some(log.shards().await?),
        _ => None,
    };
    let batches = Batches::load(reader).await?;
    let ledger = ledger_entries(reader).await?;
    let log = log.or_else(|| batches.are_by_position().then(Vec::new));
    let by_position = log.is_some();
    // Where one committer writes, nobody looks at messages that a crash left.
    let stored = if by_position { Vec::new() } else { stored };
    let mut known = Known::new(reader, &stored, &batches, &ledger, log).await?;
    let mut report = RecoverReport { by_position, ..RecoverReport::default() };
    let due = now - micros(older_than);
    for found in files::of_lost(found, &batches) {
        if found.newest > due {
            report.young += 1;
            continue;
        }
        let outcome = match known.message(reader, &found).await? {
            Looked::Message(_) if by_position => LostOutcome::NotInLog,
            Looked::Message(message) => {
                let outcome = recover.message(reader, &message).await?;
                // It is on its way now, or would be. One that stays lost covers nothing.
                entries(&message).iter().for_each(|entry| known.covered.add(entry));
                outcome
            }
            Looked::Stored { message, stored_at } if stored_at > due => LostOutcome::MessageStored { message },
            Looked::Stored { message, .. } => recover.stored(message).await,
            Looked::Is(outcome) => outcome,
        };
        report.batches.push(LostBatch { batch: found.batch, files: found.paths, outcome });
    }
    report.batches.sort_by(|one, other| one.batch.cmp(&other.batch));
    Ok(report)
}

/// What is known of all batches.
struct Known<'a> {
    batches: &'a Batches,
    in_ledger: HashSet<IdentityBits>,
    /// When the message of each batch was stored that has one.
    stored: HashMap<IdentityBits, Micros>,
    covered: Covered,
    /// The path of a message that waits, and that a newer release wrote: what records its batch has cannot be told.
    newer: Option<String>,
    /// What the log holds out of which records come again, where one committer writes; nothing: it was not asked.
    log: Option<Vec<ShardState>>,
}

/// What was found out about a batch.
enum Looked {
    /// The message that it had, which may be made again.
    Message(CommitMessage),
    /// Its message is there.
    Stored {
        message: String,
        stored_at: Micros,
    },
    Is(LostOutcome),
}

impl<'a> Known<'a> {
    async fn new(
        reader: &LakeReader,
        stored: &[StoredMessage],
        batches: &'a Batches,
        ledger: &[LedgerEntry],
        log: Option<Vec<ShardState>>,
    ) -> Result<Self> {
        let (mut covered, mut newer) = (Covered::default(), None);
        ledger.iter().for_each(|entry| covered.add(entry));
        // Where one committer writes, what the ledger has not copied may be in some tables only, and comes again for the others.
        if log.is_none() {
            batches.uncopied().for_each(|entry| covered.add(entry));
        }
        let in_ledger: HashSet<IdentityBits> =
            ledger.iter().filter_map(|entry| IdentityBits::of(&entry.batch)).collect();
        let waiting = pending::uncommitted(stored, batches).filter(|message| !in_ledger.contains(&message.batch));
        let waiting: Vec<String> = waiting.map(|message| message.path.clone()).collect();
        for message in read_all(reader.store(), reader.root(), &waiting).await {
            match message {
                Ok(message) => entries(&message).iter().for_each(|entry| covered.add(entry)),
                Err(LakeError::NewerMessage { path, .. }) => newer = newer.or(Some(path)),
                // Who is to commit it says what is wrong with it.
                Err(LakeError::UnreadableMessage { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            batches,
            in_ledger,
            stored: stored.iter().map(|message| (message.batch, message.stored_at)).collect(),
            covered,
            newer,
            log,
        })
    }

    /// Finds out whether the message that a batch had may be made again.
    async fn message(&self, reader: &LakeReader, found: &BatchFiles) -> Result<Looked> {
        if self.in_ledger.contains(&found.identity) {
            return Ok(Looked::Is(LostOutcome::AlreadyIn));
        }
        let wanted = match self.batches.standing(found.identity) {
            // Where one committer writes, what a crash left in part comes again.
            BatchStanding::In if self.log.is_none() => return Ok(Looked::Is(LostOutcome::AlreadyIn)),
            BatchStanding::In | BatchStanding::Absent => None,
            BatchStanding::HalfDone(note) => Some(note.files.as_slice()),
        };
        if let Some(stored_at) = self.stored.get(&found.identity) {
            return Ok(Looked::Stored { message: pending::path(&found.identity), stored_at: *stored_at });
        }
        let read = footers::read_all(reader, &found.files).await?;
        // A batch that is in in part is told by its files, and its records by no other.
        if (wanted.is_none() || self.log.is_some())
            && let Some(footer) = read.iter().find_map(Read::batch)
            && let Some(outcome) = self.came_again(&found.batch, footer)
        {
            return Ok(Looked::Is(outcome));
        }
        Ok(match footers::whole(&found.batch, read, wanted) {
            Whole::Message(message) => Looked::Message(message),
            Whole::Not(why) => Looked::Is(why),
        })
    }

    /// What there is to say of a batch whose records came again, or come again by themselves.
    fn came_again(&self, batch: &BatchIdentity, footer: &BatchFooter) -> Option<LostOutcome> {
        let covers = &footer.covers;
        if let Some(log) = &self.log {
            let (rest, by) = self.covered.rest(batch, covers);
            return match &rest[..] {
                [] if !covers.is_empty() => Some(LostOutcome::Covered { by }),
                [_, ..] if rest.iter().all(|run| holds(log, run)) => Some(LostOutcome::InLog),
                _ => None,
            };
        }
        match self.covered.share(batch, covers, footer.received()) {
            Share::Nothing => self.newer.clone().map(|message| LostOutcome::NewerMessage { message }),
            Share::All(by) => Some(LostOutcome::Covered { by }),
            Share::Part(by) => Some(LostOutcome::CoveredInPart { by }),
            Share::Unclear(with) => Some(LostOutcome::SharesARecord { with }),
        }
    }
}

/// Whether a log holds all records of a run.
fn holds(log: &[ShardState], run: &ShardRange) -> bool {
    let holds = |state: &ShardState| {
        state.oldest.is_some_and(|oldest| oldest <= run.first) && state.newest.is_some_and(|newest| run.last <= newest)
    };
    log.iter().any(|state| state.shard == run.shard && holds(state))
}

impl Recover<'_> {
    /// Does it with a message that was made again.
    async fn message(&self, reader: &LakeReader, message: &CommitMessage) -> Result<LostOutcome> {
        let path = message.path();
        if let Self::DryRun = self {
            return Ok(LostOutcome::CanBeRebuilt { message: path });
        }
        let at = Path::from(path.as_str());
        match reader.store().put_opts(&at, message.encode().into(), PutMode::Create.into()).await {
            Ok(_) => {}
            // Whether who has stored it meanwhile enqueues it too is not known.
            Err(Error::AlreadyExists { .. }) => return Ok(self.stored(path).await),
            Err(source) => {
                return Err(LakeError::Store { doing: "write", path: format!("{}/{path}", reader.root()), source });
            }
        }
        let Self::Enqueue(queue) = self else { return Ok(LostOutcome::Stored { message: path }) };
        Ok(match queue.enqueue(&path).await {
            Ok(()) => LostOutcome::Enqueued { message: path },
            Err(error) => LostOutcome::NotEnqueued { message: path, problem: error.to_string() },
        })
    }

    /// Enqueues a message that was there, which does no harm where a queue has it still (LK-1).
    async fn stored(&self, message: String) -> LostOutcome {
        let Self::Enqueue(queue) = self else { return LostOutcome::MessageOverdue { message } };
        match queue.enqueue(&message).await {
            Ok(()) => LostOutcome::EnqueuedAgain { message },
            Err(error) => LostOutcome::NotEnqueued { message, problem: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests;
