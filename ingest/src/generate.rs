//! Made-up device telemetry from a seed: the same settings give the same bytes, on every machine.

mod device;
mod event;
mod settings;

use std::collections::BTreeMap;

use alluvium_core::ReasonCode;
use alluvium_core::clock::Micros;
use bytes::Bytes;

use crate::seeded::Seeded;
use crate::{EventSource, IngestError, Written};
use event::{Defect, Draft};

pub use settings::GeneratorSettings;

/// How many of the newest sound events one may be repeated from.
const REMEMBERED: usize = 16;

/// What a made-up event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// A sound event in its place.
    Good,
    /// A sound event whose time lies up to 26 hours before its place.
    Late,
    /// One of the sound events just before, byte for byte.
    Duplicate,
    /// An event that becomes a dead letter of the dataset `telemetry`, for this reason.
    Broken(ReasonCode),
}

/// One made-up event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedEvent {
    /// Its JSON, or what should have been JSON. No line break.
    pub bytes: Bytes,
    /// What it is.
    pub kind: EventKind,
}

/// How many events of each kind there were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Sound events in their place.
    pub good: u64,
    /// Sound events with a late time.
    pub late: u64,
    /// Repetitions: sent, and no rows of the de-duplicated view.
    pub duplicates: u64,
    /// Broken events, by the reason of their dead letter.
    pub broken: BTreeMap<ReasonCode, u64>,
}

impl Tally {
    /// Events that become a row of the de-duplicated view.
    pub fn distinct(&self) -> u64 {
        self.good + self.late
    }

    /// Events that become a dead letter.
    pub fn dead(&self) -> u64 {
        self.broken.values().sum()
    }

    /// All events.
    pub fn events(&self) -> u64 {
        self.distinct() + self.duplicates + self.dead()
    }

    fn count(&mut self, kind: EventKind) {
        match kind {
            EventKind::Good => self.good += 1,
            EventKind::Late => self.late += 1,
            EventKind::Duplicate => self.duplicates += 1,
            EventKind::Broken(reason) => *self.broken.entry(reason).or_default() += 1,
        }
    }
}

/// An endless source of made-up device readings that fit the dataset `telemetry`, about 236 bytes each.
///
/// An event is in structured CloudEvents form. Devices send unevenly: the first of 10,000 sends about one event in fourteen,
/// half of all events come from the first hundred. Each device has its place, its unit (`Cel`, `%` or `hPa`), its firmware
/// and a battery that runs down. Events carry the type `reading`, every sixteenth one `telemetry`.
///
/// As an iterator it allocates each event; [`write_next`](Self::write_next) writes into a buffer instead.
#[derive(Debug, Clone)]
pub struct Generator {
    settings: GeneratorSettings,
    random: Seeded,
    shares: Shares,
    next: u64,
    tally: Tally,
    recent: [Vec<u8>; REMEMBERED],
    remembered: usize,
    clock: event::ClockFace,
}

/// The shares of the kinds as upper bounds of a random `u32`: broken below the first, late below the second, and so on.
#[derive(Debug, Clone, Copy)]
struct Shares {
    broken: u64,
    late: u64,
    duplicate: u64,
}

impl Generator {
    /// A generator by these settings.
    ///
    /// # Errors
    ///
    /// When a setting cannot be used.
    pub fn new(settings: GeneratorSettings) -> Result<Self, IngestError> {
        settings.check()?;
        let bound = |share: f64| (share * 4_294_967_296.0) as u64;
        let broken = bound(settings.broken_share);
        let late = broken + bound(settings.late_share);
        let duplicate = late + bound(settings.duplicate_share);
        Ok(Self {
            random: Seeded::new(settings.seed),
            shares: Shares { broken, late, duplicate },
            next: 0,
            tally: Tally::default(),
            recent: Default::default(),
            remembered: 0,
            clock: event::ClockFace::default(),
            settings,
        })
    }

    /// What has been made up so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Appends the next event to `out`, without a line break; says what it is.
    pub fn write_next(&mut self, out: &mut Vec<u8>) -> EventKind {
        let place = self.place();
        self.next += 1;
        let kind = self.choose_kind();
        self.tally.count(kind);
        if kind == EventKind::Duplicate {
            let which = self.random.below(self.remembered as u32) as usize;
            out.extend_from_slice(&self.recent[which]);
            return kind;
        }
        let time = match kind {
            EventKind::Late => place - self.random.between(60, 26 * 3600) * 1_000_000,
            _ => place,
        };
        let draft = Draft::of(&mut self.random, self.settings.devices, self.next, time);
        let start = out.len();
        draft.write(out, &mut self.clock, Defect::of(kind));
        if !matches!(kind, EventKind::Broken(_)) {
            self.remember(start, out);
        }
        kind
    }

    /// When the next event is due: by its number and the rate.
    fn place(&self) -> Micros {
        let offset = u128::from(self.next) * 1_000_000 / u128::from(self.settings.rate_per_second);
        self.settings.start.saturating_add(i64::try_from(offset).unwrap_or(i64::MAX))
    }

    fn choose_kind(&mut self) -> EventKind {
        let drawn = u64::from(self.random.next_u32());
        match drawn {
            drawn if drawn < self.shares.broken => {
                let reasons = &event::BROKEN;
                EventKind::Broken(reasons[self.random.below(reasons.len() as u32) as usize])
            }
            drawn if drawn < self.shares.late => EventKind::Late,
            drawn if drawn < self.shares.duplicate && self.remembered > 0 => EventKind::Duplicate,
            _ => EventKind::Good,
        }
    }

    fn remember(&mut self, start: usize, out: &[u8]) {
        if self.shares.duplicate == self.shares.late {
            return;
        }
        let sound = self.tally.distinct() as usize;
        let slot = &mut self.recent[sound % REMEMBERED];
        slot.clear();
        slot.extend_from_slice(&out[start..]);
        // The slots fill from 1 on and then wrap to 0; only those that are filled without a gap are drawn from.
        self.remembered = if sound >= REMEMBERED { REMEMBERED } else { 0 };
    }
}

impl Iterator for Generator {
    type Item = GeneratedEvent;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::with_capacity(256);
        let kind = self.write_next(&mut bytes);
        Some(GeneratedEvent { bytes: bytes.into(), kind })
    }
}

impl EventSource for Generator {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        let at = Some(self.place());
        if self.settings.events.is_some_and(|events| self.next >= events) {
            return Ok(None);
        }
        self.write_next(out);
        Ok(Some(Written { at }))
    }
}

#[cfg(test)]
mod tests;
