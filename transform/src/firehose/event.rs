//! From the event's JSON to records: one pass that finds them, then base64 decoded where it stands.

use alluvium_core::clock::Micros;
use alluvium_core::{RecordIdentity, SequenceNumber, ShardId, StreamRecord, TraceParent};
use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::json::{Cursor, Scalar, bytes, is_plain, unescaped};
use super::pattern::{Member, Pattern, Said, digits};
use super::{InvocationError, Place};
use crate::time;

/// What one pass over an event finds.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The records, without their data.
    pub(super) records: Vec<StreamRecord>,
    /// Where each record's id stands, without its quotes.
    pub(super) ids: Vec<Place>,
    /// Where each record's data stands, without its quotes; `None`: it is no string.
    pub(super) data: Vec<Option<Place>>,
    /// Whether records come from a Kinesis stream.
    pub(super) kinesis: bool,
}

/// The most records that room is made for before they are read.
const EXPECTED: usize = 16 * 1024;

impl Reading {
    /// Makes room for about so many records.
    fn expect(&mut self, records: usize) {
        let records = records.min(EXPECTED) + 1;
        self.records.reserve(records);
        self.ids.reserve(records);
        self.data.reserve(records);
    }
}

/// Reads an event.
///
/// # Errors
///
/// When it is not JSON, has no records, or one has no id or an id that is no text.
pub(super) fn read(event: &[u8]) -> Result<Reading, InvocationError> {
    let mut cursor = Cursor::new(event);
    let mut reading = None;
    cursor.object(|cursor, key| match name(cursor, &key).as_ref() {
        b"records" if cursor.peek() == Some(b'[') => {
            reading = Some(records(cursor)?);
            Ok(())
        }
        _ => cursor.skip(),
    })?;
    cursor.end()?;
    reading.ok_or(InvocationError::NoRecords)
}

/// A key, without its escapes if it has any.
fn name<'a>(cursor: &Cursor<'a>, key: &Place) -> std::borrow::Cow<'a, [u8]> {
    let sent = bytes(cursor.event, key);
    if memchr::memchr(b'\\', sent).is_none() {
        return sent.into();
    }
    unescaped(cursor.event, key).map_or(sent.into(), |text| text.into_owned().into_bytes().into())
}

fn records(cursor: &mut Cursor<'_>) -> Result<Reading, InvocationError> {
    let mut reading = Reading::default();
    let mut pattern = Pattern::default();
    let mut shard = ShardId::new("");
    // Records that do not say when they arrived.
    let mut timeless = Vec::new();
    cursor.array(|cursor| {
        let index = reading.records.len();
        cursor.peek();
        let start = cursor.at();
        let said = match pattern.follow(cursor) {
            Some(said) => said,
            None => {
                let said = record(cursor)?;
                pattern.learn(cursor.event, start..cursor.at(), &said);
                said
            }
        };
        let event = cursor.event;
        let id = said.text(Member::Id).filter(|id| !id.is_empty());
        let id = id.ok_or(InvocationError::MissingRecordId { index })?;
        if !is_plain(bytes(event, id)) {
            id_text(event, id).map_err(|wrong| InvocationError::InvalidRecordId { index, wrong })?;
        }
        let arrival =
            [Member::KinesisArrival, Member::Arrival].into_iter().find_map(|time| arrival(event, &said, time));
        if arrival.is_none() {
            timeless.push(index);
        }
        let name = said.text(Member::Shard).filter(|name| !name.is_empty());
        let sequence = said.value(Member::Sequence).and_then(|sequence| match sequence {
            Scalar::Text(place) | Scalar::Bare(place) => SequenceNumber::from_digits(bytes(event, place)),
            Scalar::Nothing => None,
        });
        let identity = match (name, sequence) {
            (Some(name), Some(sequence)) => {
                if shard.as_str().as_bytes() != bytes(event, name) {
                    shard = ShardId::new(unescaped(event, name).unwrap_or_default().as_ref());
                }
                reading.kinesis = true;
                let subsequence = digits(event, said.value(Member::Subsequence)).and_then(|digits| digits.parse().ok());
                RecordIdentity { shard: shard.clone(), sequence, subsequence: subsequence.unwrap_or(0) }
            }
            _ => RecordIdentity::of_direct_put(&unescaped(event, id).unwrap_or_default()),
        };
        if index == 0 {
            reading.expect(cursor.left().len() / (cursor.at() - start).max(1));
        }
        reading.records.push(StreamRecord {
            identity,
            arrival: arrival.unwrap_or(Micros::MIN),
            partition_key: trace(event, &said),
            data: Bytes::new(),
        });
        reading.ids.push(id.clone());
        reading.data.push(said.text(Member::Data).cloned());
        Ok(())
    })?;
    if !timeless.is_empty() {
        // As late as any beside it: nothing arrived after that.
        let latest = reading.records.iter().map(|record| record.arrival).max().filter(|latest| *latest > Micros::MIN);
        let latest = latest.ok_or(InvocationError::NoArrival)?;
        timeless.into_iter().for_each(|index| reading.records[index].arrival = latest);
    }
    Ok(reading)
}

/// The partition key when it is a trace; else nothing, for it has chosen the shard, which is all that it was for.
#[inline]
fn trace(event: &[u8], said: &Said) -> String {
    let key = said.text(Member::PartitionKey).map(|key| bytes(event, key));
    key.and_then(TraceParent::read).map_or_else(String::new, |trace| trace.to_string())
}

