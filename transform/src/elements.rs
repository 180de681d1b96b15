//! From a stream record to its elements: opens envelopes, decompresses, and delimits what was put straight into the stream.
//!
//! A record that is no envelope is, after gzip or zstd (told by their magic bytes) are taken off, one JSON object, or a JSON
//! array of events, or events line by line (NDJSON, blank lines skipped). What a line or an item holds is judged later, by itself.

mod delimit;

use std::io::Read;
use std::ops::Range;

use alluvium_core::ReasonCode;
use alluvium_core::envelope::{Envelope, EnvelopeHeader};
use bytes::Bytes;

use crate::fault::Fault;
use crate::settings::TransformSettings;

/// The most events of one record. Our own: a record of nothing but tiny pieces would otherwise become a thousand times its size
/// in rows.
pub(crate) const EVENTS_PER_RECORD: usize = 100_000;

const GZIP: [u8; 2] = [0x1F, 0x8B];
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// The window that every zstd decoder should take, 8 MiB, and the largest that is safe to take, 128 MiB (RFC 8878, section 3.1.1.1.2).
const MIN_WINDOW_LOG: u32 = 23;
const MAX_WINDOW_LOG: u32 = 27;

/// A record that has been opened.
#[derive(Debug)]
pub(crate) struct Opened {
    header: EnvelopeHeader,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Framed(Envelope),
    Delimited { text: Bytes, places: Vec<Range<usize>> },
}

impl Opened {
    /// Opens a record.
    ///
    /// # Errors
    ///
    /// The fault for which the whole record becomes one dead letter.
    pub(crate) fn open(record: &Bytes, settings: &TransformSettings) -> Result<Self, Fault> {
        if Envelope::is_envelope(record) {
            let mut envelope = Envelope::open(record)
                .map_err(|error| Fault::new(ReasonCode::UnreadableRecord, format!("the {error}")))?;
            if envelope.elements().nth(EVENTS_PER_RECORD).is_some() {
                return Err(too_many());
            }
            return Ok(Self { header: std::mem::take(&mut envelope.header), content: Content::Framed(envelope) });
        }
        let text = expand(record, settings.record_expanded_bytes)?;
        let places = delimit::delimit(&text)?;
        Ok(Self { header: EnvelopeHeader::default(), content: Content::Delimited { text, places } })
    }

    /// What the request said; nothing for a record that was put straight into the stream.
    pub(crate) fn header(&self) -> &EnvelopeHeader {
        &self.header
    }

    /// The elements, in the order in which they were sent.
    pub(crate) fn elements(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        match &self.content {
            Content::Framed(envelope) => Box::new(envelope.elements()),
            Content::Delimited { text, places } => Box::new(places.iter().map(|place| &text[place.clone()])),
        }
    }
}

fn too_many() -> Fault {
    Fault::new(
        ReasonCode::ExpandsTooFar,
        format!("the record holds more than {EVENTS_PER_RECORD} events; send fewer in one record"),
    )
}

/// Takes gzip or zstd off a record, up to `limit_bytes`.
fn expand(record: &Bytes, limit_bytes: usize) -> Result<Bytes, Fault> {
    if record.starts_with(&GZIP) {
        return read_capped(flate2::bufread::MultiGzDecoder::new(record.as_ref()), "gzip", limit_bytes);
    }
    if record.starts_with(&ZSTD) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(record.as_ref()).map_err(unreadable_zstd)?;
        // A frame asks for its window before it is read: no more than the content that is allowed.
        let window_log = limit_bytes.max(1 << MIN_WINDOW_LOG).ilog2().min(MAX_WINDOW_LOG);
        decoder.window_log_max(window_log).map_err(unreadable_zstd)?;
        return read_capped(decoder, "zstd", limit_bytes);
    }
    Ok(record.clone())
}

fn read_capped(decoder: impl Read, format: &str, limit_bytes: usize) -> Result<Bytes, Fault> {
    let mut expanded = Vec::new();
    let read = decoder.take((limit_bytes as u64).saturating_add(1)).read_to_end(&mut expanded);
    if expanded.len() > limit_bytes {
        return Err(Fault::new(
            ReasonCode::ExpandsTooFar,
            format!("the {format} record expands to more than {limit_bytes} bytes; send less in one record"),
        ));
    }
    read.map_err(|error| unreadable(format, &error))?;
    Ok(expanded.into())
}

fn unreadable_zstd(error: std::io::Error) -> Fault {
    unreadable("zstd", &error)
}

fn unreadable(format: &str, error: &std::io::Error) -> Fault {
    Fault::new(
        ReasonCode::UnreadableRecord,
        format!("the record begins like {format} and cannot be decompressed: {error}"),
    )
}

#[cfg(test)]
mod tests;
