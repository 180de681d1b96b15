//! The writer of a shard: everything that waits, one write, one sync, then all verdicts at once.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{PutVerdict, Refusal};
use alluvium_core::record::PutRecord;

use super::format::{Frame, Mark, SEGMENT_HEADER_BYTES};
use super::queue::Pending;
use super::segment::{self, NotMade, Segment};
use super::shard::Shard;
use crate::disk::DiskFile;

/// Frames are handed to the system whenever this much is staged, so that a large group needs little memory.
const WRITE_BYTES: usize = 1 << 20;

/// The one thread that writes to a shard.
#[derive(Debug)]
pub(super) struct Writer {
    shard: Arc<Shard>,
    file: Box<dyn DiskFile>,
    mark: Box<dyn DiskFile>,
    /// The durable part of the last segment.
    durable: Segment,
    newest_arrival: Micros,
    staged: Staged,
    health: Health,
}

/// The frames of the present group that are not durable yet.
#[derive(Debug)]
struct Staged {
    /// The last segment as it will be.
    segment: Segment,
    /// Its last bytes, which were not written yet.
    bytes: Vec<u8>,
    frames: u32,
}

#[derive(Debug)]
enum Health {
    Good,
    /// A sync failed. What the file holds is not known any more, so nothing is taken until the log is opened anew.
    Poisoned(String),
}

/// What came of one record, before its group is durable.
enum Outcome {
    Staged(u64),
    Full,
    /// The group failed before it.
    NotReached,
}

/// Why a group, or the rest of it, could not be stored.
enum Failure {
    /// The file can be put back to what it was.
    Write(String),
    /// Nothing can be trusted.
    Sync(String),
}

/// Whether segments were removed already to make room for this group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    NotSought,
    Sought,
}

impl Writer {
    /// A writer that goes on where the shard's last segment ends, in `file`.
    pub(super) fn new(
        shard: Arc<Shard>,
        file: Box<dyn DiskFile>,
        mark: Box<dyn DiskFile>,
        newest_arrival: Micros,
    ) -> Self {
        let durable = shard.view().segments.back().expect("a shard has a segment").clone();
        let staged = Staged { segment: durable.clone(), bytes: Vec::with_capacity(2 * WRITE_BYTES), frames: 0 };
        Self { shard, file, mark, durable, newest_arrival, staged, health: Health::Good }
    }

    /// The shard that it writes to.
    pub(super) fn shard(&self) -> Arc<Shard> {
        Arc::clone(&self.shard)
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        /// Whoever waits for a writer that panicked must learn of it.
        struct Abandon(Arc<Shard>);
        impl Drop for Abandon {
            fn drop(&mut self) {
                self.0.queue.abandon();
            }
        }
        let abandon = Abandon(Arc::clone(&self.shard));
        while let Some(group) = abandon.0.queue.take() {
            self.append(group);
        }
    }

