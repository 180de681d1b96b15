//! Chunks that wait, as an object.
//!
//! ```text
//! _hot/<32 hexadecimal digits of a hash of the bytes>.chunks
//!     one line of JSON:  {"version": 1, "chunks": [{"dataset", "bucket", "time_bucket", "batch", "part", "rows", "min_time",
//!                         "max_time", "expires_at", "block_bytes"}, …]}
//!     then their blocks, one after another
//! ```
//!
//! One out of which an erasure has taken rows keeps its name, which is of the bytes that it had, and begins with a line more:
//!
//! ```text
//!     {"version": 2, "datasets": [those that it is noted under], "content": a hash of what follows}
//!     then what is left, as above: perhaps no chunk at all
//! ```
//!
//! The queue carries the path alone, so it does not matter how large a message may be: 256 KiB, or since 2025 1 MiB (AWS Compute Blog, "More room
//! to build: serverless services now support payloads up to 1 MB"), where a chunk may have 396 KiB.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::BatchIdentity;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, Waiting};
use alluvium_core::identity::content_hash;
use alluvium_core::limits::HOT_CHUNK_BYTES;
use alluvium_core::ports::{Advice, PortError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Note;
use crate::dynamo::write_units;

/// The folder of parcels under the lake's root.
pub const FOLDER: &str = "_hot";

/// How many write units a parcel takes at most: forty seconds' at the lowest rate that the stack takes for an instance, 20 a second, where an
/// invocation has a minute. A chunk of full size takes 398.
pub(super) const PARCEL_UNITS: u64 = 800;

/// The layout that is written.
const VERSION: u32 = 1;
/// That of a parcel out of which rows were taken.
const REWRITTEN: u32 = 2;

/// One object, before it is stored.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) path: String,
    pub(super) bytes: Bytes,
    notes: Vec<Note>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    chunks: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    dataset: String,
    bucket: u16,
    time_bucket: Micros,
    batch: BatchIdentity,
    part: u16,
    rows: u32,
    min_time: Micros,
    max_time: Micros,
    expires_at: Micros,
    block_bytes: usize,
}

impl Parcel {
    /// Puts chunks into as many parcels as they need. The same chunks make the same parcels.
    pub(super) fn pack(chunks: Vec<HotChunk>) -> Vec<Self> {
        let mut parcels = Vec::new();
        let mut some: Vec<HotChunk> = Vec::new();
        let mut units = 0;
        for chunk in chunks {
            let more = write_units(&chunk);
            if !some.is_empty() && units + more > PARCEL_UNITS {
                parcels.push(Self::of(&some));
                some.clear();
                units = 0;
            }
            units += more;
            some.push(chunk);
        }
        if !some.is_empty() {
            parcels.push(Self::of(&some));
        }
        parcels
    }

    fn of(chunks: &[HotChunk]) -> Self {
        let entry = |chunk: &HotChunk| Entry {
            dataset: chunk.dataset.clone(),
            bucket: chunk.bucket,
            time_bucket: chunk.time_bucket,
            batch: chunk.batch.clone(),
            part: chunk.part,
            rows: chunk.rows,
            min_time: chunk.min_time,
            max_time: chunk.max_time,
            expires_at: chunk.expires_at,
            block_bytes: chunk.block.len(),
        };
        let header = Header { version: VERSION, chunks: chunks.iter().map(entry).collect() };
        let mut bytes = serde_json::to_vec(&header).expect("texts and numbers can be written as JSON");
        bytes.push(b'\n');
        chunks.iter().for_each(|chunk| bytes.extend_from_slice(&chunk.block));
        let path = format!("{FOLDER}/{}.chunks", content_hash(&bytes));
        let notes = notes(&path, chunks);
        Self { path, bytes: bytes.into(), notes }
    }

    /// What is to be noted of it.
    pub(super) fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// What is noted of a parcel with these chunks: a note for each dataset.
pub(super) fn notes(path: &str, chunks: &[HotChunk]) -> Vec<Note> {
    let mut datasets: BTreeMap<&str, Vec<&HotChunk>> = BTreeMap::new();
    chunks.iter().for_each(|chunk| datasets.entry(&chunk.dataset).or_default().push(chunk));
    let note = |(dataset, chunks): (&str, Vec<&HotChunk>)| {
        Some(Note {
            dataset: dataset.to_owned(),
            parcel: path.to_owned(),
            waiting: Waiting::of(chunks.iter().copied())?,
            expires_at: chunks.iter().map(|chunk| chunk.expires_at).max()?,
        })
    };
    datasets.into_iter().filter_map(note).collect()
}

/// What a parcel holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    pub(super) chunks: Vec<HotChunk>,
    /// The datasets that it is noted under, in order; of some of them it may have no chunk any more.
    pub(super) datasets: Vec<String>,
    /// Whether rows were taken out of it.
    pub(super) is_rewritten: bool,
}

