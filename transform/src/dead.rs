//! The dead letters of one batch as they are collected, and the rows of the table `dead_letters` that they make.

use std::fmt::Write as _;

use alluvium_core::RecordIdentity;
use alluvium_core::clock::Micros;
use alluvium_core::dataset::dead_letter_columns;
use arrow::array::{
    Array, ArrayRef, BinaryBuilder, Date32Array, Int64Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::take;
use arrow::error::ArrowError;

use crate::fault::Fault;
use crate::time::MICROS_PER_DAY;

/// The source of a dead letter whose own could not be read.
pub(crate) const UNKNOWN_SOURCE: &str = "unknown";

/// What a dead letter takes beside its texts and bytes.
const FIXED_BYTES: usize = 80;

/// One dead letter.
#[derive(Debug)]
pub(crate) struct DeadLetter<'a> {
    pub(crate) event_id: &'a str,
    pub(crate) source: Option<&'a str>,
    pub(crate) event_type: Option<&'a str>,
    pub(crate) arrival: Micros,
    pub(crate) owner: &'a str,
    pub(crate) dataset: Option<&'a str>,
    pub(crate) fault: &'a Fault,
    pub(crate) record: &'a RecordIdentity,
    pub(crate) index: u32,
    /// The bytes as sent, already cut to the limit.
    pub(crate) original: &'a [u8],
    pub(crate) original_bytes: usize,
}

/// The dead letters in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    ids: StringBuilder,
    sources: StringBuilder,
    types: StringBuilder,
    arrivals: Vec<Micros>,
    owners: StringBuilder,
    datasets: StringBuilder,
    reasons: StringBuilder,
    details: StringBuilder,
    pointers: StringBuilder,
    records: StringBuilder,
    indexes: Vec<i64>,
    originals: BinaryBuilder,
    lengths: Vec<i64>,
    bytes: usize,
}

impl DeadLetters {
    pub(crate) fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// The bytes that they take, roughly.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// Adds one; says how many bytes it takes, roughly.
    pub(crate) fn push(&mut self, letter: &DeadLetter<'_>) -> usize {
        let source = letter.source.unwrap_or(UNKNOWN_SOURCE);
        self.ids.append_value(letter.event_id);
        self.sources.append_value(source);
        self.types.append_option(letter.event_type);
        self.arrivals.push(letter.arrival);
        self.owners.append_value(letter.owner);
        self.datasets.append_option(letter.dataset);
        self.reasons.append_value(letter.fault.reason.as_str());
        self.details.append_value(&letter.fault.detail);
        self.pointers.append_option(letter.fault.pointer.as_deref());
        let records = self.records.values_slice().len();
        write!(self.records, "{}", letter.record).expect("a builder takes every text");
        self.records.append_value("");
        self.indexes.push(i64::from(letter.index));
        self.originals.append_value(letter.original);
        self.lengths.push(letter.original_bytes as i64);
        let optional = [letter.event_type, letter.dataset, letter.fault.pointer.as_deref()];
        let bytes = FIXED_BYTES
            + letter.event_id.len()
            + source.len()
            + letter.owner.len()
            + letter.fault.reason.as_str().len()
            + letter.fault.detail.len()
            + (self.records.values_slice().len() - records)
            + optional.into_iter().flatten().map(str::len).sum::<usize>()
            + letter.original.len();
        self.bytes += bytes;
        bytes
    }

    /// Makes them one RecordBatch, sorted by source, `event_time` and `event_id`; leaves none.
    ///
    /// # Errors
    ///
    /// When Arrow refuses the columns, which would be a defect.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let (ids, sources) = (self.ids.finish(), self.sources.finish());
        let order = self.order(&ids, &sources);
        self.bytes = 0;
        let sorted = |column: &dyn Array| take(column, &order, None);
        let numbers = |values: &mut Vec<i64>| sorted(&Int64Array::from(std::mem::take(values)));
        let arrivals = std::mem::take(&mut self.arrivals);
        let days = arrivals.iter().map(|time| time.div_euclid(MICROS_PER_DAY) as i32);
        let days = sorted(&Date32Array::from_iter_values(days))?;
        let times: ArrayRef = sorted(&TimestampMicrosecondArray::from(arrivals).with_timezone("UTC"))?;
        let never = new_null_array(times.data_type(), order.len());
        let columns = vec![
            sorted(&ids)?,
            sorted(&sources)?,
            sorted(&self.types.finish())?,
            times.clone(),
            days,
            times,
            sorted(&self.owners.finish())?,
            sorted(&self.datasets.finish())?,
            sorted(&self.reasons.finish())?,
            sorted(&self.details.finish())?,
            sorted(&self.pointers.finish())?,
            sorted(&self.records.finish())?,
            numbers(&mut self.indexes)?,
            sorted(&self.originals.finish())?,
            numbers(&mut self.lengths)?,
            never,
        ];
        RecordBatch::try_new(dead_letter_columns(), columns)
    }

    fn order(&self, ids: &StringArray, sources: &StringArray) -> UInt32Array {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        let key = |row: u32| (sources.value(row as usize), self.arrivals[row as usize], ids.value(row as usize));
        order.sort_unstable_by(|one, other| key(*one).cmp(&key(*other)));
        order.into()
    }
}
