//! Marking the dead letters that were sent again.
//!
//! A redriven dead letter stays in its table, with the time in `redriven_at`. The data files that hold such rows are written anew,
//! row group by row group, with every other value and the order of rows as they were, and take the place of the old ones in one
//! commit. A mark that stands is never moved, so marking twice is marking once.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use alluvium_core::DatasetName;
use alluvium_core::clock::Micros;
use alluvium_core::dataset::{ColumnChange, dead_letter_columns};
use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch, Scalar, TimestampMicrosecondArray};
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use uuid::Uuid;

use crate::anew::{Anew, Written};
use crate::columns::KEY_COLUMNS;
use crate::compact::days_of;
use crate::contention::Contention;
use crate::error::{LakeError, Result};
use crate::log::TableLog;
use crate::reader::ActiveFile;
use crate::rewrite::{Known, Rewrite};
use crate::upkeep::{Upkeep, blocking};

/// The column of the time at which a dead letter was sent again.
pub(crate) const MARK: &str = "redriven_at";
const MICROS_PER_DAY: Micros = 86_400_000_000;

/// Dead letters by their event keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterKeys {
    /// Owners and sources by `event_id`, which is rarely that of several.
    by_event_id: HashMap<String, Vec<(String, String)>>,
    len: usize,
    /// The first and the last day of their arrivals, since 1970.
    days: Option<RangeInclusive<i32>>,
}

impl DeadLetterKeys {
    /// Adds the key of a dead letter that arrived then.
    pub fn insert(&mut self, owner: &str, source: &str, event_id: &str, arrival: Micros) {
        if self.contains(owner, source, event_id) {
            return;
        }
        self.by_event_id.entry(event_id.to_owned()).or_default().push((owner.to_owned(), source.to_owned()));
        self.len += 1;
        let day = arrival.div_euclid(MICROS_PER_DAY) as i32;
        self.days = Some(match self.days.take() {
            Some(days) => day.min(*days.start())..=day.max(*days.end()),
            None => day..=day,
        });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn contains(&self, owner: &str, source: &str, event_id: &str) -> bool {
        let known = self.by_event_id.get(event_id);
        known.is_some_and(|known| known.iter().any(|(one, other)| one == owner && other == source))
    }

    /// Whether a file may hold any: an arrival is the `event_time` of its dead letter.
    fn may_be_in(&self, file: &ActiveFile) -> bool {
        let of_file = days_of(file);
        self.days.as_ref().is_some_and(|days| days.start() <= of_file.end() && of_file.start() <= days.end())
    }

    /// Which rows are theirs and have no mark yet. The rows need have no column but those of the key, and may lack the mark's.
    fn unmarked(&self, rows: &RecordBatch) -> BooleanArray {
        let [owners, sources, ids] = KEY_COLUMNS.map(|name| rows[name].as_string::<i32>());
        let marks = rows.column_by_name(MARK);
        let is_unmarked = |row| marks.is_none_or(|marks| marks.is_null(row));
        let rows = 0..rows.num_rows();
        rows.map(|row| Some(is_unmarked(row) && self.contains(owners.value(row), sources.value(row), ids.value(row))))
            .collect()
    }
}

impl Upkeep {
    /// Says in the table `dead_letters` that these were sent again at `at`, and of how many rows it was not said before. A dead
    /// letter that was delivered twice has two.
    ///
    /// Appends may go on, and so may other maintenance. What was written and could not be committed is left for vacuum.
    ///
    /// # Errors
    ///
    /// When the table is missing or has no column for it, a file of it is missing or damaged, the store fails, or others keep
    /// winning. Then nothing is marked.
    pub async fn mark_redriven(&self, letters: &Arc<DeadLetterKeys>, at: Micros) -> Result<u64> {
        let table = DatasetName::dead_letters();
        let mut contention = Contention::default();
        loop {
            let known = self.newest(table.as_str()).await?;
            check_column(&known)?;
            let marking = Marking { letters: letters.clone(), at };
            let anew = Anew {
                log: known.log().clone(),
                format: self.format.clone(),
                columns: dead_letter_columns(),
                change: Arc::new(move |rows| mark(rows, &marking)),
                doing: "write marked rows",
            };
            let work = Uuid::new_v4().simple().to_string();
            let (mut removes, mut adds, mut entries, mut rows) = (Vec::new(), Vec::new(), Vec::new(), 0);
            for file in known.files()?.into_iter().filter(|file| letters.may_be_in(file)) {
                let bytes = known.log().get_present(&file.path).await?;
                let found = unmarked_in(known.log(), &file, &bytes, letters).await?;
                if found > 0 {
                    let written = anew.rewrite(&file, bytes, &work, adds.len()).await?;
                    let Written { file: new, entry, .. } = written.expect("marks leave every row");
                    adds.push(new);
                    entries.push(entry);
                    removes.push(file);
                    rows += found;
                }
            }
            self.index(entries).await?;
            if removes.is_empty() || self.commit(known, Rewrite::update(removes, adds)).await?.is_some() {
                return Ok(rows);
            }
            contention.wait(table.as_str()).await?;
        }
    }
}

/// A table that an earlier release has written gets the column when its lake is opened.
fn check_column(known: &Known) -> Result<()> {
    if known.columns()?.column_with_name(MARK).is_some() {
        return Ok(());
    }
    let detail =
        "its table does not have it yet; it is added when the lake is opened by a node or a committer of this release";
    let conflicts = vec![ColumnChange { column: MARK.to_owned(), detail: detail.to_owned() }];
    Err(LakeError::Columns { dataset: DatasetName::dead_letters().into(), conflicts })
}

/// How many rows of a file are to be marked.
async fn unmarked_in(log: &TableLog, file: &ActiveFile, bytes: &Bytes, letters: &Arc<DeadLetterKeys>) -> Result<u64> {
    let (letters, bytes) = (letters.clone(), bytes.clone());
    let counted = blocking(log.name(), move || -> std::result::Result<u64, ArrowError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
        let columns = KEY_COLUMNS.iter().copied().chain([MARK]);
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
        let batches = builder.with_projection(mask).build()?;
        batches.map(|rows| Ok(letters.unmarked(&rows?).true_count() as u64)).sum()
    });
    counted.await?.map_err(|error| log.damaged(&file.path, &format!("{error}; restore it")))
}

/// What is marked, and when.
struct Marking {
    letters: Arc<DeadLetterKeys>,
    at: Micros,
}

/// The same rows, those that are the letters' marked.
fn mark(rows: &RecordBatch, marking: &Marking) -> std::result::Result<RecordBatch, ArrowError> {
    let at = Scalar::new(TimestampMicrosecondArray::from_iter_values([marking.at]).with_timezone("UTC"));
    let marks = zip(&marking.letters.unmarked(rows), &at, rows[MARK].as_primitive::<TimestampMicrosecondType>())?;
    let columns = rows.schema_ref().fields().iter().zip(rows.columns());
    let columns = columns.map(|(field, column)| if field.name() == MARK { marks.clone() } else { column.clone() });
    RecordBatch::try_new(rows.schema(), columns.collect::<Vec<ArrayRef>>())
}

#[cfg(test)]
mod tests;
