//! What arrived each day, and what became of it.

use std::collections::BTreeMap;

use alluvium_core::LedgerEntry;

use super::report::DayAudit;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The sums of these entries by the day on which the newest record of their batch arrived.
pub(super) fn days<'a>(entries: impl IntoIterator<Item = &'a LedgerEntry>) -> Vec<DayAudit> {
    let mut days: BTreeMap<i64, DayAudit> = BTreeMap::new();
    for entry in entries {
        let LedgerEntry { received, written, filtered, dead, .. } = *entry;
        // Of a batch without any event it is not told when it arrived.
        if received + written + filtered + dead == 0 {
            continue;
        }
        let day = days.entry(entry.arrival.div_euclid(MICROS_PER_DAY)).or_default();
        day.received += received;
        day.written += written;
        day.filtered += filtered;
        day.dead += dead;
        day.missing += missing(entry).unsigned_abs();
    }
    let named = |(day, audit)| DayAudit { day: name_of(day), ..audit };
    days.into_iter().map(named).collect()
}

/// The events of which an entry does not say what became; fewer than none: it says so of more than were received.
pub(super) fn missing(entry: &LedgerEntry) -> i64 {
    let LedgerEntry { received, written, filtered, dead, .. } = *entry;
    received.wrapping_sub(written + filtered + dead).cast_signed()
}

fn name_of(day: i64) -> String {
    let midnight = day.checked_mul(MICROS_PER_DAY).and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    midnight.map_or_else(|| format!("day {day}"), |midnight| midnight.strftime("%Y-%m-%d").to_string())
}
