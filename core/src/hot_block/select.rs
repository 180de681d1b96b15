//! Which rows of a block have a text, told before any of them is made.

use std::ops::Range;

use super::HotBlockError;
use super::content::Unread;
use super::read::Valid;
use super::texts::{Found, Held};

/// Those of some rows that have this text in a column of texts, as ranges in order, which take no more than `limit_bytes`.
///
/// # Errors
///
/// When the column is not as a block holds one, or there are more ranges.
pub(super) fn rows_with(
    column: &[u8],
    rows: usize,
    text: &str,
    among: &[Range<usize>],
    limit_bytes: usize,
) -> Result<Vec<Range<usize>>, HotBlockError> {
    let mut column = Unread(column);
    let valid = match Valid::of(&mut column, rows)? {
        Valid::None => return Ok(Vec::new()),
        valid => valid,
    };
    let mut with = Found::within(limit_bytes);
    Held::of(&mut column, rows)?.rows_with(text, among, &mut with)?;
    let Valid::Some(_) = valid else { return Ok(with.ranges) };
    let mut found = Found::within(limit_bytes);
    found.rows(&with.ranges, |row| Ok(valid.has(row)))?;
    Ok(found.ranges)
}
