//! Columns as a block holds them: each in few bytes, where its values let it.
//!
//! ```text
//! column   u8: 0 all rows have a value, 1 some, 2 none | of some, a bit for each row, the lowest first, set where there is one | of all or some, values
//! values   of texts: see `texts`
//!          of integers, dates and times: see `numbers`
//!          of doubles: u8, the digits after the point | numbers; or FF | eight bytes each
//!          of booleans: a bit for each row, the lowest first
//!          of lists: width u8, 2 or 4 | where the items of each row end | the column of all items
//!          of structs: a column for each member
//! ```

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType, UInt32Type};

use super::HotBlockError;
use super::decimals::decimals;
use super::digits::Form;
use super::read::{NO_DECIMALS, ROW_BYTES};
use super::texts::{HEX, KEYS, PLAIN, RUNS, UUIDS, write as write_texts, write_ends};
use super::{numbers, texts};

/// Writes columns; keeps its tables from one to the next.
#[derive(Debug, Default)]
pub(super) struct Columns {
    numbers: Vec<i64>,
    doubles: Vec<f64>,
    /// By key of a batch's dictionary: the block's key, counted from 1; 0: none yet.
    key_of: Vec<u32>,
    /// The batch's keys of the block's values, in the order in which its rows come to them.
    used: Vec<u32>,
    /// The block's keys, row by row.
    keys: Vec<u32>,
}

impl Columns {
    /// Adds the columns of the rows of these numbers, each after its length. Returns what they expand to at most.
    ///
    /// # Errors
    ///
    /// When a column has a type that no dataset has, or 4 GiB or more.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        batch: &RecordBatch,
        rows: &[u32],
    ) -> Result<usize, HotBlockError> {
        let mut restored_bytes = 0;
        for column in batch.columns() {
            let at = out.len();
            out.extend_from_slice(&[0; size_of::<u32>()]);
            restored_bytes += self.column(out, column, rows)?;
            let bytes = u32::try_from(out.len() - at - size_of::<u32>());
            let bytes = bytes.map_err(|_| HotBlockError::Content("a column has 4 GiB or more"))?;
            out[at..at + size_of::<u32>()].copy_from_slice(&bytes.to_le_bytes());
        }
        Ok(restored_bytes)
    }

    fn column(&mut self, out: &mut Vec<u8>, column: &ArrayRef, rows: &[u32]) -> Result<usize, HotBlockError> {
        let restored_bytes = rows.len() * ROW_BYTES;
        let nulls = column.logical_nulls().filter(|nulls| rows.iter().any(|row| nulls.is_null(*row as usize)));
        let nested = matches!(column.data_type(), DataType::List(_) | DataType::Struct(_));
        match &nulls {
            None => out.push(0),
            Some(nulls) if !nested && rows.iter().all(|row| nulls.is_null(*row as usize)) => {
                out.push(2);
                return Ok(restored_bytes);
            }
            Some(nulls) => {
                out.push(1);
                write_bits(out, rows.iter().map(|row| nulls.is_valid(*row as usize)));
            }
        }
        let nulls = nulls.as_ref();
        let more = match column.data_type() {
            DataType::Utf8 => self.texts(out, column.as_string(), nulls, rows),
            DataType::Dictionary(..) => match column.as_dictionary_opt::<UInt32Type>() {
                Some(column) => self.dictionary(out, column, nulls, rows)?,
                None => return Err(unknown(column)),
            },
            DataType::Int64 => {
                let values = column.as_primitive::<Int64Type>().values();
                self.numbers(out, nulls, rows, |row| values[row])
            }
            DataType::Timestamp(..) => {
                let values = column.as_primitive::<TimestampMicrosecondType>().values();
                self.numbers(out, nulls, rows, |row| values[row])
            }
            DataType::Date32 => {
                let values = column.as_primitive::<Date32Type>().values();
                self.numbers(out, nulls, rows, |row| i64::from(values[row]))
            }
            DataType::Float64 => self.doubles(out, column.as_primitive::<Float64Type>().values(), nulls, rows),
            DataType::Boolean => {
                let values = column.as_boolean().values();
                write_bits(out, rows.iter().map(|row| values.value(*row as usize)));
                0
            }
            DataType::List(_) | DataType::Struct(_) => self.nested(out, column, rows)?,
            _ => return Err(unknown(column)),
        };
        Ok(restored_bytes + more)
    }

    fn nested(&mut self, out: &mut Vec<u8>, column: &ArrayRef, rows: &[u32]) -> Result<usize, HotBlockError> {
        let taken = take(column, &UInt32Array::from(rows.to_vec()), None)?;
        if let Some(list) = taken.as_list_opt::<i32>() {
            let ends = list.value_offsets();
            let (first, last) = (ends.first().copied().unwrap_or_default(), ends.last().copied().unwrap_or_default());
            write_ends(out, ends.iter().skip(1).map(|end| (end - first) as usize), (last - first) as usize);
            let items: Vec<u32> = (first as u32..last as u32).collect();
            return self.column(out, list.values(), &items);
        }
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        let members = taken.as_struct().columns();
        members.iter().try_fold(0, |bytes, member| Ok(bytes + self.column(out, member, &all)?))
    }

    fn numbers(
        &mut self,
        out: &mut Vec<u8>,
        nulls: Option<&NullBuffer>,
        rows: &[u32],
        number: impl Fn(usize) -> i64,
    ) -> usize {
        self.numbers.clear();
        self.numbers.extend(rows.iter().map(|row| number(*row as usize)));
        write_numbers(out, &self.numbers, nulls, rows);
        0
    }

    /// Doubles as decimals, where all are such.
    fn doubles(&mut self, out: &mut Vec<u8>, values: &[f64], nulls: Option<&NullBuffer>, rows: &[u32]) -> usize {
        self.doubles.clear();
        self.doubles.extend(rows.iter().map(|row| match nulls {
            Some(nulls) if nulls.is_null(*row as usize) => 0.0,
            _ => values[*row as usize],
        }));
        match decimals(&self.doubles, &mut self.numbers) {
            Some(digits) => {
                out.push(digits as u8);
                write_numbers(out, &self.numbers, nulls, rows);
            }
            None => {
                out.push(NO_DECIMALS);
                out.extend(self.doubles.iter().flat_map(|double| double.to_le_bytes()));
            }
        }
        0
    }

    /// Texts that are not known to repeat; what their bytes come to.
    fn texts(&mut self, out: &mut Vec<u8>, column: &StringArray, nulls: Option<&NullBuffer>, rows: &[u32]) -> usize {
        if nulls.is_none()
            && let Some(bytes) = write_digits(out, column, rows)
        {
            return bytes;
        }
        let text = |row: &u32| match nulls {
            Some(nulls) if nulls.is_null(*row as usize) => "",
            _ => column.value(*row as usize),
        };
        out.push(PLAIN);
        texts::write(out, rows.iter().map(text));
        rows.iter().map(|row| text(row).len()).sum()
    }

    /// Texts of a dictionary: by the values that the rows have, or by runs of rows that have the same, whichever takes less.
    fn dictionary(
        &mut self,
        out: &mut Vec<u8>,
        column: &DictionaryArray<UInt32Type>,
        nulls: Option<&NullBuffer>,
        rows: &[u32],
    ) -> Result<usize, HotBlockError> {
        let values = column.values().as_string_opt::<i32>().ok_or_else(|| unknown(column))?;
        self.key_of.clear();
        self.key_of.resize(values.len(), 0);
        self.used.clear();
        self.keys.clear();
        let (mut runs, mut last) = (0, None);
        for row in rows.iter().map(|row| *row as usize) {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                // Whatever text: of the run that it lies in, or of the first value.
                self.keys.push(last.unwrap_or_default());
                runs += usize::from(last.is_none());
                last = last.or(Some(0));
                continue;
            }
            let key = column.keys().values()[row];
            let local = &mut self.key_of[key as usize];
            if *local == 0 {
                self.used.push(key);
                *local = self.used.len() as u32;
            }
            let local = *local - 1;
            runs += usize::from(last != Some(local));
            last = Some(local);
            self.keys.push(local);
        }
        let (used, keys) = (&self.used, &self.keys);
        let text = |key: u32| values.value(used[key as usize] as usize);
        let width: u8 = match used.len() {
            ..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let value_bytes: usize = used.iter().map(|key| values.value(*key as usize).len() + 2).sum();
        let key_bytes = value_bytes + rows.len() * usize::from(width);
        let starts = || (0..keys.len()).filter(|at| *at == 0 || keys[*at] != keys[at - 1]);
        let run_bytes = match runs {
            runs if runs <= used.len() => value_bytes + 2 * runs,
            _ => starts().map(|at| text(keys[at]).len() + 4).sum(),
        };
        if run_bytes <= key_bytes {
            out.push(RUNS);
            out.extend_from_slice(&(runs as u32).to_le_bytes());
            write_texts(out, starts().map(|at| text(keys[at])));
            let ends = starts().skip(1).chain((!keys.is_empty()).then_some(keys.len()));
            write_ends(out, ends, keys.len());
        } else {
            out.push(KEYS);
            out.extend_from_slice(&(used.len() as u32).to_le_bytes());
            write_texts(out, used.iter().map(|key| values.value(*key as usize)));
            out.push(width);
            match width {
                1 => out.extend(keys.iter().map(|key| *key as u8)),
                2 => out.extend(keys.iter().flat_map(|key| (*key as u16).to_le_bytes())),
                _ => out.extend(keys.iter().flat_map(|key| key.to_le_bytes())),
            }
        }
        Ok(keys.iter().map(|key| text(*key).len()).sum())
    }
}

