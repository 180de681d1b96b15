//! The lake for several committers at once: what a queue delivers late, out of order and more than once is committed by identity.
//!
//! A batch has one *part* in each table that it feeds: its data file there, and ledger entries (see the module `batch`). A table
//! knows which batches it has, by the names of its files and by the transactions of batches that have none, so each part enters
//! once, whoever brings it (LK-1). The ledger copies a part only together with all others of its batch (see the module `copying`),
//! so it may be read at any version, as where one committer writes the lake.
//!
//! There are no marks and no positions here. What a crash leaves half done is completed when the message comes again, which it
//! does, for it was not acknowledged; or before that by a committer that finds it half done twice, for it holds the ledger back.
//!
//! The store must make each object visible whole or not at all. So no entry of a log is ever torn, and nothing is mended: a
//! damaged log is an error.

mod batch;
mod copying;
mod messages;
mod round;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::dataset::ledger_columns;
use alluvium_core::trace::STEP;
use alluvium_core::{Clock, CommitMessage, DataFileFormat, DatasetName, Datasets};
use futures::future::try_join_all;
use object_store::ObjectStore;
use serde::Serialize;
use tracing::Instrument as _;
use url::Url;

pub(crate) use messages::read_all;
pub(crate) use round::notes;
pub use round::{CommittedBatch, Outcome, SharedCommit};

use crate::ages::MOST_IDLE;
use crate::columns;
use crate::erase::{Erasures, Screener};
use crate::error::{LakeError, Result};
use crate::ledger::Ledger;
use crate::log::TableLog;
use crate::pending;
use crate::settings::LakeSettings;
use crate::state::IdentityBits;
use crate::table::{Prepared, Table};
use round::Round;

/// How many batches that others left half done are completed in one call.
const MOST_HELPED: usize = 100;

/// The tables of a lake that several committers write to.
#[derive(Debug)]
pub struct SharedLake {
    store: Arc<dyn ObjectStore>,
    root: Url,
    /// Every dataset's and `dead_letters`, by name.
    tables: BTreeMap<String, Table>,
    ledger: Ledger,
    /// When the tables were last looked at.
    seen: Micros,
    /// The batches that were half done when the last call ended.
    half_done: BTreeSet<IdentityBits>,
    screener: Screener,
    clock: Arc<dyn Clock>,
    settings: LakeSettings,
}

/// What opening the lake found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SharedOpening {
    /// Tables that were made, by this opener and no other.
    pub created: Vec<String>,
    /// Tables that gained columns.
    pub evolved: Vec<String>,
    /// Datasets of which no batch has ever been committed, those of `created` included: who made the table may have died before
    /// it did what is to be done for a new one.
    pub empty: Vec<String>,
}

impl SharedOpening {
    fn note(&mut self, table: &str, prepared: Prepared) {
        match prepared {
            Prepared::Fits => {}
            Prepared::Created => self.created.push(table.to_owned()),
            Prepared::Evolved => self.evolved.push(table.to_owned()),
        }
    }
}

