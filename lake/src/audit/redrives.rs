//! Redrives: what was sent again has come again.
//!
//! A dead letter is marked after the stream has taken its event, and a batch's ledger counts the events that came so. Marks go with
//! their rows, and an event may be sent twice, so that there may be fewer marks than events; more marks than events are a loss. Records that Firehose
//! had set aside and that were sent again (`redrive --failed`) count as events and have no marks, so that a loss of as many may hide behind
//! them.

use std::collections::HashMap;
use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::{BatchIdentity, LedgerEntry};
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::report::ShardAudit;
use super::{Findings, counted};
use crate::columns::KEY_COLUMNS;
use crate::error::Result;
use crate::filter::KeyNumber;
use crate::log::TableLog;
use crate::reader::ActiveFile;
use crate::redrive::MARK;
use crate::upkeep::blocking;

/// How long after its event a letter may have been marked.
const MARKED_WITHIN: Duration = Duration::from_secs(3600);

/// The dead letters that are marked as sent again: when, by the number of their event keys. One that was delivered twice is one.
#[derive(Debug, Default)]
pub(super) struct Marked(HashMap<u64, Micros>);

impl Marked {
    /// Reads the marks of those files that may have any: none has a file as a batch left it.
    pub(super) async fn read(log: &TableLog, files: &[ActiveFile], findings: &mut Findings) -> Result<Self> {
        let mut marked = Self::default();
        for file in files.iter().filter(|file| BatchIdentity::from_data_file_name(&file.path).is_none()) {
            let bytes = log.get_present(&file.path).await?;
            let read = blocking(log.name(), move || marks(bytes)).await?;
            match read {
                Ok(found) => marked.0.extend(found),
                Err(error) => findings.problem(format!("{}/{} cannot be read: {error}.", log.name(), file.path)),
            }
        }
        Ok(marked)
    }
}

fn marks(file: Bytes) -> std::result::Result<Vec<(u64, Micros)>, ArrowError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let columns = KEY_COLUMNS.iter().copied().chain([MARK]);
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    let mut marks = Vec::new();
    for rows in builder.with_projection(mask).build()? {
        marks.extend(marks_of(&rows?));
    }
    Ok(marks)
}

fn marks_of(rows: &RecordBatch) -> Vec<(u64, Micros)> {
    let Some(marked) = rows.column_by_name(MARK) else { return Vec::new() };
    let marked = marked.as_primitive::<TimestampMicrosecondType>();
    let [owners, sources, ids] = KEY_COLUMNS.map(|name| rows[name].as_string::<i32>());
    let mut number = KeyNumber::default();
    let mut key = |row| number.of(owners.value(row), sources.value(row), ids.value(row));
    (0..rows.num_rows()).filter(|row| marked.is_valid(*row)).map(|row| (key(row), marked.value(row))).collect()
}

/// Compares marks with the events that came again.
pub(super) fn check(marked: &Marked, entries: &[LedgerEntry], shards: &[ShardAudit], findings: &mut Findings) {
    let uncounted = entries.iter().filter(|entry| entry.redriven.is_none()).map(|entry| entry.arrival).max();
    let is_counted = |mark: Micros| uncounted.is_none_or(|until| mark > until.saturating_add(micros(MARKED_WITHIN)));
    let marks = marked.0.values().filter(|mark| is_counted(**mark)).count() as u64;
    let came: u64 = entries.iter().filter_map(|entry| entry.redriven).sum();
    let before = marked.0.len() as u64 - marks;
    if before > 0 {
        let before = counted(before, "dead letter was", "dead letters were");
        findings.note(format!("{before} sent again before events were counted that come again."));
    }
    if marks == 0 && came == 0 {
        return;
    }
    let sentence = format!(
        "{} sent again, {} again",
        counted(marks, "dead letter is marked as", "dead letters are marked as"),
        counted(came, "event came", "events came")
    );
    if marks <= came {
        findings.note(format!("{sentence}."));
    } else if shards.iter().all(|shard| shard.records_behind == Some(0)) {
        findings.problem(format!("{sentence}: {} lost.", counted(marks - came, "is", "are")));
    } else {
        findings.note(format!("{sentence}; the others may be among the records that are not committed yet."));
    }
}

#[cfg(test)]
mod tests;
