//! The windows of a report: stretches of time of one length, end to end.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clock::{Micros, micros};
use crate::duration;

const MINUTE: Micros = 60_000_000;
const DAY: Micros = 24 * 60 * MINUTE;
/// Where windows of several days are counted from, so that those of 7 days are the weeks of ISO 8601: Monday 1970-01-05.
const MONDAY: Micros = 4 * DAY;
/// The longest window. Our own.
const MOST_DAYS: Micros = 366;

/// All windows of one length.
///
/// Those of a day or less begin at midnight UTC and at every length after it; those of several days at midnight, counted from Monday
/// 1970-01-05.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    length: Micros,
}

/// A length that no windows can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "windows of {0} do not fill a day; expected whole minutes that do (1m, 5m, 10m, 15m, 30m, 1h, 6h, 1d, …), or up to {MOST_DAYS} whole days"
)]
pub struct WindowError(String);

/// One window: from its start up to its end, which is the start of the next. In µs since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Its start, which belongs to it.
    pub start: Micros,
    /// Its end, which does not.
    pub end: Micros,
}

impl Windows {
    /// The windows of this length.
    ///
    /// # Errors
    ///
    /// When the length is neither a part of a day in whole minutes nor a number of whole days.
    pub fn every(length: Duration) -> Result<Self, WindowError> {
        let micros = micros(length);
        let fits = micros > 0
            && if micros <= DAY { micros % MINUTE == 0 && DAY % micros == 0 } else { micros % DAY == 0 }
            && micros <= MOST_DAYS * DAY;
        if !fits {
            return Err(WindowError(duration::format(length)));
        }
        Ok(Self { length: micros })
    }

    /// How long each is.
    pub fn length(&self) -> Duration {
        Duration::from_micros(self.length.unsigned_abs())
    }

    /// The one that this time lies in.
    pub fn at(&self, time: Micros) -> Window {
        let origin = if self.length > DAY { MONDAY } else { 0 };
        let since = time.saturating_sub(origin).rem_euclid(self.length);
        let start = time.saturating_sub(since);
        Window { start, end: start.saturating_add(self.length) }
    }

    /// The one before.
    pub fn before(&self, window: Window) -> Window {
        self.at(window.start.saturating_sub(1))
    }

    /// The one after.
    pub fn after(&self, window: Window) -> Window {
        self.at(window.end)
    }

    /// The one that begins then; `None`: none does.
    pub fn starting(&self, start: WindowId) -> Option<Window> {
        Some(self.at(start.0)).filter(|window| window.start == start.0)
    }
}

impl Window {
    /// What it is called.
    pub fn id(&self) -> WindowId {
        WindowId(self.start)
    }
}

/// What a window is called: its start as `20261128T1000Z`, which is good in a file's name and in a URL, and sorts as time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowId(pub Micros);

/// A text that names no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no window; expected its start to the minute, as `20261128T1000Z` or `2026-11-28T10:00:00Z`")]
pub struct WindowIdError(String);

/// How an id is written, for [`jiff::fmt::strtime`].
const ID: &str = "%Y%m%dT%H%MZ";

impl fmt::Display for WindowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::MAX);
        write!(f, "{}", time.strftime(ID))
    }
}

impl FromStr for WindowId {
    type Err = WindowIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || WindowIdError(text.chars().take(40).collect());
        let micros = if text.len() == "20261128T1000Z".len() && !text.contains('-') {
            let start = DateTime::strptime(ID, text).map_err(|_| refused())?;
            start.to_zoned(TimeZone::UTC).map_err(|_| refused())?.timestamp().as_microsecond()
        } else {
            text.parse::<Timestamp>().map_err(|_| refused())?.as_microsecond()
        };
        if micros % MINUTE == 0 { Ok(Self(micros)) } else { Err(refused()) }
    }
}
