//! The bytes of a segment file, as `docs/formats/log.md` describes them. All numbers are little-endian.

use alluvium_core::clock::Micros;
use alluvium_core::limits::PARTITION_KEY_CHARS;
use crc32c::{crc32c, crc32c_append};

/// The version of the format that this release writes and the newest that it reads.
pub(super) const VERSION: u32 = 1;
/// The bytes before a segment's first frame.
pub(super) const SEGMENT_HEADER_BYTES: usize = 40;
/// The bytes of a frame before its key.
pub(super) const FRAME_HEADER_BYTES: usize = 30;
/// The most bytes of a frame besides its data: its header and a key of characters of four bytes.
pub(super) const MAX_FRAME_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES + 4 * PARTITION_KEY_CHARS;
/// The most data that any frame may hold. A longer one is damage, whatever the settings were when it was written.
pub(super) const MAX_DATA_BYTES: usize = 16 << 20;
/// The bytes of the file that says how far a shard is durable.
pub(super) const MARK_BYTES: usize = 36;

const SEGMENT_MAGIC: [u8; 8] = *b"ALVM-LOG";
const MARK_MAGIC: [u8; 8] = *b"ALVM-MRK";
/// The bytes before those that a frame's length counts: the length and the checksum.
const UNCOUNTED_BYTES: usize = 8;

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub shard: u32,
    /// The sequence number of its first frame.
    pub first: u64,
    /// No frame in it arrived before.
    pub arrival_floor: Micros,
    /// Where the checksums of its frames start from. It is random, so that neither a frame of another segment nor bytes that a
    /// sender chose can pass for a frame of this one.
    pub salt: u32,
}

/// Why bytes are no segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.shard.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.arrival_floor.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Result<Self, BadHeader> {
        if bytes[..8] != SEGMENT_MAGIC {
            return Err(BadHeader::Damaged);
        }
        // Before the checksum: another version may have it elsewhere.
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(if version > VERSION { BadHeader::Version(version) } else { BadHeader::Damaged });
        }
        if u32_at(bytes, 36) != crc32c(&bytes[..36]) {
            return Err(BadHeader::Damaged);
        }
        Ok(Self {
            shard: u32_at(bytes, 12),
            first: u64_at(bytes, 16),
            arrival_floor: u64_at(bytes, 24).cast_signed(),
            salt: u32_at(bytes, 32),
        })
    }
}

/// One record as it stands in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub sequence: u64,
    pub arrival: Micros,
    /// How many frames of the same group stand before it. A group is what one sync made durable.
    pub place: u32,
    pub key: &'a str,
    pub data: &'a [u8],
}

/// What bytes that should begin with a frame are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded<'a> {
    Whole(Frame<'a>),
    /// Nothing wrong so far; this many bytes are needed in all.
    Short(usize),
    Bad(&'static str),
}

impl<'a> Frame<'a> {
    /// The bytes that it takes in a segment.
    pub(super) fn len_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.key.len() + self.data.len()
    }

    /// Where its data begins, counted from its own first byte.
    pub(super) fn data_offset(&self) -> usize {
        FRAME_HEADER_BYTES + self.key.len()
    }

    pub(super) fn encode(&self, salt: u32, into: &mut Vec<u8>) {
        debug_assert!(self.key.len() <= 4 * PARTITION_KEY_CHARS && self.data.len() <= MAX_DATA_BYTES);
        let length = (self.len_bytes() - UNCOUNTED_BYTES) as u32;
        let mut header = [0; FRAME_HEADER_BYTES];
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        header[16..24].copy_from_slice(&self.arrival.to_le_bytes());
        header[24..28].copy_from_slice(&self.place.to_le_bytes());
        header[28..30].copy_from_slice(&(self.key.len() as u16).to_le_bytes());
        let checksum = crc32c_append(salt, &header[..4]);
        let checksum = crc32c_append(checksum, &header[8..]);
        let checksum = crc32c_append(checksum, self.key.as_bytes());
        let checksum = crc32c_append(checksum, self.data);
        header[4..8].copy_from_slice(&checksum.to_le_bytes());
        into.extend_from_slice(&header);
        into.extend_from_slice(self.key.as_bytes());
        into.extend_from_slice(self.data);
    }

    /// Reads the frame at the start of `bytes`, which may hold more or less than it.
    pub(super) fn decode(salt: u32, bytes: &'a [u8]) -> Decoded<'a> {
        if bytes.len() < FRAME_HEADER_BYTES {
            return Decoded::Short(FRAME_HEADER_BYTES);
        }
        let length = u32_at(bytes, 0) as usize;
        let key_bytes = u16::from_le_bytes([bytes[28], bytes[29]]) as usize;
        let least = FRAME_HEADER_BYTES - UNCOUNTED_BYTES + key_bytes;
        if key_bytes > 4 * PARTITION_KEY_CHARS || length < least || length - least > MAX_DATA_BYTES {
            return Decoded::Bad("the length of a frame is impossible");
        }
        let end = UNCOUNTED_BYTES + length;
        if bytes.len() < end {
            return Decoded::Short(end);
        }
        let checksum = crc32c_append(salt, &bytes[..4]);
        if u32_at(bytes, 4) != crc32c_append(checksum, &bytes[UNCOUNTED_BYTES..end]) {
            return Decoded::Bad("the checksum of a frame does not match");
        }
        let data = FRAME_HEADER_BYTES + key_bytes;
        let Ok(key) = std::str::from_utf8(&bytes[FRAME_HEADER_BYTES..data]) else {
            return Decoded::Bad("the key of a frame is not UTF-8");
        };
        Decoded::Whole(Self {
            sequence: u64_at(bytes, 8),
            arrival: u64_at(bytes, 16).cast_signed(),
            place: u32_at(bytes, 24),
            key,
            data: &bytes[data..end],
        })
    }

    /// The sequence number that a frame at the start of `bytes` would have: a cheap look before [`decode`](Self::decode).
    pub(super) fn peek_sequence(bytes: &[u8]) -> Option<u64> {
        (bytes.len() >= FRAME_HEADER_BYTES).then(|| u64_at(bytes, 8))
    }
}

/// How far a shard was durable when this was last written: a lower bound, for it is written after the sync and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// The first sequence number of the segment.
    pub segment: u64,
    /// The segment's length.
    pub bytes: u64,
    /// The newest record.
    pub newest: u64,
}

impl Mark {
    pub(super) fn encode(&self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        bytes[..8].copy_from_slice(&MARK_MAGIC);
        bytes[8..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.newest.to_le_bytes());
        let checksum = crc32c(&bytes[..32]);
        bytes[32..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a mark; `None` when the bytes are none, as a power cut may leave them.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let whole = bytes.len() == MARK_BYTES && bytes[..8] == MARK_MAGIC && u32_at(bytes, 32) == crc32c(&bytes[..32]);
        whole.then(|| Self { segment: u64_at(bytes, 8), bytes: u64_at(bytes, 16), newest: u64_at(bytes, 24) })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}

#[cfg(test)]
mod tests;
