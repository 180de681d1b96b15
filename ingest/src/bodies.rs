//! From events, one after the other, to the bodies of requests.

use std::time::Duration;

use alluvium_core::clock::Micros;
use bytes::Bytes;

use crate::IngestError;

/// What writing one event said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// The time by which the event is paced; `None`: it has none, and is due with the one before it.
    pub at: Option<Micros>,
}

/// Something that has events to send, in order: a generator, a file, several files.
pub trait EventSource: Send {
    /// Appends the next event's bytes to `out`, without a line break in or after it; `None`: there are no more.
    ///
    /// # Errors
    ///
    /// When the source cannot be read on. `out` may then hold part of an event.
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError>;
}

impl<S: EventSource + ?Sized> EventSource for Box<S> {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        (**self).next_into(out)
    }
}

/// How fast events are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as they are taken.
    Unlimited,
    /// As their times say, this many times faster than they happened: 1 is real time, 3600 an hour per second.
    Speed(f64),
}

/// How large bodies become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodySettings {
    /// The most events of a body. Default: 1,000.
    pub events: u64,
    /// A body is closed before an event that would take it past this many bytes; one larger event goes alone. Default: 4 MiB,
    /// well below what a gateway takes.
    pub bytes: usize,
    /// How long a paced event may wait for others to share its body. Default: 100 ms.
    pub linger: Duration,
}

impl Default for BodySettings {
    fn default() -> Self {
        Self { events: 1_000, bytes: 4 * 1024 * 1024, linger: Duration::from_millis(100) }
    }
}

/// The body of one request: events as NDJSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBody {
    /// One event per line.
    pub ndjson: Bytes,
    /// How many events.
    pub events: u64,
    /// When it is to be sent, measured from the beginning of sending.
    pub due: Duration,
}

impl EventBody {
    /// A body of these events, to be sent at once. An event must not hold a line break.
    pub fn of<E: AsRef<[u8]>>(events: impl IntoIterator<Item = E>) -> Self {
        let mut ndjson = Vec::new();
        let mut count = 0;
        for event in events {
            ndjson.extend_from_slice(event.as_ref());
            ndjson.push(b'\n');
            count += 1;
        }
        Self::of_ndjson(ndjson, count)
    }

    /// A body that is NDJSON already and holds `events` events, to be sent at once.
    pub fn of_ndjson(ndjson: impl Into<Bytes>, events: u64) -> Self {
        Self { ndjson: ndjson.into(), events, due: Duration::ZERO }
    }
}

/// Cuts a source of events into bodies.
///
/// Where it cuts follows from the events and the settings alone, not from how fast they are sent. After an error the
/// iterator ends; the events before it have been handed out.
#[derive(Debug)]
pub struct Bodies<S> {
    source: S,
    settings: BodySettings,
    pace: Pace,
    /// The time of the first event that has one; pacing is measured from it.
    origin: Option<Micros>,
    /// When the last event was due; one that lies before it is due with it.
    last_due: Duration,
    /// An event that did not fit the body before, and when it is due.
    carried: Option<(Vec<u8>, Duration)>,
    failed: Option<IngestError>,
    done: bool,
}

impl<S: EventSource> Bodies<S> {
    /// The bodies of this source's events.
    pub fn of(source: S, settings: BodySettings, pace: Pace) -> Self {
        Self {
            source,
            settings,
            pace,
            origin: None,
            last_due: Duration::ZERO,
            carried: None,
            failed: None,
            done: false,
        }
    }

    /// The source, to ask it what it has handed out.
    pub fn source(&self) -> &S {
        &self.source
    }

    fn due(&mut self, written: Written) -> Duration {
        if let (Pace::Speed(speed), Some(at)) = (self.pace, written.at) {
            let since = at.saturating_sub(*self.origin.get_or_insert(at)).max(0);
            let due = Duration::try_from_secs_f64(since as f64 / 1e6 / speed).unwrap_or(Duration::MAX);
            self.last_due = self.last_due.max(due);
        }
        self.last_due
    }

    /// Appends the next event to `ndjson`; says when it is due.
    fn next_event(&mut self, ndjson: &mut Vec<u8>) -> Option<Duration> {
        if let Some((event, due)) = self.carried.take() {
            ndjson.extend_from_slice(&event);
            return Some(due);
        }
        if self.done {
            return None;
        }
        let start = ndjson.len();
        match self.source.next_into(ndjson) {
            Ok(Some(written)) => return Some(self.due(written)),
            Ok(None) => {}
            Err(error) => self.failed = Some(error),
        }
        ndjson.truncate(start);
        self.done = true;
        None
    }
}

impl<S: EventSource> Iterator for Bodies<S> {
    type Item = Result<EventBody, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut ndjson = Vec::with_capacity(self.settings.bytes.min(256 * 1024));
        let mut events = 0;
        let mut due = Duration::ZERO;
        let mut closes = Duration::MAX;
        while events < self.settings.events.max(1) {
            let start = ndjson.len();
            let Some(event_due) = self.next_event(&mut ndjson) else { break };
            let full = ndjson.len() >= self.settings.bytes || event_due >= closes;
            if events > 0 && full {
                self.carried = Some((ndjson.split_off(start), event_due));
                break;
            }
            if events == 0 {
                closes = event_due.saturating_add(self.settings.linger.max(Duration::from_nanos(1)));
            }
            due = event_due;
            events += 1;
            ndjson.push(b'\n');
        }
        if events > 0 {
            return Some(Ok(EventBody { ndjson: ndjson.into(), events, due }));
        }
        self.failed.take().map(Err)
    }
}

#[cfg(test)]
mod tests;
