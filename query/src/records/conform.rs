//! Rows that were written under another release of their dataset's schema, as rows of this one.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, ListArray, StructArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

/// The rows with exactly these columns. Columns, and fields within them, are found by name: what a row has not is null, and what
/// these columns do not know is left out.
///
/// # Errors
///
/// When a column has another type that cannot become the one wanted. The lake refuses a schema that does that to a table.
pub(super) fn conform(batch: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == columns {
        return Ok(batch.clone());
    }
    let conformed = columns.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => conform_column(column, field.data_type()),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    RecordBatch::try_new(Arc::clone(columns), conformed.collect::<Result<_, _>>()?)
}

fn conform_column(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    match (column.data_type(), wanted) {
        (present, wanted) if present == wanted => Ok(column.clone()),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let present = column.as_struct();
            let children = fields.iter().map(|field| match present.column_by_name(field.name()) {
                Some(child) => conform_column(child, field.data_type()),
                None => Ok(new_null_array(field.data_type(), column.len())),
            });
            let children = children.collect::<Result<_, _>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), children, present.nulls().cloned())?))
        }
        (DataType::List(_), DataType::List(field)) => {
            let present = column.as_list::<i32>();
            let items = conform_column(present.values(), field.data_type())?;
            let offsets = present.offsets().clone();
            Ok(Arc::new(ListArray::try_new(field.clone(), offsets, items, present.nulls().cloned())?))
        }
        // Arrow would make a list of one item of any text: an engine that answers nested columns as text cannot be read.
        (present, wanted) if wanted.is_nested() && !present.is_nested() => Err(ArrowError::CastError(format!(
            "the engine answers {present} where the dataset has {wanted}: it cannot read objects or lists back"
        ))),
        (_, wanted) => cast(column, wanted),
    }
}

#[cfg(test)]
mod tests;
