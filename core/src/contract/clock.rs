//! What every [`Clock`] does.
//!
//! That it never goes back is not asked for: a machine's clock is set right now and then, and nothing may rely on it.

use crate::clock::Clock;

/// 2026-01-01T00:00:00Z, when none of this ran yet.
const BEFORE: i64 = 1_767_225_600_000_000;
/// 2200-01-01T00:00:00Z.
const LONG_AFTER: i64 = 7_258_118_400_000_000;

/// The clock tells microseconds since 1970: any other unit, or a clock that was never set, is off by centuries.
///
/// # Panics
///
/// When it does not.
pub fn it_tells_microseconds_of_the_epoch(clock: &dyn Clock) {
    let now = clock.now_micros();
    assert!((BEFORE..LONG_AFTER).contains(&now), "{clock:?} shows {now}");
}
