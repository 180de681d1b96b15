//! The stream of a block, read: no length in it is believed before Arrow makes arrays of what it holds.
//!
//! Arrow's own reader of streams panics at a type that it does not know and at a buffer that lies outside its message, and sets
//! memory aside for whatever a message says that it has. A block comes out of a store, so both are refused here:
//!
//! - a column's type is one that a block's columns have had in some version;
//! - a message, and each buffer of it, lies within what there is, and no buffer over another;
//! - an array has no more rows than its message has bits, a bit for each row if it has nulls, and whole offsets and keys.
//!
//! What then stands in the buffers (UTF-8, offsets, keys) Arrow checks itself.
//!
//! Source: Apache Arrow, "Arrow Columnar Format", "Encapsulated message format" and "RecordBatch message".

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{read_dictionary, read_record_batch};
use arrow::ipc::{self, DateUnit, Field, FieldNode, Message, Precision, TimeUnit, Type, root_as_message};

use super::HotBlockError;

/// How each message begins.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// Fewer bytes than a column's description takes.
const FIELD_BYTES: usize = 16;
/// How wide it is where a text or a list ends.
const OFFSET_BYTES: usize = size_of::<i32>();

/// The one RecordBatch of a stream.
///
/// # Errors
///
/// When it is no stream, has columns of types that no block has, or another number of RecordBatches.
pub(super) fn read(stream: Vec<u8>) -> Result<RecordBatch, HotBlockError> {
    let stream = Buffer::from_vec(stream);
    let mut messages = Messages { stream: &stream, at: 0 };
    let first = messages.next()?.and_then(|(message, _)| message.header_as_schema());
    let columns = first.ok_or_else(|| refused("it does not begin with its columns"))?;
    let mut fields_left = stream.len() / FIELD_BYTES;
    if !columns.fields().is_some_and(|fields| fields.iter().all(|field| is_known(field, &mut fields_left))) {
        return Err(refused("a column has a type that no block has").into());
    }
    let columns = Arc::new(fb_to_schema(columns));
    let mut dictionaries = HashMap::new();
    let mut rows = None;
    while let Some((message, body)) = messages.next()? {
        let version = message.version();
        if let Some(dictionary) = message.header_as_dictionary_batch() {
            #[expect(deprecated, reason = "there is no other way to what a dictionary's id stands for")]
            let fields = columns.fields_with_dict_id(dictionary.id());
            let values = fields.first().and_then(|field| match field.data_type() {
                DataType::Dictionary(_, values) => Some(values.as_ref()),
                _ => None,
            });
            if dictionary.isDelta() || !dictionary.data().is_some_and(|batch| is_sound(batch, values, &body)) {
                return Err(refused("a dictionary is not in its message").into());
            }
            read_dictionary(&body, dictionary, &columns, &mut dictionaries, &version)?;
        } else if let Some(batch) = message.header_as_record_batch() {
            if rows.is_some() {
                return Err(HotBlockError::Batches("several"));
            }
            if !is_sound(batch, columns.fields().iter().map(|field| field.data_type()), &body) {
                return Err(refused("a column is not in its message").into());
            }
            rows = Some(read_record_batch(&body, batch, columns.clone(), &dictionaries, None, &version)?);
        } else {
            return Err(refused("a message is neither a dictionary nor a RecordBatch").into());
        }
    }
    rows.ok_or(HotBlockError::Batches("no"))
}

fn refused(why: &str) -> ArrowError {
    ArrowError::IpcError(why.to_owned())
}

/// The messages of a stream, one after the other.
struct Messages<'a> {
    stream: &'a Buffer,
    at: usize,
}

