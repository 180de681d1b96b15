//! The rows of one dataset as they are collected, and the sorted RecordBatch that they make.

use std::sync::Arc;

use alluvium_core::Dataset;
use alluvium_core::clock::Micros;
use alluvium_core::dataset::ValueKind;
use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Date32Array, Date32Builder, Float64Builder, Int64Builder, PrimitiveArray,
    RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder, UInt32Array,
};
use arrow::compute::take;
use arrow::error::ArrowError;

use crate::draft::{Cell, Draft};
use crate::sources::{SourceIndex, Sources};
use crate::time::MICROS_PER_DAY;

/// The rows of one dataset, in the order in which the events came.
#[derive(Debug)]
pub(crate) struct Rows {
    dataset: Arc<Dataset>,
    ids: StringBuilder,
    types: StringBuilder,
    sources: Vec<SourceIndex>,
    times: Vec<Micros>,
    arrivals: Vec<Micros>,
    columns: Vec<Column>,
    extras: StringBuilder,
    extra: String,
}

/// The rows of one dataset, sorted by source, `event_time` and `event_id`.
#[derive(Debug)]
pub(crate) struct SortedRows {
    /// The dataset's columns.
    pub(crate) batch: RecordBatch,
    /// Each row's owner and source.
    pub(crate) sources: Vec<SourceIndex>,
    /// Each row's `event_time`.
    pub(crate) times: Vec<Micros>,
}

/// A property's column as it is built.
#[derive(Debug)]
enum Column {
    Text(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
}

impl Rows {
    pub(crate) fn new(dataset: &Arc<Dataset>) -> Self {
        Self {
            dataset: dataset.clone(),
            ids: StringBuilder::new(),
            types: StringBuilder::new(),
            sources: Vec::new(),
            times: Vec::new(),
            arrivals: Vec::new(),
            columns: dataset.object.properties.iter().map(|property| Column::new(&property.values.kind)).collect(),
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
        let texts = self.ids.values_slice().len() + self.types.values_slice().len() + self.extras.values_slice().len();
        columns + texts + self.len() * 40
    }

    /// Adds the row that the judge has passed. `id` is its `event_id`; without a time of its own it has its arrival's.
    pub(crate) fn push(&mut self, draft: &Draft, event: &str, id: &str, source: SourceIndex, arrival: Micros) {
        self.ids.append_value(id);
        self.types.append_option(draft.event_type.map(|place| draft.resolve(event, place)));
        self.sources.push(source);
        self.times.push(draft.time.unwrap_or(arrival));
        self.arrivals.push(arrival);
        for (column, cell) in self.columns.iter_mut().zip(&draft.cells) {
            column.push(*cell, draft, event);
        }
        draft.write_extra(&mut self.extra);
        self.extras.append_option((!self.extra.is_empty()).then_some(self.extra.as_str()));
    }

    /// Sorts the rows and makes them a RecordBatch of the dataset's columns; leaves none.
    ///
    /// # Errors
    ///
    /// When Arrow refuses the columns, which would be a defect.
    pub(crate) fn sort(&mut self, known: &Sources) -> Result<SortedRows, ArrowError> {
        let ids = self.ids.finish();
        let order = self.order(known, &ids);
        let indices = UInt32Array::from(order);
        let in_order =
            |values: &[Micros]| -> Vec<Micros> { indices.values().iter().map(|row| values[*row as usize]).collect() };
        let (times, arrivals) = (in_order(&self.times), in_order(&self.arrivals));
        let sources: Vec<SourceIndex> = indices.values().iter().map(|row| self.sources[*row as usize]).collect();
        let sorted = |array: ArrayRef| -> Result<ArrayRef, ArrowError> { take(&array, &indices, None) };
        let mut columns: Vec<ArrayRef> = vec![
            sorted(Arc::new(ids))?,
            Arc::new(StringArray::from_iter_values(sources.iter().map(|index| known.pair(*index).1))),
            sorted(Arc::new(self.types.finish()))?,
            timestamps(times.clone()),
            Arc::new(Date32Array::from_iter_values(times.iter().map(|time| time.div_euclid(MICROS_PER_DAY) as i32))),
            timestamps(arrivals),
            Arc::new(StringArray::from_iter_values(sources.iter().map(|index| known.pair(*index).0))),
        ];
        for column in &mut self.columns {
            columns.push(sorted(column.finish())?);
        }
        columns.push(sorted(Arc::new(self.extras.finish()))?);
        self.sources.clear();
        self.times.clear();
        self.arrivals.clear();
        let batch = RecordBatch::try_new(self.dataset.columns().clone(), columns)?;
        Ok(SortedRows { batch, sources, times })
    }

    /// The rows' numbers by source, time and id; rows that are equal in all three keep the order in which they came.
    fn order(&self, known: &Sources, ids: &StringArray) -> Vec<u32> {
        let ranks = known.source_ranks();
        // One integer per row, so that most comparisons touch nothing else: rank, time (offset, so that negative times
        // come first) and row.
        let rows = self.sources.iter().zip(&self.times).enumerate();
        let mut keys: Vec<u128> = rows
            .map(|(row, (source, time))| {
                let time = (*time as u64) ^ (1 << 63);
                u128::from(ranks.of(*source)) << 96 | u128::from(time) << 32 | row as u128
            })
            .collect();
        keys.sort_unstable();
        let row_of = |key: u128| key as u32;
        for equal in keys.chunk_by_mut(|one, next| one >> 32 == next >> 32).filter(|equal| equal.len() > 1) {
            equal.sort_by(|one, other| ids.value(row_of(*one) as usize).cmp(ids.value(row_of(*other) as usize)));
        }
        keys.into_iter().map(row_of).collect()
    }
}

fn timestamps(values: Vec<Micros>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
}

impl Column {
    fn new(kind: &ValueKind) -> Self {
        match kind {
            ValueKind::Text(_) => Self::Text(StringBuilder::new()),
            ValueKind::Integer(_) => Self::Integer(Int64Builder::new()),
            ValueKind::Number(_) => Self::Number(Float64Builder::new()),
            ValueKind::Boolean(_) => Self::Boolean(BooleanBuilder::new()),
            ValueKind::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            ValueKind::Date => Self::Date(Date32Builder::new()),
            ValueKind::Object(_) | ValueKind::List(_) => unreachable!("refused when the schema is loaded"),
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Text(texts) => texts.values_slice().len() + size_of_val(texts.offsets_slice()),
            Self::Integer(values) => size_of_val(values.values_slice()),
            Self::Number(values) => size_of_val(values.values_slice()),
            Self::Boolean(values) => values.values_slice().len(),
            Self::Timestamp(values) => size_of_val(values.values_slice()),
            Self::Date(values) => size_of_val(values.values_slice()),
        }
    }