    /// Appends a group of calls and answers each of them.
    fn append(&mut self, group: Vec<Pending>) {
        let arrival = self.shard.clock.now_micros().max(self.newest_arrival);
        let mut outcomes = Vec::with_capacity(group.iter().map(|pending| pending.records.len()).sum());
        let seals = group.iter().filter_map(|pending| pending.seals).max();
        let stored = self.stage_all(&group, arrival, &mut outcomes).and_then(|()| self.commit());
        let stored = stored.and_then(|()| seals.map_or(Ok(()), |until| self.seal(until)));
        let failure = stored.err().map(|failure| self.recover_from(failure)).unwrap_or_default();
        let newest = self.durable.next - 1;
        let mut verdicts = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Staged(sequence) if sequence <= newest => {
                PutVerdict::Stored { shard: self.shard.id.clone(), sequence: sequence.into() }
            }
            Outcome::Full => PutVerdict::Refused(Refusal::Full),
            Outcome::Staged(_) | Outcome::NotReached => PutVerdict::Refused(Refusal::Failed(failure.clone())),
        });
        for pending in group {
            let answer = verdicts.by_ref().take(pending.records.len()).collect();
            pending.answer(answer);
        }
    }

    fn stage_all(&mut self, group: &[Pending], arrival: Micros, outcomes: &mut Vec<Outcome>) -> Result<(), Failure> {
        let mut result = match &self.health {
            Health::Good => Ok(()),
            Health::Poisoned(reason) => Err(Failure::Sync(reason.clone())),
        };
        let mut room = Room::NotSought;
        for record in group.iter().flat_map(|pending| &pending.records) {
            let outcome = result.is_ok().then(|| self.stage(record, arrival, &mut room));
            outcomes.push(match outcome {
                Some(Ok(outcome)) => outcome,
                Some(Err(failure)) => {
                    result = Err(failure);
                    Outcome::NotReached
                }
                None => Outcome::NotReached,
            });
        }
        result
    }

    fn stage(&mut self, record: &PutRecord, arrival: Micros, room: &mut Room) -> Result<Outcome, Failure> {
        let sequence = self.staged.segment.next;
        let (key, data) = (record.partition_key.as_str(), record.data.as_ref());
        let frame = Frame { sequence, arrival, place: self.staged.frames, key, data };
        let frame_bytes = frame.len_bytes() as u64;
        if !self.has_room(frame_bytes, room) {
            return Ok(Outcome::Full);
        }
        let holds_frames = sequence > self.staged.segment.first;
        let frame = if holds_frames && self.staged.segment.bytes + frame_bytes > self.shard.settings.segment_bytes {
            self.commit()?;
            self.start_segment()?;
            Frame { place: 0, ..frame }
        } else {
            frame
        };
        frame.encode(self.durable.salt, &mut self.staged.bytes);
        self.staged.segment.push(arrival, frame_bytes);
        self.staged.frames += 1;
        self.newest_arrival = arrival;
        if self.staged.bytes.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(Outcome::Staged(sequence))
    }

    /// Whether the shard may grow by a frame, if need be after removing what every reader has passed.
    fn has_room(&self, frame_bytes: u64, room: &mut Room) -> bool {
        // A new segment's header may come with the frame.
        let needed = self.staged.segment.bytes - self.durable.bytes + frame_bytes + SEGMENT_HEADER_BYTES as u64;
        let fits = || self.shard.view().bytes + needed <= self.shard.settings.shard_bytes();
        if fits() {
            return true;
        }
        if *room == Room::Sought {
            return false;
        }
        *room = Room::Sought;
        if let Err(error) = self.shard.remove_passed(needed) {
            tracing::warn!(%error, "no room could be made in the log");
        }
        fits()
    }

    /// Makes durable and visible what is staged.
    fn commit(&mut self) -> Result<(), Failure> {
        if self.staged.frames == 0 {
            return Ok(());
        }
        self.write()?;
        self.file.sync().map_err(|error| {
            let path = self.durable.path.display();
            Failure::Sync(format!(
                "syncing {path} failed: {error}. What it holds is not known any more; restart to read it back, and look at the \
                 disk"
            ))
        })?;
        self.durable = self.staged.segment.clone();
        self.staged.frames = 0;
        self.shard.view().grow(self.durable.clone());
        let newest = self.durable.next - 1;
        let mark = Mark { segment: self.durable.first, bytes: self.durable.bytes, newest };
        // An old mark is still true, only less: it need not be written.
        if let Err(error) = self.mark.write_at(0, &mark.encode()) {
            tracing::debug!(%error, "the mark of how far the log is durable was not moved");
        }
        self.shard.newest.send_replace(newest);
        Ok(())
    }

    /// Hands to the system what is staged.
    fn write(&mut self) -> Result<(), Failure> {
        let offset = self.staged.segment.bytes - self.staged.bytes.len() as u64;
        self.file
            .write_at(offset, &self.staged.bytes)
            .map_err(|error| Failure::Write(cannot("write to", &self.durable.path, error)))?;
        self.staged.bytes.clear();
        Ok(())
    }

    /// Starts the next segment if this one has a record that arrived up to then.
    fn seal(&mut self, until: Micros) -> Result<(), Failure> {
        let is_due = self.durable.oldest_arrival.is_some_and(|oldest| oldest <= until);
        if is_due { self.start_segment() } else { Ok(()) }
    }

    /// Starts the next segment. Everything staged must be durable.
    fn start_segment(&mut self) -> Result<(), Failure> {
        let Shard { disk, folder, number, .. } = &*self.shard;
        let made = segment::make(disk.as_ref(), folder, *number, self.durable.next, self.newest_arrival);
        let (file, segment) = made.map_err(|not_made| match not_made {
            NotMade::Undone(path, error) => Failure::Write(cannot("start the segment", &path, error)),
            NotMade::Unsure(path, error) => Failure::Sync(cannot("make durable the segment", &path, error)),
        })?;
        self.file = file;
        self.shard.view().add(segment.clone());
        self.staged.segment = segment.clone();
        self.durable = segment;
        Ok(())
    }

    /// Takes back what was staged and says what to tell its senders.
    fn recover_from(&mut self, failure: Failure) -> String {
        self.staged.segment = self.durable.clone();
        self.staged.bytes.clear();
        self.staged.frames = 0;
        let cut = self.file.truncate(self.durable.bytes);
        match (failure, cut) {
            (Failure::Write(reason), Ok(())) => reason,
            (Failure::Write(reason), Err(error)) => {
                let reason = format!("{reason}; {}", cannot("cut back", &self.durable.path, error));
                self.poison(reason)
            }
            (Failure::Sync(reason), _) => self.poison(reason),
        }
    }

    fn poison(&mut self, reason: String) -> String {
        if let Health::Good = self.health {
            tracing::error!(shard = %self.shard.id, reason, "the log takes no more records until it is opened anew");
            self.health = Health::Poisoned(reason.clone());
        }
        reason
    }
}

fn cannot(what: &str, path: &Path, error: impl Display) -> String {
    format!("cannot {what} {}: {error}", path.display())
}
