//! The wrapping that the gateway puts around the events of one request before they go into the stream, that a redrive puts
//! around what it sends again, and that the Kinesis API, and a direct route of API Gateway, put around a record whose sender they know.
//!
//! It carries what the request's own bytes do not say: whose data it is, the dataset that the route names, and the
//! idempotency key. A record that does not begin with [`MAGIC`] was put straight into the stream and has no envelope.
//!
//! ```text
//! byte 0..4   magic  A1 4C 56 4D
//! byte 4      version: 1; 2 when it has an origin; 3 for a record and whose it is, 4 when its route named a dataset
//! byte 5      encoding of the payload: 0 = framed elements, 1 = a record
//! then, in version 3, one text, the owner, never empty, and the record to the end, encoding 1
//! then, in version 4, two texts, the owner, never empty, and the dataset (empty: none), and the record to the end, encoding 1
//! then, in versions 1 and 2, three texts, each a varint length and UTF-8 bytes: owner, dataset, idempotency key (empty: none)
//! then        varint: the index within the request of the first element
//! version 2   the origin. Of the first delivery: a text, the shard; a text, the sequence number in decimal digits; varints, the
//!             subsequence number and the index in the record; 8 bytes, the arrival in µs since 1970, little-endian.
//!             Then a text, the `event_id` of the dead letter
//! then        the payload. Framed elements: for each element a varint length and its bytes; with an origin exactly one. A
//!             record, which needs an origin: its bytes as they lay in the stream
//! ```
//!
//! A varint is the unsigned LEB128 of Protocol Buffers' encoding guide. A text is a varint length and UTF-8 bytes. What has no origin is
//! written as version 1, so that a release before 2 reads it; what has one is to such a release an unreadable record, and dead. So are
//! versions 3 and 4 to a release before them.
//!
//! A varint may be longer than it must, with groups of zeros at its end. Version 4 is written so: each text fills what stands before the
//! rest to a multiple of three bytes, so that its base64 has no padding and can be put together with other base64 by whoever can only
//! join texts, as a mapping template of API Gateway.
//!
//! Versions 3 and 4 are seals (AU-1): the record in it is what a client sent, whatever it is, and may hold bytes that begin like an envelope,
//! as a user record of an aggregate does. No envelope that is found within a seal is opened, or it would name another owner. A seal lies
//! directly in the stream, or in a [`RedrivenRecord`].

use bytes::Bytes;

use crate::identity::{RecordIdentity, ShardId};
use crate::origin::Origin;

/// The first bytes of every envelope. 0xA1 begins no JSON text, no UTF-8 text, no gzip, zstd or KPL record.
pub const MAGIC: [u8; 4] = [0xA1, b'L', b'V', b'M'];
const VERSION: u8 = 1;
const VERSION_WITH_ORIGIN: u8 = 2;
const VERSION_OWNED: u8 = 3;
const VERSION_ROUTED: u8 = 4;
const FRAMED: u8 = 0;
const RECORD: u8 = 1;
/// The longest owner, dataset or idempotency key that an envelope holds, in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;
/// The most bytes by which a seal makes a record longer, see [`OwnedRecord`]: magic, version, encoding, and the longest owner.
pub const MAX_SEAL_BYTES: usize = MAGIC.len() + 2 + 2 + MAX_TEXT_BYTES;

/// What an envelope says about the elements in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvelopeHeader {
    /// Whose data it is. Empty: nobody was named.
    pub owner: String,
    /// The dataset that the route named. Empty: none, the event's `type` decides.
    pub dataset: String,
    /// The request's `Idempotency-Key`, from which events without an id derive theirs.
    pub idempotency_key: Option<String>,
    /// The index within the request of this record's first element.
    pub first_index: u32,
}

/// An envelope that has been opened: its header, and its elements in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What the request said.
    pub header: EnvelopeHeader,
    /// Where its one element was delivered first, when it is sent again.
    pub origin: Option<Origin>,
    payload: Bytes,
}

/// A record that is sent again whole, because it could not be told into events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivenRecord {
    /// Whose data it is, unless the record itself says.
    pub owner: String,
    /// Its first delivery.
    pub origin: Origin,
    /// Its bytes as they lay in the stream.
    pub record: Bytes,
}

/// A record as a client sent it, sealed with its owner: nothing that it holds names another (AU-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Whose data it is; never empty.
    pub owner: String,
    /// The dataset that its route named. Empty: none, each event's `type` decides.
    pub dataset: String,
    /// Its bytes as they were sent.
    pub record: Bytes,
}

