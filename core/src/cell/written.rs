//! Objects and lists, which clients of Postgres get as JSON.

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

/// The type in which [`Cell`](super::Cell) writes values of this one, once they are cast to it; `None`: JSON has nothing like them.
pub fn written(kind: &DataType) -> Option<DataType> {
    Some(match kind {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => DataType::Int64,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => DataType::Int64,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Boolean | DataType::Date32 => kind.clone(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Timestamp(_, Some(zone)) => DataType::Timestamp(TimeUnit::Microsecond, Some(zone.clone())),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Field::new(item.name(), written(item.data_type())?, true).into())
        }
        DataType::Struct(fields) => {
            let field = |field: &FieldRef| Some(Field::new(field.name(), written(field.data_type())?, true));
            DataType::Struct(fields.iter().map(field).collect::<Option<Vec<_>>>().map(Fields::from)?)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => DataType::Utf8,
        DataType::Date64 | DataType::Timestamp(_, None) | DataType::UInt64 => DataType::Utf8,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            DataType::Utf8
        }
        _ => return None,
    })
}
