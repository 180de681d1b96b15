//! From a stream record to its elements: opens envelopes, decompresses, and delimits what was put straight into the stream.
//!
//! A record that is no envelope is, after gzip or zstd (told by their magic bytes) are taken off, one JSON object, or a JSON
//! array of events, or events line by line (NDJSON, blank lines skipped). What a line or an item holds is judged later, by itself.
//!
//! **AU-1**: out of a sealed record no envelope is opened, for it would name another owner.

mod delimit;

use std::io::Read;
use std::ops::Range;

use alluvium_core::envelope::{Envelope, EnvelopeHeader};
use alluvium_core::{Origin, ReasonCode};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

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

/// What an event costs of the room of its batch beside its bytes: about what its id takes in a data file and in a hot chunk.
const EVENT_COST: usize = 32;
/// How many columns of an event's dataset cost one byte more: what a value that is missing takes, and its share of a footer.
const COLUMNS_PER_BYTE: usize = 4;
/// How many times the room of a batch is read at most, so that records which are refused after reading cost a bounded time.
const READINGS: usize = 8;

/// What becomes of a record that is an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Envelopes {
    /// It is opened, and may name an owner.
    Opened,
    /// It is refused: the record lay under a seal, which says whose it is (AU-1).
    Refused,
}

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
    /// What the request said; nothing for a record that was put straight into the stream.
    pub(crate) fn header(&self) -> &EnvelopeHeader {
        &self.header
    }

    /// Where the one element was delivered first, when it is sent again.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        match &self.content {
            Content::Framed(envelope) => envelope.origin.as_ref(),
            Content::Delimited { .. } => None,
        }
    }

    /// The elements, in the order in which they were sent.
    pub(crate) fn elements(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        match &self.content {
            Content::Framed(envelope) => Box::new(envelope.elements()),
            Content::Delimited { text, places } => Box::new(places.iter().map(|place| &text[place.clone()])),
        }
    }
}

/// Why a record was not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is something wrong with the record.
    OfRecord(Fault),
    /// There is no room for it beside the records before it. All of it is kept, so that it can be sent again by itself.
    OfBatch(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::OfRecord(fault)
    }
}

/// Opens the records of one batch, one after another, and keeps account of the room that they take together: what compressed
/// ones expand to, and a little for each event. The same batch is always opened alike.
#[derive(Debug)]
pub(crate) struct Opener<'a> {
    settings: &'a TransformSettings,
    room_bytes: usize,
    /// How much more may be decompressed, what is refused then included.
    readable_bytes: usize,
}

impl<'a> Opener<'a> {
    pub(crate) fn new(settings: &'a TransformSettings) -> Self {
        let room_bytes = settings.batch_expanded_bytes;
        Self { settings, room_bytes, readable_bytes: room_bytes.saturating_mul(READINGS) }
    }

    /// Opens the next record.
    ///
    /// # Errors
    ///
    /// The fault for which the whole record becomes one dead letter.
    pub(crate) fn open(&mut self, record: &Bytes, envelopes: Envelopes) -> Result<Opened, Refusal> {
        let (opened, events, expanded_bytes) = if Envelope::is_envelope(record) {
            if envelopes == Envelopes::Refused {
                return Err(under_a_seal().into());
            }
            let mut envelope = Envelope::open(record)
                .map_err(|error| Fault::new(ReasonCode::UnreadableRecord, format!("the {error}")))?;
            let events = envelope.elements().take(EVENTS_PER_RECORD + 1).count();
            if events > EVENTS_PER_RECORD {
                return Err(too_many().into());
            }
            let header = std::mem::take(&mut envelope.header);
            (Opened { header, content: Content::Framed(envelope) }, events, 0)
        } else {
            let (text, expanded_bytes) = self.expand(record)?;
            let places = delimit::delimit(&text)?;
            let events = places.len();
            let content = Content::Delimited { text, places };
            (Opened { header: EnvelopeHeader::default(), content }, events, expanded_bytes)
        };
        let cost = expanded_bytes.saturating_add(events * EVENT_COST);
        self.room_bytes = self.room_bytes.checked_sub(cost).ok_or_else(|| self.no_room())?;
        Ok(opened)
    }

    /// Takes the room of a record that is known to be one event, uncompressed; `false`: there is not enough, and nothing is
    /// taken.
    #[inline]
    pub(crate) fn admit_whole(&mut self) -> bool {
        let left = self.room_bytes.checked_sub(EVENT_COST);
        self.room_bytes = left.unwrap_or(self.room_bytes);
        left.is_some()
    }

