//! Reading a call's parameters.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use alluvium_core::clock::Micros;
use serde::Deserialize;

use super::call::Operation;
use super::exception::{Code, Exception};

/// A text that borrows from the request where no escape stands in it.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a body; an empty one has no parameters.
pub(super) fn read<'a, T: Deserialize<'a>>(operation: Operation, body: &'a [u8]) -> Result<T, Exception> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("the body is not what {} takes: {error}", operation.name());
        Exception::new(Code::Serialization, message)
    })
}

/// The value of a parameter that may not be missing.
pub(super) fn required<T>(name: &str, value: Option<T>) -> Result<T, Exception> {
    value.ok_or_else(|| Exception::validation(format!("`{name}` is missing")))
}

/// The value of a count, or `otherwise`, within its range.
pub(super) fn count(
    name: &str,
    value: Option<i64>,
    otherwise: usize,
    range: RangeInclusive<usize>,
) -> Result<usize, Exception> {
    let Some(value) = value else { return Ok(otherwise) };
    usize::try_from(value).ok().filter(|value| range.contains(value)).ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        Exception::argument(format!("`{name}` is {value}; expected {least} to {most}"))
    })
}

/// A time as the JSON protocol has it, in seconds of the epoch, to the millisecond.
pub(super) fn time(name: &str, seconds: f64) -> Result<Micros, Exception> {
    // The year 9999; what is past it was meant in another unit.
    const LATEST_SECONDS: f64 = 253_402_300_799.0;
    if !(0.0..=LATEST_SECONDS).contains(&seconds) {
        let message = format!("`{name}` is {seconds}; expected seconds since 1970, such as 1767225600.250");
        return Err(Exception::validation(message));
    }
    Ok((seconds * 1e3).round() as i64 * 1000)
}

/// Refuses to do what a caller only wanted to try, now that it is known that it would have gone well.
pub(super) fn not_dry(operation: Operation, dry_run: Option<bool>) -> Result<(), Exception> {
    if dry_run != Some(true) {
        return Ok(());
    }
    let message = format!("{} would have succeeded; nothing was done, because `DryRun` is set", operation.name());
    Err(Exception::new(Code::DryRunOperation, message))
}
