//! Made-up rows of any columns: sorted, some values null, always the same.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, SchemaRef};

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000_000;

/// Rows whose values all differ a little, about every fifth null where a column may be null.
pub(in crate::encode) fn made(columns: &SchemaRef, range: Range<u64>) -> RecordBatch {
    let numbers: Vec<u64> = range.collect();
    let columns_of = |field: &Arc<Field>| common(field, &numbers).unwrap_or_else(|| any(field, &numbers, 0));
    RecordBatch::try_new(columns.clone(), columns.fields().iter().map(columns_of).collect()).unwrap()
}

/// Rows without a value wherever a column may be null.
pub(super) fn without_values(columns: &SchemaRef, range: Range<u64>) -> RecordBatch {
    let rows = made(columns, range);
    let emptied = |(field, values): (&Arc<Field>, &ArrayRef)| {
        if field.is_nullable() { new_null_array(field.data_type(), values.len()) } else { values.clone() }
    };
    let values = columns.fields().iter().zip(rows.columns()).map(emptied).collect();
    RecordBatch::try_new(columns.clone(), values).unwrap()
}

/// A number that looks drawn at random.
fn drawn(row: u64, salt: u64) -> u64 {
    let mixed = (row + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (salt + 7).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 16
}

/// The columns that every table has.
fn common(field: &Field, rows: &[u64]) -> Option<ArrayRef> {
    let text = |of: &dyn Fn(u64) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(*row))).collect::<StringArray>())
    };
    let time = |of: &dyn Fn(u64) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| of(*row))).with_timezone("UTC"))
    };
    let event_time = |row: u64| START + (row % 9) as i64 * 3_600_000_000 * 7 + (drawn(row, 1) % 999) as i64;
    Some(match field.name().as_str() {
        "event_id" => text(&|row| format!("{:012x}-{row:05}", drawn(row, 2))),
        "source" => text(&|row| format!("device-{:05}", row / 9)),
        "event_time" => time(&event_time),
        "event_date" => {
            let day = |row: &u64| event_time(*row).div_euclid(86_400_000_000) as i32;
            Arc::new(Date32Array::from_iter_values(rows.iter().map(day)))
        }
        "ingest_time" => time(&|_| START + 7 * 86_400_000_000),
        "owner" => text(&|_| "anna".to_owned()),
        _ => return None,
    })
}

fn any(field: &Field, rows: &[u64], depth: u64) -> ArrayRef {
    let salt = field.name().bytes().fold(depth, |salt, byte| salt.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let present = |row: u64| !field.is_nullable() || !drawn(row, salt + 1).is_multiple_of(5);
    let some = |row: &u64| present(*row).then(|| drawn(*row, salt));
    match field.data_type() {
        DataType::Utf8 => {
            let word = |n: u64| ["", "ok", "a longer text: äöü 🙂", "warn", "x"][n as usize % 5].to_owned();
            let of = |n: u64| if n.is_multiple_of(7) { format!("{n:x}") } else { word(n) };
            Arc::new(rows.iter().map(|row| some(row).map(of)).collect::<StringArray>())
        }
        DataType::Binary => {
            let bytes = rows.iter().map(|row| some(row).map(|n| n.to_le_bytes()[..n as usize % 8].to_vec()));
            Arc::new(bytes.collect::<BinaryArray>())
        }
        DataType::Int64 => {
            Arc::new(rows.iter().map(|row| some(row).map(|n| n as i64 % 100_000 - 500)).collect::<Int64Array>())
        }
        DataType::Float64 => {
            let of = |n: u64| if n.is_multiple_of(11) { -(n as f64) / 3.0 } else { (n % 40) as f64 / 4.0 };
            Arc::new(rows.iter().map(|row| some(row).map(of)).collect::<Float64Array>())
        }
        DataType::Boolean => Arc::new(rows.iter().map(|row| some(row).map(|n| n % 3 == 0)).collect::<BooleanArray>()),
        DataType::Date32 => {
            Arc::new(rows.iter().map(|row| some(row).map(|n| n as i32 % 30_000)).collect::<Date32Array>())
        }
        DataType::Timestamp(..) => {
            let times = rows.iter().map(|row| some(row).map(|n| START + (n % (1 << 40)) as i64));
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        DataType::Struct(fields) => {
            let children = fields.iter().map(|field| any(field, rows, salt)).collect();
            let nulls = NullBuffer::from_iter(rows.iter().map(|row| present(*row)));
            Arc::new(StructArray::new(fields.clone(), children, Some(nulls)))
        }
        DataType::List(item) => {
            let lengths = || rows.iter().map(|row| some(row).map_or(0, |n| n as usize % 4));
            let items: Vec<u64> = (0..lengths().sum::<usize>() as u64).map(|at| at + rows[0] * 10).collect();
            let nulls = NullBuffer::from_iter(rows.iter().map(|row| present(*row)));
            let offsets = OffsetBuffer::from_lengths(lengths());
            Arc::new(ListArray::new(item.clone(), offsets, any(item, &items, salt), Some(nulls)))
        }
        other => unreachable!("no column is {other}"),
    }
}
