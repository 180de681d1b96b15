//! The demo's made-up events, and what must become of them.

use std::collections::BTreeMap;

use alluvium_core::ReasonCode;
use alluvium_core::clock::Micros;
use alluvium_ingest::{Bodies, BodySettings, Generator, GeneratorSettings, Pace};

/// How many events lie in a second of their own time.
const EVENT_RATE: i64 = 1_000;

/// Events of the last minutes, sent a hundred times faster than their own times say.
pub struct Load {
    speed: f64,
    settings: GeneratorSettings,
    events: u64,
}

/// What must have become of everything that was sent.
pub struct Expected {
    /// Events sent.
    pub sent: u64,
    /// Events in the de-duplicated view.
    pub distinct: u64,
    /// Rows of the table: the view's and the repetitions.
    pub rows: u64,
    /// Dead letters by reason.
    pub dead: BTreeMap<ReasonCode, u64>,
}

impl Load {
    /// `events` events that end at `now`, a thousand to a second of their own time, to be sent at `rate` events a second.
    pub fn new(events: u64, rate: u32, seed: u64, now: Micros) -> anyhow::Result<Self> {
        let settings = GeneratorSettings {
            seed,
            start: now - i64::try_from(events)?.saturating_mul(1_000_000 / EVENT_RATE),
            rate_per_second: EVENT_RATE as u32,
            broken_share: 0.01,
            duplicate_share: 0.01,
            events: Some(events),
            ..GeneratorSettings::default()
        };
        settings.check()?;
        Ok(Self { speed: f64::from(rate) / EVENT_RATE as f64, settings, events })
    }

    /// The requests, a thousand events each.
    pub fn bodies(&self) -> anyhow::Result<Bodies<Generator>> {
        let generator = Generator::new(self.settings.clone())?;
        Ok(Bodies::of(generator, BodySettings::default(), Pace::Speed(self.speed)))
    }

    /// Makes the same events up once more and counts them; `probes` good ones were sent beside.
    pub fn expected(&self, probes: u64) -> anyhow::Result<Expected> {
        let mut generator = Generator::new(self.settings.clone())?;
        let mut event = Vec::new();
        for _ in 0..self.events {
            event.clear();
            generator.write_next(&mut event);
        }
        let tally = generator.tally();
        Ok(Expected {
            sent: tally.events() + probes,
            distinct: tally.distinct() + probes,
            rows: tally.distinct() + tally.duplicates + probes,
            dead: tally.broken.clone(),
        })
    }
}
