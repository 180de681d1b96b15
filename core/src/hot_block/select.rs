//! Which rows of a block have a text, told before any of them is made.

use std::ops::Range;

use super::HotBlockError;
use super::content::Unread;
use super::read::Valid;
use super::texts::{Held, found};

/// Those of some rows that have this text in a column of texts, as ranges in order.
///
/// # Errors
///
/// When the column is not as a block holds one.
pub(super) fn rows_with(
    column: &[u8],
    rows: usize,
    text: &str,
    among: &[Range<usize>],
) -> Result<Vec<Range<usize>>, HotBlockError> {
    let mut column = Unread(column);
    let valid = match Valid::of(&mut column, rows)? {
        Valid::None => return Ok(Vec::new()),
        valid => valid,
    };
    let with = Held::of(&mut column, rows)?.rows_with(text, among)?;
    match valid {
        Valid::All | Valid::None => Ok(with),
        Valid::Some(_) => found(&with, |row| Ok(valid.has(row))),
    }
}
