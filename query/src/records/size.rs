//! How much rows take in memory.

use arrow::array::Array as _;
use arrow::record_batch::RecordBatch;

/// The bytes that these rows take, and not what else is in the memory that they are parts of.
pub(super) fn of(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(usize::MAX / 1024)).sum()
}

/// How many of these rows, from the first on, take about so many bytes; one at the least, if there is any.
pub(super) fn prefix_of(rows: &RecordBatch, bytes: usize) -> usize {
    let (count, size) = (rows.num_rows(), of(rows));
    if size <= bytes { count } else { (count.saturating_mul(bytes) / size).max(1).min(count) }
}
