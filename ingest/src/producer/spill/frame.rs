//! How a spilled record lies in a segment.
//!
//! ```text
//! segment   "ALSPILL" | version 1 | frame …
//! frame     bytes of the body: u32 | CRC-32C of the body: u32 | body
//! body      bytes of the partition key: u16 | 0, or 1 and an explicit hash key: u128 | partition key | data
//! ```
//!
//! Numbers are little-endian. A frame that is cut off or does not match its checksum ends what can be read.

use bytes::{Buf, BufMut, Bytes};

use crate::producer::UserRecord;

/// What a segment begins with: the format and its version.
pub(super) const HEADER: [u8; 8] = *b"ALSPILL\x01";

const FRAME_HEADER_BYTES: usize = 8;

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpilledRecord {
    pub(super) partition_key: String,
    pub(super) explicit_hash_key: Option<u128>,
    pub(super) data: Bytes,
}

impl SpilledRecord {
    pub(super) fn as_user_record(&self) -> UserRecord<'_> {
        let Self { partition_key, explicit_hash_key, data } = self;
        UserRecord { partition_key, explicit_hash_key: *explicit_hash_key, data }
    }
}

/// The frame of a record whose key was checked.
pub(super) fn encode(record: &UserRecord<'_>) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + 19 + record.partition_key.len() + record.data.len());
    frame.put_u64_le(0);
    // At most 256 characters.
    frame.put_u16_le(record.partition_key.len() as u16);
    match record.explicit_hash_key {
        None => frame.put_u8(0),
        Some(hash_key) => {
            frame.put_u8(1);
            frame.put_u128_le(hash_key);
        }
    }
    frame.put_slice(record.partition_key.as_bytes());
    frame.put_slice(record.data);
    let (header, body) = frame.split_at_mut(FRAME_HEADER_BYTES);
    header[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[4..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    frame
}

/// The record of the frame that `bytes` begin with, and how long the frame is; `None`: it is cut off or damaged.
pub(super) fn decode(bytes: &Bytes) -> Option<(SpilledRecord, usize)> {
    let mut header = bytes.get(..FRAME_HEADER_BYTES)?;
    let (length, checksum) = (header.get_u32_le() as usize, header.get_u32_le());
    let end = FRAME_HEADER_BYTES.checked_add(length)?;
    let body = bytes.get(FRAME_HEADER_BYTES..end)?;
    if crc32c::crc32c(body) != checksum {
        return None;
    }
    let mut body = bytes.slice(FRAME_HEADER_BYTES..end);
    let key_bytes = body.try_get_u16_le().ok()? as usize;
    let explicit_hash_key = match body.try_get_u8().ok()? {
        0 => None,
        1 => Some(body.try_get_u128_le().ok()?),
        _ => return None,
    };
    if body.len() < key_bytes {
        return None;
    }
    let partition_key = String::from_utf8(body.split_to(key_bytes).to_vec()).ok()?;
    Some((SpilledRecord { partition_key, explicit_hash_key, data: body }, end))
}
