//! The transform alone, file to file: NDJSON in, one Parquet file out, sorted, in bounded memory.

mod lines;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::identity::{content_hash, idempotent_event_id};
use alluvium_core::{Dataset, ReasonCode};
use parquet::errors::ParquetError;

use crate::draft::Draft;
use crate::encode::{FileWriter, Layout, ROW_GROUP_ROWS};
use crate::error::TransformError;
use crate::fault::Fault;
use crate::judge::{Judged, judge};
use crate::plan::Plan;
use crate::reading::{self, too_large};
use crate::rows::Rows;
use crate::settings::TransformSettings;
use crate::skeleton::recognise;
use crate::sources::{OwnerIndex, Sources, Waiting};
use crate::tape::Tape;
use lines::Lines;

/// How many dead events a report describes.
pub const DEAD_LINES: usize = 20;

/// How many rows are added before it is looked again how much they take.
const WEIGHED_EVERY: usize = 64;

/// What became of the events of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConvertReport {
    /// Lines that are not blank: `rows` plus `filtered` plus those dead.
    pub received: u64,
    /// Rows written.
    pub rows: u64,
    /// Events that a rule of the dataset dropped.
    pub filtered: u64,
    /// Events that could not become a row, by reason.
    pub dead_by_reason: BTreeMap<ReasonCode, u64>,
    /// The first of them, at most [`DEAD_LINES`].
    pub first_dead: Vec<DeadLine>,
    /// Bytes read.
    pub bytes: u64,
}

impl ConvertReport {
    /// Events that could not become a row.
    pub fn dead(&self) -> u64 {
        self.dead_by_reason.values().sum()
    }
}

/// A line that could not become a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub reason: ReasonCode,
    /// Why, as a sentence.
    pub detail: String,
    /// A JSON pointer to the offending value, if it is one value.
    pub pointer: Option<String>,
}

/// Writes the events of an NDJSON text as one Parquet file with the dataset's columns.
///
/// Every event belongs to `dataset`, whatever its `type`, and to `settings.stream_owner`; `arrival` is its `ingest_time`, its
/// time if it has none, and what its time is measured against. An id that is missing is derived from the line's bytes and
/// number, so that the same file gives the same ids. Blank lines are skipped.
///
/// Rows are sorted over the whole file as long as they take no more than `settings.sort_bytes`. Past that they are sorted and
/// written run by run, each run in row groups of its own, so that memory is bounded whatever the size of the input.
///
/// # Errors
///
/// When the input cannot be read or the output cannot be written, or the dataset pseudonymises properties and there is no key
/// for it; never for a bad event, which the report describes.
pub fn convert(
    input: impl Read,
    dataset: &Arc<Dataset>,
    settings: &TransformSettings,
    arrival: Micros,
    output: impl Write + Send,
) -> Result<ConvertReport, TransformError> {
    let plan = Plan::compile(dataset, settings.pseudonym_key.as_ref())?;
    let mut lines = Lines::new(input, settings.event_limit());
    let output = FileWriter::new(output, &Layout::of(dataset)).map_err(|source| parquet(dataset, source))?;
    let mut file = File {
        dataset,
        output,
        rows: Rows::new(dataset),
        sources: Sources::default(),
        owner: None,
        waiting: Waiting::default(),
        settings,
    };
    let mut report = ConvertReport::default();
    let (mut tape, mut draft) = (Tape::default(), Draft::default());
    while let Some(line) = lines.next()? {
        report.bytes += line.bytes;
        let element = line.text.trim_ascii();
        if element.is_empty() && !line.is_too_long {
            continue;
        }
        report.received += 1;
        let read =
            if line.is_too_long { Err(too_large(line.bytes, settings)) } else { reading::text(element, settings) };
        let judged = read.and_then(|event| {
            if recognise(&mut draft, &plan, event, arrival) {
                return Ok((Judged::Row, event));
            }
            reading::scan(event, settings, &mut tape)?;
            judge(&mut draft, &plan, event, &tape, arrival).map(|judged| (judged, event))
        });
        match judged {
            Ok((Judged::Filtered, _)) => report.filtered += 1,
            Ok((Judged::Row, event)) => {
                report.rows += 1;
                file.push(&draft, event, line.number, arrival)?;
            }
            Err(fault) => report.bury(line.number, fault),
        }
    }
    file.finish()?;
    Ok(report)
}

impl ConvertReport {
    fn bury(&mut self, line: u64, fault: Fault) {
        *self.dead_by_reason.entry(fault.reason).or_default() += 1;
        if self.first_dead.len() < DEAD_LINES {
            self.first_dead.push(DeadLine { line, reason: fault.reason, detail: fault.detail, pointer: fault.pointer });
        }
    }
}

/// The file under way: rows that wait to be sorted, and the writer of those before.
struct File<'a, W: Write + Send> {
    dataset: &'a Arc<Dataset>,
    output: FileWriter<W>,
    rows: Rows,
    sources: Sources,
    /// The one owner of all rows, once its number is known.
    owner: Option<OwnerIndex>,
    /// The sources of the newest rows.
    waiting: Waiting,
    settings: &'a TransformSettings,
}

impl<W: Write + Send> File<'_, W> {
    fn push(&mut self, draft: &Draft, event: &str, line: u64, arrival: Micros) -> Result<(), TransformError> {
        let owner = self.settings.stream_owner.as_str();
        let source = match draft.source {
            Some(place) => draft.resolve(event, place),
            None if owner.is_empty() => "anonymous",
            None => owner,
        };
        if self.waiting.push(source) {
            self.look_up();
        }
        match draft.id {
            Some(place) => self.rows.push(draft, event, draft.resolve(event, place), arrival),
            None => {
                let id = idempotent_event_id(&content_hash(event.as_bytes()), line as u32);
                self.rows.push(draft, event, &id, arrival);
            }
        }
        if self.rows.len().is_multiple_of(WEIGHED_EVERY) && self.size_bytes() >= self.settings.sort_bytes {
            self.write_run()?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.rows.size_bytes() + self.sources.size_bytes()
    }

    /// Tells the rows their sources.
    fn look_up(&mut self) {
        let owner = match self.owner {
            Some(known) => known,
            None => *self.owner.insert(self.sources.owner(self.settings.stream_owner.as_str())),
        };
        self.waiting.look_up(&mut self.sources, owner, |source| self.rows.push_source(source));
    }

    /// Sorts the rows and writes them as one or more row groups.
    fn write_run(&mut self) -> Result<(), TransformError> {
        self.look_up();
        let dataset = self.dataset.name.as_str();
        let arrow = |source| TransformError::Arrow { dataset: dataset.to_owned(), source };
        let sorted = self.rows.sorted(&self.sources).map_err(arrow)?;
        for first in (0..sorted.len()).step_by(ROW_GROUP_ROWS) {
            let end = sorted.len().min(first + ROW_GROUP_ROWS);
            let rows = sorted.slice(first..end, &self.sources).map_err(arrow)?;
            self.output.write_row_group(&rows.batch).map_err(|source| parquet(self.dataset, source))?;
        }
        (self.sources, self.owner) = (Sources::default(), None);
        Ok(())
    }

    fn finish(mut self) -> Result<(), TransformError> {
        self.write_run()?;
        self.output.finish().map(drop).map_err(|source| parquet(self.dataset, source))
    }
}

fn parquet(dataset: &Dataset, source: ParquetError) -> TransformError {
    TransformError::Parquet { dataset: dataset.name.as_str().to_owned(), source }
}

#[cfg(test)]
mod tests;
