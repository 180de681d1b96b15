//! From the events of a request to the records that a stream takes.

use alluvium_core::envelope::{EnvelopeHeader, EnvelopeWriter};
use alluvium_core::identity::idempotent_event_id;
use alluvium_core::record::hash_key;
use alluvium_core::{PutBatch, PutRecord, TraceParent};

use super::rejection::Rejection;
use super::settings::GatewaySettings;
use crate::delimit::Elements;

/// Events as records, ready for the stream.
#[derive(Debug, Default)]
pub(crate) struct Framed {
    pub(crate) batch: PutBatch,
    /// How many events each record holds.
    pub(crate) events_by_record: Vec<u32>,
    /// How many events there are.
    pub(crate) events: u64,
    /// The bytes of the events, as they were sent.
    pub(crate) event_bytes: u64,
}

/// Wraps events, one after the other, into envelopes, each up to `record_bytes` or holding one event.
#[derive(Debug)]
pub(crate) struct Framing {
    framed: Framed,
    header: EnvelopeHeader,
    /// The request's trace, if it is sampled.
    trace: Option<TraceParent>,
    /// The one that is not full yet.
    envelope: Option<EnvelopeWriter>,
    record_bytes: usize,
}

impl Framing {
    /// Begins. `header` is that of every envelope, but for its first index.
    pub(crate) fn new(header: EnvelopeHeader, record_bytes: usize) -> Self {
        Self { framed: Framed::default(), header, trace: None, envelope: None, record_bytes }
    }

    /// Of a request that is traced.
    pub(crate) fn traced(self, trace: Option<TraceParent>) -> Self {
        Self { trace, ..self }
    }

    /// Adds the event of this index within all that is sent, which is greater than that of the one before. `expected_bytes` is about what
    /// it and the events after it will take.
    pub(crate) fn push(&mut self, index: u32, event: &[u8], expected_bytes: usize) {
        let goes_on = |envelope: &EnvelopeWriter| {
            let follows = index == self.header.first_index + envelope.elements();
            follows && envelope.len_bytes() + framed_bytes(event) <= self.record_bytes
        };
        if self.envelope.as_ref().is_some_and(|envelope| !goes_on(envelope)) {
            self.close();
        }
        let envelope = self.envelope.get_or_insert_with(|| {
            self.header.first_index = index;
            // Each event adds its length's varint, which is mostly two bytes long.
            // One that begins behind others is likely to be as short as they were.
            let is_first = self.framed.batch.records.is_empty();
            let expected_bytes = if is_first { expected_bytes + expected_bytes / 64 } else { 0 };
            let capacity = expected_bytes.min(self.record_bytes);
            EnvelopeWriter::new(&self.header, capacity.max(framed_bytes(event)))
        });
        envelope.push(event);
        self.framed.events += 1;
        self.framed.event_bytes += event.len() as u64;
    }

    /// How many records are whole.
    pub(crate) fn records(&self) -> usize {
        self.framed.batch.records.len()
    }

    /// The records of all that was added.
    pub(crate) fn finish(mut self) -> Framed {
        self.close();
        self.framed
    }

    fn close(&mut self) {
        let Some(envelope) = self.envelope.take() else { return };
        self.framed.events_by_record.push(envelope.elements());
        let key = partition_key(&self.header);
        // A trace takes the key's place, and the key still chooses the shard.
        let (partition_key, explicit_hash_key) = match &self.trace {
            None => (key, None),
            Some(trace) => (trace.to_string(), Some(hash_key(&key))),
        };
        self.framed.batch.records.push(PutRecord { partition_key, explicit_hash_key, data: envelope.finish() });
    }
}

/// Wraps the events of a request into envelopes, each up to the setting `record_bytes` or holding one event.
///
/// `body_bytes` bounds what the events take together. Where the request is traced, its records bear the trace.
pub(super) fn frame(
    elements: Elements<'_>,
    header: EnvelopeHeader,
    trace: Option<TraceParent>,
    body_bytes: usize,
    settings: &GatewaySettings,
) -> Result<Framed, Rejection> {
    let mut left = body_bytes;
    let mut framing = Framing::new(header, settings.record_bytes).traced(trace);
    for (index, element) in elements.enumerate() {
        let element = element?;
        if index == settings.events {
            return Err(Rejection::TooManyEvents { limit: settings.events });
        }
        if element.len() > settings.event_bytes {
            return Err(Rejection::EventTooLarge { index, bytes: element.len(), limit: settings.event_bytes });
        }
        let index = u32::try_from(index).expect("the settings bound the events of a request");
        framing.push(index, element, left);
        left = left.saturating_sub(element.len());
    }
    let framed = framing.finish();
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
