//! How columns hold texts.
//!
//! ```text
//! texts of rows  form u8 | by form:
//!   0  texts
//!   1  values u32 | their texts | width u8: 1, 2 or 4 | of each row, the number of its value
//!   2  runs u32 | their texts | width u8: 2 or 4 | of each run, the number of the first row after it
//!   3  of each row 16 bytes, the bits of a UUID as RFC 9562 writes it
//!   4  of each row 16 bytes, the bits of 32 lower-case hexadecimal digits
//! texts          width u8: 2 or 4 | where each ends | their bytes, UTF-8
//! ```
//!
//! Rows without a text have an empty one, or any that is there already.

use std::ops::Range;

use super::HotBlockError;
use super::content::Unread;
use super::digits::Form;
use super::select::Wanted;

pub(super) const PLAIN: u8 = 0;
pub(super) const KEYS: u8 = 1;
pub(super) const RUNS: u8 = 2;
pub(super) const UUIDS: u8 = 3;
pub(super) const HEX: u8 = 4;

/// Writes places within something, of which the last is the greatest.
pub(super) fn write_ends(out: &mut Vec<u8>, ends: impl Iterator<Item = usize>, last: usize) {
    if last <= usize::from(u16::MAX) {
        out.push(2);
        out.extend(ends.flat_map(|end| (end as u16).to_le_bytes()));
    } else {
        out.push(4);
        out.extend(ends.flat_map(|end| (end as u32).to_le_bytes()));
    }
}

/// Writes texts.
pub(super) fn write<'a>(out: &mut Vec<u8>, texts: impl Iterator<Item = &'a str> + Clone) {
    let all_bytes = texts.clone().map(str::len).sum();
    let ends = texts.clone().scan(0, |end, text| {
        *end += text.len();
        Some(*end)
    });
    write_ends(out, ends, all_bytes);
    out.reserve(all_bytes);
    texts.for_each(|text| out.extend_from_slice(text.as_bytes()));
}

/// Numbers of an unsigned kind, all as wide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    width: usize,
    held: &'a [u8],
}

impl<'a> Places<'a> {
    /// So many of them, with their width before them.
    pub(super) fn of(unread: &mut Unread<'a>, count: usize) -> Result<Self, HotBlockError> {
        let width = usize::from(unread.byte()?);
        if !matches!(width, 1 | 2 | 4) {
            return Err(HotBlockError::Content("places have an unknown width"));
        }
        Ok(Self { width, held: unread.items(count, width)? })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.held.len() / self.width
    }

    /// One that is there.
    #[inline]
    pub(super) fn at(&self, at: usize) -> usize {
        let bytes = &self.held[at * self.width..];
        match self.width {
            1 => usize::from(bytes[0]),
            2 => usize::from(u16::from_le_bytes([bytes[0], bytes[1]])),
            _ => u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize,
        }
    }

    /// The last; 0: there is none.
    pub(super) fn last(&self) -> usize {
        self.count().checked_sub(1).map_or(0, |last| self.at(last))
    }
}

/// Some texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'a> {
    ends: Places<'a>,
    bytes: &'a [u8],
}

impl<'a> Texts<'a> {
    fn of(unread: &mut Unread<'a>, count: usize) -> Result<Self, HotBlockError> {
        let ends = Places::of(unread, count)?;
        Ok(Self { ends, bytes: unread.take(ends.last())? })
    }

    fn count(&self) -> usize {
        self.ends.count()
    }

    #[inline]
    fn at(&self, at: usize) -> Result<&'a [u8], HotBlockError> {
        let before = if at == 0 { 0 } else { self.ends.at(at - 1) };
        self.bytes.get(before..self.ends.at(at)).ok_or(HotBlockError::Content("a text ends before it begins"))
    }
}

