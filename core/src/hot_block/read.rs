//! Columns as a block holds them, made arrays again: of some rows alone, and within a limit.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};

use super::HotBlockError;
use super::content::Unread;
use super::decimals::POWERS;
use super::numbers::Numbers;
use super::texts::{Held, Places};

/// What a row takes of the limit, beside its text.
pub(super) const ROW_BYTES: usize = 8;
/// What doubles say that are no decimals.
pub(super) const NO_DECIMALS: u8 = u8::MAX;

/// How much a block may still expand to.
#[derive(Debug)]
pub(super) struct Budget {
    limit_bytes: usize,
    taken: usize,
}

impl Budget {
    pub(super) fn new(limit_bytes: usize, taken: usize) -> Self {
        Self { limit_bytes, taken }
    }

    fn take(&mut self, bytes: usize) -> Result<(), HotBlockError> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > self.limit_bytes {
            let (expands_to, limit_bytes) = (self.taken as u64, self.limit_bytes);
            return Err(HotBlockError::TooLarge { expands_to, limit_bytes });
        }
        Ok(())
    }
}

/// Which rows have a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Valid<'a> {
    All,
    None,
    /// A bit for each, the lowest of a byte first.
    Some(&'a [u8]),
}

impl<'a> Valid<'a> {
    pub(super) fn of(column: &mut Unread<'a>, rows: usize) -> Result<Self, HotBlockError> {
        Ok(match column.byte()? {
            0 => Self::All,
            1 => Self::Some(column.take(rows.div_ceil(8))?),
            2 => Self::None,
            _ => return Err(HotBlockError::Content("a column does not say which rows have a value")),
        })
    }

    /// Whether a row has one.
    #[inline]
    pub(super) fn has(&self, row: usize) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(bits) => bit(bits, row),
        }
    }

    fn nulls(&self, rows: &[Range<usize>]) -> Option<NullBuffer> {
        let Self::Some(_) = self else { return None };
        let nulls: NullBuffer = rows.iter().cloned().flatten().map(|row| self.has(row)).collect();
        (nulls.null_count() > 0).then_some(nulls)
    }
}

#[inline]
fn bit(bits: &[u8], row: usize) -> bool {
    bits[row / 8] >> (row % 8) & 1 == 1
}

/// Some of the rows of a column that has so many, as an array.
///
/// # Errors
///
/// When the column is not as a block holds one of this type, or takes more than is left of the budget.
pub(super) fn read_column(
    column: &mut Unread<'_>,
    data_type: &DataType,
    rows: usize,
    wanted: &[Range<usize>],
    budget: &mut Budget,
) -> Result<ArrayRef, HotBlockError> {
    let valid = Valid::of(column, rows)?;
    let count: usize = wanted.iter().map(ExactSizeIterator::len).sum();
    budget.take(count.saturating_mul(ROW_BYTES))?;
    if matches!(valid, Valid::None) {
        return match data_type {
            DataType::List(_) | DataType::Struct(_) => Err(HotBlockError::Content("a list or a struct has no members")),
            _ => Ok(new_null_array(data_type, count)),
        };
    }
    let nulls = valid.nulls(wanted);
    Ok(match data_type {
        DataType::Utf8 => Arc::new(texts(&Held::of(column, rows)?, wanted, count, nulls, budget)?),
        DataType::Int64 => Arc::new(Int64Array::new(numbers(column, rows, wanted, count, |n| n)?, nulls)),
        DataType::Timestamp(_, zone) => {
            let times = TimestampMicrosecondArray::new(numbers(column, rows, wanted, count, |n| n)?, nulls);
            Arc::new(times.with_timezone_opt(zone.clone()))
        }
        DataType::Date32 => Arc::new(Date32Array::new(numbers(column, rows, wanted, count, |n| n as i32)?, nulls)),
        DataType::Float64 => Arc::new(Float64Array::new(doubles(column, rows, wanted, count)?, nulls)),
        DataType::Boolean => {
            let bits = column.take(rows.div_ceil(8))?;
            let bits: BooleanBuffer = wanted.iter().cloned().flatten().map(|row| bit(bits, row)).collect();
            Arc::new(BooleanArray::new(bits, nulls))
        }
        DataType::List(items) => Arc::new(list(column, items, (rows, wanted), nulls, budget)?),
        DataType::Struct(members) => {
            let arrays = members.iter().map(|field| read_column(column, field.data_type(), rows, wanted, budget));
            let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
            Arc::new(StructArray::try_new_with_length(members.clone(), arrays, nulls, count)?)
        }
        _ => return Err(HotBlockError::Content("a column has a type that no block has")),
    })
}

