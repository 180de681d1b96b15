//! From the events of a request to the records that a stream takes.

use alluvium_core::envelope::{EnvelopeHeader, EnvelopeWriter};
use alluvium_core::identity::idempotent_event_id;
use alluvium_core::{PutBatch, PutRecord};

use super::rejection::Rejection;
use super::settings::GatewaySettings;
use crate::delimit::Elements;

/// The records of one request, ready for the stream.
#[derive(Debug)]
pub(super) struct Framed {
    pub(super) batch: PutBatch,
    /// How many events each record holds.
    pub(super) events_by_record: Vec<u32>,
    /// How many events there are.
    pub(super) events: u64,
    /// The bytes of the events, as they were sent.
    pub(super) event_bytes: u64,
}

impl Framed {
    fn close(&mut self, envelope: EnvelopeWriter, header: &EnvelopeHeader) {
        self.events_by_record.push(envelope.elements());
        self.batch.records.push(PutRecord {
            partition_key: partition_key(header),
            explicit_hash_key: None,
            data: envelope.finish(),
        });
    }
}

/// Wraps the events of a request into envelopes, each up to the setting `record_bytes` or holding one event.
///
/// `header` is that of the first envelope; `body_bytes` bounds what the events take together.
pub(super) fn frame(
    elements: Elements<'_>,
    mut header: EnvelopeHeader,
    body_bytes: usize,
    settings: &GatewaySettings,
) -> Result<Framed, Rejection> {
    let mut framed = Framed { batch: PutBatch::default(), events_by_record: Vec::new(), events: 0, event_bytes: 0 };
    let mut left = body_bytes;
    // Each event adds its length's varint, which is mostly two bytes long.
    let capacity = |left: usize| (left + left / 64).min(settings.record_bytes);
    let mut envelope = EnvelopeWriter::new(&header, capacity(left));
    for (index, element) in elements.enumerate() {
        let element = element?;
        if index == settings.events {
            return Err(Rejection::TooManyEvents { limit: settings.events });
        }
        if element.len() > settings.event_bytes {
            return Err(Rejection::EventTooLarge { index, bytes: element.len(), limit: settings.event_bytes });
        }
        if envelope.elements() > 0 && envelope.len_bytes() + framed_bytes(element) > settings.record_bytes {
            framed.close(envelope, &header);
            header.first_index = u32::try_from(index).expect("the settings bound the events of a request");
            envelope = EnvelopeWriter::new(&header, capacity(left).max(framed_bytes(element)));
        }
        envelope.push(element);
        left = left.saturating_sub(element.len());
        framed.events += 1;
        framed.event_bytes += element.len() as u64;
    }
    if envelope.elements() > 0 {
        framed.close(envelope, &header);
    }
    if framed.events == 0 { Err(Rejection::NoEvent) } else { Ok(framed) }
}

/// An upper bound for the bytes that an element takes in an envelope: its length as a varint, and itself.
fn framed_bytes(element: &[u8]) -> usize {
    const LONGEST_VARINT: usize = 4;
    element.len() + LONGEST_VARINT
}

/// Spreads records over the shards; a request that is sent again with its idempotency key goes to the same ones.
fn partition_key(header: &EnvelopeHeader) -> String {
    match &header.idempotency_key {
        Some(key) => idempotent_event_id(key, header.first_index),
        None => uuid::Uuid::new_v4().simple().to_string(),
    }
}
