//! Several sources of events as one, by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use alluvium_core::clock::Micros;

use crate::{EventSource, IngestError, Written};

/// Gives the events of several sources in the order of their times, those of one source in their own order.
///
/// A source that is not sorted by time holds the others up at its newest event, and what follows comes at once.
#[derive(Debug)]
pub(super) struct Merge<S> {
    sources: Vec<Head<S>>,
    /// Sources that have a next event, by its time and then by their place.
    order: BinaryHeap<Reverse<(Micros, usize)>>,
    started: bool,
}

/// A source and its next event.
#[derive(Debug)]
struct Head<S> {
    source: S,
    event: Vec<u8>,
    written: Written,
    /// The newest time that the source has given; an event without a time counts as of it.
    newest: Micros,
}

impl<S: EventSource> Merge<S> {
    pub(super) fn of(sources: impl IntoIterator<Item = S>) -> Self {
        let head = |source| Head { source, event: Vec::new(), written: Written::default(), newest: Micros::MIN };
        Self { sources: sources.into_iter().map(head).collect(), order: BinaryHeap::new(), started: false }
    }

    fn advance(&mut self, place: usize) -> Result<(), IngestError> {
        let head = &mut self.sources[place];
        head.event.clear();
        if let Some(written) = head.source.next_into(&mut head.event)? {
            head.written = written;
            head.newest = head.newest.max(written.at.unwrap_or(Micros::MIN));
            self.order.push(Reverse((head.newest, place)));
        }
        Ok(())
    }
}

impl<S: EventSource> EventSource for Merge<S> {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        if !self.started {
            self.started = true;
            (0..self.sources.len()).try_for_each(|place| self.advance(place))?;
        }
        let Some(Reverse((_, place))) = self.order.pop() else { return Ok(None) };
        let head = &self.sources[place];
        out.extend_from_slice(&head.event);
        let written = head.written;
        self.advance(place)?;
        Ok(Some(written))
    }
}
