//! A column's rows cut into data pages.

use std::ops::Range;

use parquet::basic::Encoding;
use parquet::data_type::DataType;
use parquet::errors::ParquetError;

use super::bounds::Bounds;
use super::chunk::{Chunk, PageContent};
use super::validity::Validity;

/// The most rows of a page: what a query that needs one row must decode.
pub(super) const PAGE_ROWS: usize = 20_000;
/// The bytes that a page of texts has before it is compressed, but for its last row.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;

/// Writes all rows. `end` tells where the page that begins with a row may end; `values` appends the values of a range,
/// counted without nulls, and says how they are encoded and what bounds them.
pub(super) fn write<T: DataType>(
    chunk: &mut Chunk<'_, T>,
    validity: Validity<'_>,
    end: impl Fn(usize) -> usize,
    mut values: impl FnMut(Range<usize>, &mut Vec<u8>) -> (Encoding, Option<Bounds<T>>),
) -> Result<(), ParquetError> {
    let mut data = Vec::new();
    let (mut row, mut value) = (0, 0);
    while row < validity.rows() {
        let rows = row..end(row).min(validity.rows());
        let nulls = validity.null_count(&rows);
        let present = value..value + rows.len() - nulls;
        data.clear();
        validity.levels(rows.clone(), nulls, &mut data);
        let (encoding, bounds) = if present.is_empty() {
            // The one encoding that needs no bytes for no values.
            (Encoding::PLAIN, None)
        } else {
            values(present.clone(), &mut data)
        };
        chunk.page(&data, PageContent { rows: rows.len(), nulls, encoding, bounds })?;
        (row, value) = (rows.end, present.end);
    }
    Ok(())
}
