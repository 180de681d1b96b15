//! Opening a log: every frame is read and checked, a torn tail is cut off, damage is refused.
//!
//! The frames that one sync makes durable are a *group*. A power cut may leave any part of the last group, so a bad frame is the
//! beginning of a torn tail when nothing behind it proves that its group was complete: no frame of a later group, no later
//! segment, and no [`Mark`] beyond it. Otherwise acknowledged records are damaged, and a person must decide.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use alluvium_core::clock::Micros;
use alluvium_core::identity::{SequenceNumber, ShardId};

use super::LogError;
use super::format::{
    BadHeader, Decoded, FRAME_HEADER_BYTES, Frame, Mark, SEGMENT_HEADER_BYTES, SegmentHeader, VERSION,
};
use super::segment::{self, NotMade, Segment};
use crate::disk::{Disk, DiskFile, EntryKind, ensure_folder};

/// How much of a segment is held in memory while it is checked.
const WINDOW_BYTES: usize = 4 << 20;
const MARK_NAME: &str = "durable";

/// What opening a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// One entry per shard, by number.
    pub shards: Vec<ShardRecovery>,
}

/// What opening a log found in one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRecovery {
    /// The shard.
    pub shard: ShardId,
    /// How many segment files it has.
    pub segments: usize,
    /// How many records they hold.
    pub records: u64,
    /// The newest record; `None`: there never was one.
    pub newest: Option<SequenceNumber>,
    /// What was cut off, if anything was.
    pub torn: Option<TornTail>,
}

/// The end of a segment that was being written when the power went, and that nobody had been told was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub file: PathBuf,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut off.
    pub dropped_bytes: u64,
    /// What was wrong with the first frame there.
    pub reason: String,
}

/// A shard that was read back.
#[derive(Debug)]
pub(super) struct Recovered {
    pub segments: VecDeque<Segment>,
    pub newest_arrival: Micros,
    /// The last segment.
    pub file: Box<dyn DiskFile>,
    pub mark: Box<dyn DiskFile>,
    pub report: ShardRecovery,
}

/// A frame that is none.
struct BadFrame {
    offset: u64,
    reason: &'static str,
}

/// One segment being read back.
struct Walk<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    length: u64,
    salt: u32,
    segment: Segment,
}