impl<'a> Messages<'a> {
    /// The next message and its body; `None`: the stream ends here.
    fn next(&mut self) -> Result<Option<(Message<'a>, Buffer)>, ArrowError> {
        let cut = || refused("it ends within a message");
        let rest = &self.stream.as_slice()[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let rest = rest.strip_prefix(&CONTINUATION).ok_or_else(|| refused("a message does not begin as one"))?;
        let (head_bytes, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let head_bytes = usize::try_from(i32::from_le_bytes(*head_bytes)).map_err(|_| cut())?;
        if head_bytes == 0 {
            return Ok(None);
        }
        let (head, rest) = rest.split_at_checked(head_bytes).ok_or_else(cut)?;
        let message = root_as_message(head).map_err(|error| refused(&error.to_string()))?;
        let body_bytes = usize::try_from(message.bodyLength()).ok().filter(|bytes| *bytes <= rest.len());
        let body_bytes = body_bytes.ok_or_else(cut)?;
        let body_at = self.stream.len() - rest.len();
        self.at = body_at + body_bytes;
        Ok(Some((message, self.stream.slice_with_length(body_at, body_bytes))))
    }
}

/// Whether a column is of a type that blocks have, in this version or the one before, with no more fields in it than are left.
fn is_known(field: Field<'_>, fields_left: &mut usize) -> bool {
    let Some(left) = fields_left.checked_sub(1) else { return false };
    *fields_left = left;
    if let Some(dictionary) = field.dictionary() {
        let keys = dictionary.indexType();
        return keys.is_some_and(|keys| !keys.is_signed() && matches!(keys.bitWidth(), 8 | 16 | 32))
            && matches!(field.type_type(), Type::Utf8 | Type::FixedSizeBinary)
            && is_value(field);
    }
    match field.type_type() {
        Type::List => field.children().is_some_and(|items| items.len() == 1 && is_known(items.get(0), fields_left)),
        Type::Struct_ => {
            field.children().is_none_or(|members| members.iter().all(|member| is_known(member, fields_left)))
        }
        _ => is_value(field),
    }
}

/// Whether it is of a type without others in it that blocks have.
fn is_value(field: Field<'_>) -> bool {
    match field.type_type() {
        Type::Utf8 | Type::Bool => true,
        Type::FixedSizeBinary => field.type_as_fixed_size_binary().is_some_and(|bytes| bytes.byteWidth() > 0),
        Type::Int => field.type_as_int().is_some_and(|int| int.is_signed() && matches!(int.bitWidth(), 16 | 32 | 64)),
        Type::FloatingPoint => {
            field.type_as_floating_point().is_some_and(|double| double.precision() == Precision::DOUBLE)
        }
        Type::Date => field.type_as_date().is_some_and(|date| date.unit() == DateUnit::DAY),
        Type::Time => {
            field.type_as_time().is_some_and(|time| time.bitWidth() == 32 && time.unit() == TimeUnit::MILLISECOND)
        }
        Type::Timestamp => field.type_as_timestamp().is_some_and(|time| time.unit() == TimeUnit::MICROSECOND),
        _ => false,
    }
}

/// Whether arrays of these types lie in the body of their message.
fn is_sound<'a>(batch: ipc::RecordBatch<'_>, types: impl IntoIterator<Item = &'a DataType>, body: &Buffer) -> bool {
    let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else { return false };
    let body_bytes = body.len() as u64;
    let mut parts = Parts { nodes: nodes.iter(), buffers: buffers.iter(), body_bytes, taken: 0 };
    batch.compression().is_none()
        && batch.variadicBufferCounts().is_none_or(|counts| counts.is_empty())
        && parts.rows(batch.length()).is_some()
        && types.into_iter().all(|data_type| parts.hold(data_type))
}

/// What is left of a message's arrays: the rows of each, and where its buffers lie.
struct Parts<N, B> {
    nodes: N,
    buffers: B,
    body_bytes: u64,
    /// Where the last buffer ends.
    taken: u64,
}

impl<'a, N: Iterator<Item = &'a FieldNode>, B: Iterator<Item = &'a ipc::Buffer>> Parts<N, B> {
    /// Whether the next of them make an array of this type.
    fn hold(&mut self, data_type: &DataType) -> bool {
        if !self.have_rows() {
            return false;
        }
        match data_type {
            DataType::Struct(members) => members.iter().all(|member| self.hold(member.data_type())),
            DataType::List(items) => self.buffer_of(OFFSET_BYTES) && self.hold(items.data_type()),
            DataType::Utf8 => self.buffer_of(OFFSET_BYTES) && self.buffer().is_some(),
            DataType::Dictionary(keys, _) => self.buffer_of(keys.primitive_width().unwrap_or(1)),
            _ => self.buffer().is_some(),
        }
    }

    /// Whether the next array says how many rows it has, and which of them are null.
    fn have_rows(&mut self) -> bool {
        let (Some(node), Some(nulls_bytes)) = (self.nodes.next(), self.buffer()) else { return false };
        let (Some(rows), Some(nulls)) = (self.rows(node.length()), self.rows(node.null_count())) else { return false };
        nulls == 0 || rows <= nulls_bytes.saturating_mul(8)
    }

    /// A number of rows: a bit of each is in the body at least.
    fn rows(&self, rows: i64) -> Option<u64> {
        u64::try_from(rows).ok().filter(|rows| *rows <= self.body_bytes.saturating_mul(8))
    }

    /// Whether the next buffer is of numbers of this width, and no part of one.
    fn buffer_of(&mut self, width: usize) -> bool {
        self.buffer().is_some_and(|bytes| bytes.is_multiple_of(width as u64))
    }

    /// How many bytes the next buffer has.
    fn buffer(&mut self) -> Option<u64> {
        let buffer = self.buffers.next()?;
        let (start, bytes) = (u64::try_from(buffer.offset()).ok()?, u64::try_from(buffer.length()).ok()?);
        let end = start.checked_add(bytes)?;
        (self.taken <= start && end <= self.body_bytes).then(|| {
            self.taken = end;
            bytes
        })
    }
}
