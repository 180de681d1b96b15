//! Dead letters are sent again: chosen by an SQL condition, put into the stream as they were, then marked.
//!
//! A dead letter is marked only after the stream holds it. A redrive that ends between the two has it sent again by the next one;
//! the event has the same key each time, and so has the dead letter that it may become again, so that readers see it once.
//!
//! Rows are selected, sent and forgotten page by page; of those that were sent and not yet marked only the keys are kept.

mod failed;
mod letter;
mod pages;
mod put;
mod report;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::ports::{PortError, Stream};
use alluvium_lake::{DeadLetterKeys, LakeError};

use crate::maintenance::Maintenance;
use crate::sql::{Condition, DataFusionSql, SqlSettings};
use letter::{Letter, Unsendable, letters};
use pages::Pages;
use put::{Settled, put_all};
use report::Groups;

pub use failed::{FailedRecordsError, FailedReport, failed_records, preview_failed, send_failed};
pub use report::{RedriveGroup, RedriveReport};

/// A row may be as large as a stream's record, so few are held at once.
const PAGE_ROWS: NonZeroUsize = NonZeroUsize::new(128).expect("128 is not 0");
/// So many keys take some 20 MB.
const MARKED_AT_ONCE: usize = 100_000;
/// How long a selection may compute, and how long its results may wait for what was sent to be stored and marked.
const SELECTION: Duration = Duration::from_secs(3600);

/// What a redrive works on.
pub struct Redrive {
    /// What selects, with [`settings`] of its own.
    pub sql: Arc<DataFusionSql>,
    /// Where the events go.
    pub stream: Arc<dyn Stream>,
    /// What marks. No other maintenance is under way while dead letters are sent, so that none is sent whose owner is being erased.
    pub maintenance: Arc<Maintenance>,
    /// What tells the time of the marks.
    pub clock: Arc<dyn Clock>,
}

/// Why a redrive ended early. What it has sent is marked, unless marking failed; redriving once more sends the rest.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The condition or the tables are not right.
    #[error("dead letters cannot be selected: {0}")]
    Select(#[source] PortError),
    /// The stream takes nothing.
    #[error("dead letters cannot be sent: {source}; {sent} were sent before, redrive once more for the rest")]
    Send {
        /// How many were sent.
        sent: u64,
        /// Why no more were.
        source: PortError,
    },
    /// The stream has them, and they are not marked.
    #[error(
        "dead letters that were sent cannot be marked: {0}; the next redrive sends them once more, which is harmless"
    )]
    Mark(#[source] LakeError),
}

/// The settings of an engine that selects dead letters: few rows at a time, and no hurry.
pub fn settings(settings: SqlSettings) -> SqlSettings {
    SqlSettings { page_rows: PAGE_ROWS, time_limit: SELECTION, idle_limit: SELECTION, ..settings }
}

/// What a redrive under this condition would send.
///
/// # Errors
///
/// [`RedriveError::Select`].
pub async fn preview(sql: &DataFusionSql, condition: &Condition) -> Result<RedriveReport, RedriveError> {
    let mut pages = Pages::select(sql, condition).await.map_err(RedriveError::Select)?;
    let mut groups = Groups::default();
    while let Some(page) = pages.next().await.map_err(RedriveError::Select)? {
        for letter in page.iter().flat_map(letters) {
            match letter.record() {
                Ok(_) => groups.add_sent(&letter),
                Err(why) => groups.add_unsendable(&letter, why),
            }
        }
    }
    Ok(groups.into_report())
}

impl Redrive {
    /// Sends the dead letters for which a condition holds and that were not sent again before.
    ///
    /// # Errors
    ///
    /// See [`RedriveError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves some sent that are not marked, as a crash would.
    pub async fn run(&self, condition: &Condition) -> Result<RedriveReport, RedriveError> {
        let _alone = self.maintenance.alone().await;
        let mut sending =
            Sending { redrive: self, groups: Groups::default(), sent: 0, unmarked: DeadLetterKeys::default() };
        let sent = sending.send_all(condition).await;
        // What was sent before a failure is marked all the same.
        let marked = sending.mark().await;
        sent.and(marked)?;
        Ok(sending.groups.into_report())
    }
}

/// A redrive under way.
struct Sending<'a> {
    redrive: &'a Redrive,
    groups: Groups,
    sent: u64,
    /// Those that the stream holds.
    unmarked: DeadLetterKeys,
}

impl Sending<'_> {
    async fn send_all(&mut self, condition: &Condition) -> Result<(), RedriveError> {
        let mut pages = Pages::select(&self.redrive.sql, condition).await.map_err(RedriveError::Select)?;
        while let Some(page) = pages.next().await.map_err(RedriveError::Select)? {
            self.send(page.iter().flat_map(letters).collect()).await?;
            if self.unmarked.len() >= MARKED_AT_ONCE {
                self.mark().await?;
            }
        }
        Ok(())
    }

    /// Sends some letters; returns when the stream holds those that can be sent.
    async fn send(&mut self, letters: Vec<Letter<'_>>) -> Result<(), RedriveError> {
        let mut waiting = Vec::new();
        for letter in letters {
            match letter.record() {
                Ok(record) => waiting.push((letter, record)),
                Err(why) => self.groups.add_unsendable(&letter, why),
            }
        }
        let Self { groups, sent, unmarked, .. } = self;
        let settle = |letter: Letter<'_>, settled| match settled {
            Settled::Stored => {
                unmarked.insert(letter.owner, letter.source, letter.event_id, letter.arrival);
                groups.add_sent(&letter);
                *sent += 1;
            }
            Settled::TooLarge => groups.add_unsendable(&letter, Unsendable::TooLarge),
        };
        let done = put_all(&*self.redrive.stream, waiting, settle).await;
        done.map_err(|source| RedriveError::Send { sent: self.sent, source })
    }

    async fn mark(&mut self) -> Result<(), RedriveError> {
        let letters = Arc::new(std::mem::take(&mut self.unmarked));
        if letters.is_empty() {
            return Ok(());
        }
        let now = self.redrive.clock.now_micros();
        let rows = self.redrive.maintenance.upkeep().mark_redriven(&letters, now).await.map_err(RedriveError::Mark)?;
        tracing::info!(letters = letters.len(), rows, "dead letters were sent again");
        Ok(())
    }
}
