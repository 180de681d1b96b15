//! Reads the times that devices write: RFC 3339, its everyday variants, and counts since the epoch.
//!
//! Texts: `2014-02-14T14:30:00Z`, with any offset (`+01:00`, `+0100`, `+01`) and any fraction; a space or lower-case letters
//! in place of `T` and `Z`; without an offset, UTC is meant; a date alone is its midnight, UTC. What is finer than a
//! microsecond is cut off. A leap second (`:60`) is the second after it.
//!
//! Numbers, and texts that are numbers, count from 1970-01-01T00:00:00Z. The unit is told by the magnitude: below 10¹¹
//! seconds (to the year 5138), below 10¹⁴ milliseconds, below 10¹⁷ microseconds, from there on nanoseconds. So milliseconds are
//! told wrongly before March 1973, microseconds and nanoseconds likewise; who means such times writes them as text. A text of
//! eight digits or fewer is no time: it may mean a year or a date without dashes as well as a count.
//!
//! Years run from 0001 to 9999, what every reader of the lake can show.

use alluvium_core::clock::Micros;

pub(crate) const MICROS_PER_DAY: i64 = 86_400_000_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800 * MICROS_PER_SECOND;
/// 9999-12-31T23:59:59.999999Z.
const LAST: i64 = 253_402_300_800 * MICROS_PER_SECOND - 1;

/// Whether a value can be the time of an event. Texts are read as RFC 3339 and its everyday variants, numbers as a count since
/// the epoch.
pub fn is_event_time(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => from_text(text).is_some(),
        serde_json::Value::Number(number) => from_number(&number.to_string()).is_some(),
        _ => false,
    }
}

/// Reads a time from a text; `None` when it is none.
pub(crate) fn from_text(text: &str) -> Option<Micros> {
    if let Some(time) = calendar(text.as_bytes()) {
        return Some(time);
    }
    let text = text.trim_ascii();
    let may_be_a_date = text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    calendar(text.as_bytes()).or_else(|| if may_be_a_date { None } else { from_number(text) })
}

/// Reads a time from the text of a JSON number; `None` when it is none, or out of range.
pub(crate) fn from_number(text: &str) -> Option<Micros> {
    crate::scan::number_kind(text)?;
    let micros = match text.parse::<i64>() {
        Ok(count) => match count.unsigned_abs() {
            0..100_000_000_000 => count * MICROS_PER_SECOND,
            100_000_000_000..100_000_000_000_000 => count * 1000,
            100_000_000_000_000..100_000_000_000_000_000 => count,
            _ => count.div_euclid(1000),
        },
        Err(_) => {
            let count: f64 = text.parse().ok()?;
            let micros = match count.abs() {
                size if size < 1e11 => count * 1e6,
                size if size < 1e14 => count * 1e3,
                size if size < 1e17 => count,
                _ => count / 1e3,
            };
            // The cast saturates, and what it saturates to lies outside the range below.
            micros.round() as i64
        }
    };
    in_range(micros)
}

/// Whether a text is a `date-time` of JSON Schema (RFC 3339, section 5.6), nothing being cleaned.
#[cfg(test)]
pub(crate) fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(time), Some(separator)) = (calendar(bytes), bytes.get(10)) else { return false };
    let offset = match bytes {
        [.., b'Z' | b'z'] => 1,
        [.., b'+' | b'-', _, _, b':', _, _] => 6,
        _ => return false,
    };
    // A leap second is the last of a day, UTC.
    let is_leap = bytes[17..].starts_with(b"60");
    let at_midnight = time.rem_euclid(MICROS_PER_DAY) < MICROS_PER_SECOND;
    separator.eq_ignore_ascii_case(&b'T') && !bytes[..bytes.len() - offset].contains(&b',') && (!is_leap || at_midnight)
}

/// Whether a text is a `date` of JSON Schema (RFC 3339, section 5.6), nothing being cleaned.
#[cfg(test)]
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 10 && calendar(text.as_bytes()).is_some()
}

fn in_range(micros: i64) -> Option<Micros> {
    (FIRST..=LAST).contains(&micros).then_some(micros)
}

/// The days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years are counted from March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The number that two digits make.
fn two(digits: &[u8]) -> Option<i64> {
    match digits {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0')),
        _ => None,
    }
}

fn two_up_to(digits: &[u8], most: i64) -> Option<i64> {
    two(digits).filter(|number| *number <= most)
}

fn calendar(text: &[u8]) -> Option<Micros> {
    let (date, rest) = text.split_at_checked(10)?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = date else { return None };
    let year = two(&[*y0, *y1])? * 100 + two(&[*y2, *y3])?;
    let (month, day) = (two(&[*m0, *m1])?, two(&[*d0, *d1])?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return None;
    }
    let midnight = days(year, month, day) * MICROS_PER_DAY;
    if rest.is_empty() {
        return Some(midnight);
    }
    let (clock, rest) = rest.split_at_checked(9)?;
    let [b'T' | b't' | b' ', h0, h1, b':', i0, i1, b':', s0, s1] = clock else { return None };
    let (hour, minute) = (two_up_to(&[*h0, *h1], 23)?, two_up_to(&[*i0, *i1], 59)?);
    let second = two_up_to(&[*s0, *s1], 60)?;
    let (fraction, rest) = fraction(rest)?;
    let seconds = hour * 3600 + minute * 60 + second - offset_seconds(rest)?;
    in_range(midnight + seconds * MICROS_PER_SECOND + fraction)
}

/// The microseconds after the decimal point, and what follows them.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', digits @ ..] = rest else { return Some((0, rest)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let sixth = |place: usize| digits[..count].get(place).map_or(0, |digit| i64::from(digit - b'0'));
    Some(((0..6).fold(0, |micros, place| micros * 10 + sixth(place)), &digits[count..]))
}

fn offset_seconds(offset: &[u8]) -> Option<i64> {
    let (sign, digits) = match offset {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [hours @ .., b':', m0, m1] => (hours, two_up_to(&[*m0, *m1], 59)?),
        [h0, h1, m0, m1] => return Some(sign * (two_up_to(&[*h0, *h1], 23)? * 60 + two_up_to(&[*m0, *m1], 59)?) * 60),
        hours => (hours, 0),
    };
    Some(sign * (two_up_to(hours, 23)? * 60 + minutes) * 60)
}

#[cfg(test)]
mod tests;