/// Bytes that begin like an envelope and are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A newer release wrote it.
    #[error("envelope version {0} is newer than this release reads (1 to 4)")]
    Version(u8),
    /// A payload encoding that this release does not know, or not in such a place.
    #[error("envelope encoding {0} is unknown here (known: 0, framed elements)")]
    Encoding(u8),
    /// It is an [`OwnedRecord`], which has no elements of its own.
    #[error(
        "envelope seals a whole record with its owner, which is no envelope of events; it may lie only in the stream itself"
    )]
    Sealed,
    /// It ends early, or a length in it points past its end.
    #[error("envelope is cut short or damaged at byte {0}")]
    Damaged(usize),
}

/// Builds one envelope, element by element.
#[derive(Debug)]
pub struct EnvelopeWriter {
    bytes: Vec<u8>,
    elements: u32,
}

impl EnvelopeWriter {
    /// Begins an envelope. `capacity` is the number of payload bytes to expect.
    ///
    /// # Panics
    ///
    /// When a text of the header is longer than [`MAX_TEXT_BYTES`]; the gateway checks before.
    pub fn new(header: &EnvelopeHeader, capacity: usize) -> Self {
        Self { bytes: begin([VERSION, FRAMED], header, capacity), elements: 0 }
    }

    /// Adds one element: one event, as it was sent.
    pub fn push(&mut self, element: &[u8]) {
        put_varint(&mut self.bytes, element.len() as u64);
        self.bytes.extend_from_slice(element);
        self.elements += 1;
    }

    /// How many elements it holds.
    pub fn elements(&self) -> u32 {
        self.elements
    }

    /// How many bytes it takes so far, its header included.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The finished record.
    pub fn finish(self) -> Bytes {
        self.bytes.into()
    }
}

/// The envelope of one event that is sent again.
///
/// # Panics
///
/// As [`EnvelopeWriter::new`], the texts of the origin included.
pub fn redriven_event(header: &EnvelopeHeader, origin: &Origin, event: &[u8]) -> Bytes {
    let mut bytes = begin([VERSION_WITH_ORIGIN, FRAMED], header, event.len());
    put_origin(&mut bytes, origin);
    put_varint(&mut bytes, event.len() as u64);
    bytes.extend_from_slice(event);
    bytes.into()
}

impl RedrivenRecord {
    /// The record's envelope.
    ///
    /// # Panics
    ///
    /// As [`EnvelopeWriter::new`], the texts of the origin included.
    pub fn seal(&self) -> Bytes {
        let header = EnvelopeHeader { owner: self.owner.clone(), ..EnvelopeHeader::default() };
        let mut bytes = begin([VERSION_WITH_ORIGIN, RECORD], &header, self.record.len());
        put_origin(&mut bytes, &self.origin);
        bytes.extend_from_slice(&self.record);
        bytes.into()
    }

    /// Opens the envelope of a record that is sent again; `None`: it is none, or is damaged, which [`Envelope::open`] tells.
    #[inline]
    pub fn open(record: &Bytes) -> Option<Self> {
        let payload = record.strip_prefix(&MAGIC)?;
        if payload.starts_with(&[VERSION_WITH_ORIGIN, RECORD]) { Self::opened(record).ok() } else { None }
    }

    #[cold]
    fn opened(record: &Bytes) -> Result<Self, EnvelopeError> {
        let mut at = MAGIC.len() + 2;
        let header = take_header(record, &mut at)?;
        let origin = take_origin(record, &mut at)?;
        Ok(Self { owner: header.owner, origin, record: record.slice(at..) })
    }
}

impl OwnedRecord {
    /// The sealed record: of version 3 without a dataset, else of version 4.
    ///
    /// # Panics
    ///
    /// When the owner is empty, or it or the dataset longer than [`MAX_TEXT_BYTES`].
    pub fn seal(&self) -> Bytes {
        [&Self::seal_of_route(&self.owner, &self.dataset), &self.record[..]].concat().into()
    }

    /// What stands before the record's own bytes in every record that is sealed with this owner and dataset.
    ///
    /// # Panics
    ///
    /// As [`seal`](Self::seal).
    pub fn seal_of_route(owner: &str, dataset: &str) -> Vec<u8> {
        if dataset.is_empty() {
            return Self::seal_of(owner);
        }
        let mut bytes = Self::seal_before_dataset(owner);
        put_filling_text(&mut bytes, dataset);
        bytes
    }