    #[inline]
    fn push(&mut self, cell: Cell, draft: &Draft, event: &str) {
        match (self, cell) {
            (Self::Text(texts), Cell::Text(place)) => texts.append_value(draft.resolve(event, place)),
            (Self::Integer(values), Cell::Integer(value)) => values.append_value(value),
            (Self::Number(values), Cell::Number(value)) => values.append_value(value),
            (Self::Boolean(values), Cell::Boolean(value)) => values.append_value(value),
            (Self::Timestamp(values), Cell::Timestamp(value)) => values.append_value(value),
            (Self::Date(values), Cell::Date(value)) => values.append_value(value),
            (column, cell) => {
                debug_assert!(matches!(cell, Cell::Missing | Cell::Null), "a value is read by its column's kind");
                column.push_null();
            }
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Text(texts) => texts.append_null(),
            Self::Integer(values) => values.append_null(),
            Self::Number(values) => values.append_null(),
            Self::Boolean(values) => values.append_null(),
            Self::Timestamp(values) => values.append_null(),
            Self::Date(values) => values.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(texts) => Arc::new(texts.finish()),
            Self::Integer(values) => Arc::new(values.finish()),
            Self::Number(values) => Arc::new(values.finish()),
            Self::Boolean(values) => Arc::new(values.finish()),
            Self::Timestamp(values) => Arc::new(values.finish()),
            Self::Date(values) => Arc::new(values.finish()),
        }
    }
}

/// The values of a column that the transform has built itself, so that its type is known.
pub(crate) fn primitive<T: arrow::datatypes::ArrowPrimitiveType>(column: &ArrayRef) -> &PrimitiveArray<T> {
    column.as_any().downcast_ref().expect("the column was built with the type that its schema says")
}
