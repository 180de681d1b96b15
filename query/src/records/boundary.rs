//! Where the hot index stops answering alone, and when a page cannot be complete.

use std::time::Duration;

use alluvium_core::clock::{Micros, micros};

/// The state of one dataset at the time of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundary {
    /// B: from here on the hot index answers alone.
    pub(super) at: Micros,
    /// The *complete since* mark; later than all times when there is none.
    mark: Micros,
    /// What is older than this and not yet committed never was in the hot index: it arrived too late.
    hot_since: Micros,
    lag: Duration,
    /// The longest lag at which an event is committed before its chunk may expire.
    bearable_lag: Duration,
}

impl Boundary {
    pub(super) fn new(
        now: Micros,
        mark: Option<Micros>,
        hot_retention: Duration,
        hot_margin: Duration,
        lag: Duration,
    ) -> Self {
        let mark = mark.unwrap_or(Micros::MAX);
        let kept_since = now.saturating_sub(micros(hot_retention));
        let hot_since = kept_since.saturating_sub(micros(lag));
        Self { at: mark.max(kept_since), mark, hot_since, lag, bearable_lag: hot_margin.min(hot_retention / 2) }
    }

    /// Whether a page that reaches down to `low` can miss nothing.
    pub(super) fn complete_down_to(&self, low: Micros) -> bool {
        let hot_lost_none = low >= self.mark || self.mark <= self.hot_since;
        self.lag.is_zero() || (self.lag <= self.bearable_lag && hot_lost_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Micros = 3_600_000_000;
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn boundary(mark: Option<Micros>, lag_hours: u64) -> Boundary {
        with_margin(DAY, mark, lag_hours)
    }

    fn with_margin(margin: Duration, mark: Option<Micros>, lag_hours: u64) -> Boundary {
        Boundary::new(1_000 * HOUR, mark, DAY, margin, Duration::from_secs(lag_hours * 3600))
    }

    #[test]
    fn it_is_the_later_of_mark_and_retention() {
        assert_eq!(boundary(Some(Micros::MIN), 0).at, 976 * HOUR);
        assert_eq!(boundary(Some(990 * HOUR), 0).at, 990 * HOUR);
        assert_eq!(boundary(Some(1_020 * HOUR), 0).at, 1_020 * HOUR);
        assert_eq!(boundary(None, 0).at, Micros::MAX);
    }

    #[test]
    fn a_page_is_incomplete_when_its_events_may_be_in_neither() {
        let old_mark = Some(900 * HOUR);
        assert!(
            boundary(old_mark, 12).complete_down_to(0),
            "commits lag, but hot still holds what they have not reached"
        );
        assert!(!boundary(old_mark, 13).complete_down_to(999 * HOUR), "past half of the retention");
        let two_hours = Duration::from_secs(2 * 3600);
        assert!(with_margin(two_hours, old_mark, 2).complete_down_to(0));
        assert!(!with_margin(two_hours, old_mark, 3).complete_down_to(0), "its chunk may have expired");
        let new_mark = Some(990 * HOUR);
        assert!(boundary(new_mark, 1).complete_down_to(990 * HOUR));
        assert!(!boundary(new_mark, 1).complete_down_to(990 * HOUR - 1), "lost by hot, not yet in the lake");
        assert!(boundary(new_mark, 0).complete_down_to(Micros::MIN), "the lake has it all");
        let passed = Some(975 * HOUR);
        assert!(
            !boundary(passed, 2).complete_down_to(0),
            "lost since, and it may have arrived just before it was too old"
        );
        assert!(boundary(passed, 1).complete_down_to(0), "nothing uncommitted is that old");
        assert!(!boundary(None, 1).complete_down_to(1_000 * HOUR));
        assert!(boundary(None, 0).complete_down_to(Micros::MIN));
    }
}
