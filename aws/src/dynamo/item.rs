//! What an item holds.
//!
//! ```text
//! a chunk   pk "<dataset>#<bucket>"   sk "<time bucket>#!<max_time>#<batch>#<part>", times as 16 hexadecimal digits that ascend
//!           version 2, rows, min_time, max_time, expires (µs), expires_at (s, rounded up, for TTL), block (binary),
//!           put (its position among all puts, and the sort key of the index `puts`)
//! a mark    pk "<dataset>#complete"   sk "since"
//!           since (µs)
//! ```
//!
//! A dataset's name has no `#`, so no pk is another's. A chunk without `put` was written before there was one, and is not in that index.
//!
//! So a bucket's keys ascend as the newest rows of its chunks do. In version 1 they had no `max_time`, and so no `!`: such keys follow all others of
//! their time bucket, in no order that says anything.

use std::collections::HashMap;

use alluvium_core::BatchIdentity;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, PutPosition, sort_key_prefix};
use alluvium_core::limits::{HOT_CHUNK_BYTES, HOT_ITEM_BYTES};
use alluvium_core::ports::{Advice, PortError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as TextError, StrDeserializer};

pub(super) type Item = HashMap<String, AttributeValue>;

/// The partition key's name.
pub(super) const PK: &str = "pk";
/// The sort key's name.
pub(super) const SK: &str = "sk";
/// Where a chunk was put among all puts.
pub(super) const PUT: &str = "put";
/// The index by [`PK`] and [`PUT`], of keys alone.
pub(super) const PUTS: &str = "puts";
/// When a chunk expires, to the microsecond.
pub(super) const EXPIRES: &str = "expires";
/// The event time of a chunk's oldest row.
pub(super) const MIN_TIME: &str = "min_time";
/// The event time of a chunk's newest row.
pub(super) const MAX_TIME: &str = "max_time";

/// When a chunk expires, as TTL has it.
pub(super) const EXPIRES_AT: &str = "expires_at";
const BLOCK: &str = "block";
const ROWS: &str = "rows";
const SINCE: &str = "since";
/// What stands in the place of a bucket in the partition key of a mark.
const COMPLETE: &str = "complete";
pub(super) const VERSION: &str = "version";

/// The layout that is written. The one before it, 1, is read.
const VERSION_NUMBER: u64 = 2;

/// What sort keys have after the time bucket: it comes before any digit.
const BY_TIME: char = '!';

/// The most bytes that DynamoDB counts for a number. Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats": a byte
/// per two of up to 38 significant digits, and one or two more.
const NUMBER_BYTES: usize = 21;

/// The partition key of a bucket's chunks.
pub(super) fn bucket_key(dataset: &str, bucket: u16) -> String {
    format!("{dataset}#{bucket}")
}

/// The sort key of a chunk.
pub(super) fn sort_key(chunk: &HotChunk) -> String {
    format!("{}{}#{:04x}", by_time(chunk.time_bucket, chunk.max_time), chunk.batch, chunk.part)
}

/// What the sort keys begin with of the chunks of a time bucket whose newest row is of this time.
pub(super) fn by_time(time_bucket: Micros, max_time: Micros) -> String {
    // A time as the prefix of a time bucket has it, the `#` after it included.
    format!("{}{BY_TIME}{}", sort_key_prefix(time_bucket), sort_key_prefix(max_time))
}

/// The keys of a time bucket that do not go by the time of the newest row lie after this one.
pub(super) fn after_those_by_time(time_bucket: Micros) -> String {
    format!("{}0", sort_key_prefix(time_bucket))
}

/// The time of the newest row that a sort key tells; `None`: it is of a release whose keys did not.
pub(super) fn max_time_of_sort_key(key: &str) -> Option<Micros> {
    time_bucket_of_sort_key(key.get(17..)?.strip_prefix(BY_TIME)?)
}

