//! Which rows of a block have a text, told from how the block holds its columns, before any of them is restored.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, RecordBatch, StringArray};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{and, filter_record_batch, take};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::restore::form_of;

/// The rows that have these texts in these columns; `None`: there are none.
///
/// # Errors
///
/// When a column is not there, or is not of texts.
pub(super) fn rows_with(rows: RecordBatch, texts: &[(&str, &str)]) -> Result<Option<RecordBatch>, ArrowError> {
    let mut wanted: Option<BooleanArray> = None;
    for (name, text) in texts {
        let at = rows.schema_ref().index_of(name)?;
        let have = have(rows.schema_ref().field(at), rows.column(at), text)?;
        if have.true_count() == 0 {
            return Ok(None);
        }
        wanted = Some(match wanted {
            Some(wanted) => and(&wanted, &have)?,
            None => have,
        });
    }
    let Some(wanted) = wanted else { return Ok(Some(rows)) };
    match wanted.true_count() {
        0 => Ok(None),
        all if all == rows.num_rows() => Ok(Some(rows)),
        _ => filter_record_batch(&rows, &wanted).map(Some),
    }
}

/// Which rows have this text in a column.
fn have(field: &Field, column: &ArrayRef, text: &str) -> Result<BooleanArray, ArrowError> {
    let none = || BooleanArray::from(vec![false; column.len()]);
    match column.data_type() {
        DataType::Utf8 => eq(column, &StringArray::new_scalar(text)),
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            let values = dictionary.values();
            let are = match values.data_type() {
                DataType::FixedSizeBinary(_) => are(values.as_fixed_size_binary(), text.as_bytes()),
                _ => eq(values, &StringArray::new_scalar(text))?,
            };
            if are.true_count() == 0 {
                return Ok(none());
            }
            Ok(take(&are, dictionary.keys(), None)?.as_boolean().clone())
        }
        DataType::FixedSizeBinary(_) if form_of(field).is_some() => {
            let bits = form_of(field).and_then(|form| form.bits(text.as_bytes()));
            Ok(bits.map_or_else(none, |bits| are(column.as_fixed_size_binary(), &bits)))
        }
        other => Err(ArrowError::SchemaError(format!("the column `{}` holds no texts, but {other}", field.name()))),
    }
}

fn are(column: &FixedSizeBinaryArray, bytes: &[u8]) -> BooleanArray {
    column.iter().map(|value| Some(value == Some(bytes))).collect()
}
