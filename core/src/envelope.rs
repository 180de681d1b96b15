//! The wrapping that the gateway puts around the events of one request before they go into the stream.
//!
//! It carries what the request's own bytes do not say: whose data it is, the dataset that the route names, and the
//! idempotency key. A record that does not begin with [`MAGIC`] was put straight into the stream and has no envelope.
//!
//! ```text
//! byte 0..4   magic  A1 4C 56 4D
//! byte 4      version, 1
//! byte 5      encoding of the payload: 0 = framed elements
//! then three texts, each a varint length and UTF-8 bytes: owner, dataset, idempotency key (empty: none)
//! then        varint: the index within the request of the first element
//! then        the payload. Framed elements: for each element a varint length and its bytes
//! ```
//!
//! A varint is the unsigned LEB128 of Protocol Buffers' encoding guide.

use bytes::Bytes;

/// The first bytes of every envelope. 0xA1 begins no JSON text, no UTF-8 text, no gzip, zstd or KPL record.
pub const MAGIC: [u8; 4] = [0xA1, b'L', b'V', b'M'];
const VERSION: u8 = 1;
const FRAMED: u8 = 0;
/// The longest owner, dataset or idempotency key that an envelope holds, in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;

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
    payload: Bytes,
}

/// Bytes that begin like an envelope and are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A newer release wrote it.
    #[error("envelope version {0} is newer than this release reads (1)")]
    Version(u8),
    /// A payload encoding that this release does not know.
    #[error("envelope encoding {0} is unknown (known: 0, framed elements)")]
    Encoding(u8),
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
        let key = header.idempotency_key.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(capacity + header.owner.len() + header.dataset.len() + key.len() + 32);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, FRAMED]);
        for text in [header.owner.as_str(), header.dataset.as_str(), key] {
            assert!(text.len() <= MAX_TEXT_BYTES, "the gateway bounds the texts of an envelope");
            put_varint(&mut bytes, text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        }
        put_varint(&mut bytes, u64::from(header.first_index));
        Self { bytes, elements: 0 }
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

impl Envelope {
    /// Whether a record begins like an envelope.
    pub fn is_envelope(record: &[u8]) -> bool {
        record.starts_with(&MAGIC)
    }

    /// Opens an envelope and checks that its elements are whole; copies none of them.
    ///
    /// # Errors
    ///
    /// When it is of a version or encoding that this release does not read, or cut short.
    pub fn open(record: &Bytes) -> Result<Self, EnvelopeError> {
        let mut at = MAGIC.len();
        let mut byte = || {
            let value = record.get(at).copied().ok_or(EnvelopeError::Damaged(at));
            at += 1;
            value
        };
        let (version, encoding) = (byte()?, byte()?);
        if version != VERSION {
            return Err(EnvelopeError::Version(version));
        }
        if encoding != FRAMED {
            return Err(EnvelopeError::Encoding(encoding));
        }
        let mut text = || {
            let bytes = take_framed(record, &mut at)?;
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| EnvelopeError::Damaged(at))
        };
        let (owner, dataset, key) = (text()?, text()?, text()?);
        let first_index = take_varint(record, &mut at)?;
        let first_index = u32::try_from(first_index).map_err(|_| EnvelopeError::Damaged(at))?;
        let payload = record.slice(at..);
        let mut end = 0;
        while end < payload.len() {
            take_framed(&payload, &mut end).map_err(|_| EnvelopeError::Damaged(at + end))?;
        }
        let idempotency_key = (!key.is_empty()).then_some(key);
        Ok(Self { header: EnvelopeHeader { owner, dataset, idempotency_key, first_index }, payload })
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
mod tests {
    use super::*;

    fn header() -> EnvelopeHeader {
        EnvelopeHeader {
            owner: "anna".into(),
            dataset: "telemetry".into(),
            idempotency_key: Some("k".into()),
            first_index: 300,
        }
    }

    fn sealed(elements: &[&[u8]]) -> Bytes {
        let mut writer = EnvelopeWriter::new(&header(), 0);
        elements.iter().for_each(|element| writer.push(element));
        writer.finish()
    }

    #[test]
    fn what_was_sealed_comes_out_again() {
        let long = vec![b'x'; 300];
        let elements: [&[u8]; 4] = [b"{}", b"", b"\n\xff", &long];
        let envelope = Envelope::open(&sealed(&elements)).unwrap();
        assert_eq!(envelope.header, header());
        assert_eq!(envelope.elements().collect::<Vec<_>>(), elements);
    }

    #[test]
    fn every_truncation_is_refused_or_holds_whole_elements_only() {
        let whole = sealed(&[b"one", b"two"]);
        for length in MAGIC.len()..whole.len() {
            if let Ok(envelope) = Envelope::open(&whole.slice(..length)) {
                assert!(envelope.elements().all(|element| element == b"one"), "cut at {length}");
            }
        }
    }

    #[test]
    fn an_unknown_version_or_encoding_is_named() {
        let mut bytes = sealed(&[b"{}"]).to_vec();
        bytes[4] = 9;
        assert_eq!(Envelope::open(&bytes.clone().into()), Err(EnvelopeError::Version(9)));
        bytes[4] = 1;
        bytes[5] = 7;
        assert_eq!(Envelope::open(&bytes.into()), Err(EnvelopeError::Encoding(7)));
    }
}
