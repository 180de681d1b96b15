//! The rows of one dataset as they are collected, and the sorted RecordBatch that they make.

mod column;
pub(crate) mod order;
mod texts;
mod values;

use std::ops::Range;
use std::sync::Arc;

use alluvium_core::Dataset;
use alluvium_core::clock::Micros;
use arrow::array::{
    Array, ArrayRef, Date32Array, PrimitiveArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
    new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::draft::Draft;
use crate::sources::{Ranks, SourceIndex, Sources};
use crate::time::MICROS_PER_DAY;
use column::{Column, Finished};
use texts::{FinishedTexts, Texts, dictionary};
use values::{Alike, Strings};

/// The rows of one dataset, in the order in which the events came.
#[derive(Debug)]
pub(crate) struct Rows {
    dataset: Arc<Dataset>,
    ids: Strings,
    types: Texts,
    sources: Vec<SourceIndex>,
    times: Vec<Micros>,
    arrivals: Alike<Micros>,
    columns: Vec<Column>,
    /// None as long as no row has any.
    extras: Option<Strings>,
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
    /// The sources in their order, and where each pair's stands.
    source_names: Arc<StringArray>,
    ranks: Ranks,
    owner_names: Arc<StringArray>,
    times: Vec<Micros>,
    arrivals: Alike<Micros>,
    columns: Vec<Finished>,
    extras: Option<StringArray>,
}

/// The rows of one dataset, sorted as it declares.
#[derive(Debug)]
pub(crate) struct SortedRows {
    /// The dataset's columns, where it pays as dictionaries (`UInt32`) of all different values.
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
            ids: Strings::new(),
            types: Texts::new(),
            sources: Vec::new(),
            times: Vec::new(),
            arrivals: Alike::default(),
            columns: dataset.object.properties.iter().map(|property| Column::new(&property.values)).collect(),
            extras: None,
            extra: String::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// The bytes that the rows take, roughly.
    pub(crate) fn size_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::size_bytes).sum();
        let texts =
            self.ids.text_bytes() + self.types.size_bytes() + self.extras.as_ref().map_or(0, Strings::text_bytes);
        columns + texts + self.len() * 40
    }

    /// Adds the row that the judge has passed. `id` is its `event_id`; without a time of its own it has its arrival's. Its source is
    /// added by itself, now or later, in the order of the rows.
    pub(crate) fn push(&mut self, draft: &Draft, event: &str, id: &str, arrival: Micros) {
        self.ids.push(id);
        match draft.event_type {
            Some(place) => self.types.push(draft.resolve(event, place)),
            None => self.types.push_null(),
        }
        self.times.push(draft.time.unwrap_or(arrival));
        self.arrivals.push(arrival);
        for (column, cell) in self.columns.iter_mut().zip(&draft.cells) {
            column.push(*cell, draft, event);
        }
        draft.write_extra(&mut self.extra);
        match (self.extra.as_str(), &mut self.extras) {
            ("", None) => {}
            ("", Some(extras)) => extras.push_null(),
            (extra, extras) => extras.get_or_insert_with(|| Strings::of_nulls(self.times.len() - 1)).push(extra),
        }
    }

    /// Adds the source of the first row that has none yet.
    #[inline]
    pub(crate) fn push_source(&mut self, source: SourceIndex) {
        self.sources.push(source);
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
        assert_eq!(self.sources.len(), self.len(), "each row has been told its source");
        let ids = self.ids.finish()?;
        let ranks = known.source_ranks();
        let order = UInt32Array::from(self.order(&ranks, &ids));
        let columns = self.columns.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
        let mut sorted = Sorted {
            schema: self.dataset.columns().clone(),
            order,
            ids,
            types: self.types.finish()?,
            sources: std::mem::take(&mut self.sources),
            source_names: Arc::new(known.names(&ranks)),
            owner_names: Arc::new(known.owner_names()),
            ranks,
            times: std::mem::take(&mut self.times),
            arrivals: std::mem::take(&mut self.arrivals),
            columns,
            extras: self.extras.take().map(|mut extras| extras.finish()).transpose()?,
        };
        if !order::is_usual(&self.dataset) {
            sorted.sort_by(&self.dataset.sort, known)?;
        }
        Ok(sorted)
    }

    /// The rows' numbers by source, time and id; rows that are equal in all three keep the order in which they came.
    fn order(&self, ranks: &Ranks, ids: &StringArray) -> Vec<u32> {
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
        let mut order = vec![0_u32; self.len()];
        for (row, source) in self.sources.iter().enumerate() {
            let end = &mut ends[ranks.of(*source) as usize];
            order[*end as usize] = row as u32;
            *end += 1;
        }
        let key = |row: &u32| u128::from((self.times[*row as usize] as u64) ^ (1 << 63)) << 32 | u128::from(*row);
        let row_of = |key: u128| key as u32;
        let mut keys = Vec::new();
        for (start, end) in starts.iter().zip(&ends) {
            let of_source = &mut order[*start as usize..*end as usize];
            keys.clear();
            keys.extend(of_source.iter().map(key));
            keys.sort_unstable();
            for equal in keys.chunk_by_mut(|one, next| one >> 32 == next >> 32).filter(|equal| equal.len() > 1) {
                equal.sort_by(|one, other| ids.value(row_of(*one) as usize).cmp(ids.value(row_of(*other) as usize)));
            }
            of_source.iter_mut().zip(&keys).for_each(|(row, key)| *row = row_of(*key));
        }
        order
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
        let times: Vec<Micros> = order.values().iter().map(|row| self.times[*row as usize]).collect();
        let sources: Vec<SourceIndex> = order.values().iter().map(|row| self.sources[*row as usize]).collect();
        let mut columns: Vec<ArrayRef> = vec![
            take(&self.ids, &order, None)?,
            dictionary(sources.iter().map(|index| self.ranks.of(*index)).collect(), self.source_names.clone())?,
            self.types.take(&order)?,
            timestamps(times.clone()),
            Arc::new(Date32Array::from_iter_values(times.iter().map(|time| time.div_euclid(MICROS_PER_DAY) as i32))),
            timestamps(self.arrivals.take(order.values())),
            dictionary(sources.iter().map(|index| known.owner_of(*index)).collect(), self.owner_names.clone())?,
        ];
        for column in &self.columns {
            columns.push(column.take(&order)?);
        }
        columns.push(match &self.extras {
            None => new_null_array(&DataType::Utf8, order.len()),
            Some(extras) => take(extras, &order, None)?,
        });
        let fields = self.schema.fields().iter().zip(&columns);
        let fields = fields.map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()));
        let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), self.schema.metadata().clone());
        let batch = RecordBatch::try_new(Arc::new(schema), columns)?;
        Ok(SortedRows { batch, sources, times })
    }
}

fn timestamps(values: Vec<Micros>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
}

/// The values of a column that the transform has built itself, so that its type is known.
pub(crate) fn primitive<T: arrow::datatypes::ArrowPrimitiveType>(column: &ArrayRef) -> &PrimitiveArray<T> {
    column.as_any().downcast_ref().expect("the column was built with the type that its schema says")
}
