//! One invocation: one task, within its time.
//!
//! Everything is opened anew, so an invocation that was cut off leaves nothing half advanced, and memory holds one at a time. Work is begun
//! as long as it may well end; what takes longer than that is stopped shortly before Lambda would do it, so that it is still told.

mod audit;
mod erasures;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::service_counts::ServiceCounts;
use alluvium_core::{Clock, Datasets};
use alluvium_lake::{Beside, LakeError, LakeReader, StoreIndex, Turn, Upkeep};
use alluvium_transform::DataFiles;
use lambda_runtime::Diagnostic;
use object_store::ObjectStore;
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use crate::asked::{Asked, Task};
use crate::measured::Measured;
use crate::settings::Settings;

/// How long before the deadline no piece of work is begun any more: a round of compaction takes less.
const SPARE: Duration = Duration::from_secs(60);
/// How long before the deadline work is stopped.
const STOP: Duration = Duration::from_secs(5);

/// What invocations work on.
pub struct Handler {
    /// The store that is rooted at the lake.
    pub store: Arc<dyn ObjectStore>,
    /// The lake's URL.
    pub root: Url,
    /// The datasets that have tables.
    pub datasets: Arc<Datasets>,
    /// What erasures have to do with beside the tables; `None`: they are not looked after here.
    pub beside: Option<Beside>,
    /// Whose counts the audit holds the ledger against; `None`: none are asked.
    pub counted: Option<CountedStream>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A folder for rows that do not fit into memory.
    pub spill: PathBuf,
    /// The function's settings.
    pub settings: Settings,
}

/// A stream whose records are counted by services.
pub struct CountedStream {
    /// The counts.
    pub counts: Arc<dyn ServiceCounts>,
    /// For how long records are gathered before they are handed over.
    pub buffer: Duration,
}

