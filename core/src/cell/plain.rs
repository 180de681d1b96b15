//! Columns of any type as columns of the few types that are written.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The same values in a type that [`Cell`](super::Cell) writes. What has no counterpart there (decimals, intervals, times of no time zone) becomes
/// text.
///
/// # Errors
///
/// When a value cannot be shown.
pub fn plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary,
        LargeUtf8, Null, Timestamp, UInt8, UInt16, UInt32, Utf8, Utf8View,
    };
    let wanted = match column.data_type() {
        written if is_written(written) => return Ok(Arc::clone(column)),
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 => Int64,
        Float16 | Float32 | Float64 => Float64,
        Boolean => Boolean,
        Date32 => Date32,
        LargeUtf8 | Utf8View | Null => Utf8,
        LargeBinary | BinaryView => Binary,
        Timestamp(_, Some(zone)) => Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone))),
        _ => return texts(column),
    };
    cast(column, &wanted)
}

fn is_written(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8
        | DataType::Int64
        | DataType::Float64
        | DataType::Boolean
        | DataType::Date32
        | DataType::Binary => true,
        DataType::Timestamp(unit, zone) => *unit == TimeUnit::Microsecond && zone.is_some(),
        DataType::Struct(fields) => fields.iter().all(|field| is_written(field.data_type())),
        DataType::List(item) => is_written(item.data_type()),
        _ => false,
    }
}

/// The values as Arrow shows them.
fn texts(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::new();
    let shown = ArrayFormatter::try_new(column, &options)?;
    let text = |row| column.is_valid(row).then(|| shown.value(row).try_to_string()).transpose();
    let texts: Vec<Option<String>> = (0..column.len()).map(text).collect::<Result<_, _>>()?;
    Ok(Arc::new(StringArray::from(texts)))
}
