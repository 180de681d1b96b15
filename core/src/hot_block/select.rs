//! Which rows of a block have a text, told before any of them is made.

use std::collections::HashSet;
use std::ops::Range;

use ahash::RandomState;

use super::HotBlockError;
use super::content::Unread;
use super::digits::Form;
use super::read::Valid;
use super::texts::{Found, Held};

/// Texts of which rows are looked for all at once.
#[derive(Debug, Default)]
pub struct TextSet {
    texts: HashSet<Vec<u8>, RandomState>,
    /// Those of them that a block may hold as bits.
    uuids: HashSet<[u8; Form::BYTES], RandomState>,
    hex: HashSet<[u8; Form::BYTES], RandomState>,
}

impl<'a> FromIterator<&'a str> for TextSet {
    fn from_iter<T: IntoIterator<Item = &'a str>>(texts: T) -> Self {
        let mut set = Self::default();
        for text in texts.into_iter().map(str::as_bytes) {
            set.uuids.extend(Form::Uuid.bits(text));
            set.hex.extend(Form::Hex.bits(text));
            set.texts.insert(text.to_vec());
        }
        set
    }
}

/// What a row has to have in a column of texts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    Text(&'a str),
    AnyOf(&'a TextSet),
}

impl Wanted<'_> {
    #[inline]
    pub(super) fn is(&self, text: &[u8]) -> bool {
        match self {
            Self::Text(wanted) => text == wanted.as_bytes(),
            Self::AnyOf(set) => set.texts.contains(text),
        }
    }

    /// Finds those of some rows whose text, held as these bits, is wanted.
    pub(super) fn rows_of_bits(
        &self,
        form: Form,
        bits: &[u8],
        among: &[Range<usize>],
        found: &mut Found,
    ) -> Result<(), HotBlockError> {
        let of_row = |row: usize| &bits[row * Form::BYTES..][..Form::BYTES];
        match self {
            Self::Text(text) => match form.bits(text.as_bytes()) {
                Some(wanted) => found.rows(among, |row| Ok(of_row(row) == wanted)),
                None => Ok(()),
            },
            Self::AnyOf(set) => {
                let set = match form {
                    Form::Uuid => &set.uuids,
                    Form::Hex => &set.hex,
                };
                found.rows(among, |row| Ok(set.contains(of_row(row))))
            }
        }
    }
}

/// Those of some rows that have what is wanted in a column of texts, as ranges in order, which take no more than `limit_bytes`.
///
/// # Errors
///
/// When the column is not as a block holds one, or there are more ranges.
pub(super) fn rows_with(
    column: &[u8],
    rows: usize,
    wanted: Wanted<'_>,
    among: &[Range<usize>],
    limit_bytes: usize,
) -> Result<Vec<Range<usize>>, HotBlockError> {
    let mut column = Unread(column);
    let valid = match Valid::of(&mut column, rows)? {
        Valid::None => return Ok(Vec::new()),
        valid => valid,
    };
    let mut with = Found::within(limit_bytes);
    Held::of(&mut column, rows)?.rows_with(wanted, among, &mut with)?;
    let Valid::Some(_) = valid else { return Ok(with.ranges) };
    let mut found = Found::within(limit_bytes);
    found.rows(&with.ranges, |row| Ok(valid.has(row)))?;
    Ok(found.ranges)
}