/// Reads back the shard in `folder`, or makes it. All that it gives back is durable, names included.
pub(super) fn recover(disk: &dyn Disk, folder: &Path, number: u32) -> Result<Recovered, LogError> {
    ensure_folder(disk, folder).map_err(LogError::io("make the folder", folder))?;
    let (mark_file, mark) = open_mark(disk, folder)?;
    let names = segment_names(disk, folder)?;
    let mut segments: VecDeque<Segment> = VecDeque::new();
    let mut newest_arrival = Micros::MIN;
    let mut last_file = None;
    let mut torn = None;
    for (index, (first, path)) in names.iter().enumerate() {
        let last = index + 1 == names.len();
        let expected = segments.back().map_or(*first, |segment| segment.next);
        if expected != *first {
            let what = format!("a segment is missing: records {expected} to {} stood before it", first - 1);
            return Err(LogError::damaged(path, 0, what));
        }
        let file = disk.open(path).map_err(LogError::io("open", path))?;
        let length = file.len_bytes().map_err(LogError::io("measure", path))?;
        let Some(header) = read_header(file.as_ref(), path, length, number, *first)? else {
            // Its header is synced before anything follows it: such a file never held a frame.
            let begun = last && (index > 0 || *first == 1) && mark.newest < *first;
            if !begun {
                return Err(LogError::damaged(path, 0, "the header of a segment is damaged"));
            }
            disk.remove(path).map_err(LogError::io("remove the unfinished segment", path))?;
            let reason = "the segment's header is unfinished".to_owned();
            torn = Some(TornTail { file: path.clone(), offset: 0, dropped_bytes: length, reason });
            continue;
        };
        newest_arrival = newest_arrival.max(header.arrival_floor);
        let mut walk =
            Walk { file: file.as_ref(), path, length, salt: header.salt, segment: Segment::empty(path, &header) };
        if let Some(bad) = walk.run()? {
            walk.must_be_torn(&bad, last, mark)?;
            file.truncate(bad.offset).map_err(LogError::io("cut the torn tail off", path))?;
            let dropped_bytes = length - bad.offset;
            torn =
                Some(TornTail { file: path.clone(), offset: bad.offset, dropped_bytes, reason: bad.reason.to_owned() });
        }
        newest_arrival = walk.segment.newest_arrival.unwrap_or(Micros::MIN).max(newest_arrival);
        segments.push_back(walk.segment);
        last_file = Some(file);
    }
    let newest = segments.back().map_or(0, |segment| segment.next - 1);
    if newest < mark.newest {
        let path = segments.back().map_or_else(|| folder.to_owned(), |segment| segment.path.to_path_buf());
        let offset = segments.back().map_or(0, |segment| segment.bytes);
        let what = format!("it ends with record {newest}, but records up to {} were stored", mark.newest);
        return Err(LogError::damaged(&path, offset, what));
    }
    let file = match last_file {
        Some(file) => {
            let last = segments.back().expect("a file was read into a segment");
            let proven = if mark.segment == last.first { mark.bytes.min(last.bytes) } else { 0 };
            write_again(file.as_ref(), proven, last.bytes)
                .map_err(LogError::io("write again the end of", &last.path))?;
            file
        }
        None => {
            let (file, segment) = segment::make(disk, folder, number, 1, Micros::MIN).map_err(|not_made| {
                let (NotMade::Undone(path, error) | NotMade::Unsure(path, error)) = not_made;
                LogError::io("start the segment", &path)(error)
            })?;
            segments.push_back(segment);
            file
        }
    };
    disk.sync_folder(folder).map_err(LogError::io("sync the folder", folder))?;
    let records = segments.iter().map(|segment| segment.next - segment.first).sum();
    let newest = (newest > 0).then(|| newest.into());
    let report = ShardRecovery { shard: ShardId::numbered(number), segments: segments.len(), records, newest, torn };
    Ok(Recovered { segments, newest_arrival, file, mark: mark_file, report })
}

/// Makes durable what a segment holds from `start` to `end`.
///
/// It was read, but it may be in memory alone: a killed process has not synced it, and after a sync that failed the system may
/// take it for written, so that syncing again would prove nothing. Only written again it is certain to be synced.
fn write_again(file: &dyn DiskFile, start: u64, end: u64) -> std::io::Result<()> {
    let mut offset = start;
    while offset < end {
        let mut bytes = vec![0; (end - offset).min(WINDOW_BYTES as u64) as usize];
        file.read_at(offset, &mut bytes)?;
        file.write_at(offset, &bytes)?;
        offset += bytes.len() as u64;
    }
    file.sync()
}

fn open_mark(disk: &dyn Disk, folder: &Path) -> Result<(Box<dyn DiskFile>, Mark), LogError> {
    let path = folder.join(MARK_NAME);
    let file = match disk.open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => disk.create(&path),
        opened => opened,
    };
    let file = file.map_err(LogError::io("open", &path))?;
    let length = file.len_bytes().map_err(LogError::io("measure", &path))?;
    let mut bytes = vec![0; length.min(64) as usize];
    file.read_at(0, &mut bytes).map_err(LogError::io("read", &path))?;
    Ok((file, Mark::decode(&bytes).unwrap_or_default()))
}

