//! What the writer and the readers of one shard share: which segments there are, and how far they are durable.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_core::clock::{Clock, Micros, micros};
use alluvium_core::identity::ShardId;
use alluvium_core::ports::ReadPage;
use tokio::sync::watch;

use super::queue::Queue;
use super::read::read_page;
use super::segment::{Place, Segment};
use super::{LogError, LogSettings};
use crate::disk::Disk;

/// How many readers' next positions are remembered.
const HINTS: usize = 16;

/// One shard.
#[derive(Debug)]
pub(super) struct Shard {
    pub number: u32,
    pub id: ShardId,
    pub folder: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    pub settings: LogSettings,
    pub queue: Queue,
    /// The newest durable record's sequence number; 0: there never was one. Readers wait on it.
    pub newest: watch::Sender<u64>,
    view: Mutex<View>,
    /// Held while files are removed, so that two do not remove at once.
    removing: Mutex<()>,
}

/// The durable part of a shard.
#[derive(Debug, Default)]
pub(super) struct View {
    /// At least one; the last is the one that is written to.
    pub segments: VecDeque<Segment>,
    /// The bytes of all segments.
    pub bytes: u64,
    /// Every reader has passed this record and those before it.
    low_water: u64,
    hints: VecDeque<Place>,
}

/// Where to read, and how far.
#[derive(Debug, Clone)]
pub(super) struct ReadFrom {
    pub path: Arc<Path>,
    pub salt: u32,
    /// A frame at or before the wanted one.
    pub place: Place,
    /// The end of what is durable in this file.
    pub end: u64,
    /// The wanted frame's sequence number.
    pub wanted: u64,
    /// The newest durable record of the shard.
    pub newest: u64,
}

impl View {
    pub(super) fn over(segments: VecDeque<Segment>) -> Self {
        let bytes = segments.iter().map(|segment| segment.bytes).sum();
        Self { segments, bytes, ..Self::default() }
    }

    pub(super) fn oldest(&self) -> u64 {
        self.segments.front().expect("a shard has a segment").first
    }

    pub(super) fn next(&self) -> u64 {
        self.segments.back().expect("a shard has a segment").next
    }

    /// Replaces the last segment by what it has grown to.
    pub(super) fn grow(&mut self, grown: Segment) {
        let last = self.segments.back_mut().expect("a shard has a segment");
        debug_assert!(last.first == grown.first && last.bytes <= grown.bytes);
        self.bytes += grown.bytes - last.bytes;
        *last = grown;
    }

    pub(super) fn add(&mut self, segment: Segment) {
        self.bytes += segment.bytes;
        self.segments.push_back(segment);
    }

    pub(super) fn remember(&mut self, place: Place) {
        if self.hints.len() == HINTS {
            self.hints.pop_front();
        }
        self.hints.push_back(place);
    }

    /// Takes out the oldest segment if every reader has passed it and it is either too old or in the way of `needed_bytes`.
    fn pop_passed(&mut self, born_before: Micros, shard_bytes: u64, needed_bytes: u64) -> Option<Segment> {
        let oldest = self.segments.front().filter(|_| self.segments.len() > 1)?;
        let passed = oldest.next <= self.low_water.saturating_add(1);
        let old = oldest.newest_arrival.is_none_or(|arrival| arrival < born_before);
        let in_the_way = self.bytes.saturating_add(needed_bytes) > shard_bytes;
        if !passed || !(old || in_the_way) {
            return None;
        }
        self.bytes -= oldest.bytes;
        self.segments.pop_front()
    }

    fn put_back(&mut self, segment: Segment) {
        self.bytes += segment.bytes;
        self.segments.push_front(segment);
    }
}

impl Shard {
    pub(super) fn new(
        number: u32,
        folder: PathBuf,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        settings: LogSettings,
        view: View,
    ) -> Self {
        let queue = Queue::new(settings.queue_bytes);
        let newest = watch::Sender::new(view.next() - 1);
        let (id, view, removing) = (ShardId::numbered(number), Mutex::new(view), Mutex::new(()));
        Self { number, id, folder, disk, clock, settings, queue, newest, view, removing }
    }

    pub(super) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the records after `after` begin; `None`: there are none yet.
    pub(super) fn read_from(&self, after: Option<u64>) -> Result<Option<ReadFrom>, LogError> {
        let mut view = self.view();
        let (oldest, newest) = (view.oldest(), view.next() - 1);
        let wanted = after.map_or(oldest, |after| after.saturating_add(1));
        if wanted < oldest {
            return Err(LogError::TrimmedAway { shard: self.id.to_string(), wanted, oldest });
        }
        if let Some(position) = after.filter(|after| *after > newest) {
            return Err(LogError::Beyond { shard: self.id.to_string(), position: position.to_string(), newest });
        }
        if wanted > newest {
            return Ok(None);
        }
        let after = view.segments.partition_point(|segment| segment.next <= wanted);
        let segment = &view.segments[after];
        let place = segment.place_at_or_before(wanted);
        let (path, salt, end) = (Arc::clone(&segment.path), segment.salt, segment.bytes);
        let hint = view.hints.iter().position(|hint| hint.sequence == wanted && hint.segment == place.segment);
        let place = hint.and_then(|hint| view.hints.remove(hint)).unwrap_or(place);
        Ok(Some(ReadFrom { path, salt, place, end, wanted, newest }))
    }

    /// Reads a page and remembers where the next one begins. Blocks.
    pub(super) fn read_page(&self, from: &ReadFrom, max_bytes: usize) -> Result<ReadPage, LogError> {
        let (records, next) = read_page(self.disk.as_ref(), &self.id, from, max_bytes).map_err(|error| {
            let oldest = self.view().oldest();
            if oldest <= from.wanted {
                return error;
            }
            LogError::TrimmedAway { shard: self.id.to_string(), wanted: from.wanted, oldest }
        })?;
        self.view().remember(next);
        Ok(ReadPage { records, more: next.sequence <= from.newest })
    }

    /// Raises the readers' low-water mark; it never falls.
    pub(super) fn raise_low_water(&self, sequence: u64) {
        let mut view = self.view();
        view.low_water = view.low_water.max(sequence);
    }

    /// Removes segments that every reader has passed, as far as they are past retention or in the way of `needed_bytes`.
    /// Blocks.
    pub(super) fn remove_passed(&self, needed_bytes: u64) -> Result<(), LogError> {
        let _removing = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        let born_before = self.clock.now_micros().saturating_sub(micros(self.settings.retention));
        loop {
            let popped = self.view().pop_passed(born_before, self.settings.shard_bytes(), needed_bytes);
            let Some(segment) = popped else { return Ok(()) };
            // One by one and oldest first, each synced: were a younger one's removal durable before an older one's, a power cut
            // would leave a gap, and a gap is damage.
            let removed = self.disk.remove(&segment.path).and_then(|()| self.disk.sync_folder(&self.folder));
            if let Err(source) = removed {
                let path = segment.path.to_path_buf();
                if source.kind() != std::io::ErrorKind::NotFound && self.disk.open(&path).is_ok() {
                    self.view().put_back(segment);
                }
                return Err(LogError::Io { doing: "remove the passed segment", path, source });
            }
        }
    }
}