/// An invocation whose task did not end well. What it has done is done, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The event asks for nothing that there is.
    #[error("the event cannot be read: {0}")]
    Asked(String),
    /// The task failed on tables, each named with the reason.
    #[error("{task} failed: {why}")]
    Failed { task: &'static str, why: String },
    /// There was not time enough.
    #[error(
        "{task} was stopped before Lambda would have done it: a single piece of work takes longer than the function may run. What it wrote \
         is left for vacuum. Give the function more memory, and with it more of a processor, or let rounds be smaller \
         (ALLUVIUM_MAINTAIN__ROUND_BYTES)"
    )]
    Stopped { task: &'static str },
}

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Self {
        let error_type = match error {
            HandlerError::Asked(_) => "Alluvium.Asked",
            HandlerError::Failed { .. } => "Alluvium.Failed",
            HandlerError::Stopped { .. } => "Alluvium.Stopped",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// Until when an invocation works.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// Nothing is begun any more then.
    until: Micros,
    /// For so long from now on it may work.
    left: Duration,
}

impl Time {
    fn of(now: Micros, deadline: Micros, within: Option<Duration>) -> Self {
        let all = Duration::from_micros(u64::try_from(deadline.saturating_sub(now)).unwrap_or_default());
        let begin = all - SPARE.min(all / 4);
        let begin = within.map_or(begin, |within| within.min(begin));
        Self { until: now.saturating_add(micros(begin)), left: all - STOP.min(all / 8) }
    }
}

impl Handler {
    /// Does what an event asks for, and says what was done: of each piece of work what `lake` reports, and what is left for the next
    /// invocation.
    ///
    /// # Errors
    ///
    /// When the event is wrong, a piece of work failed, or one took so long that it was stopped.
    pub async fn handle(&self, event: Value, deadline: Micros) -> Result<Value, HandlerError> {
        let upkeep = self.upkeep();
        let (asked, tables) = match Asked::read(event, upkeep.tables()) {
            Ok(read) => read,
            Err(why) => {
                tracing::error!(why, "the event cannot be read");
                self.measure(Measured { failures: 1, ..Measured::default() });
                return Err(HandlerError::Asked(why));
            }
        };
        let task = asked.task.name();
        let time = Time::of(self.clock.now_micros(), deadline, asked.within);
        match asked.task {
            Task::Compact => {
                let mut turn = Turn::default();
                let work = upkeep.compact_turn(&tables, self.settings.maintain.compact_files, time.until, &mut turn);
                let ended = in_time(time, work).await;
                for round in &turn.done {
                    tracing::info!(
                        table = round.table,
                        version = round.version,
                        files_before = round.files_before,
                        files_after = round.files_after,
                        duplicates = round.duplicates,
                        "a table was compacted"
                    );
                }
                let measured = Measured::compacted(&turn.done);
                self.answer(task, turn, ended, measured)
            }
            Task::Retain => {
                let mut turn = Turn::default();
                let ended = in_time(time, upkeep.retain_turn(&tables, time.until, &mut turn)).await;
                for expired in &turn.done {
                    tracing::info!(
                        table = expired.table,
                        version = expired.version,
                        files = expired.files,
                        rows = expired.rows,
                        "rows are past their retention"
                    );
                }
                let measured = Measured::expired(&turn.done);
                self.answer(task, turn, ended, measured)
            }
            Task::Vacuum => {
                let mut turn = Turn::default();
                let ended = in_time(time, upkeep.vacuum_turn(&tables, time.until, &mut turn)).await;
                for vacuumed in &turn.done {
                    tracing::info!(
                        table = vacuumed.table,
                        removed = vacuumed.removed.files,
                        orphans = vacuumed.orphans.files,
                        log_entries = vacuumed.log_entries.files,
                        waiting = vacuumed.waiting.files,
                        "what nobody needs was deleted"
                    );
                }
                let measured = Measured::vacuumed(&turn.done);
                self.answer(task, turn, ended, measured)
            }
            Task::Audit => self.audit(time).await,
            Task::Erasures => self.erasures(time).await,
        }
    }

    fn reader(&self) -> LakeReader {
        LakeReader::new(self.store.clone(), self.root.clone())
    }

    fn upkeep(&self) -> Upkeep {
        Upkeep::new(
            self.reader(),
            self.datasets.clone(),
            Arc::new(DataFiles::new(self.datasets.clone())),
            Arc::new(StoreIndex::new(self.store.clone())),
            self.clock.clone(),
            self.spill.clone(),
            self.settings.maintain.upkeep(),
        )
    }

    fn measure(&self, measured: Measured) {
        measured.metrics(&self.settings.stage).flush(self.clock.now_micros());
    }

    /// Logs and measures how a turn ended, and says what the invocation answers.
    fn answer<T: Serialize>(
        &self,
        task: &'static str,
        turn: Turn<T>,
        ended: Option<()>,
        measured: Measured,
    ) -> Result<Value, HandlerError> {
        let Turn { done, failed, left } = turn;
        for (table, error) in &failed {
            tracing::error!(task, table, %error, "maintenance failed; the next invocation tries again");
        }
        for left in &left {
            let (files, bytes) = left.waiting.map(|waiting| (waiting.files, waiting.bytes)).unzip();
            tracing::info!(task, table = left.table, files, bytes, "left for the next invocation");
        }
        let failures = failed.len() as u64 + u64::from(ended.is_none());
        self.measure(Measured { failures, ..measured });
        if !failed.is_empty() {
            let why: Vec<_> = failed.iter().map(|(table, error)| format!("`{table}`: {error}")).collect();
            return Err(HandlerError::Failed { task, why: why.join("; ") });
        }
        ended.ok_or_else(|| stopped(task))?;
        Ok(json!({"task": task, "done": done, "left": left}))
    }

    /// The end of an invocation that did nothing but fail.
    fn failed(&self, task: &'static str, error: &LakeError) -> HandlerError {
        tracing::error!(task, %error, "maintenance failed; the next invocation tries again");
        self.measure(Measured { failures: 1, ..Measured::default() });
        HandlerError::Failed { task, why: error.to_string() }
    }
}

fn stopped(task: &'static str) -> HandlerError {
    let error = HandlerError::Stopped { task };
    tracing::error!(task, %error, "maintenance was stopped");
    error
}

/// What work gives that ends in time; `None`: it was stopped.
async fn in_time<T>(time: Time, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time.left, work).await.ok()
}

#[cfg(test)]
mod tests;
