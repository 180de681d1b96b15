//! The rows of a block in the types that they had before [`compact`](super::compact) held them in others.

use std::sync::Arc;

use arrow::array::{
    AnyDictionaryArray, Array, ArrayRef, AsArray, FixedSizeBinaryArray, Float64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Field, Float64Type, Schema, Time32MillisecondType, TimeUnit};
use arrow::error::ArrowError;

use super::compact::{DAY, HEX, MILLIS_PER_DAY, POWERS, SCALE, UUID};
use super::digits::{Form, unpack};

/// The rows in the types that they had.
///
/// # Errors
///
/// When the columns are not held as a block holds them.
pub(super) fn restore(held: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let days = held.column_by_name(DAY);
    let restored = held.schema_ref().fields().iter().zip(held.columns()).map(|(field, column)| {
        Ok(match restore_column(field, column, days)? {
            Some(restored) => {
                let field = unmarked(field.as_ref().clone()).with_data_type(restored.data_type().clone());
                (Arc::new(field), restored)
            }
            None => (field.clone(), column.clone()),
        })
    });
    let (fields, columns): (Vec<_>, Vec<_>) = restored.collect::<Result<Vec<_>, ArrowError>>()?.into_iter().unzip();
    let metadata = held.schema_ref().metadata().clone();
    RecordBatch::try_new(Arc::new(Schema::new_with_metadata(fields, metadata)), columns)
}

/// What the columns take at most that rows are restored to, beside those that are as they were.
pub(super) fn restored_bytes(held: &RecordBatch) -> usize {
    let of_a_row = held.columns().iter().map(|column| match column.data_type() {
        DataType::Dictionary(_, values) => {
            let texts = column.as_any_dictionary().values();
            let longest = match values.as_ref() {
                DataType::FixedSizeBinary(length) => usize::try_from(*length).ok(),
                _ => texts.as_string_opt::<i32>().and_then(|texts| texts.iter().flatten().map(str::len).max()),
            };
            longest.unwrap_or_default() + size_of::<i32>()
        }
        DataType::FixedSizeBinary(_) => Form::LONGEST + size_of::<i32>(),
        DataType::Int16 | DataType::Int32 | DataType::Time32(_) => size_of::<i64>(),
        _ => 0,
    });
    held.num_rows().saturating_mul(of_a_row.sum())
}

/// The column as it was; `None`: it is as it was.
fn restore_column(field: &Field, column: &ArrayRef, days: Option<&ArrayRef>) -> Result<Option<ArrayRef>, ArrowError> {
    let restored: ArrayRef = match column.data_type() {
        DataType::Dictionary(..) => dictionary(field, column.as_any_dictionary())?,
        DataType::FixedSizeBinary(_) => Arc::new(texts(field, column.as_fixed_size_binary())?),
        DataType::Int16 | DataType::Int32 => match field.metadata().get(SCALE) {
            None => cast(column, &DataType::Int64)?,
            Some(scale) => {
                let power = scale.parse().ok().and_then(|scale: usize| POWERS.get(scale));
                let power = power.ok_or_else(|| unknown(field))?;
                let numbers = cast(column, &DataType::Float64)?;
                let numbers: Float64Array = numbers.as_primitive::<Float64Type>().unary(|whole| whole / power);
                Arc::new(numbers)
            }
        },
        DataType::Time32(TimeUnit::Millisecond) => {
            let days = days.and_then(|days| days.as_primitive_opt::<Date32Type>()).ok_or_else(|| unknown(field))?;
            let times = column.as_primitive::<Time32MillisecondType>().values().iter().zip(days.values());
            let micros = |(time, day): (&i32, &i32)| {
                let millis = i64::from(*day) * MILLIS_PER_DAY + i64::from(*time);
                millis.checked_mul(1_000).ok_or_else(|| unknown(field))
            };
            let times = times.map(micros).collect::<Result<Vec<_>, _>>()?;
            Arc::new(TimestampMicrosecondArray::new(times.into(), column.nulls().cloned()).with_timezone("UTC"))
        }
        _ => return Ok(None),
    };
    Ok(Some(restored))
}

fn dictionary(field: &Field, column: &dyn AnyDictionaryArray) -> Result<ArrayRef, ArrowError> {
    let DataType::FixedSizeBinary(length) = column.values().data_type() else {
        return cast(&column.slice(0, column.len()), &DataType::Utf8);
    };
    let length = usize::try_from(*length).map_err(|_| unknown(field))?;
    let bytes = column.values().as_fixed_size_binary();
    let ends = OffsetBuffer::from_repeated_length(length, bytes.len());
    let texts = StringArray::try_new(ends, Buffer::from(bytes.value_data()), bytes.nulls().cloned())?;
    cast(&column.with_values(Arc::new(texts)), &DataType::Utf8)
}

fn texts(field: &Field, bytes: &FixedSizeBinaryArray) -> Result<StringArray, ArrowError> {
    form_of(field).and_then(|form| unpack(bytes, form)).ok_or_else(|| unknown(field))
}

/// The form of a column of texts that are held as 16 bytes each; `None`: it is no such column.
pub(super) fn form_of(field: &Field) -> Option<Form> {
    let is = |(key, value): (&str, &str)| field.metadata().get(key).is_some_and(|found| found == value);
    [(UUID, Form::Uuid), (HEX, Form::Hex)].into_iter().find(|(mark, _)| is(*mark)).map(|(_, form)| form)
}

fn unmarked(field: Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.remove(UUID.0);
    metadata.remove(HEX.0);
    metadata.remove(SCALE);
    field.with_metadata(metadata)
}

fn unknown(field: &Field) -> ArrowError {
    ArrowError::SchemaError(format!(
        "the column `{}` is held as {}, from which this release cannot restore it",
        field.name(),
        field.data_type()
    ))
}
