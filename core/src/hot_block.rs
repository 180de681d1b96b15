//! The bytes of a hot chunk's block: rows as they are written by the transform and read by the query stage.
//!
//! A block is an Arrow IPC stream with the dataset's columns and exactly one RecordBatch, compressed as a whole. How it begins says its
//! version:
//!
//! - `28 B5 2F FD`, version 1, which is written of few rows: the block is one zstd frame that says how large its content is. The
//!   columns have the dataset's types.
//! - `ALH2`, version 2, which is written of others: two numbers of four bytes follow, little end first, the CRC-32C of all that comes
//!   after it and how large the content is, then the content as one LZ4 block. A column may be held in another type that takes
//!   fewer bytes (the module `compact` says which), and comes back as it was.
//!
//! Other versions are refused, so a release that writes a new one is rolled out to readers first.
//!
//! Sources: Apache Arrow, "IPC Streaming Format" and "Canonical Extension Types"; LZ4, "LZ4 Block Format Description"; RFC 8878,
//! "Zstandard Compression".

mod compact;
mod digits;
mod restore;
mod select;
mod stream;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message};
use bytes::Bytes;

use compact::{Compacter, Held};
use digits::Form;
use restore::{restore, restored_bytes};
use select::rows_with;

/// The most bytes that a block of several rows expands to: what a writer keeps to and a reader may set as its limit, with room
/// for one event more.
pub const EXPANDED_BYTES: usize = 16 * 1024 * 1024;

/// How a block of each version begins.
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const LZ4: [u8; 4] = *b"ALH2";
/// How many bytes stand before the content of a block of version 2, and before what its checksum is of.
const HEAD_BYTES: usize = 12;
const UNCHECKED_BYTES: usize = 8;
/// Fewer rows than these are smaller as version 1: the columns' description is most of them, of which zstd leaves less.
const FEW_ROWS: usize = 40;
/// The level of zstd: its fastest.
const LEVEL: i32 = 1;