/// A parcel out of which rows were taken: what is left, and under which datasets it was noted.
pub(super) fn rewritten(datasets: Vec<String>, left: &[HotChunk]) -> Bytes {
    let body = Parcel::of(left).bytes;
    let header = Rewritten { version: REWRITTEN, datasets, content: content_hash(&body) };
    let mut bytes = serde_json::to_vec(&header).expect("texts and numbers can be written as JSON");
    bytes.push(b'\n');
    bytes.extend_from_slice(&body);
    bytes.into()
}

/// Reads a parcel that was stored.
///
/// # Errors
///
/// When it is of another version, or is not what its name says.
pub(super) fn unpack(path: &str, bytes: &Bytes) -> Result<Unpacked, PortError> {
    let wrong = |what: &str| PortError::new(Advice::Stop, format!("the parcel `{path}` {what}"));
    let digits = path.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/')?.strip_suffix(".chunks"));
    let digits = digits.ok_or_else(|| wrong(&format!("is not named `{FOLDER}/<digits>.chunks`")))?;
    if content_hash(bytes) == digits {
        let chunks = unpack_chunks(bytes).map_err(|why| wrong(&why))?;
        let datasets: BTreeSet<_> = chunks.iter().map(|chunk| chunk.dataset.clone()).collect();
        return Ok(Unpacked { chunks, datasets: datasets.into_iter().collect(), is_rewritten: false });
    }
    let damaged = || wrong("is damaged: its bytes are not those that it was named after");
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
    let header: Rewritten = serde_json::from_slice(&bytes[..end]).map_err(|_| damaged())?;
    let body = bytes.slice(end + 1..);
    if header.version != REWRITTEN || content_hash(&body) != *header.content {
        return Err(damaged());
    }
    let chunks = unpack_chunks(&body).map_err(|why| wrong(&why))?;
    Ok(Unpacked { chunks, datasets: header.datasets, is_rewritten: true })
}

/// The chunks, or what is wrong.
fn unpack_chunks(bytes: &Bytes) -> Result<Vec<HotChunk>, String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("has no first line")?;
    let version: Version = serde_json::from_slice(&bytes[..end]).map_err(|_| "has no version")?;
    if version.version != VERSION {
        return Err(format!("is of version {}, and this release reads {VERSION}", version.version));
    }
    let header: Header = serde_json::from_slice(&bytes[..end]).map_err(|error| format!("cannot be read: {error}"))?;
    let mut blocks = bytes.slice(end + 1..);
    let mut chunks = Vec::with_capacity(header.chunks.len());
    for entry in header.chunks {
        if entry.block_bytes > blocks.len().min(HOT_CHUNK_BYTES) {
            return Err("ends within a block, or has one that is too large".to_owned());
        }
        chunks.push(HotChunk {
            dataset: entry.dataset,
            bucket: entry.bucket,
            time_bucket: entry.time_bucket,
            batch: entry.batch,
            part: entry.part,
            rows: entry.rows,
            min_time: entry.min_time,
            max_time: entry.max_time,
            expires_at: entry.expires_at,
            block: blocks.split_to(entry.block_bytes),
        });
    }
    if blocks.is_empty() { Ok(chunks) } else { Err("goes on after its last block".to_owned()) }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The first line of a parcel out of which rows were taken.
#[derive(Serialize, Deserialize)]
struct Rewritten {
    version: u32,
    datasets: Vec<String>,
    content: String,
}

#[cfg(test)]
mod tests {
    use alluvium_core::contract::hot_index::chunk;

    use super::*;

    fn sized(batch: u64, bytes: usize) -> HotChunk {
        HotChunk { block: vec![batch as u8; bytes].into(), ..chunk("telemetry", 3, batch, (-200, -100)) }
    }