fn texts(
    held: &Held<'_>,
    wanted: &[Range<usize>],
    count: usize,
    nulls: Option<NullBuffer>,
    budget: &mut Budget,
) -> Result<StringArray, HotBlockError> {
    let mut ends: Vec<i32> = Vec::with_capacity(count + 1);
    ends.push(0);
    let mut bytes = Vec::new();
    for rows in wanted {
        held.each(rows, |text| {
            budget.take(text.len())?;
            bytes.extend_from_slice(text);
            let end = i32::try_from(bytes.len());
            ends.push(end.map_err(|_| HotBlockError::Content("its texts have 2 GiB or more"))?);
            Ok(())
        })?;
    }
    Ok(StringArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes), nulls)?)
}

fn numbers<T: arrow::datatypes::ArrowNativeType>(
    column: &mut Unread<'_>,
    rows: usize,
    wanted: &[Range<usize>],
    count: usize,
    of: impl Fn(i64) -> T + Copy,
) -> Result<ScalarBuffer<T>, HotBlockError> {
    let held = Numbers::of(column, rows)?;
    let mut numbers = Vec::with_capacity(count);
    wanted.iter().for_each(|rows| held.add_to(&mut numbers, rows, of));
    Ok(numbers.into())
}

fn doubles(
    column: &mut Unread<'_>,
    rows: usize,
    wanted: &[Range<usize>],
    count: usize,
) -> Result<ScalarBuffer<f64>, HotBlockError> {
    let digits = column.byte()?;
    if digits == NO_DECIMALS {
        let held = column.items(rows, size_of::<f64>())?;
        let mut doubles = Vec::with_capacity(count);
        for rows in wanted {
            let held = held[rows.start * size_of::<f64>()..rows.end * size_of::<f64>()].chunks_exact(size_of::<f64>());
            doubles.extend(held.map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight at a time"))));
        }
        return Ok(doubles.into());
    }
    let power = POWERS.get(usize::from(digits)).ok_or(HotBlockError::Content("decimals have too many digits"))?;
    numbers(column, rows, wanted, count, |whole| whole as f64 / power)
}

fn list(
    column: &mut Unread<'_>,
    items: &FieldRef,
    (rows, wanted): (usize, &[Range<usize>]),
    nulls: Option<NullBuffer>,
    budget: &mut Budget,
) -> Result<ListArray, HotBlockError> {
    let ends = Places::of(column, rows)?;
    let out_of_order = HotBlockError::Content("a list ends before it begins");
    let mut lengths = Vec::new();
    let mut of_items: Vec<Range<usize>> = Vec::new();
    for row in wanted.iter().cloned().flatten() {
        let list = if row == 0 { 0 } else { ends.at(row - 1) }..ends.at(row);
        if list.end < list.start || list.end > ends.last() {
            return Err(out_of_order);
        }
        lengths.push(list.len());
        match of_items.last_mut() {
            Some(last) if last.end == list.start => last.end = list.end,
            _ => of_items.push(list),
        }
    }
    let values = read_column(column, items.data_type(), ends.last(), &of_items, budget)?;
    Ok(ListArray::try_new(items.clone(), OffsetBuffer::from_lengths(lengths), values, nulls)?)
}
