//! How long things are kept in a lake, and what must hold between these times (ADR 12, ADR 15).

use std::time::Duration;

use deltalake_core::kernel::Metadata;

use crate::error::{LakeError, Result};
use crate::log::TableLog;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How long a commit message lives: later nothing names it any more (ADR 12).
pub(crate) const MESSAGE: Duration = DAY.saturating_mul(29);

/// How old a file that nothing names must be to be deleted: no message that is still to come can name it. A store that removes
/// objects by age does so up to a day late; the second day is for clocks.
pub(crate) const ORPHAN: Duration = DAY.saturating_mul(31);

/// How old what a committer among several knows of the tables may be before it loads them anew.
pub(crate) const MOST_IDLE: Duration = HOUR;

/// A data file whose records came longer ago than this is looked for before it is added to a table.
pub(crate) const UNASKED: Duration = HOUR;

const _: () = assert!(ORPHAN.as_secs() > MESSAGE.as_secs() && UNASKED.as_secs() < ORPHAN.as_secs());

const TOMBSTONES: &str = "delta.deletedFileRetentionDuration";
const LOG: &str = "delta.logRetentionDuration";
const TRANSACTIONS: &str = "delta.setTransactionRetentionDuration";
const CLEANUP: &str = "delta.enableExpiredLogCleanup";

/// How long a table keeps what no reader of its newest version needs, by its properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ages {
    /// Files that were taken out of it, and the memory of them.
    pub(crate) tombstones: Duration,
    /// Log entries, once a checkpoint stands for them.
    pub(crate) log: Duration,
}

impl Ages {
    /// Reads them out of a table's properties.
    ///
    /// # Errors
    ///
    /// [`LakeError::Retention`] when a property cannot be read, or is such that records could be lost or come in twice.
    ///
    /// Source of the defaults: Delta Lake documentation, "Table properties reference".
    pub(crate) fn of(log: &TableLog, metadata: &Metadata) -> Result<Self> {
        let properties = metadata.configuration();
        let refused = |property: &'static str, problem: &str, right: &'static str| LakeError::Retention {
            table: log.name().to_owned(),
            property,
            found: properties.get(property).cloned().unwrap_or_else(|| "nothing".to_owned()),
            problem: problem.to_owned(),
            right,
        };
        let age = |property, default, least: Duration, problem: &str, right| {
            let found = properties.get(property).map_or(Some(default), |text| parse(text));
            found.filter(|age| *age > least).ok_or_else(|| refused(property, problem, right))
        };
        let outlive = "it must be longer than 29 days, which a commit message lives, or a batch that comes again could come in twice";
        let tombstones = age(TOMBSTONES, DAY.saturating_mul(7), MESSAGE, outlive, "interval 30 days")?;
        age(TRANSACTIONS, Duration::MAX, MESSAGE, outlive, "interval 30 days")?;
        let unseen = "it must be longer than an hour, for so long a committer reads on from where it was";
        let log = age(LOG, DAY.saturating_mul(30), MOST_IDLE, unseen, "interval 1 days")?;
        if properties.get(CLEANUP).is_none_or(|cleanup| cleanup != "false") {
            let unasked =
                "another program that writes a checkpoint would remove entries that the ledger has not copied";
            return Err(refused(CLEANUP, unasked, "false"));
        }
        Ok(Self { tombstones, log })
    }
}

/// Reads an interval as Delta writes it: a number and a unit of a week or shorter.
fn parse(text: &str) -> Option<Duration> {
    let mut words = text.split_whitespace();
    let (Some("interval"), Some(number), Some(unit), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return None;
    };
    let unit = match unit.trim_end_matches('s') {
        "week" => DAY.saturating_mul(7),
        "day" => DAY,
        "hour" => HOUR,
        "minute" => Duration::from_secs(60),
        "second" => Duration::from_secs(1),
        _ => return None,
    };
    unit.checked_mul(number.parse().ok()?)
}

#[cfg(test)]
mod tests;
