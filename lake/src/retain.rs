//! Retention: files whose rows are all older than their table keeps them leave it.
//!
//! A file with a row that is young enough stays whole. Compaction cuts files at dates, so that is a matter of a day or so; a file
//! that a batch left has rows of many dates and goes with the youngest of them.

use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::{DatasetName, Removal};
use arrow::compute::kernels::cast_utils::Parser as _;
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contention::Contention;
use crate::error::{LakeError, Result};
use crate::reader::ActiveFile;
use crate::rewrite::Rewrite;
use crate::upkeep::Upkeep;

const DAY: Micros = 86_400_000_000;
/// Times in the log are cut to milliseconds.
const CUT_OFF: Micros = 999;

/// How long tables without a schema keep their rows. A dataset's own retention stands in its schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetainSettings {
    /// Dead letters, by `event_time`. Default: for ever.
    #[serde(with = "alluvium_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<Duration>,
}

/// What retention took out of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// The table.
    pub table: String,
    /// The version that its commit made.
    pub version: u64,
    /// The files.
    pub files: usize,
    /// The rows in them.
    pub rows: u64,
    /// Their bytes, which vacuum gives back later.
    pub bytes: u64,
}

impl Upkeep {
    /// Takes the files out of a table whose newest `event_time` is longer ago than the table keeps its rows; `None`: there are
    /// none, or it keeps them for ever.
    ///
    /// # Errors
    ///
    /// When no dataset is named so, there is no such table, the store fails, or others keep winning.
    pub async fn retain(&self, table: &str) -> Result<Option<Expiry>> {
        let Some(retention) = self.retention(table)? else { return Ok(None) };
        let mut contention = Contention::default();
        loop {
            let state = self.newest(table).await?;
            let now = self.clock.now_micros();
            let oldest = now.saturating_sub(micros(retention));
            let mut expired = state.files()?;
            expired.retain(|file| newest_event(file).is_some_and(|newest| newest < oldest));
            if expired.is_empty() {
                return Ok(None);
            }
            let rows = expired.iter().map(|file| file.rows).sum();
            let report = Expiry {
                table: table.to_owned(),
                version: 0,
                files: expired.len(),
                rows,
                bytes: expired.iter().map(|file| file.size_bytes).sum(),
            };
            let removal = Removal {
                work: Uuid::new_v4().simple().to_string(),
                table: table.to_owned(),
                expired: rows,
                at: now,
                ..Removal::default()
            };
            if let Some(version) = self.commit(state, Rewrite::delete(expired, removal)).await? {
                return Ok(Some(Expiry { version, ..report }));
            }
            contention.wait(table).await?;
        }
    }

    /// How long a table keeps its rows; `None`: for ever.
    fn retention(&self, table: &str) -> Result<Option<Duration>> {
        if table == DatasetName::dead_letters().as_str() {
            return Ok(self.settings.retain.dead_letters);
        }
        let dataset = self.datasets.get(table).ok_or_else(|| LakeError::NoTable(table.to_owned()))?;
        Ok(dataset.retention)
    }
}

/// No row of the file is newer; `None`: its statistics do not say.
pub(crate) fn newest_event(file: &ActiveFile) -> Option<Micros> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stats {
        max_values: Newest,
    }
    #[derive(Deserialize)]
    struct Newest {
        event_time: Option<String>,
        event_date: Option<String>,
    }
    let Stats { max_values: Newest { event_time, event_date } } = serde_json::from_str(file.stats.as_deref()?).ok()?;
    let time = event_time.and_then(|time| TimestampMicrosecondType::parse(&time)).map(|time| time + CUT_OFF);
    time.or_else(|| Some((Micros::from(Date32Type::parse(&event_date?)?) + 1) * DAY - 1))
}

#[cfg(test)]
mod tests;
