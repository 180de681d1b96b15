//! The spill folder: segments of records, appended to at one end and read and deleted at the other.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::frame::{self, HEADER, SpilledRecord};
use super::{SpillError, SpillSettings};

const SUFFIX: &str = "spill";
/// Of what was cut off a segment's end.
const CUT: &str = "cut";

#[derive(Debug)]
struct Segment {
    number: u64,
    /// How much of it is durable.
    bytes: u64,
    records: u64,
}

/// Records on disk, in order. All of its calls block.
#[derive(Debug)]
pub(super) struct Folder {
    settings: SpillSettings,
    segments: VecDeque<Segment>,
    /// The last segment, once something was appended since the folder was opened.
    writer: Option<File>,
    next_number: u64,
    /// How many segments, and how much of the next one, were read.
    read: (usize, u64),
}

fn unusable(what: &Path, source: io::Error) -> SpillError {
    SpillError::Io { path: what.to_owned(), source }
}

impl Folder {
    /// Opens a folder, made if it is not there, and cuts off what a crash left half written at its end.
    pub(super) fn open(settings: SpillSettings) -> Result<Self, SpillError> {
        fs::create_dir_all(&settings.folder).map_err(|error| unusable(&settings.folder, error))?;
        let mut numbers = Vec::new();
        for file in fs::read_dir(&settings.folder).map_err(|error| unusable(&settings.folder, error))? {
            let path = file.map_err(|error| unusable(&settings.folder, error))?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            if path.extension().is_some_and(|suffix| suffix == SUFFIX)
                && let Some(number) = number
            {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        let next_number = numbers.last().map_or(0, |last| last + 1);
        let mut folder = Self { settings, segments: VecDeque::new(), writer: None, next_number, read: (0, 0) };
        for (index, number) in numbers.iter().enumerate() {
            folder.recover(*number, index + 1 == numbers.len())?;
        }
        Ok(folder)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.settings.folder.join(format!("{number:020}.{SUFFIX}"))
    }

    fn recover(&mut self, number: u64, last: bool) -> Result<(), SpillError> {
        let path = self.path(number);
        let content: Bytes = fs::read(&path).map_err(|error| unusable(&path, error))?.into();
        let whole = content.len() as u64;
        let (mut bytes, mut records) = (HEADER.len(), 0);
        if content.starts_with(&HEADER) {
            while let Some((_, length)) = frame::decode(&content.slice(bytes..)) {
                bytes += length;
                records += 1;
            }
        } else if content.len() >= HEADER.len() || !last {
            return Err(SpillError::Format { path });
        }
        // Only the end of the newest segment can be half written.
        if whole > bytes as u64 && !last {
            return Err(SpillError::Damaged { path, offset: bytes as u64 });
        }
        if records == 0 {
            return fs::remove_file(&path).map_err(|error| unusable(&path, error));
        }
        if whole > bytes as u64 {
            // What was half written was never said to be spilled; but whether it is that, nobody can tell from the bytes.
            let aside = path.with_extension(CUT);
            tracing::warn!(path = %path.display(), cut = whole - bytes as u64, aside = %aside.display(), "the end of the spill cannot be read");
            fs::write(&aside, &content[bytes..]).map_err(|error| unusable(&aside, error))?;
            let file = OpenOptions::new().write(true).open(&path).map_err(|error| unusable(&path, error))?;
            file.set_len(bytes as u64).and_then(|()| file.sync_all()).map_err(|error| unusable(&path, error))?;
        }
        self.segments.push_back(Segment { number, bytes: bytes as u64, records });
        Ok(())
    }

    /// Records that are not deleted.
    pub(super) fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Appends frames. Durable when it returns; on an error none of them is there.
    pub(super) fn append(&mut self, frames: &[Vec<u8>]) -> Result<(), SpillError> {
        let more: u64 = frames.iter().map(|frame| frame.len() as u64).sum();
        if self.bytes() + more > self.settings.max_bytes {
            return Err(SpillError::Full { max_bytes: self.settings.max_bytes });
        }
        let full = self.segments.back().is_none_or(|segment| segment.bytes >= self.settings.segment_bytes);
        let begun = if full || self.writer.is_none() { self.begin() } else { Ok(()) };
        let written = begun.and_then(|()| {
            let file = self.writer.as_mut().expect("a segment was begun");
            frames.iter().try_for_each(|frame| file.write_all(frame))?;
            file.sync_data()
        });
        let segment = self.segments.back_mut();
        match (written, segment) {
            (Ok(()), Some(segment)) => {
                segment.bytes += more;
                segment.records += frames.len() as u64;
                Ok(())
            }
            (Err(source), segment) => {
                // What is behind the durable part is nobody's, and a file that failed once is not written to again.
                if let (Some(file), Some(segment)) = (self.writer.take(), segment) {
                    let _ = file.set_len(segment.bytes);
                }
                Err(unusable(&self.settings.folder, source))
            }
            (Ok(()), None) => unreachable!("what was written to is a segment"),
        }
    }

    /// Begins a segment. On an error there is none, and the one before is as it was.
    fn begin(&mut self) -> io::Result<()> {
        self.writer = None;
        let path = self.path(self.next_number);
        let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        let begun = file.write_all(&HEADER).and_then(|()| file.sync_all());
        // The file's name is durable with its folder.
        if let Err(error) = begun.and_then(|()| File::open(&self.settings.folder)?.sync_all()) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.segments.push_back(Segment { number: self.next_number, bytes: HEADER.len() as u64, records: 0 });
        self.next_number += 1;
        self.writer = Some(file);
        Ok(())
    }

    /// The next records that were not read, about `max_bytes` of them, all of one segment.
    pub(super) fn read(&mut self, max_bytes: u64) -> Result<Vec<SpilledRecord>, SpillError> {
        loop {
            let (index, offset) = self.read;
            let Some(segment) = self.segments.get(index) else { return Ok(Vec::new()) };
            let offset = offset.max(HEADER.len() as u64);
            if offset >= segment.bytes {
                if index + 1 == self.segments.len() {
                    return Ok(Vec::new());
                }
                self.read = (index + 1, 0);
                continue;
            }
            let path = self.path(segment.number);
            let most = segment.bytes - offset;
            let mut content = read_at(&path, offset, most.min(max_bytes)).map_err(|error| unusable(&path, error))?;
            if frame::decode(&content).is_none() {
                content = read_at(&path, offset, most).map_err(|error| unusable(&path, error))?;
            }
            let (mut records, mut at) = (Vec::new(), 0);
            while let Some((record, length)) = frame::decode(&content.slice(at..)) {
                records.push(record);
                at += length;
            }
            if records.is_empty() {
                return Err(SpillError::Damaged { path, offset });
            }
            self.read.1 = offset + at as u64;
            return Ok(records);
        }
    }

    /// Deletes the segments of which all was read.
    pub(super) fn release(&mut self) -> Result<(), SpillError> {
        while let Some(segment) = self.segments.front() {
            let (index, offset) = self.read;
            let done = index > 0 || offset >= segment.bytes;
            if !done {
                break;
            }
            let path = self.path(segment.number);
            fs::remove_file(&path).map_err(|error| unusable(&path, error))?;
            self.segments.pop_front();
            self.read = if index > 0 { (index - 1, offset) } else { (0, 0) };
            if self.segments.is_empty() {
                self.writer = None;
            }
        }
        Ok(())
    }
}

fn read_at(path: &Path, offset: u64, bytes: u64) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut content = Vec::new();
    file.take(bytes).read_to_end(&mut content)?;
    Ok(content.into())
}
