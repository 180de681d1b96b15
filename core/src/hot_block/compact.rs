//! Rows in the types in which blocks hold them: each column in fewer bytes, where its values let it, and no information less.
//!
//! | a column of | is held as | where |
//! |---|---|---|
//! | texts | a dictionary of those that the block has, many of one length as bytes of that length | it came as one |
//! | texts | 16 bytes each, marked with the canonical extension type `arrow.uuid` | each is a UUID as RFC 9562 writes it |
//! | texts | 16 bytes each, marked `alluvium.text` = `hex` | each is 32 lower-case hexadecimal digits |
//! | doubles | `Int16` or `Int32`, `alluvium.scale` telling the digits after the point | each is a decimal of at most nine digits |
//! | integers | `Int16` or `Int32` | each is one |
//! | times, `event_time` | `Time32` in milliseconds, beside its `event_date` | each is a whole millisecond |
//!
//! No dataset has columns of these types, so the types alone say what [`restore`](super::restore) has to give back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, FixedSizeBinaryArray, Float64Array, Int16Array, Int32Array, Int64Array,
    PrimitiveArray, RecordBatch, StringArray, Time32MillisecondArray, TimestampMicrosecondArray, UInt32Array,
    new_null_array,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{
    ArrowDictionaryKeyType, DataType, Date32Type, Field, TimeUnit, UInt8Type, UInt16Type, UInt32Type,
};
use arrow::error::ArrowError;

use super::digits::Form;

/// The column whose times are held as times of the day, and the one that holds their days.
pub(super) const TIME: &str = "event_time";
pub(super) const DAY: &str = "event_date";
pub(super) const MILLIS_PER_DAY: i64 = 86_400_000;
/// What a number is multiplied with, by its digits after the point.
pub(super) const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// The greatest decimal, without its point.
const GREATEST: i32 = 999_999_999;
/// So many texts of one length are held without where each ends.
const MANY_TEXTS: usize = 32;

/// The metadata of fields by which a form of texts is known, and its key by which decimals are.
pub(super) const UUID: (&str, &str) = ("ARROW:extension:name", "arrow.uuid");
pub(super) const HEX: (&str, &str) = ("alluvium.text", "hex");
pub(super) const SCALE: &str = "alluvium.scale";

/// How a block holds a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    AsItIs,
    /// As the texts that a dictionary stands for.
    Texts,
    /// By keys of this width into texts, or into bytes of this length.
    Keys(Width, Option<i32>),
    Digits(Form),
    Integers(Width),
    /// As integers, with so many digits after the point.
    Decimals(Width, usize),
    TimesOfDay,
}

/// How wide keys and integers are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    One,
    Two,
    Four,
}

impl Held {
    /// The field of a column that is held so.
    pub(super) fn field(self, field: &Arc<Field>) -> Arc<Field> {
        let held_as = match self {
            Self::AsItIs => return field.clone(),
            Self::Texts => DataType::Utf8,
            Self::Keys(width, length) => {
                let keys = match width {
                    Width::One => DataType::UInt8,
                    Width::Two => DataType::UInt16,
                    Width::Four => DataType::UInt32,
                };
                DataType::Dictionary(Box::new(keys), Box::new(length.map_or(DataType::Utf8, DataType::FixedSizeBinary)))
            }
            Self::Digits(_) => DataType::FixedSizeBinary(Form::BYTES as i32),
            Self::Integers(Width::Four) | Self::Decimals(Width::Four, _) => DataType::Int32,
            Self::Integers(_) | Self::Decimals(..) => DataType::Int16,
            Self::TimesOfDay => DataType::Time32(TimeUnit::Millisecond),
        };
        let field = field.as_ref().clone().with_data_type(held_as);
        let (key, value) = match self {
            Self::Digits(Form::Uuid) => (UUID.0, UUID.1.to_owned()),
            Self::Digits(Form::Hex) => (HEX.0, HEX.1.to_owned()),
            Self::Decimals(_, scale) => (SCALE, scale.to_string()),
            _ => return Arc::new(field),
        };
        let mut metadata = field.metadata().clone();
        metadata.insert(key.to_owned(), value);
        Arc::new(field.with_metadata(metadata))
    }
}