/// The partition key and the sort key of a dataset's mark.
pub(super) fn mark_key(dataset: &str) -> [String; 2] {
    [format!("{dataset}#{COMPLETE}"), SINCE.to_owned()]
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The first whole second at or after a time.
pub(super) fn seconds(time: Micros) -> i64 {
    time.div_euclid(1_000_000) + i64::from(time.rem_euclid(1_000_000) > 0)
}

/// A chunk as an item that is put at this position.
///
/// # Errors
///
/// When it is larger than an item may be.
pub(super) fn of_chunk(chunk: HotChunk, put: &PutPosition) -> Result<Item, PortError> {
    let attributes = [
        (PUT, AttributeValue::S(put.to_string())),
        (PK, AttributeValue::S(bucket_key(&chunk.dataset, chunk.bucket))),
        (SK, AttributeValue::S(sort_key(&chunk))),
        (VERSION, number(VERSION_NUMBER)),
        (ROWS, number(chunk.rows)),
        (MIN_TIME, number(chunk.min_time)),
        (MAX_TIME, number(chunk.max_time)),
        (EXPIRES, number(chunk.expires_at)),
        (EXPIRES_AT, number(seconds(chunk.expires_at))),
        (BLOCK, AttributeValue::B(Blob::from_maybe_shared(chunk.block.clone()))),
    ];
    let bytes: usize = attributes.iter().map(|(name, value)| name.len() + value_bytes(value)).sum();
    if bytes > HOT_ITEM_BYTES {
        let (dataset, bucket, key, block) = (&chunk.dataset, chunk.bucket, sort_key(&chunk), chunk.block.len());
        let message = format!(
            "the chunk `{key}` of `{dataset}`, bucket {bucket}, takes {bytes} bytes as an item, and DynamoDB takes {HOT_ITEM_BYTES}: \
             its block has {block} bytes and should have {HOT_CHUNK_BYTES} at most"
        );
        return Err(PortError::new(Advice::Stop, message));
    }
    Ok(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// What an item takes beside its block: keys, numbers and names, rounded up.
const AROUND_BYTES: usize = 512;

/// How many write units it takes to put a chunk: one for each KB of the item, and one for its key in the index of puts. Amazon DynamoDB
/// Developer Guide, "DynamoDB read and write operations".
pub(crate) fn write_units(chunk: &HotChunk) -> u64 {
    (chunk.block.len() + AROUND_BYTES).div_ceil(1024) as u64 + 1
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        _ => NUMBER_BYTES,
    }
}

/// The chunk that an item of this dataset and bucket is.
///
/// # Errors
///
/// When the item is of another version, or is damaged.
pub(super) fn chunk(dataset: &str, bucket: u16, mut item: Item) -> Result<HotChunk, PortError> {
    let key = text(&item, SK)?.to_owned();
    let in_chunk = |mut error: PortError| {
        error.message = format!("the chunk `{key}` of `{dataset}`, bucket {bucket}: {}", error.message);
        error
    };
    let version: u64 = read(&item, VERSION).map_err(in_chunk)?;
    if !(1..=VERSION_NUMBER).contains(&version) {
        let message = format!("it is of version {version}, and this release reads 1 to {VERSION_NUMBER}");
        return Err(in_chunk(PortError::new(Advice::Stop, message)));
    }
    let block = match item.remove(BLOCK) {
        Some(AttributeValue::B(block)) => block.into_bytes(),
        _ => return Err(in_chunk(damaged(BLOCK, "bytes"))),
    };
    let (time_bucket, batch, part) = split_sort_key(&key).ok_or_else(|| in_chunk(damaged(SK, "a sort key")))?;
    (|| {
        Ok(HotChunk {
            dataset: dataset.to_owned(),
            bucket,
            time_bucket,
            batch,
            part,
            rows: read(&item, ROWS)?,
            min_time: read(&item, MIN_TIME)?,
            max_time: read(&item, MAX_TIME)?,
            expires_at: read(&item, EXPIRES)?,
            block,
        })
    })()
    .map_err(in_chunk)
}

/// The dataset and the bucket of an item that is a chunk; `None`: it is a mark.
///
/// # Errors
///
/// When it is neither.
pub(super) fn place(item: &Item) -> Result<Option<(String, u16)>, PortError> {
    let (dataset, bucket) = text(item, PK)?.split_once('#').ok_or_else(|| damaged(PK, "a dataset and a bucket"))?;
    if bucket == COMPLETE {
        return Ok(None);
    }
    let bucket = bucket.parse().map_err(|_| damaged(PK, "a dataset and a bucket"))?;
    Ok(Some((dataset.to_owned(), bucket)))
}

/// A chunk's item with the rows of this one, and what does not hang on them as it was. So is the time of its newest row, which its key tells: no
/// row that is left is newer.
pub(super) fn with_rows(item: Item, chunk: &HotChunk) -> Item {
    let rows = [
        (ROWS, number(chunk.rows)),
        (MIN_TIME, number(chunk.min_time)),
        (BLOCK, AttributeValue::B(Blob::from_maybe_shared(chunk.block.clone()))),
    ];
    item.into_iter().chain(rows.map(|(name, value)| (name.to_owned(), value))).collect()
}

/// The time bucket, the batch and the part that a sort key was made of.
fn split_sort_key(key: &str) -> Option<(Micros, BatchIdentity, u16)> {
    let (time, rest) = key.split_once('#')?;
    let rest = match rest.strip_prefix(BY_TIME) {
        Some(rest) => rest.split_once('#')?.1,
        None => rest,
    };
    let (batch, part) = rest.split_once('#')?;
    let batch: StrDeserializer<'_, TextError> = batch.into_deserializer();
    let batch = BatchIdentity::deserialize(batch).ok()?;
    Some((time_bucket_of_sort_key(time)?, batch, u16::from_str_radix(part, 16).ok()?))
}

/// The time bucket that a sort key begins with.
pub(super) fn time_bucket_of_sort_key(key: &str) -> Option<Micros> {
    let time = u64::from_str_radix(key.get(..16)?, 16).ok()?;
    Some((time ^ (1 << 63)) as Micros)
}

/// A dataset's mark as an item.
pub(super) fn of_mark(dataset: &str, since: Micros) -> Item {
    let [pk, sk] = mark_key(dataset);
    let attributes = [(PK, AttributeValue::S(pk)), (SK, AttributeValue::S(sk)), (SINCE, number(since))];
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The mark that an item is.
///
/// # Errors
///
/// When it is damaged.
pub(super) fn mark(item: &Item) -> Result<Micros, PortError> {
    read(item, SINCE)
}

/// An attribute that is a text.
///
/// # Errors
///
/// When there is none.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, PortError> {
    let found = item.get(name).and_then(|value| value.as_s().ok());
    found.map(String::as_str).ok_or_else(|| damaged(name, "text"))
}

pub(super) fn read<T: std::str::FromStr>(item: &Item, name: &str) -> Result<T, PortError> {
    let found = item.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok());
    found.ok_or_else(|| damaged(name, "a whole number in its range"))
}

pub(super) fn damaged(name: &str, expected: &str) -> PortError {
    PortError::new(Advice::Stop, format!("an item of the hot index is damaged: `{name}` is not {expected}"))
}

#[cfg(test)]
mod tests;
