//! Which windows of a report are due, and when one that failed is tried again.

use std::time::Duration;

use super::window::{Window, Windows};
use crate::clock::{Micros, micros};

/// The pause after a report's first failure; it doubles with each, up to the longest.
const PAUSE: Micros = 60_000_000;
const LONGEST_PAUSE: Micros = 3_600_000_000;

/// When a report is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The windows that it is run for.
    pub windows: Windows,
    /// How long after a window's end it is run.
    pub delay: Duration,
}

impl Timing {
    /// When a window is due: at its end and the delay behind it, in µs since 1970.
    pub fn due(&self, window: Window) -> Micros {
        window.end.saturating_add(micros(self.delay))
    }

    /// The newest window that is due at this time.
    pub fn newest_due(&self, now: Micros) -> Window {
        let ended = now.saturating_sub(micros(self.delay));
        self.windows.before(self.windows.at(ended))
    }

    /// The windows that are due and not made, the newest first: back to the newest that was due when the report was first seen, and out of the
    /// newest `catch_up` alone.
    pub fn missing(
        &self,
        first_seen: Micros,
        now: Micros,
        catch_up: usize,
        is_made: impl Fn(&Window) -> bool,
    ) -> Vec<Window> {
        let first = self.newest_due(first_seen);
        let windows = std::iter::successors(Some(self.newest_due(now)), |window| Some(self.windows.before(*window)));
        let windows = windows.take_while(|window| window.start >= first.start).take(catch_up.max(1));
        windows.filter(|window| !is_made(window)).collect()
    }
}

/// How long to wait after a report has failed so often in a row.
pub fn pause_after(times: u32) -> Micros {
    PAUSE.saturating_mul(1 << times.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}
