//! Whole numbers in as few bytes as they need beside the least of them.
//!
//! ```text
//! numbers  least i64 | unit u8: 0 for 1, 1 for 1,000 | width u8: 0, 1, 2, 4 or 8 | of each row, so many bytes: (its number - least) / unit
//! ```
//!
//! A row without a number has one all the same, which means nothing.

use std::ops::Range;

use super::HotBlockError;
use super::content::Unread;

const THOUSANDS: u8 = 1;

/// Writes numbers, of which those of rows without one count for nothing.
pub(super) fn write(out: &mut Vec<u8>, numbers: &[i64], is_valid: Option<&dyn Fn(usize) -> bool>) {
    let valid = |at: &usize| is_valid.is_none_or(|is_valid| is_valid(*at));
    let (least, most) = match is_valid {
        None => numbers.iter().fold((i64::MAX, i64::MIN), |(least, most), n| (least.min(*n), most.max(*n))),
        Some(_) => (0..numbers.len())
            .filter(valid)
            .fold((i64::MAX, i64::MIN), |(least, most), at| (least.min(numbers[at]), most.max(numbers[at]))),
    };
    let (least, most) = if least > most { (0, 0) } else { (least, most) };
    let above = |number: i64| number.wrapping_sub(least) as u64;
    let most = above(most);
    // Times that came in milliseconds.
    let in_thousands = most >= 1_000
        && match is_valid {
            None => numbers.iter().all(|number| above(*number).is_multiple_of(1_000)),
            Some(_) => (0..numbers.len()).filter(valid).all(|at| above(numbers[at]).is_multiple_of(1_000)),
        };
    let most = if in_thousands { most / 1_000 } else { most };
    out.extend_from_slice(&least.to_le_bytes());
    out.push(if in_thousands { THOUSANDS } else { 0 });
    let held = |number: &i64| if in_thousands { above(*number) / 1_000 } else { above(*number) };
    match most {
        0 => out.push(0),
        1..=0xFF => {
            out.push(1);
            out.extend(numbers.iter().map(|number| held(number) as u8));
        }
        0x100..=0xFFFF => {
            out.push(2);
            out.extend(numbers.iter().flat_map(|number| (held(number) as u16).to_le_bytes()));
        }
        0x1_0000..=0xFFFF_FFFF => {
            out.push(4);
            out.extend(numbers.iter().flat_map(|number| (held(number) as u32).to_le_bytes()));
        }
        _ => {
            out.push(8);
            out.extend(numbers.iter().flat_map(|number| held(number).to_le_bytes()));
        }
    }
}

/// Numbers of rows, as they are held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    least: i64,
    unit: i64,
    width: usize,
    held: &'a [u8],
}

impl<'a> Numbers<'a> {
    pub(super) fn of(column: &mut Unread<'a>, rows: usize) -> Result<Self, HotBlockError> {
        let least = column.i64()?;
        let unit = match column.byte()? {
            0 => 1,
            THOUSANDS => 1_000,
            _ => return Err(HotBlockError::Content("numbers have an unknown unit")),
        };
        let width = usize::from(column.byte()?);
        if !matches!(width, 0 | 1 | 2 | 4 | 8) {
            return Err(HotBlockError::Content("numbers have an unknown width"));
        }
        Ok(Self { least, unit, width, held: column.items(rows, width)? })
    }

    /// Adds the numbers of some rows to others, as `of` makes them.
    pub(super) fn add_to<T>(&self, numbers: &mut Vec<T>, rows: &Range<usize>, of: impl Fn(i64) -> T) {
        let number = |held: u64| of(self.least.wrapping_add((held as i64).wrapping_mul(self.unit)));
        let held = &self.held[rows.start * self.width..rows.end * self.width];
        fn of_width<const N: usize>(held: &[u8]) -> impl Iterator<Item = [u8; N]> {
            held.chunks_exact(N).map(|bytes| bytes.try_into().expect("so many at a time"))
        }
        match self.width {
            0 => numbers.extend(rows.clone().map(|_| number(0))),
            1 => numbers.extend(held.iter().map(|byte| number(u64::from(*byte)))),
            2 => numbers.extend(of_width(held).map(|bytes| number(u64::from(u16::from_le_bytes(bytes))))),
            4 => numbers.extend(of_width(held).map(|bytes| number(u64::from(u32::from_le_bytes(bytes))))),
            _ => numbers.extend(of_width(held).map(|bytes| number(u64::from_le_bytes(bytes)))),
        }
    }
}

#[cfg(test)]
mod tests;