/// A block that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HotBlockError {
    /// It begins like no version, or does not say how large its content is.
    #[error(
        "hot block of {0} bytes begins with neither a zstd frame with a content size nor `ALH2`; it is damaged or of a release \
         newer than this"
    )]
    Unknown(usize),
    /// The content is larger than the reader takes.
    #[error("hot block expands to {expands_to} bytes, more than the {limit_bytes} allowed")]
    TooLarge {
        /// What the frame says of itself.
        expands_to: u64,
        /// What the caller allows.
        limit_bytes: usize,
    },
    /// It cannot be compressed or decompressed.
    #[error("hot block cannot be compressed or decompressed: {0}")]
    Codec(#[from] std::io::Error),
    /// Its bytes are not those that were written.
    #[error("hot block of {0} bytes is damaged: it is not what its checksum was made of")]
    Damaged(usize),
    /// The content is no Arrow IPC stream.
    #[error("hot block is no Arrow IPC stream: {0}")]
    Arrow(#[from] ArrowError),
    /// The stream holds another number of RecordBatches than one.
    #[error("hot block holds {0} RecordBatches, expected exactly one")]
    Batches(&'static str),
}

/// How an Arrow IPC stream ends: a continuation and no more message.
const END_OF_STREAM: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
/// What each buffer of a stream is aligned to: the least that Arrow allows, for a reader copies what it needs otherwise.
const ALIGNMENT: usize = 8;
/// Writes blocks; keeps its buffers and the columns' description from one to the next.
#[derive(Default)]
pub struct HotBlockWriter {
    compacter: Compacter,
    /// For few rows; made when there are any.
    zstd: Option<zstd::bulk::Compressor<'static>>,
    /// Of few rows, and of others: a batch has blocks of both by turns.
    streams: [Option<Stream>; 2],
    /// As large as the largest block could have been; a block is a copy of what it came to.
    block: Vec<u8>,
    expanded_bytes: usize,
}

/// A stream that begins with its columns' description, over and over.
struct Stream {
    /// The columns of the rows, and how blocks hold them.
    of: SchemaRef,
    held: Vec<Held>,
    /// The columns of the blocks.
    columns: SchemaRef,
    bytes: Vec<u8>,
    /// How long the columns' description is.
    head_bytes: usize,
    dictionaries: usize,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl Stream {
    fn new(of: &SchemaRef, held: &[Held]) -> Result<Self, ArrowError> {
        let fields: Vec<_> = of.fields().iter().zip(held).map(|(field, held)| held.field(field)).collect();
        let columns = Arc::new(Schema::new_with_metadata(fields, of.metadata().clone()));
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
        let mut tracker = DictionaryTracker::new(false);
        let generator = IpcDataGenerator::default();
        let head = generator.schema_to_bytes_with_dictionary_tracker(&columns, &mut tracker, &options);
        let mut bytes = Vec::new();
        write_message(&mut bytes, head, &options)?;
        Ok(Self {
            of: of.clone(),
            held: held.to_vec(),
            columns,
            head_bytes: bytes.len(),
            bytes,
            dictionaries: tracker.dict_id().len(),
            options,
            context: IpcWriteContext::default(),
        })
    }

    fn is_of(&self, columns: &SchemaRef, held: &[Held]) -> bool {
        self.held == held && (Arc::ptr_eq(&self.of, columns) || self.of == *columns)
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<&[u8], ArrowError> {
        // It knows of no dictionary that was written before, and numbers them as the columns' description does.
        let mut tracker = DictionaryTracker::new(false);
        for _ in 0..self.dictionaries {
            tracker.next_dict_id();
        }
        let generator = IpcDataGenerator::default();
        let (dictionaries, rows) = generator.encode(rows, &mut tracker, &self.options, &mut self.context)?;
        self.bytes.truncate(self.head_bytes);
        for message in dictionaries.into_iter().chain([rows]) {
            write_message(&mut self.bytes, message, &self.options)?;
        }
        self.bytes.extend_from_slice(&END_OF_STREAM);
        Ok(&self.bytes)
    }
}

impl std::fmt::Debug for HotBlockWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HotBlockWriter").finish_non_exhaustive()
    }
}

impl HotBlockWriter {
    /// Writes one block of these rows; see [`write_rows`](Self::write_rows).
    ///
    /// # Errors
    ///
    /// As [`write_rows`](Self::write_rows).
    pub fn write(&mut self, rows: &RecordBatch) -> Result<Bytes, HotBlockError> {
        let all: Vec<u32> = (0..rows.num_rows() as u32).collect();
        self.write_rows(rows, &all)
    }

    /// Writes one block of the rows of these numbers, in their order. The batch has columns as its dataset has them; texts may be
    /// dictionaries with `UInt32` keys, of which the block holds the values that its rows have. The same rows always give the same
    /// bytes.
    ///
    /// # Errors
    ///
    /// When Arrow refuses, which no well-formed RecordBatch makes them do.
    ///
    /// # Panics
    ///
    /// When there is no row of one of the numbers.
    pub fn write_rows(&mut self, batch: &RecordBatch, rows: &[u32]) -> Result<Bytes, HotBlockError> {
        let is_few = rows.len() < FEW_ROWS;
        let columns = if is_few { self.compacter.plain(batch, rows)? } else { self.compacter.columns(batch, rows)? };
        let (of, held) = (batch.schema_ref(), &self.compacter.held);
        let last = &mut self.streams[usize::from(is_few)];
        let stream = match last.take().filter(|stream| stream.is_of(of, held)) {
            Some(known) => last.insert(known),
            None => last.insert(Stream::new(of, held)?),
        };
        let rows = RecordBatch::try_new(stream.columns.clone(), columns)?;
        let stream = stream.write(&rows)?;
        self.expanded_bytes = stream.len() + restored_bytes(&rows);
        if is_few {
            let zstd = match self.zstd.take() {
                Some(zstd) => self.zstd.insert(zstd),
                None => self.zstd.insert(zstd::bulk::Compressor::new(LEVEL)?),
            };
            return Ok(zstd.compress(stream)?.into());
        }
        let most_bytes = HEAD_BYTES + lz4_flex::block::get_maximum_output_size(stream.len());
        if self.block.len() < most_bytes {
            self.block.resize(most_bytes, 0);
        }
        let content = &mut self.block[HEAD_BYTES..];
        let bytes = lz4_flex::block::compress_into(stream, content).expect("the buffer is as large as it may need");
        let block = &mut self.block[..HEAD_BYTES + bytes];
        block[UNCHECKED_BYTES..HEAD_BYTES].copy_from_slice(&(stream.len() as u32).to_le_bytes());
        let checksum = crc32c::crc32c(&block[UNCHECKED_BYTES..]);
        block[..LZ4.len()].copy_from_slice(&LZ4);
        block[LZ4.len()..UNCHECKED_BYTES].copy_from_slice(&checksum.to_le_bytes());
        Ok(Bytes::copy_from_slice(block))
    }

    /// What the block that was last written expands to at most.
    pub fn expanded_bytes(&self) -> usize {
        self.expanded_bytes
    }
}

/// Reads a block back: all its rows, in the order in which they were written.
///
/// `limit_bytes` caps what the block may expand to, whatever it says of itself.
///
/// # Errors
///
/// When the bytes are no block, are damaged, or expand past `limit_bytes`.
pub fn read_block(block: &[u8], limit_bytes: usize) -> Result<RecordBatch, HotBlockError> {
    Content::of(Expanded::of(block, limit_bytes)?, limit_bytes)?.rows()
}

/// Reads those rows of a block back that have these texts in these columns, given as pairs of both; `None`: there are none. It is
/// much less work than to read all of them where few do.
///
/// # Errors
///
/// As [`read_block`]; and when a column is not there or is not of texts, unless the block has no such text anywhere.
pub fn read_rows_with(
    block: &[u8],
    limit_bytes: usize,
    texts: &[(&str, &str)],
) -> Result<Option<RecordBatch>, HotBlockError> {
    let stream = Expanded::of(block, limit_bytes)?;
    if texts.iter().any(|(_, text)| !stream.may_hold(text)) {
        return Ok(None);
    }
    let content = Content::of(stream, limit_bytes)?;
    content.selected(|held| rows_with(held, texts))?.map(|content| content.rows()).transpose()
}

/// A block's stream, no longer compressed.
enum Expanded {
    Zstd(Vec<u8>),
    Lz4(Vec<u8>),
}

impl Expanded {
    fn of(block: &[u8], limit_bytes: usize) -> Result<Self, HotBlockError> {
        match block.first_chunk() {
            Some(&ZSTD) => zstd_content(block, limit_bytes).map(Self::Zstd),
            Some(&LZ4) => lz4_content(block, limit_bytes).map(Self::Lz4),
            _ => Err(HotBlockError::Unknown(block.len())),
        }
    }

    /// Whether any column may hold this text. To look for its bytes is a fraction of what it takes to make columns of the stream.
    fn may_hold(&self, text: &str) -> bool {
        let (Self::Zstd(stream) | Self::Lz4(stream)) = self;
        // What may be held as bits stands there in no other form.
        Form::of_length(text.len()).is_some() || memchr::memmem::find(stream, text.as_bytes()).is_some()
    }
}

/// What a block holds.
enum Content {
    /// The rows as they were.
    Whole(RecordBatch),
    /// The rows in other types, to be restored.
    Compact(RecordBatch),
}

impl Content {
    fn of(expanded: Expanded, limit_bytes: usize) -> Result<Self, HotBlockError> {
        match expanded {
            Expanded::Zstd(content) => stream::read(content).map(Self::Whole),
            Expanded::Lz4(content) => {
                let content_bytes = content.len();
                let held = stream::read(content)?;
                let expands_to = content_bytes.saturating_add(restored_bytes(&held)) as u64;
                if expands_to > limit_bytes as u64 {
                    return Err(HotBlockError::TooLarge { expands_to, limit_bytes });
                }
                Ok(Self::Compact(held))
            }
        }
    }

    /// What `select` leaves of it.
    fn selected(
        self,
        select: impl FnOnce(RecordBatch) -> Result<Option<RecordBatch>, ArrowError>,
    ) -> Result<Option<Self>, HotBlockError> {
        Ok(match self {
            Self::Whole(rows) => select(rows)?.map(Self::Whole),
            Self::Compact(held) => select(held)?.map(Self::Compact),
        })
    }

    fn rows(self) -> Result<RecordBatch, HotBlockError> {
        match self {
            Self::Whole(rows) => Ok(rows),
            Self::Compact(held) => Ok(restore(&held)?),
        }
    }
}

fn zstd_content(block: &[u8], limit_bytes: usize) -> Result<Vec<u8>, HotBlockError> {
    let size = zstd::zstd_safe::get_frame_content_size(block).ok().flatten();
    let size = within(limit_bytes, size.ok_or(HotBlockError::Unknown(block.len()))?)?;
    Ok(zstd::bulk::decompress(block, size)?)
}

fn lz4_content(block: &[u8], limit_bytes: usize) -> Result<Vec<u8>, HotBlockError> {
    let damaged = HotBlockError::Damaged(block.len());
    let (Some(checksum), Some(size)) =
        (block[LZ4.len()..].first_chunk(), block.get(UNCHECKED_BYTES..).and_then(|checked| checked.first_chunk()))
    else {
        return Err(damaged);
    };
    // LZ4 would make something of most bytes.
    if crc32c::crc32c(&block[UNCHECKED_BYTES..]) != u32::from_le_bytes(*checksum) {
        return Err(damaged);
    }
    let mut content = vec![0; within(limit_bytes, u32::from_le_bytes(*size).into())?];
    match lz4_flex::block::decompress_into(&block[HEAD_BYTES..], &mut content) {
        Ok(bytes) if bytes == content.len() => Ok(content),
        _ => Err(damaged),
    }
}

/// How large a content is, if it is no larger than allowed.
fn within(limit_bytes: usize, expands_to: u64) -> Result<usize, HotBlockError> {
    let size = usize::try_from(expands_to).ok().filter(|size| *size <= limit_bytes);
    size.ok_or(HotBlockError::TooLarge { expands_to, limit_bytes })
}

#[cfg(test)]
mod tests;
