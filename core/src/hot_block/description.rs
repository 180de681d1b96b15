//! Which columns a block has.
//!
//! ```text
//! description  fields u16 | a field after the other
//! field        bytes of the name, u16 | name, UTF-8 | type u8, with 80 added if it may be null | of a list or a struct: description
//! ```
//!
//! Types are 1 for texts, 2 integers of 64 bits, 3 doubles, 4 booleans, 5 dates, 6 times in microseconds of UTC, 7 lists, whose description
//! has one field, and 8 structs. A dictionary of texts is texts here.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

use super::HotBlockError;
use super::content::Unread;

const TEXTS: u8 = 1;
const INTEGERS: u8 = 2;
const DOUBLES: u8 = 3;
const BOOLEANS: u8 = 4;
const DATES: u8 = 5;
const TIMES: u8 = 6;
const LISTS: u8 = 7;
const STRUCTS: u8 = 8;
/// Added to a type that may be null.
const NULLABLE: u8 = 0x80;
/// The longest description: what it describes takes fifty times as much. A schema's file is shorter.
const MOST_BYTES: usize = 1024 * 1024;
/// How many descriptions may lie in one another; a schema's limit is far below.
const DEPTH: usize = 64;
/// The zone of times.
const UTC: &str = "UTC";

/// The description of columns.
///
/// # Errors
///
/// When one has a type that no dataset has.
pub(super) fn write(fields: &Fields) -> Result<Vec<u8>, HotBlockError> {
    let mut described = Vec::new();
    write_fields(&mut described, fields)?;
    if described.len() > MOST_BYTES {
        return Err(HotBlockError::Content("its description is longer than a reader takes"));
    }
    Ok(described)
}

fn write_fields(described: &mut Vec<u8>, fields: &[FieldRef]) -> Result<(), HotBlockError> {
    let count = u16::try_from(fields.len()).map_err(|_| HotBlockError::Content("it has more than 65,535 columns"))?;
    described.extend_from_slice(&count.to_le_bytes());
    for field in fields {
        let name = field.name();
        let bytes = u16::try_from(name.len()).map_err(|_| HotBlockError::Content("a column's name is too long"))?;
        described.extend_from_slice(&bytes.to_le_bytes());
        described.extend_from_slice(name.as_bytes());
        let nullable = if field.is_nullable() { NULLABLE } else { 0 };
        let (code, below): (u8, Option<&[FieldRef]>) = match field.data_type() {
            DataType::Utf8 => (TEXTS, None),
            DataType::Dictionary(keys, values) if **keys == DataType::UInt32 && **values == DataType::Utf8 => {
                (TEXTS, None)
            }
            DataType::Int64 => (INTEGERS, None),
            DataType::Float64 => (DOUBLES, None),
            DataType::Boolean => (BOOLEANS, None),
            DataType::Date32 => (DATES, None),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == UTC => (TIMES, None),
            DataType::List(items) => (LISTS, Some(std::slice::from_ref(items))),
            DataType::Struct(members) => (STRUCTS, Some(members)),
            other => return Err(HotBlockError::Type(name.clone(), other.clone())),
        };
        described.push(code | nullable);
        if let Some(below) = below {
            write_fields(described, below)?;
        }
    }
    Ok(())
}

/// The columns that a description describes.
///
/// # Errors
///
/// When it is none.
pub(super) fn read(description: &[u8]) -> Result<Fields, HotBlockError> {
    if description.len() > MOST_BYTES {
        return Err(HotBlockError::Content("its description is longer than that of any dataset"));
    }
    let mut unread = Unread(description);
    let fields = read_fields(&mut unread, DEPTH)?;
    unread.ended()?;
    Ok(fields)
}

fn read_fields(unread: &mut Unread<'_>, depth: usize) -> Result<Fields, HotBlockError> {
    let depth = depth.checked_sub(1).ok_or(HotBlockError::Content("its columns lie too deep in one another"))?;
    let count = unread.u16()?;
    let mut fields: Vec<FieldRef> = Vec::new();
    for _ in 0..count {
        let bytes = unread.u16()?;
        let name = std::str::from_utf8(unread.take(bytes.into())?);
        let name = name.map_err(|_| HotBlockError::Content("a column's name is no text"))?;
        let code = unread.byte()?;
        let data_type = match code & !NULLABLE {
            TEXTS => DataType::Utf8,
            INTEGERS => DataType::Int64,
            DOUBLES => DataType::Float64,
            BOOLEANS => DataType::Boolean,
            DATES => DataType::Date32,
            TIMES => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            LISTS => match read_fields(unread, depth)?.as_ref() {
                [items] => DataType::List(items.clone()),
                _ => return Err(HotBlockError::Content("a list has no one type of items")),
            },
            STRUCTS => DataType::Struct(read_fields(unread, depth)?),
            _ => return Err(HotBlockError::Content("a column has a type that no block has")),
        };
        fields.push(Arc::new(Field::new(name, data_type, code & NULLABLE != 0)));
    }
    Ok(fields.into())
}
