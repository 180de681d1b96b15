//! The rows of one dataset as they are collected, and the sorted RecordBatch that they make.

mod column;
pub(crate) mod order;
mod texts;

use std::ops::Range;
use std::sync::Arc;

use alluvium_core::Dataset;
use alluvium_core::clock::Micros;
use arrow::array::{
    Array, ArrayRef, Date32Array, PrimitiveArray, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
    UInt32Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use crate::draft::Draft;
use crate::sources::{SourceIndex, Sources};
use crate::time::MICROS_PER_DAY;
use column::{Column, Finished};
use texts::{FinishedTexts, Texts};

/// The rows of one dataset, in the order in which the events came.
#[derive(Debug)]
pub(crate) struct Rows {
    dataset: Arc<Dataset>,
    ids: StringBuilder,
    types: Texts,
    sources: Vec<SourceIndex>,
    times: Vec<Micros>,
    arrivals: Vec<Micros>,
    columns: Vec<Column>,
    extras: StringBuilder,
    extra: String,
}

/// The rows of one dataset and the order that sorts them: by what the dataset declares, then by source, `event_time` and
/// `event_id`.
#[derive(Debug)]
pub(crate) struct Sorted {
    schema: SchemaRef,
    /// The rows' numbers in that order; all that follows is in the order in which the events came.
    order: UInt32Array,
    ids: StringArray,
    types: FinishedTexts,
    sources: Vec<SourceIndex>,
    times: Vec<Micros>,
    arrivals: Vec<Micros>,
    columns: Vec<Finished>,
    extras: StringArray,
}

/// The rows of one dataset, sorted as it declares.
#[derive(Debug)]
pub(crate) struct SortedRows {
    /// The dataset's columns.
    pub(crate) batch: RecordBatch,
    /// Each row's owner and source.
    pub(crate) sources: Vec<SourceIndex>,
    /// Each row's `event_time`.
    pub(crate) times: Vec<Micros>,
}

impl Rows {
    pub(crate) fn new(dataset: &Arc<Dataset>) -> Self {
        Self {
            dataset: dataset.clone(),
            ids: StringBuilder::new(),
            types: Texts::new(),
            sources: Vec::new(),
            times: Vec::new(),
            arrivals: Vec::new(),
            columns: dataset.object.properties.iter().map(|property| Column::new(&property.values)).collect(),
            extras: StringBuilder::new(),
            extra: String::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// The bytes that the rows take, roughly.
    pub(crate) fn size_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::size_bytes).sum();
        let texts = self.ids.values_slice().len() + self.types.size_bytes() + self.extras.values_slice().len();
        columns + texts + self.len() * 40
    }

    /// Adds the row that the judge has passed. `id` is its `event_id`; without a time of its own it has its arrival's.
    pub(crate) fn push(&mut self, draft: &Draft, event: &str, id: &str, source: SourceIndex, arrival: Micros) {
        self.ids.append_value(id);
        match draft.event_type {
            Some(place) => self.types.push(draft.resolve(event, place)),
            None => self.types.push_null(),
        }
        self.sources.push(source);
        self.times.push(draft.time.unwrap_or(arrival));
        self.arrivals.push(arrival);
        for (column, cell) in self.columns.iter_mut().zip(&draft.cells) {
            column.push(*cell, draft, event);
        }
        draft.write_extra(&mut self.extra);
        self.extras.append_option((!self.extra.is_empty()).then_some(self.extra.as_str()));
    }

    /// Sorts the rows; leaves none.
    ///
    /// # Errors
    ///
    /// When Arrow refuses the columns, which would be a defect.
    pub(crate) fn sort(&mut self, known: &Sources) -> Result<SortedRows, ArrowError> {
        let sorted = self.sorted(known)?;
        sorted.slice(0..sorted.len(), known)
    }

    /// Finds the order of the rows, without yet moving any; leaves none.
    ///
    /// # Errors
    ///
    /// When Arrow refuses the columns, which would be a defect.
    pub(crate) fn sorted(&mut self, known: &Sources) -> Result<Sorted, ArrowError> {
        let ids = self.ids.finish();
        let order = UInt32Array::from(self.order(known, &ids));
        let columns = self.columns.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
        let mut sorted = Sorted {
            schema: self.dataset.columns().clone(),
            order,
            ids,
            types: self.types.finish(),
            sources: std::mem::take(&mut self.sources),
            times: std::mem::take(&mut self.times),
            arrivals: std::mem::take(&mut self.arrivals),
            columns,
            extras: self.extras.finish(),
        };
        if !order::is_usual(&self.dataset) {
            sorted.sort_by(&self.dataset.sort, known)?;
        }
        Ok(sorted)
    }

    /// The rows' numbers by source, time and id; rows that are equal in all three keep the order in which they came.
    fn order(&self, known: &Sources, ids: &StringArray) -> Vec<u32> {
        let ranks = known.source_ranks();
        // The rows are counted out by source; then those of each source, which are few, are sorted by time. One integer per
        // row, so that most comparisons touch nothing else: time (offset, so that negative times come first) and row.
        let mut ends = vec![0_u32; ranks.count() + 1];
        for source in &self.sources {
            ends[ranks.of(*source) as usize + 1] += 1;
        }
        for rank in 1..ends.len() {
            ends[rank] += ends[rank - 1];
        }
        let starts = ends.clone();
        let mut keys = vec![0_u128; self.len()];
        for (row, (source, time)) in self.sources.iter().zip(&self.times).enumerate() {
            let end = &mut ends[ranks.of(*source) as usize];
            keys[*end as usize] = u128::from((*time as u64) ^ (1 << 63)) << 32 | row as u128;
            *end += 1;
        }
        let row_of = |key: u128| key as u32;
        for (start, end) in starts.iter().zip(&ends) {
            let of_source = &mut keys[*start as usize..*end as usize];
            of_source.sort_unstable();
            for equal in of_source.chunk_by_mut(|one, next| one >> 32 == next >> 32).filter(|equal| equal.len() > 1) {
                equal.sort_by(|one, other| ids.value(row_of(*one) as usize).cmp(ids.value(row_of(*other) as usize)));
            }
        }
        keys.into_iter().map(row_of).collect()
    }
}

impl Sorted {
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Some of the rows, as a RecordBatch of the dataset's columns.
    ///
    /// # Errors
    ///
    /// When Arrow refuses the columns, which would be a defect.
    pub(crate) fn slice(&self, rows: Range<usize>, known: &Sources) -> Result<SortedRows, ArrowError> {
        let order = self.order.slice(rows.start, rows.len());
        let in_order =
            |values: &[Micros]| -> Vec<Micros> { order.values().iter().map(|row| values[*row as usize]).collect() };
        let (times, arrivals) = (in_order(&self.times), in_order(&self.arrivals));
        let sources: Vec<SourceIndex> = order.values().iter().map(|row| self.sources[*row as usize]).collect();
        let mut columns: Vec<ArrayRef> = vec![
            take(&self.ids, &order, None)?,
            Arc::new(StringArray::from_iter_values(sources.iter().map(|index| known.pair(*index).1))),
            self.types.take(&order)?,
            timestamps(times.clone()),
            Arc::new(Date32Array::from_iter_values(times.iter().map(|time| time.div_euclid(MICROS_PER_DAY) as i32))),
            timestamps(arrivals),
            Arc::new(StringArray::from_iter_values(sources.iter().map(|index| known.pair(*index).0))),
        ];
        for column in &self.columns {
            columns.push(column.take(&order)?);
        }
        columns.push(if self.extras.null_count() == self.extras.len() {
            new_null_array(&DataType::Utf8, order.len())
        } else {
            take(&self.extras, &order, None)?
        });
        Ok(SortedRows { batch: RecordBatch::try_new(self.schema.clone(), columns)?, sources, times })
    }
}

fn timestamps(values: Vec<Micros>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
}

/// The values of a column that the transform has built itself, so that its type is known.
pub(crate) fn primitive<T: arrow::datatypes::ArrowPrimitiveType>(column: &ArrayRef) -> &PrimitiveArray<T> {
    column.as_any().downcast_ref().expect("the column was built with the type that its schema says")
}
