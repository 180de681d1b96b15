//! Files as events: NDJSON as it is, and CSV time series, one event per row.
//!
//! A replayed event's id is `<stem>:<row>`, the file's name without its ending and the row's number, so that replaying a file
//! again is a retry and not new data; rows that say the same are different events. An NDJSON event that has an id keeps it.

mod cells;
mod lines;
mod merge;
mod ndjson;
mod raw_row;
mod series;
mod settings;
pub(crate) mod table;
mod time;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::{EventSource, IngestError, Pace, Written};
use merge::Merge;
use ndjson::NdjsonFile;
use series::Series;

pub(crate) use lines::Line;
pub use lines::Lines;
pub use settings::{FileFormat, ReplaySettings, Shift};

/// Files as one source of events.
///
/// With [`Pace::Unlimited`] they come one after the other. With a speed they come together, by time, as they happened.
#[derive(Debug)]
pub struct Replay(Order);

#[derive(Debug)]
enum Order {
    OneByOne { current: Option<OneFile>, waiting: VecDeque<PathBuf>, settings: Box<ReplaySettings> },
    Together(Merge<OneFile>),
}

impl Replay {
    /// The events of these files. Each is opened once here, so that a wrong name or header is found before anything is sent.
    ///
    /// # Errors
    ///
    /// When a file cannot be opened, its format cannot be told, its header lacks a column, or two files share a stem, which would
    /// give different events the same ids.
    pub fn open(files: &[PathBuf], settings: &ReplaySettings) -> Result<Self, IngestError> {
        check_stems(files)?;
        let unshifted = ReplaySettings { shift: Shift::None, ..settings.clone() };
        for file in files {
            OneFile::open(file, &unshifted)?;
        }
        if settings.pace != Pace::Unlimited {
            let opened = files.iter().map(|file| OneFile::open(file, settings)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Self(Order::Together(Merge::of(opened))));
        }
        let (waiting, settings) = (files.iter().cloned().collect(), Box::new(settings.clone()));
        Ok(Self(Order::OneByOne { current: None, waiting, settings }))
    }
}

impl EventSource for Replay {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        let (current, waiting, settings) = match &mut self.0 {
            Order::Together(merge) => return merge.next_into(out),
            Order::OneByOne { current, waiting, settings } => (current, waiting, settings),
        };
        loop {
            if let Some(file) = current
                && let Some(written) = file.next_into(out)?
            {
                return Ok(Some(written));
            }
            let Some(file) = waiting.pop_front() else { return Ok(None) };
            *current = Some(OneFile::open(&file, settings)?);
        }
    }
}

/// One file of either format.
#[derive(Debug)]
enum OneFile {
    Ndjson(NdjsonFile),
    Csv(Box<Series>),
}

impl OneFile {
    fn open(file: &Path, settings: &ReplaySettings) -> Result<Self, IngestError> {
        match settings.format.map_or_else(|| format_of(file), Ok)? {
            FileFormat::Ndjson => Ok(Self::Ndjson(NdjsonFile::open(file, settings)?)),
            FileFormat::Csv => Ok(Self::Csv(Box::new(Series::open(file, settings)?))),
        }
    }
}

impl EventSource for OneFile {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        match self {
            Self::Ndjson(file) => file.next_into(out),
            Self::Csv(file) => file.next_into(out),
        }
    }
}

fn format_of(file: &Path) -> Result<FileFormat, IngestError> {
    let told = file.to_str().and_then(format_of_name);
    told.ok_or_else(|| {
        IngestError::setting(
            "format",
            format!(
                "{}: its name does not tell; expected .csv, .ndjson, .jsonl or .json, or the format",
                file.display()
            ),
        )
    })
}

/// What the name of a file tells of its format.
pub(crate) fn format_of_name(name: &str) -> Option<FileFormat> {
    let ending = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "csv" => Some(FileFormat::Csv),
        "ndjson" | "jsonl" | "json" => Some(FileFormat::Ndjson),
        _ => None,
    }
}

fn check_stems(files: &[PathBuf]) -> Result<(), IngestError> {
    let mut seen = BTreeMap::new();
    for file in files {
        if let Some(other) = seen.insert(stem_of(file)?, file) {
            return Err(IngestError::setting(
                "files",
                format!(
                    "{} and {} share a stem, so that their events would get the same ids; rename one",
                    other.display(),
                    file.display()
                ),
            ));
        }
    }
    Ok(())
}

/// A file's name without its ending.
fn stem_of(file: &Path) -> Result<String, IngestError> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    stem.map(str::to_owned).ok_or_else(|| {
        IngestError::setting("files", format!("{}: expected a file whose name is UTF-8", file.display()))
    })
}

fn open_file(file: &Path) -> Result<File, IngestError> {
    File::open(file).map_err(|source| IngestError::Unreadable { file: file.to_owned(), source })
}

#[cfg(test)]
mod tests;
