#![allow(clippy::unwrap_used)]

use alluvium_core::report::WindowId;

use super::*;

#[test]
fn whoever_comes_too_early_is_told_when_to_come_again() {
    let name = || "hourly".to_owned();
    let not_due = |due| problem(&ReportsError::NotDue { name: name(), window: WindowId(0), due }, 10_000_000);
    for (due, seconds) in [(10_000_001, 1), (12_000_000, 2), (12_000_001, 3), (9_000_000, 1)] {
        assert_eq!((not_due(due).status, not_due(due).retry_after_seconds), (409, Some(seconds)), "{due}");
    }
    // The year 2999, from 1970.
    assert_eq!(not_due(32_472_144_000_000_000).retry_after_seconds, Some(32_472_143_990));
    let behind = problem(&ReportsError::Behind { name: name(), window: WindowId(0) }, 0);
    assert_eq!((behind.status, behind.retry_after_seconds), (409, Some(1)));
    assert_eq!(problem(&ReportsError::Unknown(name(), "none".to_owned()), 0).retry_after_seconds, None);
}
