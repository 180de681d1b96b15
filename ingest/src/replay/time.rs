//! Times as files write them.

use alluvium_core::clock::Micros;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The times that are understood, for messages.
pub(super) const EXPECTED: &str = "expected `2015-07-10 14:24:00` (UTC), `2015-07-10T14:24:00Z`, \
                                   `2015-07-10T14:24:00+02:00`, or a whole number of seconds, ms, µs or ns since 1970";

/// What is wrong with a time that moves out of the years that can be written.
pub(super) const CANNOT_MOVE: &str =
    "the time cannot be moved that far; expected it to stay between the years -9999 and 9999";

/// Reads a time; one without a zone is UTC.
pub(super) fn parse(text: &str) -> Option<Micros> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return from_epoch(text.parse().ok()?);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_microsecond());
    }
    let civil: DateTime = text.parse().ok()?;
    let zoned: Zoned = civil.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_microsecond())
}

/// Tells the unit of a number by its size: as seconds it would lie beyond the year 5138, as milliseconds or microseconds likewise.
pub(super) fn from_epoch(number: i64) -> Option<Micros> {
    match number.unsigned_abs() {
        0..100_000_000_000 => number.checked_mul(1_000_000),
        100_000_000_000..100_000_000_000_000 => number.checked_mul(1_000),
        100_000_000_000_000..100_000_000_000_000_000 => Some(number),
        _ => Some(number.div_euclid(1_000)),
    }
}

/// Appends a time as a JSON string, as RFC 3339 has it; `None`: it lies outside the years that can be written.
pub(super) fn put_json(out: &mut Vec<u8>, time: Micros) -> Option<()> {
    let moment = Timestamp::from_microsecond(time).ok()?;
    out.push(b'"');
    out.extend_from_slice(moment.to_string().as_bytes());
    out.push(b'"');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_in_many_forms() {
        for text in [
            "2015-07-10 14:24:00",
            " 2015-07-10T14:24:00Z",
            "2015-07-10T16:24:00+02:00",
            "2015-07-10 14:24:00.000",
            "2015-07-10 14:24",
            "1436538240",
            "1436538240000",
            "1436538240000000",
            "1436538240000000000",
        ] {
            assert_eq!(parse(text), Some(1_436_538_240_000_000), "{text}");
        }
        assert_eq!(parse("2015-07-10"), Some(1_436_486_400_000_000));
        assert_eq!(parse("-1"), Some(-1_000_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "-", "yesterday", "2015-13-01 00:00:00", "10/07/2015", "1436538240.5", "99999999999999999999"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