/// What an id stands for. It is given back as it was sent, so it must be JSON.
///
/// # Errors
///
/// What in it is none.
fn id_text<'a>(event: &'a [u8], id: &Place) -> Result<std::borrow::Cow<'a, str>, &'static str> {
    if bytes(event, id).iter().any(|byte| *byte < b' ') {
        return Err("a control character that is not escaped");
    }
    unescaped(event, id).ok_or("bytes that are no UTF-8 or an escape that is none")
}

fn record(cursor: &mut Cursor<'_>) -> Result<Said, InvocationError> {
    let mut said = Said::default();
    cursor.object(|cursor, key| {
        let member = match name(cursor, &key).as_ref() {
            b"recordId" => Member::Id,
            b"data" => Member::Data,
            b"approximateArrivalTimestamp" => Member::Arrival,
            b"kinesisRecordMetadata" if cursor.peek() == Some(b'{') => return kinesis(cursor, &mut said),
            _ => return cursor.skip(),
        };
        said.note(member, cursor.scalar()?);
        Ok(())
    })?;
    Ok(said)
}

fn kinesis(cursor: &mut Cursor<'_>, said: &mut Said) -> Result<(), InvocationError> {
    Member::OF_KINESIS.into_iter().for_each(|member| said.forget(member));
    cursor.object(|cursor, key| {
        let member = match name(cursor, &key).as_ref() {
            b"shardId" => Member::Shard,
            b"partitionKey" => Member::PartitionKey,
            b"approximateArrivalTimestamp" => Member::KinesisArrival,
            b"sequenceNumber" => Member::Sequence,
            b"subsequenceNumber" => Member::Subsequence,
            _ => return cursor.skip(),
        };
        said.note(member, cursor.scalar()?);
        Ok(())
    })
}

/// A time: milliseconds since 1970 as a number or its text, or an ISO text.
fn arrival(event: &[u8], said: &Said, member: Member) -> Option<Micros> {
    match said.value(member)? {
        Scalar::Bare(place) => {
            let number = std::str::from_utf8(bytes(event, place)).ok()?;
            millis(number).or_else(|| time::from_number(number))
        }
        Scalar::Text(place) => {
            let text = unescaped(event, place)?;
            millis(&text).or_else(|| time::from_text(&text))
        }
        Scalar::Nothing => None,
    }
}

fn millis(digits: &str) -> Option<Micros> {
    (digits.len() == 13)
        .then(|| digits.parse::<Micros>().ok())
        .flatten()
        .filter(|millis| *millis >= 0)
        .map(|millis| millis * 1000)
}

/// Checks that every id stands once.
///
/// # Errors
///
/// When one stands twice.
pub(super) fn check_ids(event: &[u8], ids: &[Place]) -> Result<(), InvocationError> {
    let key = |id: &Place| (id.len(), bytes(event, id));
    let escaped = |id: &Place| memchr::memchr(b'\\', bytes(event, id)).is_some();
    // Firehose counts its ids up.
    if ids.is_sorted_by(|one, other| key(one) < key(other)) && !ids.iter().any(escaped) {
        return Ok(());
    }
    let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let mut known: FxHashMap<u64, Vec<u32>> = FxHashMap::default();
    for (second, id) in ids.iter().enumerate() {
        let text = unescaped(event, id).unwrap_or_default();
        let alike = known.entry(hasher.hash_one(text.as_ref())).or_default();
        let first = alike.iter().find(|first| unescaped(event, &ids[**first as usize]).unwrap_or_default() == text);
        if let Some(first) = first {
            return Err(InvocationError::DoubledRecordId { first: *first as usize, second });
        }
        alike.push(second as u32);
    }
    Ok(())
}

/// Decodes a record's data where it stands, and says where the bytes are.
///
/// # Errors
///
/// When it is no base64: where it is left as it was sent, and a sentence.
pub(super) fn decode(event: &mut [u8], data: Option<Place>) -> Result<Place, (Place, String)> {
    let Some(mut data) = data else {
        return Err((0..0, "the record has no `data`; expected a text in base64".to_owned()));
    };
    // Checked first, because what does not decode is to be kept as it was sent.
    let is_base64 = |event: &[u8], data: &Place| base64_simd::STANDARD.check(bytes(event, data)).is_ok();
    let mut decodes = is_base64(event, &data);
    if !decodes && memchr::memchr(b'\\', bytes(event, &data)).is_some() {
        // An encoder may escape `/`, `+` or `=`. Without escapes a text is never longer.
        let text = unescaped(event, &data).map(std::borrow::Cow::into_owned);
        let Some(text) = text.filter(|text| text.len() <= data.len()) else {
            return Err((data, "the record's `data` has an escape that is none; expected a text in base64".to_owned()));
        };
        decodes = base64_simd::STANDARD.check(text.as_bytes()).is_ok();
        if decodes {
            let end = data.start as usize + text.len();
            event[data.start as usize..end].copy_from_slice(text.as_bytes());
            data.end = end as u32;
        }
    }
    if !decodes {
        return Err((data, "the record's `data` is no base64 with padding (RFC 4648, section 4)".to_owned()));
    }
    let sent = &mut event[data.start as usize..data.end as usize];
    let decoded = base64_simd::STANDARD.decode_inplace(sent).map_or(0, |bytes| bytes.len());
    Ok(data.start..data.start + decoded as u32)
}