fn write_numbers(out: &mut Vec<u8>, held: &[i64], nulls: Option<&NullBuffer>, rows: &[u32]) {
    match nulls {
        None => numbers::write(out, held, None),
        Some(nulls) => numbers::write(out, held, Some(&|at: usize| nulls.is_valid(rows[at] as usize))),
    }
}

/// Bits, the lowest of a byte first.
fn write_bits(out: &mut Vec<u8>, bits: impl ExactSizeIterator<Item = bool>) {
    let at = out.len();
    out.resize(at + bits.len().div_ceil(8), 0);
    for (row, bit) in bits.enumerate() {
        out[at + row / 8] |= u8::from(bit) << (row % 8);
    }
}

/// Texts that are 128 bits each, in one form; what their bytes come to. `None`, and nothing is written: they are not.
fn write_digits(out: &mut Vec<u8>, column: &StringArray, rows: &[u32]) -> Option<usize> {
    let form = Form::of_length(column.value(*rows.first()? as usize).len())?;
    let (start, ends, texts) = (out.len(), column.value_offsets(), column.value_data());
    out.push(match form {
        Form::Uuid => UUIDS,
        Form::Hex => HEX,
    });
    for row in rows.iter().map(|row| *row as usize) {
        match form.bits(&texts[ends[row] as usize..ends[row + 1] as usize]) {
            Some(bits) => out.extend_from_slice(&bits),
            None => {
                out.truncate(start);
                return None;
            }
        }
    }
    Some(rows.len() * form.length())
}

/// What no dataset has.
fn unknown(column: &dyn Array) -> HotBlockError {
    HotBlockError::Type("a value".to_owned(), column.data_type().clone())
}
