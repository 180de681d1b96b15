//! Time as a port, so that nothing but an entry point reads the wall clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A point in time in microseconds since 1970-01-01T00:00:00Z, the resolution of every timestamp in the lake.
pub type Micros = i64;

/// A duration in the unit of times, to add to one or take from one. What is below a microsecond is cut off; a duration that is longer than
/// there are times (292,000 years) is [`Micros::MAX`], so that a sum or a difference with it has to saturate.
pub fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// Tells the time. Stages and adapters take one; tests give them a [`ManualClock`].
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now, in microseconds since the epoch, UTC.
    fn now_micros(&self) -> Micros;
}

/// The machine's wall clock. Only entry points construct it.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now_micros(&self) -> Micros {
        jiff::Timestamp::now().as_microsecond()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Micros) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves the clock forward by `micros`.
    pub fn advance(&self, micros: Micros) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the clock to `now`.
    pub fn set(&self, now: Micros) {
        self.0.store(now, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_micros(&self) -> Micros {
        self.0.load(Ordering::SeqCst)
    }
}

/// For `#[serde(with = "alluvium_core::clock::rfc3339")]`: a time written as RFC 3339 text, in UTC.
pub mod rfc3339 {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Micros;

    /// Writes a time; one that lies beyond what there are years for as the last or first that there is.
    ///
    /// # Errors
    ///
    /// Only those of the serializer.
    pub fn serialize<S: Serializer>(time: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
        let last = if *time < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::from_microsecond(*time).unwrap_or(last).to_string().serialize(serializer)
    }

    /// Reads a time.
    ///
    /// # Errors
    ///
    /// When it is no text, or one that is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(time.as_microsecond())
    }

    /// The same of a time that may be missing.
    pub mod optional {
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        use super::Micros;

        #[derive(Serialize, Deserialize)]
        struct Time(#[serde(with = "super")] Micros);

        /// Writes a time, or null.
        ///
        /// # Errors
        ///
        /// Only those of the serializer.
        pub fn serialize<S: Serializer>(time: &Option<Micros>, serializer: S) -> Result<S::Ok, S::Error> {
            time.map(Time).serialize(serializer)
        }

        /// Reads a time, or null.
        ///
        /// # Errors
        ///
        /// When it is something else.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Micros>, D::Error> {
            Ok(Option::<Time>::deserialize(deserializer)?.map(|Time(time)| time))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "contract")]
    #[test]
    fn the_machines_clock_keeps_the_contract() {
        crate::contract::clock::it_tells_microseconds_of_the_epoch(&SystemClock);
    }

    #[test]
    fn a_duration_in_the_unit_of_times_is_cut_off_below_and_held_above() {
        assert_eq!(micros(Duration::from_nanos(1_999)), 1);
        assert_eq!(micros(Duration::from_secs(3_600)), 3_600_000_000);
        assert_eq!(micros(Duration::from_micros(Micros::MAX as u64)), Micros::MAX);
        assert_eq!(micros(Duration::MAX), Micros::MAX);
    }
}
