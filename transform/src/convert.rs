//! The transform alone, file to file: NDJSON in, one Parquet file out, sorted, in bounded memory.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::identity::{content_hash, idempotent_event_id};
use alluvium_core::{Dataset, ReasonCode};
use parquet::errors::ParquetError;

use crate::draft::Draft;
use crate::encode::{FileWriter, Layout};
use crate::error::TransformError;
use crate::fault::Fault;
use crate::judge::{Judged, judge};
use crate::plan::Plan;
use crate::reading::{self, too_large};
use crate::rows::Rows;
use crate::settings::TransformSettings;
use crate::skeleton::recognise;
use crate::sources::Sources;
use crate::tape::Tape;

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
/// When the input cannot be read or the output cannot be written; never for a bad event, which the report describes.
pub fn convert(
    input: impl Read,
    dataset: &Arc<Dataset>,
    settings: &TransformSettings,
    arrival: Micros,
    output: impl Write + Send,
) -> Result<ConvertReport, TransformError> {
    let plan = Plan::compile(dataset);
    let mut lines = Lines {
        input: BufReader::with_capacity(256 * 1024, input),
        limit: settings.event_limit(),
        number: 0,
        cut_bytes: 0,
    };
    let output = FileWriter::new(output, &Layout::of(dataset), None).map_err(|source| parquet(dataset, source))?;
    let mut file = File { dataset, output, rows: Rows::new(dataset), sources: Sources::default() };
    let (mut report, mut line) = (ConvertReport::default(), Vec::new());
    let (mut tape, mut draft) = (Tape::default(), Draft::default());
    while let Some(bytes) = lines.next(&mut line)? {
        report.bytes += bytes;
        let element = line.trim_ascii();
        if element.is_empty() {
            continue;
        }
        report.received += 1;
        let read = if lines.cut_bytes > 0 { Err(too_large(bytes, settings)) } else { reading::text(element, settings) };
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
                file.push(&draft, event, lines.number, settings, arrival)?;
            }
            Err(fault) => report.bury(lines.number, fault),
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

/// Reads lines, and of a line that is too long only as much as shows that it is.
struct Lines<R> {
    input: BufReader<R>,
    limit: usize,
    number: u64,
    /// How many bytes of the last line were left out.
    cut_bytes: usize,
}

impl<R: Read> Lines<R> {
    /// The next line, and how many bytes it has with its end; `None` at the end of the input.
    fn next(&mut self, line: &mut Vec<u8>) -> Result<Option<u64>, TransformError> {
        line.clear();
        self.cut_bytes = 0;
        let mut bytes = 0;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(TransformError::Input { line: self.number, source }),
            };
            let end = memchr::memchr(b'\n', buffer);
            let part = &buffer[..end.unwrap_or(buffer.len())];
            // Room for one byte that shows an event to be too large, and for the carriage return of one that is not.
            let room = part.len().min((self.limit + 2).saturating_sub(line.len()));
            line.extend_from_slice(&part[..room]);
            self.cut_bytes += part.len() - room;
            let consumed = part.len() + usize::from(end.is_some());
            bytes += consumed as u64;
            self.input.consume(consumed);
            if consumed == 0 || end.is_some() {
                self.number += u64::from(bytes > 0);
                return Ok((bytes > 0).then_some(bytes));
            }
        }
    }
}

/// The file under way: rows that wait to be sorted, and the writer of those before.
struct File<'a, W: Write + Send> {
    dataset: &'a Arc<Dataset>,
    output: FileWriter<W>,
    rows: Rows,
    sources: Sources,
}

impl<W: Write + Send> File<'_, W> {
    fn push(
        &mut self,
        draft: &Draft,
        event: &str,
        line: u64,
        settings: &TransformSettings,
        arrival: Micros,
    ) -> Result<(), TransformError> {
        let owner = settings.stream_owner.as_str();
        let source = match draft.source {
            Some(place) => draft.resolve(event, place),
            None if owner.is_empty() => "anonymous",
            None => owner,
        };
        let owner = self.sources.owner(owner);
        let source = self.sources.source(owner, source);
        match draft.id {
            Some(place) => self.rows.push(draft, event, draft.resolve(event, place), source, arrival),
            None => {
                let id = idempotent_event_id(&content_hash(event.as_bytes()), line as u32);
                self.rows.push(draft, event, &id, source, arrival);
            }
        }
        if self.rows.len().is_multiple_of(WEIGHED_EVERY) && self.rows.size_bytes() >= settings.sort_bytes {
            self.write_run()?;
        }
        Ok(())
    }

    /// Sorts the rows and writes them as one or more row groups.
    fn write_run(&mut self) -> Result<(), TransformError> {
        let dataset = self.dataset.name.as_str();
        let arrow = |source| TransformError::Arrow { dataset: dataset.to_owned(), source };
        let rows = self.rows.sort(&self.sources).map_err(arrow)?;
        self.sources = Sources::default();
        self.output.write_row_group(&rows.batch).map_err(|source| parquet(self.dataset, source))
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
