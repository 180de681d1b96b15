//! Which rows of a column have a value, and the definition levels that say so.

use std::ops::Range;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;

use super::hybrid;

/// Of the rows of one flat column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity<'a> {
    nulls: Option<&'a NullBuffer>,
    rows: usize,
    /// Whether the column may have nulls, by its schema: only then are there levels.
    optional: bool,
}

impl<'a> Validity<'a> {
    pub(super) fn new(column: &'a ArrayRef, optional: bool) -> Self {
        Self { nulls: column.nulls().filter(|nulls| nulls.null_count() > 0), rows: column.len(), optional }
    }

    /// All rows, null or not.
    pub(super) fn rows(self) -> usize {
        self.rows
    }

    /// The null buffer, if there is a null.
    pub(super) fn nulls(self) -> Option<&'a NullBuffer> {
        self.nulls
    }

    /// How many of these rows are null.
    pub(super) fn null_count(self, rows: &Range<usize>) -> usize {
        self.nulls.map_or(0, |nulls| nulls.slice(rows.start, rows.len()).null_count())
    }

    /// Appends the levels of these rows, as a data page of version 1 begins with them; nothing if the column has none.
    pub(super) fn levels(self, rows: Range<usize>, null_count: usize, out: &mut Vec<u8>) {
        if !self.optional {
            return;
        }
        let length = out.len();
        out.extend_from_slice(&[0; 4]);
        match self.nulls {
            Some(nulls) if null_count > 0 && null_count < rows.len() => {
                let levels: Vec<u32> = nulls.slice(rows.start, rows.len()).iter().map(u32::from).collect();
                hybrid::encode(&levels, 1, out);
            }
            _ => hybrid::repeat(u32::from(null_count == 0), rows.len(), 1, out),
        }
        let bytes = (out.len() - length - 4) as u32;
        out[length..length + 4].copy_from_slice(&bytes.to_le_bytes());
    }
}
