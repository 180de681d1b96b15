//! Blocks of hot chunks: any bytes, any content behind a right checksum, and blocks as they are written.

use std::sync::Arc;

use alluvium_core::hot_block::{HotBlockError, HotBlockReader, HotBlockWriter, read_block};
use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{cast, filter_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::pick::Pick;

/// Low enough that a fuzzer's inputs come past it.
const LIMIT_BYTES: usize = 256 * 1024;

/// Any bytes as a block. The first byte says how they are used.
pub fn hot_block(bytes: &[u8]) {
    let mut pick = Pick(bytes);
    match pick.byte() {
        0 => read(pick.rest()),
        1 => {
            let content = pick.rest();
            read_in_part(&block_of(content.len(), &lz4_flex::block::compress(content)));
        }
        2 => {
            let content = pick.rest();
            read(&block_of(content.len(), &lz4_flex::block::compress(content)));
        }
        3 => {
            let content_bytes = pick.number();
            read(&block_of(content_bytes, pick.rest()));
        }
        form => found_again(pick, form),
    }
}

/// A block with a right checksum.
fn block_of(content_bytes: usize, content: &[u8]) -> Vec<u8> {
    let checked = [&(content_bytes as u32).to_le_bytes(), content].concat();
    [b"ALH3", &crc32c::crc32c(&checked).to_le_bytes()[..], &checked].concat()
}

/// A block is refused, or its rows are written and read again.
fn read(block: &[u8]) {
    match read_block(block, LIMIT_BYTES) {
        Ok(rows) if is_of_dataset(&rows) => written_and_read(&rows, &rows),
        Ok(_) => {}
        Err(HotBlockError::TooLarge { expands_to, limit_bytes }) => assert!(expands_to > limit_bytes as u64),
        Err(_) => {}
    }
    assert!(read_block(block, 0).is_err(), "no block is of nothing");
}

/// What a block has of a text and of some columns is what the whole of it says.
fn read_in_part(block: &[u8]) {
    let of_source = HotBlockReader::new(LIMIT_BYTES).read_with(block, &[("source", "a")]);
    let Ok(all) = read_block(block, LIMIT_BYTES) else { return };
    match of_source {
        Ok(found) => {
            let sources = all.column_by_name("source").unwrap().as_string::<i32>();
            let wanted: BooleanArray = sources.iter().map(|source| Some(source == Some("a"))).collect();
            let expected = filter_record_batch(&all, &wanted).unwrap();
            match found {
                Some(found) => assert_same(&found, &expected),
                None => assert_eq!(expected.num_rows(), 0),
            }
        }
        Err(HotBlockError::NoTexts(_)) => {}
        Err(error) => panic!("the whole can be read, and a part cannot: {error}"),
    }
    let names: Vec<&str> = all.schema_ref().fields().iter().step_by(2).map(|field| field.name().as_str()).collect();
    let some = HotBlockReader::of_columns(LIMIT_BYTES, &names).read_with(block, &[]).unwrap().unwrap();
    for (field, column) in some.schema_ref().fields().iter().zip(some.columns()) {
        let is_one = |(other, of_all): (&Arc<Field>, &ArrayRef)| other == field && of_all == column;
        assert!(all.schema_ref().fields().iter().zip(all.columns()).any(is_one), "{field:?}");
    }
}

/// Whether a dataset may have such columns.
fn is_of_dataset(rows: &RecordBatch) -> bool {
    rows.num_columns() > 0 && rows.schema_ref().fields().iter().all(|field| is_plain(field))
}

fn is_plain(field: &Field) -> bool {
    field.metadata().is_empty()
        && match field.data_type() {
            DataType::Utf8 | DataType::Boolean | DataType::Int64 | DataType::Float64 | DataType::Date32 => true,
            DataType::Timestamp(TimeUnit::Microsecond, zone) => zone.as_deref() == Some("UTC"),
            DataType::List(items) => is_plain(items),
            DataType::Struct(members) => !members.is_empty() && members.iter().all(|member| is_plain(member)),
            _ => false,
        }
}

/// What is written of `rows` is read as `plain`, within what the writer says that it expands to.
fn written_and_read(rows: &RecordBatch, plain: &RecordBatch) {
    let mut writer = HotBlockWriter::default();
    let block = writer.write(rows).unwrap();
    assert_same(&read_block(&block, writer.expanded_bytes()).unwrap(), plain);
    assert!(writer.write(rows).unwrap() == block, "the same rows give the same bytes");
}

/// The same columns with the same values, doubles to the bit.
fn assert_same(one: &RecordBatch, other: &RecordBatch) {
    let types = |rows: &RecordBatch| rows.columns().iter().map(|column| column.data_type().clone()).collect::<Vec<_>>();
    assert_eq!(types(one), types(other));
    assert_eq!(one.num_rows(), other.num_rows());
    assert!(one.columns() == other.columns(), "{one:?} {other:?}");
}

/// Rows are made of the input, and come back: all of them, and some in another order.
fn found_again(mut pick: Pick<'_>, form: u8) {
    const MOST_ROWS: usize = 600;
    const MOST_COLUMNS: usize = 8;
    let count = pick.number() % MOST_ROWS + 1;
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    while !pick.0.is_empty() && columns.len() < MOST_COLUMNS {
        let (kind, length) = (pick.byte(), usize::from(pick.byte()).min(pick.0.len()));
        let (values, rest) = pick.0.split_at(length);
        pick.0 = rest;
        let name = match kind & 7 {
            TIME => "event_time".to_owned(),
            DATE => "event_date".to_owned(),
            _ => format!("c{}", columns.len()),
        };
        columns.push((name, column(kind, values, count)));
    }
    if columns.is_empty() {
        return;
    }
    let plain = batch(columns.iter().cloned());
    let shared = batch(columns.into_iter().map(|(name, column)| (name, shared(column, form))));
    written_and_read(&shared, &plain);
    let some: Vec<u32> = (0..count as u32).rev().filter(|row| row % 3 != u32::from(form % 3)).collect();
    let mut writer = HotBlockWriter::default();
    let block = writer.write_rows(&shared, &some).unwrap();
    let rows = read_block(&block, writer.expanded_bytes()).unwrap();
    assert_same(&rows, &take_record_batch(&plain, &UInt32Array::from(some)).unwrap());
}

fn batch(columns: impl Iterator<Item = (String, ArrayRef)>) -> RecordBatch {
    let (fields, columns): (Vec<_>, Vec<_>) =
        columns.map(|(name, column)| (Field::new(name, column.data_type().clone(), true), column)).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Texts as the transform hands them over: as a dictionary.
fn shared(column: ArrayRef, form: u8) -> ArrayRef {
    let dictionary = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
    match column.data_type() {
        DataType::Utf8 if form & 4 != 0 => cast(&column, &dictionary).unwrap(),
        _ => column,
    }
}

/// The kinds whose columns have a name that means something.
const TIME: u8 = 5;
const DATE: u8 = 6;

/// A column of so many rows, whose values come from the input by turns; the upper bits of `kind` say how.
fn column(kind: u8, values: &[u8], count: usize) -> ArrayRef {
    let step = usize::from(kind >> 3 & 7) + 1;
    let piece = |row: usize| {
        let at = (row * step).checked_rem(values.len()).unwrap_or_default();
        &values[at..values.len().min(at + step)]
    };
    let number = |row| piece(row).iter().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    let is_valid = |row: usize| kind & 0x80 == 0 || !piece(row).first().is_some_and(|byte| byte.is_multiple_of(5));
    let valid = |row: &usize| is_valid(*row);
    let signed = |row| number(row).wrapping_sub(1 << (8 * step.min(7) - 1));
    let rows = 0..count;
    match kind & 7 {
        0 => Arc::new(rows.map(|row| valid(&row).then(|| text(piece(row)))).collect::<StringArray>()),
        // As long as digits that are held as bits.
        1 => Arc::new(rows.map(|row| valid(&row).then(|| id(piece(row), kind))).collect::<StringArray>()),
        2 => Arc::new(rows.map(|row| valid(&row).then(|| signed(row))).collect::<Int64Array>()),
        3 => Arc::new(rows.map(|row| valid(&row).then(|| double(number(row), kind))).collect::<Float64Array>()),
        4 => Arc::new(rows.map(|row| valid(&row).then(|| number(row) % 2 == 0)).collect::<BooleanArray>()),
        TIME => {
            let unit = if kind & 0x40 == 0 { 1_000 } else { 1 };
            let times = rows.map(|row| valid(&row).then(|| number(row).wrapping_mul(unit)));
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        DATE => Arc::new(rows.map(|row| valid(&row).then(|| number(row) as i32)).collect::<Date32Array>()),
        _ => Arc::new(rows.map(|row| valid(&row).then_some(row as i64)).collect::<Int64Array>()),
    }
}

fn text(piece: &[u8]) -> String {
    String::from_utf8_lossy(piece).into_owned()
}

/// Hexadecimal digits: as a UUID has them, or a derived id, or nearly so.
fn id(piece: &[u8], kind: u8) -> String {
    let bits = piece.iter().fold(0_u128, |bits, byte| bits.rotate_left(29) ^ u128::from(*byte));
    let digits = format!("{bits:032x}");
    match kind & 0x40 {
        0 => digits,
        _ => [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-"),
    }
}

/// Any double by its bits, or a decimal.
fn double(number: i64, kind: u8) -> f64 {
    match kind & 0x40 {
        0 => number as f64 / 100.0,
        _ => f64::from_bits(number as u64),
    }
}
