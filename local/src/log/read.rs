//! Reading a page of frames: one read of a file, records that are slices of it.

use std::io;

use alluvium_core::identity::{RecordIdentity, ShardId};
use alluvium_core::record::StreamRecord;
use bytes::Bytes;

use super::LogError;
use super::format::{Decoded, Frame};
use super::segment::Place;
use super::shard::ReadFrom;
use crate::disk::Disk;

/// The most data that one page holds, whatever was asked for.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// What is read beyond the data that was asked for, as room for headers and keys.
const SLACK_BYTES: usize = 16 * 1024;

/// What came of cutting one buffer into frames.
enum Cut {
    Records(Vec<StreamRecord>),
    /// The wanted frame is not whole; this many bytes from its place are needed.
    Needs(usize),
}

/// Reads up to `max_bytes` of data, and at least one record, of one segment; says where the frame after them begins. All of
/// the records share one buffer. Blocks.
pub(super) fn read_page(
    disk: &dyn Disk,
    shard: &ShardId,
    from: &ReadFrom,
    max_bytes: usize,
) -> Result<(Vec<StreamRecord>, Place), LogError> {
    let max_bytes = max_bytes.min(MAX_PAGE_BYTES);
    let file = disk.open(&from.path).map_err(LogError::io("open", &from.path))?;
    let usual = max_bytes + max_bytes / 8 + SLACK_BYTES;
    let mut place = from.place;
    let mut needed = 1;
    loop {
        let there = from.end - place.offset;
        if needed as u64 > there {
            return Err(damaged(from, place, "a frame reaches past the end of what was synced"));
        }
        let length = usize::try_from(there).unwrap_or(usize::MAX).min(usual.max(needed));
        let mut buffer = vec![0; length];
        file.read_at(place.offset, &mut buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(from, place, "the file ends before what was synced"),
            _ => LogError::io("read", &from.path)(error),
        })?;
        match cut(shard, from, &mut place, &Bytes::from(buffer), max_bytes)? {
            Cut::Records(records) => return Ok((records, place)),
            Cut::Needs(bytes) => needed = bytes,
        }
    }
}

/// Cuts frames out of `bytes`, which begin at `place`, and moves it past them; leaves out those before the wanted one.
fn cut(shard: &ShardId, from: &ReadFrom, place: &mut Place, bytes: &Bytes, max_bytes: usize) -> Result<Cut, LogError> {
    let mut records: Vec<StreamRecord> = Vec::new();
    let (mut at, mut data_bytes) = (0, 0);
    loop {
        let frame = match Frame::decode(from.salt, &bytes[at..]) {
            Decoded::Whole(frame) if frame.sequence == place.sequence => frame,
            Decoded::Short(_) if !records.is_empty() => return Ok(Cut::Records(records)),
            Decoded::Short(needed) => return Ok(Cut::Needs(needed)),
            Decoded::Whole(_) => return Err(damaged(from, *place, "a frame has another sequence number")),
            Decoded::Bad(what) => return Err(damaged(from, *place, what)),
        };
        if frame.sequence >= from.wanted {
            if !records.is_empty() && data_bytes + frame.data.len() > max_bytes {
                return Ok(Cut::Records(records));
            }
            let data = at + frame.data_offset();
            data_bytes += frame.data.len();
            records.push(StreamRecord {
                identity: RecordIdentity { shard: shard.clone(), sequence: frame.sequence.into(), subsequence: 0 },
                arrival: frame.arrival,
                partition_key: frame.key.to_owned(),
                data: bytes.slice(data..data + frame.data.len()),
            });
        }
        at += frame.len_bytes();
        place.sequence += 1;
        place.offset += frame.len_bytes() as u64;
    }
}

fn damaged(from: &ReadFrom, place: Place, what: &str) -> LogError {
    LogError::damaged(&from.path, place.offset, format!("{what} (record {} should stand there)", place.sequence))
}