impl SharedLake {
    /// Opens the lake for writing: makes the tables that are missing, and adds the columns that datasets have gained. Others may
    /// do the same at the same time.
    ///
    /// `store` is rooted at the lake: `telemetry/_delta_log/…` is a path in it. It must not make an object visible before it is
    /// whole, and must refuse to create one that is there. `root` is the lake's URL, for messages that say where something lies.
    /// `format` writes the files of batches anew that hold rows of an owner who is erased.
    ///
    /// # Errors
    ///
    /// When the store fails, a log is damaged, a table was upgraded by another program, a table's properties let too much be
    /// forgotten, a dataset's columns contradict those of its table, or the lake is one that [`Lake`](crate::Lake) writes.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        root: Url,
        datasets: &Datasets,
        format: Arc<dyn DataFileFormat>,
        clock: Arc<dyn Clock>,
        settings: LakeSettings,
    ) -> Result<(Self, SharedOpening)> {
        let now = clock.now_micros();
        let ledger_name = DatasetName::ledger();
        let log = |name: &str| TableLog::new(&store, &root, name);
        let erasures = Erasures::new(store.clone(), root.clone());
        let mut ledger = Table::load_since_checkpoint(log(ledger_name.as_str())).await?;
        if !ledger.state.positions.is_empty() {
            return Err(ledger.log.damaged(
                "_delta_log",
                "it has positions of a stream, so one committer writes this lake, in the order of the stream, and several cannot; \
                 begin another lake",
            ));
        }
        let ledger_prepared = ledger.prepare(&ledger_columns(), &[], &erasures, now).await?;
        let copied = &ledger.state.copied;
        let opened = columns::of_tables(datasets).map(|(name, columns)| {
            let (log, erasures) = (log(&name), &erasures);
            async move {
                let mut table = Table::load_with_uncopied(log, copied.get(&name).copied()).await?;
                let is_dead_letters = name == DatasetName::dead_letters().as_str();
                let properties = if is_dead_letters { &[columns::REMEMBERED][..] } else { &[] };
                let prepared = table.prepare(&columns, properties, erasures, now).await?;
                Ok::<_, LakeError>((name, table, prepared))
            }
        });
        let opened = try_join_all(opened).await?;
        let mut opening = SharedOpening::default();
        for (name, table, prepared) in &opened {
            opening.note(name, *prepared);
            if table.state.kept.is_empty() {
                opening.empty.push(name.clone());
            }
        }
        opening.note(ledger_name.as_str(), ledger_prepared);
        let tables = opened.into_iter().map(|(name, table, _)| (name, table)).collect();
        let ledger = Ledger { table: ledger };
        let half_done = BTreeSet::new();
        let screener = Screener::new(erasures, datasets, format);
        Ok((Self { store, root, tables, ledger, seen: now, half_done, screener, clock, settings }, opening))
    }

    /// Commits the batches of these messages: one log entry per table that they feed, then one of the ledger.
    ///
    /// Messages may come late, in any order and more than once, here and at other committers at the same time. Each has its own
    /// outcome: one that is refused holds no other back. A message whose outcome is [`Outcome::Committed`] or
    /// [`Outcome::AlreadyIn`] is dealt with; every other one must come again.
    ///
    /// That there is one message to a batch is the business of who writes them: its object is put only if absent. A second one that
    /// names other files, for the same records transformed anew, is in already when the first one is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves batches half done, as a crash does; the same messages complete them, here or elsewhere.
    pub async fn commit(&mut self, messages: &[CommitMessage]) -> SharedCommit {
        self.commit_read(messages.iter().map(Ok)).await
    }

    /// Reads the messages that lie at these paths and commits their batches; an outcome for each path, in order.
    ///
    /// A path that is none, or at which lies no message of its name, is refused. The messages stay where they are: whoever is
    /// delivered one again must find it.
    ///
    /// # Cancel safety
    ///
    /// As for [`commit`](Self::commit).
    pub async fn commit_paths(&mut self, paths: &[String]) -> SharedCommit {
        let read = self.read_messages(paths).await;
        self.commit_read(read.into_iter()).await
    }

    /// Copies into the ledger what maintenance has committed since, for the times when no batch comes with which that would be done;
    /// completes what has stayed half done, as every call does.
    ///
    /// # Cancel safety
    ///
    /// As for [`commit`](Self::commit).
    pub async fn keep_up(&mut self) -> SharedCommit {
        self.commit(&[]).await
    }

    async fn commit_read(
        &mut self,
        messages: impl Iterator<Item = Result<impl Borrow<CommitMessage>>>,
    ) -> SharedCommit {
        let mut round = Round::new(messages, &self.tables);
        let failure = self.write(&mut round).await.err();
        self.half_done = round::half_done(&self.tables, &self.ledger);
        round.finish(&self.tables, &self.ledger, failure)
    }

    async fn write(&mut self, round: &mut Round) -> Result<()> {
        let now = self.clock.now_micros();
        self.catch_up(now).await?;
        self.help(round).await;
        round.compare(&self.tables, &self.ledger);
        round.refuse_gone(&self.tables, now).await?;
        for (name, table) in &mut self.tables {
            let plan = |table: &Table| Ok(batch::plan(round.batches(), table, now));
            let files: Vec<_> = round.batches().iter().filter_map(|batch| batch.file_for(name)).collect();
            let append = table.append(&mut self.screener, &files, plan, now);
            // A table that gets no file has nothing to be waited for.
            let appended = match files.len() {
                0 => append.await?,
                files => append.instrument(tracing::debug_span!(target: STEP, "commit", of = name, files)).await?,
            };
            if let Some(appended) = appended {
                round.appended(name, &appended);
            }
        }
        // Once more: whoever looks last, of several that end at about the same time, sees the parts of all, and copies them.
        self.catch_up(now).await?;
        let step = tracing::debug_span!(target: STEP, "commit", of = "ledger");
        round.copied(self.ledger.append(copying::plan, &mut self.tables, now).instrument(step).await?);
        for table in self.tables.values_mut().chain([&mut self.ledger.table]) {
            table.checkpoint_if_due_to_all(self.settings.checkpoint_every.get()).await;
        }
        Ok(())
    }

    /// Adds the batches that are still half done since the last call: who was at them has died, or is slow, which does no harm.
    async fn help(&self, round: &mut Round) {
        let half_done = round::half_done(&self.tables, &self.ledger);
        let paths: Vec<_> = half_done.intersection(&self.half_done).take(MOST_HELPED).map(pending::path).collect();
        for message in self.read_messages(&paths).await {
            match message {
                Ok(message) => round.help(&message),
                Err(error) => tracing::warn!(%error, "a batch stays half done, and holds the ledger back"),
            }
        }
    }

    /// Takes in what others have written since.
    async fn catch_up(&mut self, now: Micros) -> Result<()> {
        // Maintenance deletes log entries a day after a checkpoint; who has not looked for longer would take the hole for the end.
        if now - self.seen > micros(MOST_IDLE) {
            self.ledger.table = Table::load_since_checkpoint(self.ledger.table.log.clone()).await?;
            let copied = &self.ledger.table.state.copied;
            try_join_all(self.tables.iter_mut().map(async |(name, table)| {
                *table = Table::load_with_uncopied(table.log.clone(), copied.get(name).copied()).await?;
                Ok::<_, LakeError>(())
            }))
            .await?;
        } else {
            try_join_all(self.tables.values_mut().chain([&mut self.ledger.table]).map(Table::catch_up)).await?;
        }
        self.seen = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
