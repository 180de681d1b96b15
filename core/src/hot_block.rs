//! The bytes of a hot chunk's block: rows as they are written by the transform and read by the query stage.
//!
//! A page of one source's records takes a few rows out of each of a hundred blocks. So a block is made to be read in part: each
//! column stands by itself and can be skipped, a value of it can be had without those before it, and rows that come by owner and source say
//! where those of one source lie.
//!
//! ```text
//! block    ALH3 | CRC-32C of what follows, u32 | bytes of the content, u32 | the content, as one LZ4 block
//! content  rows u32 | bytes of the description, u32 | description | a column after the other: its bytes u32 | column
//! ```
//!
//! Numbers are little-endian. The module `description` says what a description is, and `write` what a column is: in few bytes, where its values let
//! it, and with no information less.
//!
//! What begins with anything else is refused, so a release that writes another version is rolled out to readers first.
//!
//! Source: LZ4, "LZ4 Block Format Description".

mod content;
mod decimals;
mod description;
mod digits;
mod numbers;
mod read;
mod select;
mod texts;
mod write;

use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;

use crate::hot::SourceMark;
use content::{Content, Unread};
use read::{Budget, read_column};
use select::Wanted;
use write::Columns;

pub use select::TextSet;

/// The most bytes that a block of several rows expands to: what a writer keeps to and a reader may set as its limit, with room
/// for one event more.
pub const EXPANDED_BYTES: usize = 16 * 1024 * 1024;

/// How a block begins.
const MAGIC: [u8; 4] = *b"ALH3";
/// How many bytes stand before the content of a block, and before what its checksum is of.
const HEAD_BYTES: usize = 12;
const UNCHECKED_BYTES: usize = 8;

