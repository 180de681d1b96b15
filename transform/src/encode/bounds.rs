//! The least and the greatest value of some rows, and how Parquet's statistics hold them.

use parquet::basic::Type;
use parquet::data_type::{AsBytes, DataType};

/// How many bytes of a text are kept in statistics.
const TEXT_BYTES: usize = 64;

/// The least and the greatest value, the least first.
pub(super) type Bounds<T> = (<T as DataType>::T, <T as DataType>::T);

/// Bounds that hold what both hold.
pub(super) fn joined<T: DataType>(known: Option<Bounds<T>>, new: Option<Bounds<T>>) -> Option<Bounds<T>> {
    match (known, new) {
        (Some((low, high)), Some((lower, higher))) => {
            Some((if lower < low { lower } else { low }, if higher > high { higher } else { high }))
        }
        (known, new) => known.or(new),
    }
}

/// Bytes that are never greater than the value, and whether they are the value.
pub(super) fn low<T: DataType>(value: &T::T) -> (&[u8], bool) {
    let bytes = value.as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) if T::get_physical_type() == Type::BYTE_ARRAY && bytes.len() > TEXT_BYTES => {
            (&text.as_bytes()[..text.floor_char_boundary(TEXT_BYTES)], false)
        }
        _ => (bytes, true),
    }
}

/// Bytes that are never less than the value, and whether they are the value.
pub(super) fn high<T: DataType>(value: &T::T) -> (Vec<u8>, bool) {
    let (cut, exact) = low::<T>(value);
    if exact {
        return (cut.to_vec(), true);
    }
    let text = std::str::from_utf8(cut).expect("cut at a character");
    for (at, last) in text.char_indices().rev() {
        // The next character, if it is not longer; a character that has none is left off.
        let next = char::from_u32(u32::from(last) + 1).filter(|next| next.len_utf8() == last.len_utf8());
        if let Some(next) = next {
            return (format!("{}{next}", &text[..at]).into_bytes(), false);
        }
    }
    (value.as_bytes().to_vec(), true)
}
