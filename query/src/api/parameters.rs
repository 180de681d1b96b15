//! The query parameters of a read.

use alluvium_core::address::known_parameters;
use alluvium_core::clock::{Micros, micros};
use alluvium_core::envelope::MAX_TEXT_BYTES;
use alluvium_core::{Problem, duration};
use http::Uri;
use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;

use super::format::{Format, NAMES};
use crate::error::QueryError;
use crate::records::{After, CursorError, MAX_LIMIT, Reading, RecordsRequest};

/// The parameter of a request that goes on with a read.
pub(super) const READING: &str = "reading";

const KNOWN: &str = "source, owner, from, to, limit, cursor, after, fields, format, reading";

/// What a read asks for.
pub(super) struct Asked {
    pub(super) request: RecordsRequest,
    /// Where to begin to tell what came in, in the order in which it did, and not by time; `None`: the newest records are wanted.
    pub(super) after: Option<After>,
    /// The fields to answer, as they were named.
    pub(super) fields: Option<String>,
    pub(super) format: Option<Format>,
}

/// What these parameters ask for. An unknown one is refused by name, and so is one given twice. `owner` stands in it as it
/// was named; whether the caller may read it is not looked at here. `begun` is the read that begins with this request, if it does not go
/// on with another: times before now are before that.
pub(super) fn read(dataset: String, pairs: &[(String, String)], begun: Reading) -> Result<Asked, QueryError> {
    let reading = match pairs.iter().find(|(name, _)| name == READING) {
        Some((_, value)) => value.parse().map_err(|error| QueryError::parameter(READING, format!("{error}")))?,
        None => begun,
    };
    let now = reading.as_of();
    let mut request = RecordsRequest { dataset, reading: Some(reading), ..RecordsRequest::default() };
    let (mut after, mut fields, mut format) = (None, None, None);
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in pairs {
        let refused = |message: String| QueryError::parameter(name.chars().take(80).collect::<String>(), message);
        if seen.contains(&name.as_str()) {
            return Err(refused("it is given twice; give it once".to_owned()));
        }
        seen.push(name);
        match name.as_str() {
            "source" => request.source = Some(name_of(value).map_err(refused)?),
            "owner" => request.owner = Some(name_of(value).map_err(refused)?),
            "from" => request.from = Some(parse_time(value, now).map_err(refused)?),
            "to" => request.to = Some(parse_time(value, now).map_err(refused)?),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                request.limit = Some(limit.ok_or_else(|| refused(format!("expected a number from 1 to {MAX_LIMIT}")))?);
            }
            "cursor" => request.cursor = Some(value.parse().map_err(|error| refused(format!("{error}")))?),
            "after" => after = Some(after_named(value).map_err(refused)?),
            "fields" => fields = Some(value.clone()),
            // Read beforehand.
            READING => {}
            "format" => format = Some(format_named(value).map_err(refused)?),
            _ => return Err(refused(format!("there is no such parameter; known: {KNOWN}"))),
        }
    }
    if let (Some(from), Some(to)) = (request.from, request.to)
        && from > to
    {
        return Err(QueryError::parameter("from", "it is later than `to`"));
    }
    if after.is_some()
        && let Some(other) = seen.iter().find(|name| ["from", "to", "cursor", READING].contains(name))
    {
        let message = "it does not go with `after`, which answers in the order of arrival and from no time to another";
        return Err(QueryError::parameter(*other, message));
    }
    Ok(Asked { request, after, fields, format })
}

/// Refuses whatever stands in the query of a route that takes no parameter.
pub(super) fn takes_nothing(uri: &Uri) -> Result<(), Problem> {
    known_parameters(uri.query(), &[]).map(drop).map_err(bad_parameter)
}

/// The problem of a parameter that cannot be used, and why.
pub(super) fn bad_parameter(detail: String) -> Problem {
    Problem::new(400, "bad-parameter", detail)
}

/// The name of a source or of an owner. No event has an empty one: a variable of the caller's was not set.
///
/// # Errors
///
/// When nothing can be called so: a sentence that says why.
pub(super) fn name_of(value: &str) -> Result<String, String> {
    match value.len() {
        0 => Err("it is empty; name one, or leave it out".to_owned()),
        1..=MAX_TEXT_BYTES => Ok(value.to_owned()),
        _ => Err(format!("it is longer than {MAX_TEXT_BYTES} bytes")),
    }
}

/// Where a value of `after` begins.
fn after_named(value: &str) -> Result<After, String> {
    match value {
        "oldest" => Ok(After::Oldest),
        "newest" => Ok(After::Newest),
        _ => value.parse().map(After::Cursor).map_err(|error: CursorError| match error {
            CursorError::Damaged => "expected `newest`, `oldest`, or `next` as it was answered".to_owned(),
            CursorError::Version(_) => error.to_string(),
        }),
    }
}

/// The format that a value of `format` names.
///
/// # Errors
///
/// When it names none: a sentence that says which there are.
pub(super) fn format_named(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| {
        let name: String = name.chars().take(40).collect();
        format!("there is no format `{name}`; expected {NAMES}")
    })
}

/// Reads a time: RFC 3339 (`2026-01-31T12:00:00Z`), seconds, milliseconds or microseconds since 1970 (told apart by their size:
/// below 10¹¹ seconds, below 10¹⁴ milliseconds), or one before now (`-5m`, `now`).
///
/// # Errors
///
/// When it is none of these: a sentence that says what would be.
pub fn parse_time(text: &str, now: Micros) -> Result<Micros, String> {
    let refused = || {
        let text: String = text.chars().take(40).collect();
        format!(
            "`{text}` is no time; expected RFC 3339 (`2026-01-31T12:00:00Z`), an epoch (`1769860800`) or one before now (`-5m`)"
        )
    };
    if text == "now" {
        return Ok(now);
    }
    if let Ok(number) = text.parse::<i64>() {
        if number < 0 {
            let text: String = text.chars().take(40).collect();
            return Err(format!(
                "`{text}` has no unit; expected `{text}m` for minutes before now, or `s`, `h`, `d`; a time before 1970 is told as RFC 3339 \
                 (`1969-12-31T12:00:00Z`)"
            ));
        }
        let scale = match number.unsigned_abs() {
            ..100_000_000_000 => 1_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000,
            _ => 1,
        };
        return Ok(number.saturating_mul(scale));
    }
    if let Some(before) = text.strip_prefix('-') {
        let before = duration::parse(before).map_err(|_| refused())?;
        return Ok(now.saturating_sub(micros(before)));
    }
    // A `+` in a query string that nobody escaped arrives as a space.
    let text = text.replacen(' ', "+", usize::from(text.len() > 19 && text.as_bytes()[19..].contains(&b' ')));
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(time.as_microsecond()),
        Err(_) if is_beyond(&text) => Ok(Timestamp::MAX.as_microsecond()),
        Err(_) => Err(refused()),
    }
}

/// Whether a text is RFC 3339 of a time past the last that we can tell, such as `9999-12-31T23:59:59Z`: people write that for ever.
fn is_beyond(text: &str) -> bool {
    let Ok(pieces) = Pieces::parse(text) else { return false };
    pieces.offset().is_some()
        && pieces.time().is_some()
        && pieces.date() >= Timestamp::MAX.to_zoned(TimeZone::UTC).date()
}