/// The segments of a folder, by their first sequence numbers.
fn segment_names(disk: &dyn Disk, folder: &Path) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let entries = disk.list(folder).map_err(LogError::io("list", folder))?;
    let mut segments = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.kind == EntryKind::File) {
        let Some(name) = entry.name().filter(|name| segment::is_called_segment(name)) else { continue };
        match segment::first_in_name(name) {
            Some(first) if first > 0 => segments.push((first, entry.path)),
            _ => return Err(LogError::damaged(&entry.path, 0, "a segment is called after its first sequence number")),
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// The header of a segment; `None`: it is not whole, and nothing follows it.
fn read_header(
    file: &dyn DiskFile,
    path: &Path,
    length: u64,
    shard: u32,
    first: u64,
) -> Result<Option<SegmentHeader>, LogError> {
    if length < SEGMENT_HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    file.read_at(0, &mut bytes).map_err(LogError::io("read", path))?;
    match SegmentHeader::decode(&bytes) {
        Ok(header) if header.shard == shard && header.first == first => Ok(Some(header)),
        Ok(header) => {
            let what = format!("it is segment {} of shard {} under another's name", header.first, header.shard);
            Err(LogError::damaged(path, 0, what))
        }
        Err(BadHeader::Version(found)) => Err(LogError::Version { path: path.to_owned(), found, known: VERSION }),
        Err(BadHeader::Damaged) if length == SEGMENT_HEADER_BYTES as u64 => Ok(None),
        Err(BadHeader::Damaged) => Err(LogError::damaged(path, 0, "the header of a segment is damaged")),
    }
}

impl Walk<'_> {
    /// Takes in frame after frame, to the end or to the first that is bad.
    fn run(&mut self) -> Result<Option<BadFrame>, LogError> {
        let mut window: Vec<u8> = Vec::new();
        let mut at = 0;
        let mut least = WINDOW_BYTES;
        while self.segment.bytes < self.length {
            let bad = |reason| Ok(Some(BadFrame { offset: self.segment.bytes, reason }));
            match Frame::decode(self.salt, &window[at..]) {
                Decoded::Whole(frame) if frame.sequence == self.segment.next => {
                    at += frame.len_bytes();
                    self.segment.push(frame.arrival, frame.len_bytes() as u64);
                }
                Decoded::Whole(_) => return bad("a frame has another sequence number than its place"),
                Decoded::Bad(reason) => return bad(reason),
                Decoded::Short(needed) if self.segment.bytes + needed as u64 > self.length => {
                    return bad("the file ends within a frame");
                }
                Decoded::Short(needed) => {
                    least = least.max(needed);
                    window = self.read(self.segment.bytes, least)?;
                    at = 0;
                }
            }
        }
        Ok(None)
    }

    /// Refuses a bad frame behind which, or in whose place, anything was durable.
    fn must_be_torn(&self, bad: &BadFrame, last: bool, mark: Mark) -> Result<(), LogError> {
        let expected = self.segment.next;
        let refuse = |why: String| {
            let what = format!("{} (record {expected} should stand there), and {why}", bad.reason);
            Err(LogError::damaged(self.path, bad.offset, what))
        };
        if !last {
            return refuse("a later segment follows".to_owned());
        }
        if mark.newest >= expected {
            return refuse(format!("records up to {} were stored", mark.newest));
        }
        match self.later_group(bad.offset)? {
            Some(sequence) => refuse(format!("record {sequence} of a later group follows intact")),
            None => Ok(()),
        }
    }

    /// Looks behind a bad frame for an intact one of a later group than the bad one's.
    fn later_group(&self, from: u64) -> Result<Option<u64>, LogError> {
        let expected = self.segment.next;
        let rest = self.read(from, usize::MAX)?;
        let most = expected + (rest.len() / FRAME_HEADER_BYTES) as u64;
        let mut at = 0;
        while let Some(sequence) = Frame::peek_sequence(&rest[at..]) {
            // The cheap test first: nearly every offset fails it.
            at += if !(expected..=most).contains(&sequence) {
                1
            } else {
                match Frame::decode(self.salt, &rest[at..]) {
                    Decoded::Whole(frame) if sequence.saturating_sub(frame.place.into()) > expected => {
                        return Ok(Some(sequence));
                    }
                    Decoded::Whole(frame) => frame.len_bytes(),
                    Decoded::Short(_) | Decoded::Bad(_) => 1,
                }
            };
        }
        Ok(None)
    }

    fn read(&self, offset: u64, at_most: usize) -> Result<Vec<u8>, LogError> {
        let length = usize::try_from(self.length - offset).unwrap_or(usize::MAX).min(at_most);
        let mut bytes = vec![0; length];
        self.file.read_at(offset, &mut bytes).map_err(LogError::io("read", self.path))?;
        Ok(bytes)
    }
}