/// A column of texts as a block holds it, whatever of its rows have none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Held<'a> {
    Plain(Texts<'a>),
    Keys(Texts<'a>, Places<'a>),
    Runs(Texts<'a>, Places<'a>),
    Bits(Form, &'a [u8]),
}

impl<'a> Held<'a> {
    pub(super) fn of(column: &mut Unread<'a>, rows: usize) -> Result<Self, HotBlockError> {
        Ok(match column.byte()? {
            PLAIN => Self::Plain(Texts::of(column, rows)?),
            KEYS => {
                let values = column.count()?;
                Self::Keys(Texts::of(column, values)?, Places::of(column, rows)?)
            }
            RUNS => {
                let runs = column.count()?;
                let (texts, ends) = (Texts::of(column, runs)?, Places::of(column, runs)?);
                if ends.last() != rows || (1..runs).any(|run| ends.at(run) < ends.at(run - 1)) {
                    return Err(HotBlockError::Content("runs of a text do not make up the rows"));
                }
                Self::Runs(texts, ends)
            }
            UUIDS => Self::Bits(Form::Uuid, column.items(rows, Form::BYTES)?),
            HEX => Self::Bits(Form::Hex, column.items(rows, Form::BYTES)?),
            _ => return Err(HotBlockError::Content("texts are held in an unknown form")),
        })
    }

    /// Gives the text of each of some rows to `add`, in their order.
    pub(super) fn each(
        &self,
        rows: &Range<usize>,
        mut add: impl FnMut(&[u8]) -> Result<(), HotBlockError>,
    ) -> Result<(), HotBlockError> {
        match self {
            Self::Plain(texts) => rows.clone().try_for_each(|row| add(texts.at(row)?)),
            Self::Keys(values, keys) => rows.clone().try_for_each(|row| {
                let key = keys.at(row);
                if key >= values.count() {
                    return Err(HotBlockError::Content("a row names a text that is not there"));
                }
                add(values.at(key)?)
            }),
            Self::Runs(texts, ends) => {
                let first = first_run_with(ends, rows.start);
                let mut row = rows.start;
                for run in first..ends.count() {
                    if row >= rows.end {
                        break;
                    }
                    let text = texts.at(run)?;
                    while row < ends.at(run).min(rows.end) {
                        add(text)?;
                        row += 1;
                    }
                }
                Ok(())
            }
            Self::Bits(form, bits) => {
                let mut text = [0; Form::LONGEST];
                rows.clone().try_for_each(|row| add(form.text(&bits[row * Form::BYTES..][..Form::BYTES], &mut text)))
            }
        }
    }

    /// Finds those of some rows that have what is wanted.
    pub(super) fn rows_with(
        &self,
        wanted: Wanted<'_>,
        among: &[Range<usize>],
        found: &mut Found,
    ) -> Result<(), HotBlockError> {
        match self {
            Self::Plain(texts) => found.rows(among, |row| Ok(wanted.is(texts.at(row)?))),
            Self::Keys(values, keys) => {
                // A dictionary may hold a text more than once.
                let are = (0..values.count()).map(|value| Ok(wanted.is(values.at(value)?)));
                let are: Vec<bool> = are.collect::<Result<_, HotBlockError>>()?;
                if !are.contains(&true) {
                    return Ok(());
                }
                found.rows(among, |row| Ok(are.get(keys.at(row)) == Some(&true)))
            }
            Self::Runs(texts, ends) => {
                // Both come in the order of rows.
                let mut at = 0;
                for run in 0..ends.count() {
                    if !wanted.is(texts.at(run)?) {
                        continue;
                    }
                    let of_run = if run == 0 { 0 } else { ends.at(run - 1) }..ends.at(run);
                    while let Some(one) = among.get(at).filter(|one| one.start < of_run.end) {
                        let met = one.start.max(of_run.start)..one.end.min(of_run.end);
                        if !met.is_empty() {
                            found.add(met)?;
                        }
                        if one.end > of_run.end {
                            // What is left of it may be of a later run.
                            break;
                        }
                        at += 1;
                    }
                }
                Ok(())
            }
            Self::Bits(form, bits) => wanted.rows_of_bits(*form, bits, among, found),
        }
    }
}

/// The first run that has a row from this one on.
fn first_run_with(ends: &Places<'_>, row: usize) -> usize {
    let (mut low, mut high) = (0, ends.count());
    while low < high {
        let middle = low + (high - low) / 2;
        if ends.at(middle) <= row { low = middle + 1 } else { high = middle }
    }
    low
}

/// Rows that were found, as ranges in order, no more of them than may be held.
#[derive(Debug)]
pub(super) struct Found {
    most: usize,
    pub(super) ranges: Vec<Range<usize>>,
}

impl Found {
    /// None yet, of which the ranges may take so many bytes.
    pub(super) fn within(limit_bytes: usize) -> Self {
        Self { most: limit_bytes / size_of::<Range<usize>>(), ranges: Vec::new() }
    }

    fn add(&mut self, rows: Range<usize>) -> Result<(), HotBlockError> {
        if let Some(last) = self.ranges.last_mut().filter(|last| last.end == rows.start) {
            last.end = rows.end;
            return Ok(());
        }
        if self.ranges.len() >= self.most {
            let limit_bytes = self.most * size_of::<Range<usize>>();
            return Err(HotBlockError::TooLarge { expands_to: limit_bytes as u64 + 1, limit_bytes });
        }
        self.ranges.push(rows);
        Ok(())
    }

    /// Adds those of some rows of which `is_wanted` says so.
    pub(super) fn rows(
        &mut self,
        among: &[Range<usize>],
        is_wanted: impl Fn(usize) -> Result<bool, HotBlockError>,
    ) -> Result<(), HotBlockError> {
        for row in among.iter().cloned().flatten() {
            if is_wanted(row)? {
                self.add(row..row + 1)?;
            }
        }
        Ok(())
    }
}
