//! The hot index: chunks of rows, grouped so that the newest records of one source are found in one place.

mod position;
mod take_out;
mod waiting;

use bytes::Bytes;

use crate::clock::Micros;
use crate::identity::BatchIdentity;

pub use position::{PutPosition, PutPositionError};
pub use take_out::{ErasableHotIndex, Left, Screen, TakeOut, TakenOut};
pub use waiting::Waiting;

/// How many buckets a dataset's sources are spread over, in an index that does not say otherwise
/// ([`HotIndex::buckets`](crate::ports::HotIndex::buckets)).
///
/// More buckets mean smaller chunks (more write units per event), fewer mean that a read of one source reads more rows of
/// others. Changing it makes existing chunks unreadable by source: it is part of the stored format.
pub const BUCKETS: u16 = 32;

/// The width of a time bucket. A chunk never spans two.
pub const TIME_BUCKET_MICROS: Micros = 10 * 60 * 1_000_000;

/// The bucket, of so many, that holds the rows of this owner's source.
pub fn bucket_of(owner: &str, source: &str, buckets: u16) -> u16 {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update((owner.len() as u32).to_be_bytes());
    hash.update(owner.as_bytes());
    hash.update(source.as_bytes());
    let digest = hash.finalize();
    u16::from_be_bytes([digest[0], digest[1]]) % buckets
}

/// What a chunk is known by to hold rows of an owner's source: few of others have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceMark(pub u16);

impl SourceMark {
    /// The mark of an owner's source.
    pub fn of(owner: &str, source: &str) -> Self {
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&[owner.as_bytes(), &[0]].concat()), source.as_bytes());
        Self((checksum ^ (checksum >> 16)) as u16)
    }
}

/// The time bucket that an event time lies in: its start.
pub fn time_bucket_of(event_time: Micros) -> Micros {
    // The first bucket of all would begin before the first time there is.
    event_time.div_euclid(TIME_BUCKET_MICROS).saturating_mul(TIME_BUCKET_MICROS)
}

/// A block of rows of one dataset and bucket, all within one time bucket.
///
/// The key is (dataset, bucket, time bucket, batch, part): a retry of the same batch writes the same chunks over again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotChunk {
    /// The dataset.
    pub dataset: String,
    /// The bucket of the rows' owners and sources, see [`bucket_of`].
    pub bucket: u16,
    /// The start of the time bucket that all rows lie in, see [`time_bucket_of`].
    pub time_bucket: Micros,
    /// The batch that the rows came in.
    pub batch: BatchIdentity,
    /// Tells apart the chunks of one batch that share the rest of the key.
    pub part: u16,
    /// How many rows it holds.
    pub rows: u32,
    /// The oldest row's event time.
    pub min_time: Micros,
    /// The newest row's event time.
    pub max_time: Micros,
    /// When the hot index may forget it: the newest row's event time plus the dataset's hot retention plus a margin.
    pub expires_at: Micros,
    /// The rows, sorted by owner, source and `event_time`, as [`hot_block`](crate::hot_block) writes them. At most
    /// [`limits::HOT_CHUNK_BYTES`](crate::limits::HOT_CHUNK_BYTES).
    pub block: Bytes,
}

impl HotChunk {
    /// The sort key within (dataset, bucket): time bucket, batch, part; its order is that of time.
    pub fn sort_key(&self) -> String {
        format!("{}{}#{:04x}", sort_key_prefix(self.time_bucket), self.batch, self.part)
    }
}

/// What the sort keys of a time bucket's chunks begin with, and no other's: 17 characters, whose order is that of time.
pub fn sort_key_prefix(time_bucket: Micros) -> String {
    // The offset keeps times before 1970 in order.
    format!("{:016x}#", (time_bucket as u64) ^ (1 << 63))
}

/// A question to the hot index: the rows of one source, or of all, in a range of event time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotQuery {
    /// The dataset.
    pub dataset: String,
    /// The bucket to look in; `None`: all.
    pub bucket: Option<u16>,
    /// Chunks that are known to have no row of this source may be left out; `None`: rows of all are wanted.
    pub source: Option<SourceMark>,
    /// The oldest event time wanted, included.
    pub from: Micros,
    /// The newest event time wanted, included.
    pub to: Micros,
    /// Chunks whose newest row is newer than this are not wanted: an answer before this had them.
    pub below: Micros,
    /// About how many chunks are wanted, at least one.
    pub most: usize,
    /// Chunks that have expired at this time are not returned.
    pub now: Micros,
}

/// An answer of the hot index: chunks by their newest row, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Newest {
    /// Every chunk wanted whose newest row is newer than `below`, and none else.
    pub chunks: Vec<HotChunk>,
    /// What [`HotQuery::below`] of the next question is, less than that of this one; `None`: there are no more chunks.
    pub below: Option<Micros>,
}

/// A question to the hot index: what was put into it from a position on, in the order of the puts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutQuery {
    /// The dataset.
    pub dataset: String,
    /// The bucket to look in; `None`: all.
    pub bucket: Option<u16>,
    /// The first position wanted, included.
    pub from: PutPosition,
    /// The most chunks to look at, at least one.
    pub most: usize,
    /// Chunks that have expired at this time are not returned.
    pub now: Micros,
}

/// What was put into the hot index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Puts {
    /// The chunks and where they were put, in order of their positions.
    pub chunks: Vec<(PutPosition, HotChunk)>,
    /// Every chunk that lies between the position asked for and this one is in `chunks`, unless it has expired, or was put again since and
    /// comes later. Not before the position asked for.
    pub up_to: PutPosition,
    /// Whether there is more already, from `up_to` on.
    pub more: bool,
}
