//! The bytes of a hot chunk's block: rows as they are written by the transform and read by the query stage.
//!
//! A block is one zstd frame that says how large its content is; the content is one Arrow IPC stream with the dataset's
//! columns and exactly one RecordBatch. Both formats carry their own version, so a block has none of its own.
//!
//! Sources: RFC 8878, "Zstandard Compression"; Apache Arrow, "IPC Streaming Format".

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;

/// The most bytes that a block of several rows expands to: what a writer keeps to and a reader may set as its limit, with room
/// for one event more.
pub const EXPANDED_BYTES: usize = 16 * 1024 * 1024;

/// Blocks are written once and read rarely: the fastest level, which already halves them.
const LEVEL: i32 = 1;

/// A block that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HotBlockError {
    /// The frame does not say how large its content is, or is no zstd frame at all.
    #[error(
        "hot block of {0} bytes is no zstd frame with a content size; it is damaged or was not written by `HotBlockWriter`"
    )]
    NoFrame(usize),
    /// The content is larger than the reader takes.
    #[error("hot block expands to {expands_to} bytes, more than the {limit_bytes} allowed")]
    TooLarge {
        /// What the frame says of itself.
        expands_to: u64,
        /// What the caller allows.
        limit_bytes: usize,
    },
    /// zstd could not compress or decompress it.
    #[error("hot block cannot be compressed or decompressed: {0}")]
    Zstd(#[from] std::io::Error),
    /// The content is no Arrow IPC stream.
    #[error("hot block is no Arrow IPC stream: {0}")]
    Arrow(#[from] ArrowError),
    /// The stream holds another number of RecordBatches than one.
    #[error("hot block holds {0} RecordBatches, expected exactly one")]
    Batches(&'static str),
}

/// How an Arrow IPC stream ends: a continuation and no more message.
const END_OF_STREAM: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

/// Writes blocks; keeps its compression state, its buffers and the columns' description from one to the next.
pub struct HotBlockWriter {
    compressor: zstd::bulk::Compressor<'static>,
    stream: Option<Stream>,
    /// As large as the largest block could have been; a block is a copy of what it came to.
    frame: Vec<u8>,
}

/// A stream that begins with its columns' description, over and over.
struct Stream {
    schema: SchemaRef,
    /// How long that description is.
    head_bytes: usize,
    writer: StreamWriter<Vec<u8>>,
}

impl Stream {
    fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let writer = StreamWriter::try_new(Vec::new(), schema)?;
        Ok(Self { schema: schema.clone(), head_bytes: writer.get_ref().len(), writer })
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<&[u8], ArrowError> {
        self.writer.get_mut().truncate(self.head_bytes);
        self.writer.write(rows)?;
        self.writer.get_mut().extend_from_slice(&END_OF_STREAM);
        Ok(self.writer.get_ref())
    }
}

impl std::fmt::Debug for HotBlockWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HotBlockWriter").finish_non_exhaustive()
    }
}

impl HotBlockWriter {
    /// A writer with nothing written yet.
    ///
    /// # Errors
    ///
    /// When zstd has no memory for its state.
    pub fn new() -> Result<Self, HotBlockError> {
        Ok(Self { compressor: zstd::bulk::Compressor::new(LEVEL)?, stream: None, frame: Vec::new() })
    }

    /// Writes one block of these rows. The same rows always give the same bytes.
    ///
    /// # Errors
    ///
    /// When Arrow or zstd refuses, which no well-formed RecordBatch makes them do.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<Bytes, HotBlockError> {
        let known = self.stream.take().filter(|stream| stream.schema == *rows.schema_ref());
        let stream = self.stream.insert(match known {
            Some(stream) => stream,
            None => Stream::new(rows.schema_ref())?,
        });
        let stream = stream.write(rows)?;
        self.frame.clear();
        self.frame.reserve(zstd::zstd_safe::compress_bound(stream.len()));
        self.compressor.compress_to_buffer(stream, &mut self.frame)?;
        Ok(Bytes::copy_from_slice(&self.frame))
    }

    /// What the block that was last written expands to.
    pub fn expanded_bytes(&self) -> usize {
        self.stream.as_ref().map_or(0, |stream| stream.writer.get_ref().len())
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
    let expands_to =
        zstd::zstd_safe::get_frame_content_size(block).ok().flatten().ok_or(HotBlockError::NoFrame(block.len()))?;
    let capacity = usize::try_from(expands_to).ok().filter(|size| *size <= limit_bytes);
    let capacity = capacity.ok_or(HotBlockError::TooLarge { expands_to, limit_bytes })?;
    let stream = zstd::bulk::decompress(block, capacity)?;
    let mut batches = StreamReader::try_new(Cursor::new(stream), None)?;
    let rows = batches.next().ok_or(HotBlockError::Batches("no"))??;
    match batches.next() {
        None => Ok(rows),
        Some(_) => Err(HotBlockError::Batches("several")),
    }
}

#[cfg(test)]
mod tests;
