//! The entries of a put: from their JSON to records.

use std::fmt;

use alluvium_core::PutRecord;
use alluvium_core::envelope::Envelope;
use alluvium_core::limits::{PARTITION_KEY_CHARS, STREAM_RECORD_BYTES};
use base64_simd::STANDARD;
use bytes::Bytes;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::exception::{Code, Exception};
use super::super::input::Text;
use super::super::limits::PUT_RECORDS;
use super::super::seal::Seal;

/// One record as it is sent.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub(super) data: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) partition_key: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) explicit_hash_key: Option<Text<'a>>,
}

/// The entries of one call, of which no more are kept than may be there.
pub(super) struct Entries<'a> {
    kept: Vec<Entry<'a>>,
    count: usize,
}

impl<'a> Entries<'a> {
    /// The entries, if they are as many as may be.
    pub(super) fn fitting(&self) -> Result<&[Entry<'a>], Exception> {
        if (1..=PUT_RECORDS).contains(&self.count) {
            return Ok(&self.kept);
        }
        Err(Exception::validation(format!("`Records` has {} entries; expected 1 to {PUT_RECORDS}", self.count)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counted;
        impl<'de> Visitor<'de> for Counted {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of 1 to {PUT_RECORDS} records")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < PUT_RECORDS {
                    match list.next_element()? {
                        Some(entry) => kept.push(entry),
                        None => return Ok(Entries { count: kept.len(), kept }),
                    }
                }
                let mut count = kept.len();
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Entries { kept, count })
            }
        }
        deserializer.deserialize_seq(Counted)
    }
}

/// Where an entry stands in its call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// It is the call.
    Call,
    /// It is this one of `Records`, from 0.
    Entry(usize),
}

impl Place {
    /// A parameter of the entry, named so that it is found.
    fn of(self, parameter: &str) -> String {
        match self {
            Self::Call => format!("`{parameter}`"),
            Self::Entry(index) => format!("`Records[{index}].{parameter}`"),
        }
    }
}

/// Makes sealed records of entries. All of their data lies in one buffer.
///
/// Amazon Kinesis Data Streams API Reference, `PutRecord`, `PutRecordsRequestEntry`.
pub(super) fn records(
    entries: &[Entry<'_>],
    place: fn(usize) -> Place,
    seal: &Seal,
) -> Result<Vec<PutRecord>, Exception> {
    let encoded = |entry: &Entry<'_>| entry.data.as_ref().map_or(0, |data| data.as_str().len());
    let seals = entries.len() * seal.as_bytes().len();
    let mut buffer = Vec::with_capacity(entries.iter().map(encoded).sum::<usize>() / 4 * 3 + seals);
    let mut ends = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        buffer.extend_from_slice(seal.as_bytes());
        decode(entry, place(index), &mut buffer)?;
        ends.push(buffer.len());
    }
    let buffer = Bytes::from(buffer);
    let mut start = 0;
    let record = |(index, (entry, end)): (usize, (&Entry<'_>, usize))| {
        let data = buffer.slice(start..end);
        start = end;
        record(entry, data, seal, place(index))
    };
    entries.iter().zip(ends).enumerate().map(record).collect()
}

fn decode(entry: &Entry<'_>, place: Place, buffer: &mut Vec<u8>) -> Result<(), Exception> {
    let data = entry.data.as_ref().ok_or_else(|| missing(place, "Data"))?;
    STANDARD.decode_append(data.as_str(), buffer).map_err(|_| {
        let message = format!("{} is not base64; expected the standard alphabet with padding", place.of("Data"));
        Exception::new(Code::Serialization, message)
    })
}

fn record(entry: &Entry<'_>, data: Bytes, seal: &Seal, place: Place) -> Result<PutRecord, Exception> {
    let sent = &data[seal.as_bytes().len()..];
    let key = entry.partition_key.as_ref().ok_or_else(|| missing(place, "PartitionKey"))?.as_str();
    let chars = key.chars().count();
    if !(1..=PARTITION_KEY_CHARS).contains(&chars) {
        let at = place.of("PartitionKey");
        return Err(Exception::validation(format!("{at} has {chars} characters; expected 1 to {PARTITION_KEY_CHARS}")));
    }
    // An envelope says whose data it holds, and is the gateway's to write.
    if Envelope::is_envelope(sent) {
        let at = place.of("Data");
        return Err(Exception::argument(format!(
            "{at} begins like an envelope of the HTTP gateway; send the event itself"
        )));
    }
    let bytes = sent.len() + key.len();
    if bytes > STREAM_RECORD_BYTES {
        let at = place.of("Data");
        return Err(Exception::validation(format!(
            "{at} and its partition key have {bytes} bytes; a record has at most {STREAM_RECORD_BYTES}"
        )));
    }
    let explicit_hash_key = entry.explicit_hash_key.as_ref().map(|key| hash_key(key.as_str(), place)).transpose()?;
    Ok(PutRecord { partition_key: key.to_owned(), explicit_hash_key, data })
}

fn hash_key(text: &str, place: Place) -> Result<u128, Exception> {
    let is_decimal = text == "0" || (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'));
    text.parse().ok().filter(|_| is_decimal).ok_or_else(|| {
        let text: String = text.chars().take(60).collect();
        let message =
            format!("{} is {text:?}; expected a decimal number from 0 to 2^128 - 1", place.of("ExplicitHashKey"));
        Exception::argument(message)
    })
}

fn missing(place: Place, parameter: &str) -> Exception {
    Exception::validation(format!("{} is missing", place.of(parameter)))
}
