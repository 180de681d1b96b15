//! The generator's settings.

use alluvium_core::clock::Micros;

use crate::IngestError;

/// What is made up.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratorSettings {
    /// Everything follows from it.
    pub seed: u64,
    /// How many devices there are, 1 to 100,000,000. Default: 10,000.
    pub devices: u32,
    /// The first event's time. Default: 2026-01-01T00:00:00Z.
    pub start: Micros,
    /// How many events lie in one second of event time, 1 to 1,000,000,000. Default: 1,000.
    pub rate_per_second: u32,
    /// The share of events that become dead letters, 0 to 1. Default: 0.
    pub broken_share: f64,
    /// The share of sound events whose time lies up to 26 hours back, 0 to 1. Default: 0.
    pub late_share: f64,
    /// The share of events that repeat one just before, 0 to 1. Default: 0.
    pub duplicate_share: f64,
    /// How many events there are when the generator is used as an [`EventSource`](crate::EventSource); `None`: without end.
    /// Default: `None`.
    pub events: Option<u64>,
}

impl Default for GeneratorSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            devices: 10_000,
            start: 1_767_225_600_000_000,
            rate_per_second: 1_000,
            broken_share: 0.0,
            late_share: 0.0,
            duplicate_share: 0.0,
            events: None,
        }
    }
}

/// 1900-01-01 and 2200-01-01: between them every made-up time has four digits for its year, late ones included.
const STARTS: std::ops::RangeInclusive<Micros> = -2_208_988_800_000_000..=7_258_118_400_000_000;

impl GeneratorSettings {
    /// Checks that the settings can be used together.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used, and what would be right.
    pub fn check(&self) -> Result<(), IngestError> {
        let shares = [
            ("broken_share", self.broken_share),
            ("late_share", self.late_share),
            ("duplicate_share", self.duplicate_share),
        ];
        for (setting, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(IngestError::setting(setting, format!("{share}: expected 0 to 1")));
            }
        }
        if shares.iter().map(|(_, share)| share).sum::<f64>() > 1.0 {
            return Err(IngestError::setting("duplicate_share", "the shares add up to more than 1"));
        }
        if !(1..=100_000_000).contains(&self.devices) {
            return Err(IngestError::setting("devices", format!("{}: expected 1 to 100000000", self.devices)));
        }
        if !(1..=1_000_000_000).contains(&self.rate_per_second) {
            return Err(IngestError::setting(
                "rate_per_second",
                format!("{}: expected 1 to 1000000000", self.rate_per_second),
            ));
        }
        if !STARTS.contains(&self.start) {
            return Err(IngestError::setting("start", format!("{}: expected a time from 1900 to 2200", self.start)));
        }
        Ok(())
    }
}
