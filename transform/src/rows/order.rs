//! The order of rows where a dataset declares one of its own (`x-alluvium.sort`).
//!
//! Rows are always brought into the usual order first: by source, `event_time` and `event_id`. That decides between rows that are
//! equal in the declared columns, so that the order depends on the rows alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::Dataset;
use alluvium_core::dataset::COMMON_COLUMNS;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, UInt32Array};
use arrow::compute::{LexicographicalComparator, SortColumn, SortOptions};
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;

use super::Sorted;
use super::column::Finished;
use super::texts::FinishedTexts;
use crate::sources::Sources;
use crate::time::MICROS_PER_DAY;

/// The usual order of rows, the first column the most significant.
const USUAL: [&str; 3] = ["source", "event_time", "event_id"];

/// How the columns that rows are sorted by are compared, as the data file says it of itself.
pub(crate) const ASCENDING: SortOptions = SortOptions { descending: false, nulls_first: true };

/// Whether the usual order is one that the dataset asks for; if so, the rows of each source are in order of their time.
pub(crate) fn is_usual(dataset: &Dataset) -> bool {
    USUAL.iter().take(dataset.sort.len()).eq(&dataset.sort)
}

impl Sorted {
    /// Sorts the rows by the columns of these names, the first the most significant; those that are equal keep their order.
    pub(super) fn sort_by(&mut self, columns: &[String], known: &Sources) -> Result<(), ArrowError> {
        let key = |name: &String| Ok(SortColumn { values: self.key(name, known)?, options: Some(ASCENDING) });
        let keys = columns.iter().map(key).collect::<Result<Vec<_>, ArrowError>>()?;
        let keys = LexicographicalComparator::try_new(&keys)?;
        let mut order = self.order.values().to_vec();
        order.sort_by(|one, other| keys.compare(*one as usize, *other as usize));
        self.order = order.into();
        Ok(())
    }

    /// What the rows, in the order in which they came, are compared by instead of this column; null where it is.
    fn key(&self, name: &str, known: &Sources) -> Result<ArrayRef, ArrowError> {
        Ok(match name {
            "event_id" => Arc::new(self.ids.clone()),
            "source" => {
                Arc::new(UInt32Array::from_iter_values(self.sources.iter().map(|source| self.ranks.of(*source))))
            }
            "type" => texts(&self.types),
            "event_time" => Arc::new(Int64Array::from(self.times.clone())),
            "event_date" => {
                let days = self.times.iter().map(|time| time.div_euclid(MICROS_PER_DAY) as i32);
                Arc::new(Int32Array::from_iter_values(days))
            }
            "ingest_time" => Arc::new(Int64Array::from(self.arrivals.all())),
            "owner" => Arc::new(ranks(self.sources.iter().map(|source| known.pair(*source).0))),
            _ => match &self.columns[self.schema.index_of(name)? - COMMON_COLUMNS.len()] {
                Finished::Texts(column) => texts(column),
                Finished::Array(column) => plain(column),
            },
        })
    }
}

/// A text column; one that is kept as codes is compared by the places of its values, which take far less room than they do.
fn texts(column: &FinishedTexts) -> ArrayRef {
    match column {
        FinishedTexts::Plain(texts) => Arc::new(texts.clone()),
        FinishedTexts::Coded { codes, values } => {
            let places = ranks(values.iter().map(Option::unwrap_or_default));
            let place = |code: &u16| ((*code as usize) < places.len()).then(|| places.value(*code as usize));
            Arc::new(codes.iter().map(place).collect::<UInt32Array>())
        }
    }
}

/// A column of single values; 0 and -0, which readers take for equal, are made so.
fn plain(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let numbers: Float64Array = column.as_primitive::<Float64Type>().unary(|number| number + 0.0);
            Arc::new(numbers)
        }
        _ => column.clone(),
    }
}

/// For each text its place among them in their order; equal texts share one.
fn ranks<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> UInt32Array {
    let mut place_of: BTreeMap<&str, u32> = texts.clone().map(|text| (text, 0)).collect();
    for (place, next) in place_of.values_mut().zip(0..) {
        *place = next;
    }
    UInt32Array::from_iter_values(texts.map(|text| place_of[text]))
}