    /// A seal of version 4 up to its dataset. Its length is a multiple of three, and so must be that of the dataset as it is put behind.
    ///
    /// # Panics
    ///
    /// As [`seal`](Self::seal).
    pub fn seal_before_dataset(owner: &str) -> Vec<u8> {
        assert!(!owner.is_empty(), "a record is sealed with somebody's name");
        let mut bytes = [&MAGIC[..], &[VERSION_ROUTED, RECORD]].concat();
        put_filling_text(&mut bytes, owner);
        bytes
    }

    /// What stands before the record's own bytes in every record that is sealed with this owner.
    ///
    /// # Panics
    ///
    /// As [`seal`](Self::seal).
    pub fn seal_of(owner: &str) -> Vec<u8> {
        assert!(!owner.is_empty(), "a record is sealed with somebody's name");
        let mut bytes = Vec::with_capacity(MAX_SEAL_BYTES - MAX_TEXT_BYTES + owner.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION_OWNED, RECORD]);
        put_text(&mut bytes, owner);
        bytes
    }

    /// Opens a sealed record; `None`: it is none, or is damaged, which [`Envelope::open`] tells.
    #[inline]
    pub fn open(record: &Bytes) -> Option<Self> {
        let payload = record.strip_prefix(&MAGIC)?;
        if is_seal(payload.first()) { Self::opened(record).ok() } else { None }
    }

    fn opened(record: &Bytes) -> Result<Self, EnvelopeError> {
        let is_routed = record.get(MAGIC.len()) == Some(&VERSION_ROUTED);
        let mut at = MAGIC.len() + 1;
        match record.get(at) {
            None => return Err(EnvelopeError::Damaged(at)),
            Some(&RECORD) => at += 1,
            Some(&other) => return Err(EnvelopeError::Encoding(other)),
        }
        let start = at;
        let owner = take_text(record, &mut at)?;
        if !(1..=MAX_TEXT_BYTES).contains(&owner.len()) {
            return Err(EnvelopeError::Damaged(start));
        }
        let start = at;
        let dataset = if is_routed { take_text(record, &mut at)? } else { "" };
        if dataset.len() > MAX_TEXT_BYTES {
            return Err(EnvelopeError::Damaged(start));
        }
        Ok(Self { owner: owner.to_owned(), dataset: dataset.to_owned(), record: record.slice(at..) })
    }
}

impl Envelope {
    /// Whether a record begins like an envelope.
    pub fn is_envelope(record: &[u8]) -> bool {
        record.starts_with(&MAGIC)
    }

    /// Opens an envelope and checks that its elements are whole; copies none of them.
    ///
    /// # Errors
    ///
    /// When it is of a version or encoding that this release does not read, is cut short, or holds a [`RedrivenRecord`] or an
    /// [`OwnedRecord`].
    pub fn open(record: &Bytes) -> Result<Self, EnvelopeError> {
        let mut at = MAGIC.len();
        let mut byte = || {
            let value = record.get(at).copied().ok_or(EnvelopeError::Damaged(at));
            at += 1;
            value
        };
        let (version, encoding) = (byte()?, byte()?);
        if is_seal(Some(&version)) {
            return Err(OwnedRecord::opened(record).err().unwrap_or(EnvelopeError::Sealed));
        }
        if ![VERSION, VERSION_WITH_ORIGIN].contains(&version) {
            return Err(EnvelopeError::Version(version));
        }
        if encoding != FRAMED {
            return Err(EnvelopeError::Encoding(encoding));
        }
        let header = take_header(record, &mut at)?;
        let origin = (version == VERSION_WITH_ORIGIN).then(|| take_origin(record, &mut at)).transpose()?;
        let payload = record.slice(at..);
        let (mut end, mut elements) = (0, 0);
        while end < payload.len() {
            take_framed(&payload, &mut end).map_err(|_| EnvelopeError::Damaged(at + end))?;
            elements += 1;
        }
        if origin.is_some() && elements != 1 {
            return Err(EnvelopeError::Damaged(at));
        }
        Ok(Self { header, origin, payload })
    }

    /// The elements, in the order in which they were sent.
    pub fn elements(&self) -> impl Iterator<Item = &[u8]> {
        let mut at = 0;
        std::iter::from_fn(move || {
            (at < self.payload.len())
                .then(|| take_framed(&self.payload, &mut at).expect("`open` has walked every frame"))
        })
    }
}

