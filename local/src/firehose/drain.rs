//! What lies under the error prefix is one more input: hands it over again, and clears it away.
//!
//! An error line holds a record's bytes and when the service had it, and not who it is. That is found again in the stream while the
//! stream holds it: the records are handed over with the shard and sequence number that they had, in the batch
//! in which they failed. So a batch that was stored after all, before its function failed, is recognised by its identity and
//! enters no table twice (LK-1).
//!
//! - Lines next to each other that were given up at the same time (`attemptEndingTimestamp`) were one batch.
//! - A line's record is one with the same bytes that arrived in the same millisecond; else, for the service may tell when it read
//!   the record, the newest with the same bytes that arrived before. If that one is gone from the stream, so are those before it.
//! - Of several alike, a run of neighbours in one shard that are the batch, line by line, goes before any other; then the oldest that
//!   no line before has had. If only some of several equal records of one millisecond failed, it may be another of them that is
//!   sent again. Their bytes are the same; so are their events, if these have ids.
//! - Where lines have had all that are alike, the line is one that was written twice, as after a crash: it is the same record again.
//! - A record that the stream no longer holds is handed over without metadata, under an id made of the object's path and its line, so
//!   that repeating it is harmless. Its batch has another identity then.
//!
//! An object is moved to `drained/` when every record in it is delivered: first copied, then removed, so that a crash between the
//! two repeats it. One that holds a line that is none, or of which a record fails again, stays where it is and is named in the report.

mod lookup;

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{DataFiles, Function, PortError, Stream};
use alluvium_core::{RecordIdentity, StreamRecord};
use serde::Serialize;

use super::chance::Chance;
use super::event::Event;
use super::failed::{self, ERROR_PREFIX, Line};
use super::invoke::{GivenUp, Invoker};
use super::progress::FirehoseProgress;
use super::response::Verdict;
use super::settings::{FirehoseSettings, FirehoseSettingsError};
use crate::delivery::until_stored;
use lookup::{Key, Lookup};

/// The folder of what was handed over again with success.
pub const DRAINED_PREFIX: &str = "drained/";

/// What a drain works on.
pub struct Drain {
    /// The stream that the records came from.
    pub stream: Arc<dyn Stream>,
    /// What takes them.
    pub function: Arc<dyn Function>,
    /// Where the error objects are.
    pub landing: Arc<dyn DataFiles>,
    /// How the function is invoked; buffers are not used.
    pub settings: FirehoseSettings,
    /// What is done so far, for others to watch.
    pub progress: Arc<FirehoseProgress>,
}

/// What came of a drain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DrainReport {
    /// Objects that were drained and moved.
    pub drained: u64,
    /// Records in them.
    pub records: u64,
    /// Those of them whose place in the stream was found again.
    pub found: u64,
    /// Objects that stay where they are.
    pub left: Vec<LeftObject>,
}

/// An error object that could not be drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftObject {
    /// Its path.
    pub path: String,
    /// Why it stays.
    pub why: String,
}