/// Makes columns of blocks; keeps its tables from one to the next.
#[derive(Debug, Default)]
pub(super) struct Compacter {
    /// How each column of the last block is held.
    pub(super) held: Vec<Held>,
    numbers: Vec<f64>,
    /// By key of a batch's dictionary: the block's key, counted from 1; 0: none yet.
    key_of: Vec<u32>,
    /// The batch's keys of the block's values, in the order in which its rows come to them.
    used: Vec<u32>,
    /// The block's keys, row by row.
    keys: Vec<u32>,
}

impl Compacter {
    /// The columns of a block of the rows of these numbers, in their order; `held` says how each is held.
    ///
    /// # Errors
    ///
    /// When Arrow refuses them, which would be a defect.
    pub(super) fn columns(&mut self, batch: &RecordBatch, rows: &[u32]) -> Result<Vec<ArrayRef>, ArrowError> {
        self.held.clear();
        let days = batch.column_by_name(DAY).and_then(|days| days.as_primitive_opt::<Date32Type>());
        let days = days.filter(|days| days.null_count() == 0);
        let mut indices: Option<UInt32Array> = None;
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let compact = match column.data_type() {
                DataType::Utf8 => digits(column.as_string(), rows),
                DataType::Float64 => self.decimals(column.as_primitive(), rows),
                DataType::Int64 => integers(column.as_primitive(), rows),
                DataType::Timestamp(TimeUnit::Microsecond, _) if field.name() == TIME => {
                    days.and_then(|days| times_of_day(column.as_primitive(), days, rows))
                }
                DataType::Dictionary(..) => match column.as_dictionary_opt::<UInt32Type>() {
                    Some(column) if column.values().as_string_opt::<i32>().is_some() => {
                        Some(self.dictionary(column, rows)?)
                    }
                    _ => None,
                },
                _ => None,
            };
            let (held, column) = match compact {
                Some(compact) => compact,
                None if column.null_count() == column.len() => {
                    (Held::AsItIs, new_null_array(column.data_type(), rows.len()))
                }
                None => {
                    let indices = indices.get_or_insert_with(|| UInt32Array::from(rows.to_vec()));
                    (Held::AsItIs, take(column, indices, None)?)
                }
            };
            self.held.push(held);
            columns.push(column);
        }
        Ok(columns)
    }

    /// The columns of a block of the rows of these numbers, in their order, in the dataset's own types.
    ///
    /// # Errors
    ///
    /// When Arrow refuses them, which would be a defect.
    pub(super) fn plain(&mut self, batch: &RecordBatch, rows: &[u32]) -> Result<Vec<ArrayRef>, ArrowError> {
        self.held.clear();
        let indices = UInt32Array::from(rows.to_vec());
        let plain = batch.columns().iter().map(|column| {
            let taken = take(column, &indices, None)?;
            match taken.data_type() {
                DataType::Dictionary(_, values) => {
                    self.held.push(Held::Texts);
                    cast(&taken, values)
                }
                _ => {
                    self.held.push(Held::AsItIs);
                    Ok(taken)
                }
            }
        });
        plain.collect()
    }

    /// Doubles as decimals with as few digits after the point as do for all; `None` where one is no such decimal. A double is
    /// what its decimal divided by a power of ten is rounded to, and so comes back with every bit.
    fn decimals(&mut self, column: &Float64Array, rows: &[u32]) -> Option<(Held, ArrayRef)> {
        self.numbers.clear();
        self.numbers.extend(rows.iter().map(|row| column.values()[*row as usize]));
        let mut scale = scale_of(*self.numbers.first()?, 0)?;
        let held = loop {
            match all_decimals(&self.numbers, POWERS[scale]) {
                Ok(held) => break held,
                Err(at) => scale = scale_of(self.numbers[at], scale + 1)?,
            }
        };
        let (width, held) = narrow(held, nulls_of(column, rows));
        Some((Held::Decimals(width, scale), held))
    }

    /// The rows of a dictionary with a dictionary of their own.
    fn dictionary(
        &mut self,
        column: &DictionaryArray<UInt32Type>,
        rows: &[u32],
    ) -> Result<(Held, ArrayRef), ArrowError> {
        let (values, nulls) = (column.values().as_string::<i32>(), nulls_of(column, rows));
        self.key_of.clear();
        self.key_of.resize(values.len(), 0);
        self.used.clear();
        self.keys.clear();
        for row in rows.iter().map(|row| *row as usize) {
            if nulls.is_some() && column.is_null(row) {
                self.keys.push(0);
                continue;
            }
            let key = column.keys().values()[row];
            let local = &mut self.key_of[key as usize];
            if *local == 0 {
                self.used.push(key);
                *local = self.used.len() as u32;
            }
            self.keys.push(*local - 1);
        }
        let (length, local) = self.texts(values);
        let keys = &self.keys;
        // By all values that the batch has rather than by those of the block, so that most blocks of a batch are alike.
        let (width, column) = match (values.len(), rows.len()) {
            (..=256, _) => (Width::One, with_keys::<UInt8Type>(keys, |key| key as u8, local, nulls)),
            (..=65_536, _) | (_, ..=65_536) => {
                (Width::Two, with_keys::<UInt16Type>(keys, |key| key as u16, local, nulls))
            }
            _ => (Width::Four, with_keys::<UInt32Type>(keys, |key| key, local, nulls)),
        };
        Ok((Held::Keys(width, length), column?))
    }

    /// The block's values, in the order of its keys, and their length if they are held without where each ends.
    fn texts(&self, values: &StringArray) -> (Option<i32>, ArrayRef) {
        let mut texts = self.used.iter().map(|key| values.value(*key as usize));
        let length = texts.clone().next().map_or(0, str::len);
        if self.used.len() < MANY_TEXTS || length == 0 || texts.any(|text| text.len() != length) {
            let texts = self.used.iter().map(|key| values.value(*key as usize));
            return (None, Arc::new(StringArray::from_iter_values(texts)));
        }
        let mut bytes = Vec::with_capacity(self.used.len() * length);
        self.used.iter().for_each(|key| bytes.extend_from_slice(values.value(*key as usize).as_bytes()));
        (Some(length as i32), Arc::new(FixedSizeBinaryArray::new(length as i32, Buffer::from_vec(bytes), None)))
    }
}