/// A block that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HotBlockError {
    /// It begins like no block of this release.
    #[error("hot block of {0} bytes does not begin with `ALH3`; it is damaged or of another release than this")]
    Unknown(usize),
    /// The content is larger than the reader takes.
    #[error("hot block expands to {expands_to} bytes, more than the {limit_bytes} allowed")]
    TooLarge {
        /// What it expands to, as far as it was looked at.
        expands_to: u64,
        /// What the caller allows.
        limit_bytes: usize,
    },
    /// Its bytes are not those that were written.
    #[error("hot block of {0} bytes is damaged: it is not what its checksum was made of")]
    Damaged(usize),
    /// The content is not what a block holds.
    #[error("hot block is not as this release writes it: {0}")]
    Content(&'static str),
    /// Rows have a column of a type that no dataset has.
    #[error("the column `{0}` has the type {1}, which no hot block holds")]
    Type(String, arrow::datatypes::DataType),
    /// A column of texts was asked for by a name that is not there or that is of other values.
    #[error("hot block has no column `{0}` of texts")]
    NoTexts(String),
    /// Arrow refuses the rows.
    #[error("hot block's rows are refused by Arrow: {0}")]
    Arrow(#[from] ArrowError),
}

/// Writes blocks; keeps its buffers and the columns' description from one to the next.
#[derive(Default)]
pub struct HotBlockWriter {
    columns: Columns,
    /// Of the rows that were written last.
    described: Option<(SchemaRef, Vec<u8>)>,
    content: Vec<u8>,
    /// As large as the largest block could have been; a block is a copy of what it came to.
    block: Vec<u8>,
    expanded_bytes: usize,
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
    /// When a column has a type that no dataset has, or the content has 4 GiB or more.
    ///
    /// # Panics
    ///
    /// When there is no row of one of the numbers.
    pub fn write_rows(&mut self, batch: &RecordBatch, rows: &[u32]) -> Result<Bytes, HotBlockError> {
        let schema = batch.schema_ref();
        let known = self.described.take().filter(|(of, _)| Arc::ptr_eq(of, schema) || of == schema);
        let (_, description) = match known {
            Some(known) => self.described.insert(known),
            None => self.described.insert((schema.clone(), description::write(schema.fields())?)),
        };
        self.content.clear();
        self.content.extend_from_slice(&(rows.len() as u32).to_le_bytes());
        self.content.extend_from_slice(&(description.len() as u32).to_le_bytes());
        self.content.extend_from_slice(description);
        let restored_bytes = self.columns.write(&mut self.content, batch, rows)?;
        self.expanded_bytes = self.content.len() + restored_bytes;
        let content_bytes = u32::try_from(self.content.len());
        let content_bytes = content_bytes.map_err(|_| HotBlockError::Content("it has 4 GiB or more"))?;

        let most_bytes = HEAD_BYTES + lz4_flex::block::get_maximum_output_size(self.content.len());
        if self.block.len() < most_bytes {
            self.block.resize(most_bytes, 0);
        }
        let compressed = lz4_flex::block::compress_into(&self.content, &mut self.block[HEAD_BYTES..]);
        let bytes = compressed.expect("the buffer is as large as it may need");
        let block = &mut self.block[..HEAD_BYTES + bytes];
        block[UNCHECKED_BYTES..HEAD_BYTES].copy_from_slice(&content_bytes.to_le_bytes());
        let checksum = crc32c::crc32c(&block[UNCHECKED_BYTES..]);
        block[..MAGIC.len()].copy_from_slice(&MAGIC);
        block[MAGIC.len()..UNCHECKED_BYTES].copy_from_slice(&checksum.to_le_bytes());
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
    let rows = HotBlockReader::new(limit_bytes).read_with(block, &[])?;
    Ok(rows.expect("of all rows there are as many as the block has"))
}

/// The owners and sources that a block has rows of, each once where its rows come by both; `None`: it cannot be read.
///
/// `limit_bytes` caps what the block may expand to.
pub fn sources_of(block: &[u8], limit_bytes: usize) -> Option<Vec<SourceMark>> {
    let rows = HotBlockReader::of_columns(limit_bytes, &["owner", "source"]).read_with(block, &[]).ok()??;
    let text = |name: &str| rows.column_by_name(name)?.as_string_opt::<i32>().cloned();
    let (owners, sources) = (text("owner")?, text("source")?);
    let mut marks = Vec::new();
    let mut last = None;
    for row in 0..rows.num_rows() {
        let pair = (owners.value(row), sources.value(row));
        if last != Some(pair) {
            marks.push(SourceMark::of(pair.0, pair.1));
            last = Some(pair);
        }
    }
    Some(marks)
}

/// Reads blocks; keeps its buffer and the columns' description from one to the next.
#[derive(Debug)]
pub struct HotBlockReader {
    limit_bytes: usize,
    /// The columns wanted; `None`: all.
    wanted: Option<Vec<String>>,
    described: Option<Described>,
    content: Vec<u8>,
}

/// What a description comes to.
#[derive(Debug)]
struct Described {
    description: Vec<u8>,
    all: SchemaRef,
    /// Which of all columns are wanted, and they alone.
    places: Vec<usize>,
    wanted: SchemaRef,
}

impl HotBlockReader {
    /// A reader of all columns. `limit_bytes` caps what each block may expand to, whatever it says of itself.
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, wanted: None, described: None, content: Vec::new() }
    }

    /// A reader of those columns that have one of these names, in the order in which a block has them.
    pub fn of_columns(limit_bytes: usize, names: &[&str]) -> Self {
        let wanted = names.iter().map(|name| (*name).to_owned()).collect();
        Self { wanted: Some(wanted), ..Self::new(limit_bytes) }
    }

    /// Reads those rows of a block that have these texts in these columns, given as pairs of both; `None`: there are none, which
    /// without pairs there always are. No more of the block is made rows of.
    ///
    /// # Errors
    ///
    /// When the bytes are no block, are damaged, or expand past the limit; and when a column is not there or is not of texts.
    pub fn read_with(&mut self, block: &[u8], texts: &[(&str, &str)]) -> Result<Option<RecordBatch>, HotBlockError> {
        self.read_wanted(block, texts.iter().map(|(name, text)| (*name, Wanted::Text(text))))
    }

    /// As [`read_with`](Self::read_with), of the rows that also have one of some texts in a column.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    pub fn read_any_of(
        &mut self,
        block: &[u8],
        texts: &[(&str, &str)],
        (column, any_of): (&str, &TextSet),
    ) -> Result<Option<RecordBatch>, HotBlockError> {
        let texts = texts.iter().map(|(name, text)| (*name, Wanted::Text(text)));
        self.read_wanted(block, texts.chain([(column, Wanted::AnyOf(any_of))]))
    }

    fn read_wanted<'w>(
        &mut self,
        block: &[u8],
        texts: impl Iterator<Item = (&'w str, Wanted<'w>)>,
    ) -> Result<Option<RecordBatch>, HotBlockError> {
        expand(block, self.limit_bytes, &mut self.content)?;
        let content = Content::of(&self.content)?;
        let described = match self.described.take().filter(|known| known.description == content.description) {
            Some(known) => self.described.insert(known),
            None => self.described.insert(Described::of(content.description, self.wanted.as_deref())?),
        };
        let columns = content.columns(described.all.fields().len())?;
        let mut selected: Vec<_> = std::iter::once(0..content.rows).collect();
        for (name, wanted) in texts {
            let no_texts = || HotBlockError::NoTexts(name.to_owned());
            let (at, field) = described.all.column_with_name(name).ok_or_else(no_texts)?;
            if *field.data_type() != arrow::datatypes::DataType::Utf8 {
                return Err(no_texts());
            }
            selected = select::rows_with(columns[at], content.rows, wanted, &selected, self.limit_bytes)?;
            if selected.is_empty() {
                return Ok(None);
            }
        }
        let mut budget = Budget::new(self.limit_bytes, self.content.len());
        let arrays = described.places.iter().zip(described.wanted.fields()).map(|(at, field)| {
            let mut column = Unread(columns[*at]);
            let array = read_column(&mut column, field.data_type(), content.rows, &selected, &mut budget)?;
            column.ended()?;
            Ok(array)
        });
        let arrays = arrays.collect::<Result<Vec<_>, HotBlockError>>()?;
        let rows = selected.iter().map(ExactSizeIterator::len).sum();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(described.wanted.clone(), arrays, &options)?))
    }
}