    /// Takes gzip or zstd off a record; says how many bytes that gave.
    fn expand(&mut self, record: &Bytes) -> Result<(Bytes, usize), Refusal> {
        let format = match record {
            record if record.starts_with(&GZIP) => "gzip",
            record if record.starts_with(&ZSTD) => "zstd",
            plain => return Ok((plain.clone(), 0)),
        };
        let limit = self.settings.record_expanded_bytes;
        let allowed = limit.min(self.room_bytes).min(self.readable_bytes);
        let read = match format {
            "gzip" => read_capped(MultiGzDecoder::new(record.as_ref()), allowed),
            _ => match zstd_decoder(record, allowed) {
                Ok(decoder) => read_capped(decoder, allowed),
                Err(error) => Expanded::Broken { read_bytes: 0, error },
            },
        };
        match read {
            Expanded::Whole(text) => {
                self.readable_bytes -= text.len();
                let bytes = text.len();
                Ok((text.into(), bytes))
            }
            Expanded::TooFar { read_bytes } => {
                self.readable_bytes -= read_bytes.min(allowed);
                if allowed < limit {
                    return Err(self.no_room());
                }
                let detail = format!("the {format} record expands to more than {limit} bytes; send less in one record");
                Err(Fault::new(ReasonCode::ExpandsTooFar, detail).into())
            }
            Expanded::Broken { read_bytes, error } => {
                self.readable_bytes -= read_bytes.min(allowed);
                let detail = format!("the record begins like {format} and cannot be decompressed: {error}");
                Err(Fault::new(ReasonCode::UnreadableRecord, detail).into())
            }
        }
    }

    /// Takes the room that an event of a dataset with so many columns costs on top. What is opened already stays so.
    #[inline]
    pub(crate) fn charge(&mut self, columns: usize) {
        self.room_bytes = self.room_bytes.saturating_sub(columns / COLUMNS_PER_BYTE);
    }

    #[cold]
    fn no_room(&self) -> Refusal {
        let limit = self.settings.batch_expanded_bytes;
        let detail = format!(
            "the records of this batch expand to more than {limit} bytes together, with {EVENT_COST} and more for each event, and this \
             record came when those before it had left too little; deliver less in one batch, and send this record again"
        );
        Refusal::OfBatch(Fault::new(ReasonCode::ExpandsTooFar, detail))
    }
}

#[cold]
fn under_a_seal() -> Fault {
    Fault::new(
        ReasonCode::UnreadableRecord,
        "the record begins like an envelope, which would name an owner, and was put by a caller whose data it is; send the events \
         themselves",
    )
}

#[cold]
fn too_many() -> Fault {
    Fault::new(
        ReasonCode::ExpandsTooFar,
        format!("the record holds more than {EVENTS_PER_RECORD} events; send fewer in one record"),
    )
}

enum Expanded {
    Whole(Vec<u8>),
    TooFar {
        read_bytes: usize,
    },
    /// After so many bytes it was no such format.
    Broken {
        read_bytes: usize,
        error: std::io::Error,
    },
}

/// A decoder of all frames of a record.
fn zstd_decoder(record: &[u8], limit_bytes: usize) -> std::io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(record)?;
    // A frame asks for its window before it is read: no more than the content that is allowed.
    let window_log = limit_bytes.max(1 << MIN_WINDOW_LOG).ilog2().min(MAX_WINDOW_LOG);
    decoder.window_log_max(window_log)?;
    Ok(decoder)
}

fn read_capped(mut decoder: impl Read, limit_bytes: usize) -> Expanded {
    const FIRST_BYTES: usize = 32 * 1024;
    let mut expanded = Vec::new();
    let mut filled = 0;
    loop {
        if filled == expanded.len() {
            if filled > limit_bytes {
                return Expanded::TooFar { read_bytes: filled };
            }
            // Twice as much each time, but never more than shows that it is too much.
            let larger = (filled * 2).max(FIRST_BYTES).min(limit_bytes.saturating_add(1));
            expanded.reserve_exact(larger - filled);
            expanded.resize(larger, 0);
        }
        match decoder.read(&mut expanded[filled..]) {
            Ok(0) => {
                expanded.truncate(filled);
                return Expanded::Whole(expanded);
            }
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Expanded::Broken { read_bytes: filled, error },
        }
    }
}

#[cfg(test)]
mod tests;
