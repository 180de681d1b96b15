//! NDJSON files: events as they are, with an id where they have none, and their time moved if that is wanted.

use std::fs::File;
use std::path::Path;

use alluvium_core::clock::Micros;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Lines, ReplaySettings, Shift, stem_of, time};
use crate::{EventSource, IngestError, Written};

/// The attributes that a replay looks at; everything else in an event is left alone.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    time: Option<&'a RawValue>,
}

/// A value that is there, `null` included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Probe<'a> {
    /// Looks at a line; `None`: it is no JSON object.
    fn of(line: &'a [u8]) -> Option<Self> {
        // A struct would be read from an array too.
        if line.first() == Some(&b'{') { serde_json::from_slice(line).ok() } else { None }
    }

    fn at(&self) -> Option<Micros> {
        let raw = self.time?.get();
        match serde_json::from_str::<&str>(raw) {
            Ok(text) => time::parse(text),
            Err(_) => time::from_epoch(raw.parse().ok()?),
        }
    }
}

/// An NDJSON file as a source of events.
#[derive(Debug)]
pub(super) struct NdjsonFile {
    lines: Lines<File>,
    stem: String,
    /// By how much times move; `None`: they stay as they are written.
    shift_by: Option<Micros>,
}

impl NdjsonFile {
    pub(super) fn open(file: &Path, settings: &ReplaySettings) -> Result<Self, IngestError> {
        let shift_by = match settings.shift {
            Shift::None => None,
            Shift::NewestTo(newest) => newest_time(file)?.map(|found| newest.saturating_sub(found)),
        };
        Ok(Self { lines: Lines::open(file)?, stem: stem_of(file)?, shift_by })
    }
}

fn newest_time(file: &Path) -> Result<Option<Micros>, IngestError> {
    let mut lines = Lines::open(file)?;
    let mut newest = None;
    while let Some((_, line)) = lines.next_line()? {
        newest = newest.max(Probe::of(line).and_then(|probe| probe.at()));
    }
    Ok(newest)
}

impl EventSource for NdjsonFile {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        let file = self.lines.name().to_owned();
        let Some((number, line)) = self.lines.next_line()? else { return Ok(None) };
        // What is no JSON object goes as it is: the transform says what is wrong with it.
        let Some(probe) = Probe::of(line) else {
            out.extend_from_slice(line);
            return Ok(Some(Written::default()));
        };
        let mut copied = 0;
        if probe.id.is_none() {
            let empty = line[1..].trim_ascii_start().starts_with(b"}");
            out.extend_from_slice(b"{\"id\":");
            serde_json::to_writer(&mut *out, &format!("{}:{number}", self.stem))
                .expect("writing to memory does not fail");
            out.extend_from_slice(if empty { b"" } else { b"," });
            copied = 1;
        }
        let mut at = probe.at();
        if let (Some(raw), Some(time), Some(shift_by)) = (probe.time, at, self.shift_by) {
            // The raw value borrows from the line, so its address says where it stands.
            let begin = raw.get().as_ptr() as usize - line.as_ptr() as usize;
            let moved = time.saturating_add(shift_by);
            out.extend_from_slice(&line[copied..begin]);
            time::put_json(out, moved).ok_or_else(|| IngestError::Input {
                file,
                line: number,
                column: begin as u64 + 1,
                problem: time::CANNOT_MOVE.to_owned(),
            })?;
            copied = begin + raw.get().len();
            at = Some(moved);
        }
        out.extend_from_slice(&line[copied..]);
        Ok(Some(Written { at }))
    }
}