    #[test]
    fn chunks_come_out_as_they_went_in_and_the_same_make_the_same_parcel() {
        let chunks = vec![sized(1, 0), sized(2, 70_000), chunk("other", 31, 3, (5, 9)), sized(4, 1)];
        let [parcel] = &Parcel::pack(chunks.clone())[..] else { panic!("they fit into one") };
        let unpacked = unpack(&parcel.path, &parcel.bytes).unwrap();
        assert_eq!(unpacked.datasets, ["other", "telemetry"]);
        assert_eq!((unpacked.chunks, unpacked.is_rewritten), (chunks.clone(), false));
        assert_eq!(Parcel::pack(chunks.clone())[0].path, parcel.path);
        assert_ne!(Parcel::pack(chunks[1..].to_vec())[0].path, parcel.path);
        let names: Vec<_> = parcel.notes().iter().map(|note| (note.dataset.as_str(), note.waiting)).collect();
        let telemetry = Waiting { buckets: 1 << 3, min_time: -200, max_time: -100 };
        assert_eq!(
            names,
            [("other", Waiting { buckets: 1 << 31, min_time: 5, max_time: 9 }), ("telemetry", telemetry)]
        );
        assert_eq!(notes(&parcel.path, &chunks), parcel.notes());
    }

    #[test]
    fn a_parcel_is_never_more_than_it_takes_an_invocation_to_drain() {
        let mut chunks: Vec<_> = (0..5).map(|batch| sized(batch, HOT_CHUNK_BYTES)).collect();
        chunks.extend((5..2_000).map(|batch| sized(batch, 100)));
        let parcels = Parcel::pack(chunks.clone());
        let mut out = Vec::new();
        for parcel in &parcels {
            let Unpacked { chunks, .. } = unpack(&parcel.path, &parcel.bytes).unwrap();
            assert!(chunks.iter().map(write_units).sum::<u64>() <= PARCEL_UNITS);
            out.extend(chunks);
        }
        assert_eq!(out, chunks);
    }

    #[test]
    fn a_parcel_without_what_was_taken_out_keeps_its_name_and_what_it_is_noted_under() {
        let [parcel] = &Parcel::pack(vec![sized(1, 10), chunk("other", 31, 3, (5, 9))])[..] else { panic!("they fit") };
        for left in [vec![sized(1, 7)], Vec::new()] {
            let bytes = rewritten(vec!["other".to_owned(), "telemetry".to_owned()], &left);
            let unpacked = unpack(&parcel.path, &bytes).unwrap();
            assert_eq!(unpacked.datasets, ["other", "telemetry"]);
            assert_eq!((unpacked.chunks, unpacked.is_rewritten), (left, true));
            let mut spoilt = bytes.to_vec();
            *spoilt.last_mut().unwrap() ^= 1;
            let error = unpack(&parcel.path, &spoilt.into()).unwrap_err();
            assert!(error.message.contains("damaged"), "{error}");
        }
    }

    #[test]
    fn what_is_not_a_parcel_is_said_to_be_none() {
        let [parcel] = &Parcel::pack(vec![sized(1, 10)])[..] else { panic!("it fits into one") };
        let named = |bytes: &[u8]| format!("{FOLDER}/{}.chunks", content_hash(bytes));
        let of = |bytes: &[u8]| unpack(&named(bytes), &Bytes::copy_from_slice(bytes)).unwrap_err().message;
        let text = String::from_utf8_lossy(&parcel.bytes).into_owned();
        let cut = &parcel.bytes[..parcel.bytes.len() - 1];
        for (message, says) in [
            (unpack(&parcel.path, &Bytes::copy_from_slice(cut)).unwrap_err().message, "damaged"),
            (unpack("_commits/x.json", &parcel.bytes).unwrap_err().message, "is not named `_hot/<digits>.chunks`"),
            (of(cut), "ends within a block"),
            (of(format!("{text}x").as_bytes()), "goes on after"),
            (of(b"{}"), "no first line"),
            (of(b"{}\n"), "no version"),
            (of(text.replace("\"version\":1", "\"version\":2").as_bytes()), "of version 2, and this release reads 1"),
            (of(text.replace("\"rows\"", "\"lines\"").as_bytes()), "cannot be read: missing field `rows`"),
        ] {
            assert!(message.starts_with("the parcel `_") && message.contains(says), "{says}: {message}");
        }
    }
}
