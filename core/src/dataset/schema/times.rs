//! How a text must be written to be a date-time or a date by JSON Schema.
//!
//! The transform reads more than this, since devices write more; what a schema itself holds, and what is inferred, is held to
//! RFC 3339.

use jiff::civil;

/// Whether a text is an RFC 3339 `date-time`, in UTC of a year that every reader of the lake can show.
pub(crate) fn is_date_time(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else { return false };
    let Some((clock, rest)) = rest.split_at_checked(9) else { return false };
    let (fraction, offset) = rest.split_at(rest.find(['Z', 'z', '+', '-']).unwrap_or(0));
    let in_utc_too = match date {
        "0001-01-01" => !offset.starts_with('+'),
        "9999-12-31" => !offset.starts_with('-') && !clock.ends_with("60"),
        _ => true,
    };
    in_utc_too
        && is_date(date)
        && clock.starts_with(['T', 't'])
        && is_clock(&clock[1..], 60)
        && (fraction.is_empty() || fraction.strip_prefix('.').is_some_and(is_digits))
        && match offset.strip_prefix(['+', '-']) {
            Some(offset) => offset.len() == 5 && is_clock(offset, 59),
            None => offset.eq_ignore_ascii_case("z"),
        }
}

/// Whether a text is an RFC 3339 `full-date`, of a year that every reader of the lake can show.
pub(crate) fn is_date(text: &str) -> bool {
    let written = |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10
        && text.bytes().enumerate().all(written)
        && !text.starts_with("0000")
        && text.parse::<civil::Date>().is_ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is `hh:mm` or `hh:mm:ss`.
fn is_clock(text: &str, most_seconds: u8) -> bool {
    let mut most = [23, 59, most_seconds].into_iter();
    let two_digits =
        |part: &str, most: u8| part.len() == 2 && is_digits(part) && part.parse().is_ok_and(|n: u8| n <= most);
    text.split(':').all(|part| most.next().is_some_and(|most| two_digits(part, most)))
}