/// Why a drain ended early. What it drained before is moved.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// It does not run with these settings.
    #[error(transparent)]
    Settings(#[from] FirehoseSettingsError),
    /// The stream cannot be read.
    #[error("the stream cannot be read: {0}")]
    Stream(#[source] PortError),
    /// An error object cannot be read or moved.
    #[error("an error object cannot be read or moved: {0}")]
    Landing(#[source] PortError),
}

/// Records that were given up together, and the ids under which they are handed over.
type Group = Vec<(String, StreamRecord)>;

impl Drain {
    /// Drains the objects with these paths, which the caller has listed under [`ERROR_PREFIX`], in order of their paths.
    ///
    /// The stream is read once, from its start, up to the newest record that is looked for.
    ///
    /// # Errors
    ///
    /// When the stream or the landing store cannot be used; an object that cannot be drained is in the report, not an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; an object that was not moved is drained again.
    pub async fn run(self, mut paths: Vec<String>) -> Result<DrainReport, DrainError> {
        self.settings.check()?;
        paths.sort_unstable();
        let mut report = DrainReport::default();
        let mut wanted = Vec::new();
        let mut readable = Vec::new();
        for path in paths {
            match self.lines(&path).await? {
                Ok(lines) => {
                    wanted.extend(lines.iter().map(Key::of));
                    readable.push(path);
                }
                Err(why) => report.left.push(LeftObject { path, why }),
            }
        }
        let mut lookup = Lookup::read(&*self.stream, wanted).await.map_err(DrainError::Stream)?;
        let settings = Arc::new(self.settings.clone());
        let invoker = Invoker {
            function: self.function.clone(),
            chance: Arc::new(Chance::seeded(settings.seed)),
            settings,
            progress: self.progress.clone(),
        };
        for path in readable {
            // Read again, so that only one object is held at a time.
            let lines = self.lines(&path).await?.unwrap_or_default();
            let groups = groups(&path, &lines, &mut lookup);
            match hand_over(&invoker, &groups).await {
                Ok(()) => {
                    self.clear_away(&path).await?;
                    let records = groups.iter().flatten().map(|(_, record)| record);
                    report.drained += 1;
                    report.records += lines.len() as u64;
                    report.found += records.filter(|record| !record.identity.shard.is_direct_put()).count() as u64;
                }
                Err(why) => report.left.push(LeftObject { path, why }),
            }
        }
        Ok(report)
    }

    async fn lines(&self, path: &str) -> Result<Result<Vec<Line>, String>, DrainError> {
        // What is not there any more, or too large to be read, holds up no other.
        let object = match until_stored(path, || self.landing.get(path)).await {
            Ok(object) => object,
            Err(error) => return Ok(Err(error.message)),
        };
        Ok(failed::read(&object))
    }

    async fn clear_away(&self, path: &str) -> Result<(), DrainError> {
        let object = until_stored(path, || self.landing.get(path)).await.map_err(DrainError::Landing)?;
        let to = format!("{DRAINED_PREFIX}{}", path.strip_prefix(ERROR_PREFIX).unwrap_or(path));
        until_stored(&to, || self.landing.put_if_absent(&to, object.clone())).await.map_err(DrainError::Landing)?;
        until_stored(path, || self.landing.delete(path)).await.map_err(DrainError::Landing)
    }
}

/// The records of an object, batch by batch.
fn groups(path: &str, lines: &[Line], lookup: &mut Lookup) -> Vec<Group> {
    let mut first = 0;
    let of_batch = |lines: &[Line]| {
        let found = lookup.assign(lines);
        let records = lines.iter().zip(found).enumerate().map(|(index, (line, found))| {
            let id = format!("{path}:{}", first + index);
            let record = match found {
                Some(record) => StreamRecord { data: line.data.clone(), ..record },
                None => StreamRecord {
                    identity: RecordIdentity::of_direct_put(&id),
                    arrival: arrival(line),
                    partition_key: String::new(),
                    data: line.data.clone(),
                },
            };
            (id, record)
        });
        let group: Group = records.collect();
        first += lines.len();
        group
    };
    lines.chunk_by(|one, next| one.ended_ms == next.ended_ms).map(of_batch).collect()
}

fn arrival(line: &Line) -> Micros {
    line.arrival_ms.saturating_mul(1000)
}

/// Hands batches over, one after the other.
///
/// # Errors
///
/// Why one was not taken whole.
async fn hand_over(invoker: &Invoker, groups: &[Group]) -> Result<(), String> {
    for group in groups {
        let mut event = Event::new(&invoker.settings.names, invoker.settings.event_bytes);
        for (id, record) in group {
            if event.push(id.clone(), record) {
                continue;
            }
            take(invoker, &event).await?;
            event = Event::new(&invoker.settings.names, invoker.settings.event_bytes);
            if !event.push(id.clone(), record) {
                return Err(format!("no event can hold the record of {id}"));
            }
        }
        take(invoker, &event).await?;
    }
    Ok(())
}

async fn take(invoker: &Invoker, event: &Event) -> Result<(), String> {
    if event.is_empty() {
        return Ok(());
    }
    let given_up = |GivenUp { attempts, why }| format!("{} after {attempts} attempts: {}", why.code, why.message);
    let (_, verdicts) = invoker.invoke(event).await.map_err(given_up)?;
    let not_dropped = event.ids.iter().zip(verdicts).find_map(|(id, verdict)| match verdict {
        Verdict::Dropped => None,
        Verdict::Ok(_) => Some(format!("the function returned {id} to be written, instead of storing it")),
        Verdict::Failed(why) => Some(format!("{}: {} ({id})", why.code, why.message)),
    });
    not_dropped.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
