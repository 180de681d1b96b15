//! One segment file: its name, how it is made, and where its frames begin.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_core::clock::Micros;

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::disk::{Disk, DiskFile};

/// One index entry per this many bytes of a segment: what a reader that comes from nowhere reads in vain at most.
const INDEX_STRIDE_BYTES: u64 = 256 * 1024;
const SUFFIX: &str = ".seg";

/// The durable part of one segment file.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub path: Arc<Path>,
    pub salt: u32,
    /// The sequence number of the first frame that it has or will have.
    pub first: u64,
    /// The sequence number of the frame after the last.
    pub next: u64,
    pub bytes: u64,
    pub oldest_arrival: Option<Micros>,
    pub newest_arrival: Option<Micros>,
    index: Vec<(u64, u64)>,
}

/// Where a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The frame's sequence number.
    pub sequence: u64,
    /// The first sequence number of its segment.
    pub segment: u64,
    pub offset: u64,
}

impl Segment {
    /// A segment without a frame.
    pub(super) fn empty(path: &Path, header: &SegmentHeader) -> Self {
        Self {
            path: path.into(),
            salt: header.salt,
            first: header.first,
            next: header.first,
            bytes: SEGMENT_HEADER_BYTES as u64,
            oldest_arrival: None,
            newest_arrival: None,
            index: Vec::new(),
        }
    }

    /// Takes note of the frame that follows the last.
    pub(super) fn push(&mut self, arrival: Micros, frame_bytes: u64) {
        if self.index.last().is_none_or(|(_, offset)| self.bytes >= offset + INDEX_STRIDE_BYTES) {
            self.index.push((self.next, self.bytes));
        }
        self.next += 1;
        self.bytes += frame_bytes;
        self.oldest_arrival.get_or_insert(arrival);
        self.newest_arrival = Some(arrival);
    }

    /// The nearest frame, at or before this one, whose place is known. The segment must hold this one.
    pub(super) fn place_at_or_before(&self, sequence: u64) -> Place {
        let after = self.index.partition_point(|(indexed, _)| *indexed <= sequence);
        let (sequence, offset) = self.index[after.checked_sub(1).expect("the first frame of a segment is indexed")];
        Place { sequence, segment: self.first, offset }
    }
}

/// Why a segment could not be made.
#[derive(Debug)]
pub(super) enum NotMade {
    /// There is nothing of it.
    Undone(PathBuf, io::Error),
    /// A sync failed, or what there is of it could not be removed.
    Unsure(PathBuf, io::Error),
}

/// The path of the segment that begins with this sequence number.
pub(super) fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SUFFIX}"))
}

/// The sequence number that a segment's file name begins with; `None`: it is no segment's name.
pub(super) fn first_in_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Whether a file name claims to be a segment's.
pub(super) fn is_called_segment(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// Makes an empty segment; it and its name are durable when this returns. Replaces what an attempt before may have left, so
/// no segment of that name may hold a frame.
pub(super) fn make(
    disk: &dyn Disk,
    folder: &Path,
    shard: u32,
    first: u64,
    arrival_floor: Micros,
) -> Result<(Box<dyn DiskFile>, Segment), NotMade> {
    let path = path_of(folder, first);
    let undone = |error| NotMade::Undone(path.clone(), error);
    let file = match disk.create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(&path).and_then(|()| disk.create(&path)).map_err(undone)?
        }
        created => created.map_err(undone)?,
    };
    // The hasher's keys are the standard library's only source of randomness, and all that is asked of the salt is that senders
    // cannot know it.
    let salt = RandomState::new().hash_one(first) as u32;
    let header = SegmentHeader { shard, first, arrival_floor, salt };
    if let Err(error) = file.write_at(0, &header.encode()) {
        // Synced, for the segment before goes on: were its frames durable and this removal not, two segments would overlap.
        let removed = disk.remove(&path).and_then(|()| disk.sync_folder(folder));
        return Err(match removed {
            Ok(()) => NotMade::Undone(path, error),
            Err(_) => NotMade::Unsure(path, error),
        });
    }
    file.sync().and_then(|()| disk.sync_folder(folder)).map_err(|error| NotMade::Unsure(path.clone(), error))?;
    let segment = Segment::empty(&path, &header);
    Ok((file, segment))
}