fn with_keys<K: ArrowDictionaryKeyType>(
    keys: &[u32],
    narrow: impl Fn(u32) -> K::Native,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let keys: Vec<K::Native> = keys.iter().map(|key| narrow(*key)).collect();
    Ok(Arc::new(DictionaryArray::<K>::try_new(PrimitiveArray::new(keys.into(), nulls), values)?))
}

/// Which of the rows have a value; `None`: all.
fn nulls_of(column: &dyn Array, rows: &[u32]) -> Option<NullBuffer> {
    let nulls = column.nulls()?;
    let nulls: NullBuffer = rows.iter().map(|row| nulls.is_valid(*row as usize)).collect();
    (nulls.null_count() > 0).then_some(nulls)
}

/// Texts that are 128 bits each, in one form.
fn digits(column: &StringArray, rows: &[u32]) -> Option<(Held, ArrayRef)> {
    let form = Form::of_length(column.value(*rows.first()? as usize).len())?;
    if column.null_count() > 0 {
        return None;
    }
    let (ends, texts) = (column.value_offsets(), column.value_data());
    let mut bytes = Vec::with_capacity(rows.len() * Form::BYTES);
    for row in rows.iter().map(|row| *row as usize) {
        bytes.extend_from_slice(&form.bits(&texts[ends[row] as usize..ends[row + 1] as usize])?);
    }
    let held = FixedSizeBinaryArray::try_new(Form::BYTES as i32, Buffer::from_vec(bytes), None).ok()?;
    Some((Held::Digits(form), Arc::new(held)))
}

