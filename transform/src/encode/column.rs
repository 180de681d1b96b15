//! Which encoder a column goes through.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Float64Type, Int64Type as ArrowInt64,
    TimestampMicrosecondType,
};
use parquet::basic::Encoding;
use parquet::data_type::{BoolType, DataType as ParquetType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

use super::bloom::Bloom;
use super::chunk::{Chunk, Encoded, Told, Zstd};
use super::dictionary::{Entry, Repeats};
use super::hybrid;
use super::number::{self, Number};
use super::pages::{self, PAGE_ROWS};
use super::text;
use super::validity::Validity;

/// What is known of a flat column before its values.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) leaf: ColumnDescPtr,
    pub(super) told: Told,
    pub(super) bloom: Bloom,
    pub(super) repeats: Repeats,
}

/// Whether columns of this type are encoded here; the others go through the crate's own writer.
pub(super) fn is_flat(data_type: &ArrowType) -> bool {
    use arrow::datatypes::TimeUnit::Microsecond;
    matches!(
        data_type,
        ArrowType::Utf8
            | ArrowType::Binary
            | ArrowType::Int64
            | ArrowType::Float64
            | ArrowType::Boolean
            | ArrowType::Date32
            | ArrowType::Timestamp(Microsecond, _)
    )
}

impl Column {
    /// Encodes the column's values in one row group.
    pub(super) fn encode(&self, values: &ArrayRef, zstd: &mut Zstd) -> Result<Encoded, ParquetError> {
        let validity = Validity::new(values, self.leaf.max_def_level() > 0);
        let bloom = self.bloom;
        match values.data_type() {
            ArrowType::Utf8 => text::encode(values.as_string(), validity, self.repeats, self.chunk(zstd), bloom),
            ArrowType::Binary => text::encode(values.as_binary(), validity, self.repeats, self.chunk(zstd), bloom),
            ArrowType::Dictionary(..) => {
                text::encode_coded(values.as_dictionary(), validity, self.repeats, self.chunk(zstd), bloom)
            }
            ArrowType::Int64 => self.numbers::<ArrowInt64, Int64Type>(values, validity, zstd),
            ArrowType::Timestamp(..) => self.numbers::<TimestampMicrosecondType, Int64Type>(values, validity, zstd),
            ArrowType::Float64 => self.numbers::<Float64Type, DoubleType>(values, validity, zstd),
            ArrowType::Date32 => self.numbers::<Date32Type, Int32Type>(values, validity, zstd),
            ArrowType::Boolean => booleans(values, validity, self.chunk(zstd)),
            other => Err(ParquetError::NYI(format!("columns of {other} are not flat"))),
        }
    }

    fn chunk<'a, T: ParquetType>(&self, zstd: &'a mut Zstd) -> Chunk<'a, T> {
        Chunk::new(self.leaf.clone(), self.told, zstd)
    }

    fn numbers<A, T>(&self, values: &ArrayRef, validity: Validity<'_>, zstd: &mut Zstd) -> Result<Encoded, ParquetError>
    where
        A: ArrowPrimitiveType,
        T: Number<T = A::Native>,
        A::Native: Entry,
    {
        number::encode::<T>(&present::<A>(values), validity, self.repeats, self.chunk(zstd), self.bloom)
    }
}

/// The values of the rows that have one.
fn present<T: ArrowPrimitiveType>(values: &ArrayRef) -> std::borrow::Cow<'_, [T::Native]> {
    let values: &PrimitiveArray<T> = values.as_primitive();
    match values.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => values.values().as_ref().into(),
        Some(nulls) => nulls.valid_indices().map(|row| values.values()[row]).collect(),
    }
}

/// One bit each.
fn booleans(
    values: &ArrayRef,
    validity: Validity<'_>,
    mut chunk: Chunk<'_, BoolType>,
) -> Result<Encoded, ParquetError> {
    let values: Vec<bool> = values.as_boolean().iter().flatten().collect();
    let bounded = chunk.wants_bounds();
    pages::write(
        &mut chunk,
        validity,
        |row| row + PAGE_ROWS,
        |range, out| {
            let values = &values[range];
            hybrid::bits(values.iter().map(|value| u64::from(*value)), 1, out);
            let (least, most) = (values.iter().all(|value| *value), values.iter().any(|value| *value));
            (Encoding::PLAIN, bounded.then_some((least, most)))
        },
    )?;
    chunk.close(None)
}

#[cfg(test)]
mod tests;
