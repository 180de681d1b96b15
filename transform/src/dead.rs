//! The dead letters of one batch: rows of the table `dead_letters`.

use std::sync::Arc;

use alluvium_core::RecordIdentity;
use alluvium_core::clock::Micros;
use alluvium_core::dataset::dead_letter_columns;
use arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;

use crate::fault::Fault;
use crate::time::MICROS_PER_DAY;

/// The source of a dead letter whose own could not be read.
pub(crate) const UNKNOWN_SOURCE: &str = "unknown";

/// One dead letter.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) event_id: String,
    pub(crate) source: Option<String>,
    pub(crate) event_type: Option<String>,
    pub(crate) arrival: Micros,
    pub(crate) owner: String,
    pub(crate) dataset: Option<String>,
    pub(crate) fault: Fault,
    pub(crate) record: RecordIdentity,
    pub(crate) index: u32,
    /// The bytes as sent, already cut to the limit.
    pub(crate) original: Vec<u8>,
    pub(crate) original_bytes: usize,
}

impl DeadLetter {
    fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(UNKNOWN_SOURCE)
    }
}

/// Makes the dead letters one RecordBatch, sorted by source, `event_time` and `event_id`.
///
/// # Errors
///
/// When Arrow refuses the columns, which would be a defect.
pub(crate) fn rows(mut letters: Vec<DeadLetter>) -> Result<RecordBatch, ArrowError> {
    letters.sort_unstable_by(|one, other| {
        (one.source(), one.arrival, &one.event_id).cmp(&(other.source(), other.arrival, &other.event_id))
    });
    let arrivals = || letters.iter().map(|letter| letter.arrival);
    let time =
        || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from_iter_values(arrivals()).with_timezone("UTC")) };
    let text =
        |of: fn(&DeadLetter) -> Option<&str>| -> ArrayRef { Arc::new(letters.iter().map(of).collect::<StringArray>()) };
    let number =
        |of: fn(&DeadLetter) -> i64| -> ArrayRef { Arc::new(letters.iter().map(of).map(Some).collect::<Int64Array>()) };
    let days = arrivals().map(|time| time.div_euclid(MICROS_PER_DAY) as i32);
    let records: StringArray = letters.iter().map(|letter| Some(letter.record.to_string())).collect();
    let originals = BinaryArray::from_iter_values(letters.iter().map(|letter| &letter.original));
    RecordBatch::try_new(
        dead_letter_columns(),
        vec![
            text(|letter| Some(&letter.event_id)),
            text(|letter| Some(letter.source())),
            text(|letter| letter.event_type.as_deref()),
            time(),
            Arc::new(Date32Array::from_iter_values(days)),
            time(),
            text(|letter| Some(&letter.owner)),
            text(|letter| letter.dataset.as_deref()),
            text(|letter| Some(letter.fault.reason.as_str())),
            text(|letter| Some(&letter.fault.detail)),
            text(|letter| letter.fault.pointer.as_deref()),
            Arc::new(records),
            number(|letter| i64::from(letter.index)),
            Arc::new(originals),
            number(|letter| letter.original_bytes as i64),
        ],
    )
}
