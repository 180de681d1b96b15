//! Texts and numbers one after another, as they are collected.
//!
//! These stand in for Arrow's builders, whose buffers are aligned to more than the allocator gives by itself: such a buffer grows
//! by being copied into pages that nobody has touched yet. A vector grows in place, a large one by being mapped anew.

use arrow::array::{ArrowPrimitiveType, NullBufferBuilder, PrimitiveArray, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::ArrowNativeType;
use arrow::error::ArrowError;

/// A text, or none, for each row.
#[derive(Debug)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    /// Where the text of each row ends, after a first 0.
    ends: Vec<i32>,
    present: NullBufferBuilder,
}

/// A number, or none, for each row.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    values: Vec<T>,
    present: NullBufferBuilder,
}

impl Strings {
    pub(super) fn new() -> Self {
        Self::with_capacity(0, 0)
    }

    /// Nothing for each of these rows.
    pub(super) fn of_nulls(rows: usize) -> Self {
        let mut present = NullBufferBuilder::new(rows);
        present.append_n_nulls(rows);
        Self { bytes: Vec::new(), ends: vec![0; rows + 1], present }
    }

    pub(super) fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self { bytes: Vec::with_capacity(bytes), ends, present: NullBufferBuilder::new(rows) }
    }

    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len() as i32);
        self.present.append_non_null();
    }

    #[inline]
    pub(super) fn push_null(&mut self) {
        self.ends.push(self.bytes.len() as i32);
        self.present.append_null();
    }

    /// The bytes of all texts.
    pub(super) fn text_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes that the column takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(self.ends.as_slice())
    }

    /// The whole column; leaves none.
    ///
    /// # Errors
    ///
    /// When the texts take more than Arrow can address, 2 GiB.
    pub(super) fn finish(&mut self) -> Result<StringArray, ArrowError> {
        let Self { bytes, ends, mut present } = std::mem::replace(self, Self::new());
        if i32::try_from(bytes.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(bytes.len()));
        }
        StringArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes), present.finish())
    }
}

/// A number for each row, which takes no room as long as all are the same.
#[derive(Debug, Default)]
pub(super) struct Alike<T> {
    rows: usize,
    first: T,
    /// Of all rows, once there are two that differ.
    each: Vec<T>,
}

impl<T: Copy + PartialEq> Alike<T> {
    #[inline]
    pub(super) fn push(&mut self, value: T) {
        if self.rows == 0 {
            self.first = value;
        } else if self.each.is_empty() && value != self.first {
            self.each = vec![self.first; self.rows];
        }
        if !self.each.is_empty() {
            self.each.push(value);
        }
        self.rows += 1;
    }

    /// The numbers of these rows, in their order.
    pub(super) fn take(&self, rows: &[u32]) -> Vec<T> {
        if self.each.is_empty() {
            return vec![self.first; rows.len()];
        }
        rows.iter().map(|row| self.each[*row as usize]).collect()
    }

    /// The numbers of all rows.
    pub(super) fn all(&self) -> Vec<T> {
        if self.each.is_empty() { vec![self.first; self.rows] } else { self.each.clone() }
    }
}

impl<T> Numbers<T> {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), present: NullBufferBuilder::new(0) }
    }

    #[inline]
    pub(super) fn push(&mut self, value: T) {
        self.values.push(value);
        self.present.append_non_null();
    }

    /// The bytes that the column takes.
    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }
}

impl<T: ArrowNativeType> Numbers<T> {
    #[inline]
    pub(super) fn push_null(&mut self) {
        self.values.push(T::default());
        self.present.append_null();
    }

    /// The whole column; leaves none.
    pub(super) fn finish<A: ArrowPrimitiveType<Native = T>>(&mut self) -> PrimitiveArray<A> {
        let Self { values, mut present } = std::mem::replace(self, Self::new());
        PrimitiveArray::new(values.into(), present.finish())
    }
}

#[cfg(test)]
mod tests;
