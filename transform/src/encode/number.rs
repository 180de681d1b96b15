//! Columns of one number per row: integers, times, dates, doubles.

use std::cmp::Ordering;

use parquet::basic::Encoding;
use parquet::data_type::{AsBytes, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;

use super::bloom::Bloom;
use super::bounds::Bounds;
use super::chunk::{Chunk, Encoded};
use super::dictionary::{Dictionary, Entry, Repeats};
use super::pages::{self, PAGE_ROWS};
use super::validity::Validity;
use super::{delta, hybrid};

/// A type of number, and how it is encoded where its values do not repeat.
pub(super) trait Number: DataType {
    const ENCODING: Encoding;

    fn encode(values: &[Self::T], out: &mut Vec<u8>);

    /// The least and the greatest value; `None` when there is none.
    fn bounds(values: &[Self::T]) -> Option<Bounds<Self>>;
}

impl Number for Int64Type {
    const ENCODING: Encoding = Encoding::DELTA_BINARY_PACKED;

    fn encode(values: &[i64], out: &mut Vec<u8>) {
        delta::encode(values, out);
    }

    fn bounds(values: &[i64]) -> Option<(i64, i64)> {
        let first = *values.first()?;
        Some(values.iter().fold((first, first), |(low, high), value| (low.min(*value), high.max(*value))))
    }
}

impl Number for Int32Type {
    const ENCODING: Encoding = Encoding::DELTA_BINARY_PACKED;

    fn encode(values: &[i32], out: &mut Vec<u8>) {
        delta::encode(values, out);
    }

    fn bounds(values: &[i32]) -> Option<(i32, i32)> {
        let first = *values.first()?;
        Some(values.iter().fold((first, first), |(low, high), value| (low.min(*value), high.max(*value))))
    }
}

impl Number for DoubleType {
    const ENCODING: Encoding = Encoding::PLAIN;

    fn encode(values: &[f64], out: &mut Vec<u8>) {
        values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }

    /// NaN has no place among bounds, and zero is bounded by both of its signs (Apache Parquet, `parquet.thrift`,
    /// TypeDefinedOrder).
    fn bounds(values: &[f64]) -> Option<(f64, f64)> {
        let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (if *value < low { *value } else { low }, if *value > high { *value } else { high })
        });
        (low <= high).then_some((if low == 0.0 { -0.0 } else { low }, if high == 0.0 { 0.0 } else { high }))
    }
}

/// Encodes a column of numbers; `values` are those of the rows that have one.
pub(super) fn encode<T: Number>(
    values: &[T::T],
    validity: Validity<'_>,
    repeats: Repeats,
    mut chunk: Chunk<'_, T>,
    bloom: Bloom,
) -> Result<Encoded, ParquetError>
where
    T::T: Entry,
{
    let bounds = chunk.wants_bounds();
    let bounds = |values: &[T::T]| if bounds { T::bounds(values) } else { None };
    // In ascending order, numbers that are near have codes that are near, which compresses better.
    let dictionary = Dictionary::of(values, repeats).map(|dictionary| dictionary.ascending());
    let filter = match &dictionary {
        Some(dictionary) => bloom.filter(dictionary.values.iter().map(AsBytes::as_bytes)),
        None => bloom.filter(values.iter().map(AsBytes::as_bytes)),
    };
    let end = |row: usize| row + PAGE_ROWS;
    match dictionary {
        Some(dictionary) => {
            let plain: Vec<u8> = dictionary.values.iter().flat_map(|value| value.as_bytes().iter().copied()).collect();
            chunk.dictionary(&plain, dictionary.values.len())?;
            pages::write(&mut chunk, validity, end, |range, out| {
                hybrid::encode_codes(&dictionary.codes[range.clone()], out);
                (Encoding::RLE_DICTIONARY, bounds(&values[range]))
            })?;
        }
        None => pages::write(&mut chunk, validity, end, |range, out| {
            T::encode(&values[range.clone()], out);
            (T::ENCODING, bounds(&values[range]))
        })?,
    }
    chunk.close(filter)
}

impl Entry for i64 {
    fn key(self) -> u64 {
        self as u64
    }

    fn length(self) -> u32 {
        0
    }

    fn same(self, _: Self) -> bool {
        true
    }

    fn order(self, other: Self) -> Ordering {
        self.cmp(&other)
    }

    fn plain_bytes(self) -> usize {
        8
    }
}

impl Entry for i32 {
    fn key(self) -> u64 {
        self as u64
    }

    fn length(self) -> u32 {
        0
    }

    fn same(self, _: Self) -> bool {
        true
    }

    fn order(self, other: Self) -> Ordering {
        self.cmp(&other)
    }

    fn plain_bytes(self) -> usize {
        4
    }
}

impl Entry for f64 {
    /// The bits, so that the two zeros stay apart.
    fn key(self) -> u64 {
        self.to_bits()
    }

    fn length(self) -> u32 {
        0
    }

    fn same(self, _: Self) -> bool {
        true
    }

    fn order(self, other: Self) -> Ordering {
        self.total_cmp(&other)
    }

    fn plain_bytes(self) -> usize {
        8
    }
}
