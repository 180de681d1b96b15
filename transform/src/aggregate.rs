//! From a stream record to its user records: takes apart what the Kinesis Producer Library has packed into one record.
//!
//! ```text
//! byte 0..4   magic  F3 89 9A C2
//! then        a protobuf message `AggregatedRecord`
//! last 16     the MD5 of that message
//! ```
//!
//! A record whose magic, MD5 or message is not right is no aggregate and is passed on as it is. A user record that is an
//! aggregate itself, which no producer should send, is taken apart where it stands.
//!
//! Source: amazon-kinesis-producer, "KPL Aggregated Record Format".

use alluvium_core::ReasonCode;
use bytes::{Buf, Bytes};
use md5::{Digest, Md5};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

use crate::fault::Fault;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const MD5_BYTES: usize = 16;

/// The most user records of one stream record. Our own, for the same reason as the most events of one.
const USER_RECORDS: usize = 100_000;
/// How deep aggregates may stand in one another. What lies deeper is passed on as it is.
const DEPTH: usize = 4;

/// The message's field that holds its user records. Its tables of partition keys and hash keys chose the shard and say nothing
/// more, so they are skipped.
const RECORDS: u32 = 3;

#[derive(Clone, PartialEq, Message)]
struct UserRecord {
    /// Required by the format; optional here, so that a message without it is known to be none.
    #[prost(uint64, optional, tag = "1")]
    partition_key_index: Option<u64>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    data: Option<Bytes>,
}

/// Whether a record begins as an aggregate does.
pub(crate) fn looks_like_one(record: &[u8]) -> bool {
    record.starts_with(&MAGIC)
}

/// The user records of a stream record, in order; `None`: it is no aggregate, but one plain record.
///
/// # Errors
///
/// The fault for which the whole record becomes one dead letter.
pub(crate) fn user_records(record: &Bytes) -> Result<Option<Vec<Bytes>>, Fault> {
    let Some(records) = take_apart(record)? else { return Ok(None) };
    let mut flat = Vec::with_capacity(records.len());
    flatten(records, DEPTH - 1, &mut flat)?;
    Ok(Some(flat))
}

fn flatten(records: Vec<Bytes>, deeper: usize, flat: &mut Vec<Bytes>) -> Result<(), Fault> {
    for record in records {
        match if deeper > 0 { take_apart(&record)? } else { None } {
            Some(nested) => flatten(nested, deeper - 1, flat)?,
            None if flat.len() == USER_RECORDS => return Err(too_many()),
            None => flat.push(record),
        }
    }
    Ok(())
}

/// The user records of an aggregate, each a slice of it; `None` when it is none.
///
/// They are read one by one, so that a message of nothing but empty records takes no more memory than the limit allows.
///
/// # Errors
///
/// When there are more than the limit allows.
pub(crate) fn take_apart(record: &Bytes) -> Result<Option<Vec<Bytes>>, Fault> {
    let Some(mut message) = message(record) else { return Ok(None) };
    let mut records = Vec::new();
    while message.has_remaining() {
        match next_field(&mut message) {
            None => return Ok(None),
            Some(Field::Other) => {}
            Some(Field::UserRecord(_)) if records.len() == USER_RECORDS => return Err(too_many()),
            Some(Field::UserRecord(data)) => records.push(data),
        }
    }
    Ok(Some(records))
}

/// What stands between magic and MD5, when both are right.
fn message(record: &Bytes) -> Option<Bytes> {
    let place = MAGIC.len()..record.len().checked_sub(MD5_BYTES)?;
    if !looks_like_one(record) || place.start > place.end {
        return None;
    }
    let message = record.slice(place.clone());
    (Md5::digest(&message).as_slice() == &record[place.end..]).then_some(message)
}

enum Field {
    UserRecord(Bytes),
    Other,
}

/// Reads the next field of the message; `None` when it is none.
fn next_field(message: &mut Bytes) -> Option<Field> {
    let (number, wire_type) = decode_key(message).ok()?;
    if number != RECORDS {
        return skip_field(wire_type, number, message, DecodeContext::default()).ok().map(|()| Field::Other);
    }
    if wire_type != WireType::LengthDelimited {
        return None;
    }
    let record = UserRecord::decode_length_delimited(message).ok()?;
    record.partition_key_index.and(record.data).map(Field::UserRecord)
}

#[cold]
fn too_many() -> Fault {
    Fault::new(
        ReasonCode::ExpandsTooFar,
        format!("the aggregated record holds more than {USER_RECORDS} user records; send fewer in one record"),
    )
}

#[cfg(test)]
pub(crate) mod tests;