fn is_seal(version: Option<&u8>) -> bool {
    matches!(version, Some(&(VERSION_OWNED | VERSION_ROUTED)))
}

fn begin(version_and_encoding: [u8; 2], header: &EnvelopeHeader, capacity: usize) -> Vec<u8> {
    let key = header.idempotency_key.as_deref().unwrap_or_default();
    let mut bytes = Vec::with_capacity(capacity + header.owner.len() + header.dataset.len() + key.len() + 32);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&version_and_encoding);
    [&header.owner, &header.dataset, key].into_iter().for_each(|text| put_text(&mut bytes, text));
    put_varint(&mut bytes, u64::from(header.first_index));
    bytes
}

fn take_header(bytes: &[u8], at: &mut usize) -> Result<EnvelopeHeader, EnvelopeError> {
    let (owner, dataset, key) = (take_text(bytes, at)?, take_text(bytes, at)?, take_text(bytes, at)?);
    let idempotency_key = (!key.is_empty()).then(|| key.to_owned());
    let first_index = take_u32(bytes, at)?;
    Ok(EnvelopeHeader { owner: owner.to_owned(), dataset: dataset.to_owned(), idempotency_key, first_index })
}

fn put_origin(bytes: &mut Vec<u8>, origin: &Origin) {
    let Origin { record: RecordIdentity { shard, sequence, subsequence }, index, arrival, dead_letter } = origin;
    put_text(bytes, shard.as_str());
    put_text(bytes, &sequence.to_string());
    put_varint(bytes, *subsequence);
    put_varint(bytes, u64::from(*index));
    bytes.extend_from_slice(&arrival.to_le_bytes());
    put_text(bytes, &dead_letter.to_string());
}

fn take_origin(bytes: &[u8], at: &mut usize) -> Result<Origin, EnvelopeError> {
    let start = *at;
    let damaged = || EnvelopeError::Damaged(start);
    let shard = ShardId::new(take_text(bytes, at)?);
    let sequence = take_text(bytes, at)?.parse().map_err(|_| damaged())?;
    let record = RecordIdentity { shard, sequence, subsequence: take_varint(bytes, at)? };
    let index = take_u32(bytes, at)?;
    let arrival = bytes.get(*at..).and_then(<[u8]>::first_chunk).copied().ok_or_else(damaged)?;
    *at += arrival.len();
    let Ok(dead_letter) = take_text(bytes, at)?.parse();
    Ok(Origin { record, index, arrival: i64::from_le_bytes(arrival), dead_letter })
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    assert!(text.len() <= MAX_TEXT_BYTES, "whoever makes an envelope bounds its texts");
    put_varint(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// Puts a text so that what has been written is a multiple of three bytes long afterwards: its length has zeros at its end.
fn put_filling_text(bytes: &mut Vec<u8>, text: &str) {
    assert!(text.len() <= MAX_TEXT_BYTES, "whoever makes an envelope bounds its texts");
    put_varint(bytes, text.len() as u64);
    let short_of_three = (3 - (bytes.len() + text.len()) % 3) % 3;
    if short_of_three > 0 {
        let end = bytes.len() - 1;
        bytes[end] |= 0x80;
        bytes.resize(end + short_of_three, 0x80);
        bytes.push(0);
    }
    bytes.extend_from_slice(text.as_bytes());
}

fn take_text<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a str, EnvelopeError> {
    let text = take_framed(bytes, at)?;
    std::str::from_utf8(text).map_err(|_| EnvelopeError::Damaged(*at))
}

fn take_u32(bytes: &[u8], at: &mut usize) -> Result<u32, EnvelopeError> {
    let start = *at;
    u32::try_from(take_varint(bytes, at)?).map_err(|_| EnvelopeError::Damaged(start))
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &[u8], at: &mut usize) -> Result<u64, EnvelopeError> {
    let start = *at;
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(EnvelopeError::Damaged(start))?;
        *at += 1;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(EnvelopeError::Damaged(start))
}

fn take_framed<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8], EnvelopeError> {
    let start = *at;
    let length = take_varint(bytes, at)?;
    let end = usize::try_from(length).ok().and_then(|length| at.checked_add(length));
    let framed = end.and_then(|end| bytes.get(*at..end)).ok_or(EnvelopeError::Damaged(start))?;
    *at += framed.len();
    Ok(framed)
}

#[cfg(test)]
mod tests;