impl Described {
    fn of(description: &[u8], wanted: Option<&[String]>) -> Result<Self, HotBlockError> {
        let all = Arc::new(Schema::new(description::read(description)?));
        let is_wanted = |name: &String| wanted.is_none_or(|wanted| wanted.contains(name));
        let places = all.fields().iter().enumerate().filter(|(_, field)| is_wanted(field.name()));
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        let wanted = Arc::new(all.project(&places)?);
        Ok(Self { description: description.to_vec(), all, places, wanted })
    }
}

/// Writes the content of a block into `content`.
fn expand(block: &[u8], limit_bytes: usize, content: &mut Vec<u8>) -> Result<(), HotBlockError> {
    if !block.starts_with(&MAGIC) {
        return Err(HotBlockError::Unknown(block.len()));
    }
    let damaged = HotBlockError::Damaged(block.len());
    let (Some(checksum), Some(size)) =
        (block[MAGIC.len()..].first_chunk(), block.get(UNCHECKED_BYTES..).and_then(|checked| checked.first_chunk()))
    else {
        return Err(damaged);
    };
    // LZ4 would make something of most bytes.
    if crc32c::crc32c(&block[UNCHECKED_BYTES..]) != u32::from_le_bytes(*checksum) {
        return Err(damaged);
    }
    let expands_to = u64::from(u32::from_le_bytes(*size));
    let size = usize::try_from(expands_to).ok().filter(|size| *size <= limit_bytes);
    content.resize(size.ok_or(HotBlockError::TooLarge { expands_to, limit_bytes })?, 0);
    match lz4_flex::block::decompress_into(&block[HEAD_BYTES..], content) {
        Ok(bytes) if bytes == content.len() => Ok(()),
        _ => Err(damaged),
    }
}

#[cfg(test)]
mod tests;