fn integers(column: &Int64Array, rows: &[u32]) -> Option<(Held, ArrayRef)> {
    let mut held = Vec::with_capacity(rows.len());
    let mut fit = !rows.is_empty();
    for number in rows.iter().map(|row| column.values()[*row as usize]) {
        held.push(number as i32);
        fit &= i64::from(number as i32) == number;
    }
    let (width, held) = fit.then(|| narrow(held, nulls_of(column, rows)))?;
    Some((Held::Integers(width), held))
}

/// Integers in as many bytes as they need.
fn narrow(integers: Vec<i32>, nulls: Option<NullBuffer>) -> (Width, ArrayRef) {
    let (low, high) = integers.iter().fold((0, 0), |(low, high), integer| (*integer.min(&low), *integer.max(&high)));
    if low < i32::from(i16::MIN) || high > i32::from(i16::MAX) {
        return (Width::Four, Arc::new(Int32Array::new(integers.into(), nulls)));
    }
    let integers: Vec<i16> = integers.into_iter().map(|integer| integer as i16).collect();
    (Width::Two, Arc::new(Int16Array::new(integers.into(), nulls)))
}

/// What is left of times when their days are taken off; `None` where that is not all.
fn times_of_day(
    column: &TimestampMicrosecondArray,
    days: &PrimitiveArray<Date32Type>,
    rows: &[u32],
) -> Option<(Held, ArrayRef)> {
    if column.null_count() > 0 || rows.is_empty() {
        return None;
    }
    let mut held = Vec::with_capacity(rows.len());
    let mut fit = true;
    for row in rows.iter().map(|row| *row as usize) {
        let time = column.values()[row];
        let millis = time.div_euclid(1_000) - i64::from(days.values()[row]) * MILLIS_PER_DAY;
        held.push(millis as i32);
        fit &= time.rem_euclid(1_000) == 0 && (0..MILLIS_PER_DAY).contains(&millis);
    }
    let held = fit.then(|| Time32MillisecondArray::new(held.into(), None))?;
    Some((Held::TimesOfDay, Arc::new(held)))
}

/// The digits after the point that a double has as a decimal, of those from `least` on; `None`: it is none.
fn scale_of(number: f64, least: usize) -> Option<usize> {
    (least..POWERS.len()).find(|scale| decimal(number, POWERS[*scale]).1)
}

/// A double as a decimal, and whether it is one.
#[inline]
fn decimal(number: f64, power: f64) -> (i32, bool) {
    let scaled = number * power;
    // A cast of what is out of range, or no number, gives another number than was.
    let whole = (scaled + 0.5_f64.copysign(scaled)) as i32;
    let is_same = (f64::from(whole) / power).to_bits() == number.to_bits();
    (whole, is_same & (-GREATEST..=GREATEST).contains(&whole))
}

/// All as decimals, or where the first stands that is none.
fn all_decimals(numbers: &[f64], power: f64) -> Result<Vec<i32>, usize> {
    /// Looked at without a branch between them.
    const TOGETHER: usize = 64;
    let mut held = vec![0; numbers.len()];
    for (at, (numbers, held)) in numbers.chunks(TOGETHER).zip(held.chunks_mut(TOGETHER)).enumerate() {
        let mut are_decimals = true;
        for (number, held) in numbers.iter().zip(held) {
            let (whole, is_one) = decimal(*number, power);
            *held = whole;
            are_decimals &= is_one;
        }
        if !are_decimals {
            let first = numbers.iter().position(|number| !decimal(*number, power).1);
            return Err(at * TOGETHER + first.expect("one of them is no decimal"));
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests;
