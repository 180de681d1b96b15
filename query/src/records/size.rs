//! How much rows take in memory.

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

/// The bytes that these rows take, and not what else is in the memory that they are parts of.
pub(super) fn of(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(|column| of_column(column)).sum()
}

/// How many of these rows, from the first on, take about so many bytes; one at the least, if there is any.
pub(super) fn prefix_of(rows: &RecordBatch, bytes: usize) -> usize {
    let (count, size) = (rows.num_rows(), of(rows));
    if size <= bytes { count } else { (count.saturating_mul(bytes) / size).max(1).min(count) }
}

fn of_column(column: &dyn Array) -> usize {
    match column.data_type() {
        // A part of a list holds the elements of the whole.
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let offsets = list.offsets();
            let (first, past_last) = (offsets[0] as usize, offsets[list.len()] as usize);
            size_of::<i32>() * list.len() + of_column(&list.values().slice(first, past_last - first))
        }
        DataType::Struct(_) => column.as_struct().columns().iter().map(|column| of_column(column)).sum(),
        // Nothing that has a size, or whose size is not known, is taken for nothing.
        _ => column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, ListArray, StringArray, StructArray};
    use arrow::datatypes::{Field, Float64Type};

    use super::*;

    #[test]
    fn a_part_of_rows_takes_its_part() {
        let row = || Some((0..100).map(|n| Some(f64::from(n))));
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>((0..50).map(|_| row())));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(200); 50]));
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0; 50]));
        let field = |name: &str, column: &ArrayRef| Arc::new(Field::new(name, column.data_type().clone(), true));
        let object: ArrayRef = Arc::new(StructArray::from(vec![
            (field("list", &list), list.clone()),
            (field("text", &texts), texts.clone()),
        ]));
        let rows = RecordBatch::try_from_iter([("list", list), ("text", texts), ("n", numbers), ("object", object)]);
        let rows = rows.expect("columns of one length");
        let whole = of(&rows);
        assert!((100_000..120_000).contains(&whole), "{whole}");
        for (count, first) in [(1, 0), (1, 49), (10, 20), (25, 25)] {
            let part = of(&rows.slice(first, count)) * 50 / count;
            assert!(part.abs_diff(whole) < whole / 20, "{count} rows from {first}: {part} of {whole}");
        }
        assert_eq!((prefix_of(&rows, whole / 2), prefix_of(&rows, 1), prefix_of(&rows, usize::MAX)), (25, 1, 50));
        assert_eq!(prefix_of(&rows.slice(0, 0), 0), 0);
    }
}
