//! Columns of one text, or of some bytes, per row.

use std::borrow::Cow;
use std::ops::Range;

use arrow::array::{Array, AsArray, DictionaryArray, GenericByteArray};
use arrow::compute::take;
use arrow::datatypes::{ArrowNativeType, ByteArrayType as ArrowBytes, UInt32Type};
use parquet::basic::Encoding;
use parquet::data_type::ByteArrayType;
use parquet::errors::ParquetError;

use super::bloom::Bloom;
use super::bounds::Bounds;
use super::chunk::{Chunk, Encoded};
use super::dictionary::{Dictionary, Repeats};
use super::pages::{self, PAGE_BYTES, PAGE_ROWS};
use super::validity::Validity;
use super::{delta, hybrid};

/// Encodes a column of texts.
pub(super) fn encode<A: ArrowBytes<Offset = i32>>(
    texts: &GenericByteArray<A>,
    validity: Validity<'_>,
    repeats: Repeats,
    chunk: Chunk<'_, ByteArrayType>,
    bloom: Bloom,
) -> Result<Encoded, ParquetError> {
    let offsets = texts.value_offsets();
    let bytes = texts.value_data();
    let of = |row: usize| &bytes[offsets[row].as_usize()..offsets[row + 1].as_usize()];
    let values: Vec<&[u8]> = match validity.nulls() {
        None => (0..validity.rows()).map(of).collect(),
        Some(nulls) => nulls.valid_indices().map(of).collect(),
    };
    let dictionary = Dictionary::of(&values, repeats);
    match dictionary {
        Some(dictionary) => with_dictionary(&dictionary, validity, chunk, bloom),
        None => without_dictionary(&values, offsets, validity, chunk, bloom),
    }
}

/// Encodes a column of texts that is a dictionary already, of all different values: the same bytes, for less work.
pub(super) fn encode_coded(
    column: &DictionaryArray<UInt32Type>,
    validity: Validity<'_>,
    repeats: Repeats,
    chunk: Chunk<'_, ByteArrayType>,
    bloom: Bloom,
) -> Result<Encoded, ParquetError> {
    let values = column.values().as_string::<i32>();
    let keys = column.keys().values();
    let keys: Cow<'_, [u32]> = match validity.nulls() {
        None => keys.as_ref().into(),
        Some(nulls) => nulls.valid_indices().map(|row| keys[row]).collect(),
    };
    match Dictionary::of_codes(&keys, values.len(), |code| values.value(code as usize).as_bytes(), repeats) {
        Some(dictionary) => with_dictionary(&dictionary, validity, chunk, bloom),
        None => encode(take(values, column.keys(), None)?.as_string::<i32>(), validity, Repeats::Never, chunk, bloom),
    }
}

fn with_dictionary(
    dictionary: &Dictionary<&[u8]>,
    validity: Validity<'_>,
    mut chunk: Chunk<'_, ByteArrayType>,
    bloom: Bloom,
) -> Result<Encoded, ParquetError> {
    let filter = bloom.filter(dictionary.values.iter().copied());
    let mut plain = Vec::new();
    for value in &dictionary.values {
        plain.extend_from_slice(&(value.len() as u32).to_le_bytes());
        plain.extend_from_slice(value);
    }
    chunk.dictionary(&plain, dictionary.values.len())?;
    let mut bounds = CodeBounds { seen: vec![0; dictionary.values.len()], page: 0 };
    let bounded = chunk.wants_bounds();
    pages::write(
        &mut chunk,
        validity,
        |row| row + PAGE_ROWS,
        |range, out| {
            let codes = &dictionary.codes[range];
            hybrid::encode_codes(codes, out);
            (Encoding::RLE_DICTIONARY, if bounded { bounds.of(codes, &dictionary.values) } else { None })
        },
    )?;
    chunk.close(filter)
}

/// Bounds of pages told from their codes: each value is compared once per page.
struct CodeBounds {
    /// By code: the number of the last page that has it.
    seen: Vec<u32>,
    page: u32,
}

impl CodeBounds {
    fn of(&mut self, codes: &[u32], values: &[&[u8]]) -> Option<Bounds<ByteArrayType>> {
        self.page += 1;
        let first = values[*codes.first()? as usize];
        let (mut low, mut high) = (first, first);
        for code in codes {
            let seen = &mut self.seen[*code as usize];
            if *seen != self.page {
                *seen = self.page;
                let value = values[*code as usize];
                low = low.min(value);
                high = high.max(value);
            }
        }
        Some((low.to_vec().into(), high.to_vec().into()))
    }
}

/// Lengths first, packed, then the texts: nothing stands between them that would have to be compressed.
fn without_dictionary(
    values: &[&[u8]],
    offsets: &[i32],
    validity: Validity<'_>,
    mut chunk: Chunk<'_, ByteArrayType>,
    bloom: Bloom,
) -> Result<Encoded, ParquetError> {
    let filter = bloom.filter(values.iter().copied());
    let bounded = chunk.wants_bounds();
    let end = |row: usize| {
        let most = row + PAGE_ROWS.min(validity.rows() - row);
        let full = offsets[row].saturating_add(PAGE_BYTES as i32);
        row + offsets[row + 1..most].partition_point(|offset| *offset < full) + 1
    };
    let mut lengths = Vec::new();
    pages::write(&mut chunk, validity, end, |range: Range<usize>, out| {
        let values = &values[range];
        lengths.clear();
        lengths.extend(values.iter().map(|value| value.len() as i32));
        delta::encode(&lengths, out);
        values.iter().for_each(|value| out.extend_from_slice(value));
        (Encoding::DELTA_LENGTH_BYTE_ARRAY, if bounded { bounds(values) } else { None })
    })?;
    chunk.close(filter)
}

/// The least and the greatest of some texts. Most comparisons are of their first eight bytes alone.
fn bounds(values: &[&[u8]]) -> Option<Bounds<ByteArrayType>> {
    let first = *values.first()?;
    let (mut low, mut high) = ((prefix(first), first), (prefix(first), first));
    for value in values {
        let value = (prefix(value), *value);
        if value.0 <= low.0 {
            low = low.min(value);
        }
        if value.0 >= high.0 {
            high = high.max(value);
        }
    }
    Some((low.1.to_vec().into(), high.1.to_vec().into()))
}

/// The first eight bytes as a number that orders as they do; of a shorter text, with zeros for those missing.
fn prefix(value: &[u8]) -> u64 {
    match value.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => value.iter().rev().fold(0, |number, byte| number >> 8 | u64::from(*byte) << 56),
    }
}
