//! What is set aside under the error prefix: objects of JSON lines, one for each record.
//!
//! ```text
//! processing-failed/YYYY/MM/dd/HH/<name>
//! {"attemptsMade", "arrivalTimestamp", "errorCode", "errorMessage", "attemptEndingTimestamp", "rawData" (base64), "lambdaArn"}
//! ```
//!
//! The service's examples show numbers as numbers and as texts: both are read.
//!
//! Source: Amazon Data Firehose Developer Guide, "Handle failure in data transformation" and "Configure Amazon S3 object name
//! format".

use std::borrow::Cow;

use alluvium_core::StreamRecord;
use alluvium_core::clock::Micros;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::event::millis;

/// The folder of what could not be processed.
pub const ERROR_PREFIX: &str = "processing-failed/";

/// Why records were not processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// As the service names it.
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineJson<'a> {
    attempts_made: u32,
    arrival_timestamp: i64,
    error_code: &'a str,
    error_message: &'a str,
    attempt_ending_timestamp: i64,
    raw_data: String,
    lambda_arn: &'a str,
}

/// Lines of records that were given up together.
pub(super) struct Lines<'a> {
    pub(super) attempts: u32,
    pub(super) ended: Micros,
    pub(super) function_arn: &'a str,
}

impl Lines<'_> {
    /// The bytes of an object with a line for each record.
    pub(super) fn of<'r>(&self, records: impl IntoIterator<Item = (&'r StreamRecord, &'r Failure)>) -> Bytes {
        let mut lines = Vec::new();
        for (record, failure) in records {
            let line = LineJson {
                attempts_made: self.attempts,
                arrival_timestamp: millis(record.arrival),
                error_code: failure.code,
                error_message: &failure.message,
                attempt_ending_timestamp: millis(self.ended),
                raw_data: STANDARD.encode(&record.data),
                lambda_arn: self.function_arn,
            };
            serde_json::to_writer(&mut lines, &line).expect("texts and numbers are JSON, and memory takes them");
            lines.push(b'\n');
        }
        lines.into()
    }
}

/// What is read of a line again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// When the service had the record.
    pub(crate) arrival_ms: i64,
    /// When the service gave up: the same for all records of one invocation.
    pub(super) ended_ms: i64,
    pub(crate) data: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyLineJson<'a> {
    arrival_timestamp: Number,
    attempt_ending_timestamp: Number,
    #[serde(borrow)]
    raw_data: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

impl Number {
    fn value(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

/// Reads the lines of an object.
///
/// # Errors
///
/// A sentence that says which line is none, and why.
pub(crate) fn read(object: &[u8]) -> Result<Vec<Line>, String> {
    let lines = object.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let read = |(index, line): (usize, &[u8])| {
        // By itself, serde_json takes a list of the members' values too.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err((index, "it is no JSON object".to_owned()));
        }
        let line: AnyLineJson<'_> = serde_json::from_slice(line).map_err(|error| (index, error.to_string()))?;
        let data = STANDARD.decode(line.raw_data.as_bytes());
        let number = |number: Number, name: &str| {
            number.value().ok_or_else(|| (index, format!("`{name}` is no number of milliseconds")))
        };
        Ok(Line {
            arrival_ms: number(line.arrival_timestamp, "arrivalTimestamp")?,
            ended_ms: number(line.attempt_ending_timestamp, "attemptEndingTimestamp")?,
            data: data.map_err(|error| (index, format!("`rawData` is no base64: {error}")))?.into(),
        })
    };
    let read: Result<_, (usize, String)> = lines.map(read).collect();
    read.map_err(|(index, why)| format!("line {} tells of no record: {why}", index + 1))
}

/// Where an object of this hour goes: under the prefix, by year, month, day and hour in UTC, under a name that tells the loop and
/// the second.
pub(super) fn object_path(prefix: &str, delivery_stream_arn: &str, now: Micros, id: uuid::Uuid) -> String {
    let time = jiff::Timestamp::from_microsecond(now).unwrap_or_default();
    let stream = delivery_stream_arn.rsplit('/').next().unwrap_or_default();
    let stream: String =
        stream.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    format!("{prefix}{}/{stream}-1-{}-{id}", time.strftime("%Y/%m/%d/%H"), time.strftime("%Y-%m-%d-%H-%M-%S"))
}

#[cfg(test)]
mod tests;
