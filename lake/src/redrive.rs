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
use arrow::compute::concat_batches;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use uuid::Uuid;

use crate::columns::{KEY_COLUMNS, conform};
use crate::compact::{MARKED, days_of, is_new};
use crate::contention::Contention;
use crate::error::{LakeError, Result};
use crate::log::TableLog;
use crate::reader::ActiveFile;
use crate::rewrite::{Known, NewFile, Rewrite};
use crate::upkeep::{Upkeep, blocking};

const MARK: &str = "redriven_at";
const WRITING: &str = "write marked rows";
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
            let marking = Marking { letters: letters.clone(), at, work: Uuid::new_v4().simple().to_string() };
            let (mut removes, mut adds, mut rows) = (Vec::new(), Vec::new(), 0);
            for file in known.files()?.into_iter().filter(|file| letters.may_be_in(file)) {
                let bytes = known.log().get_present(&file.path).await?;
                let found = marking.rows_in(known.log(), &file, &bytes).await?;
                if found > 0 {
                    adds.push(marking.rewrite(self, known.log(), &file, bytes, adds.len()).await?);
                    removes.push(file);
                    rows += found;
                }
            }
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

/// One attempt.
struct Marking {
    letters: Arc<DeadLetterKeys>,
    at: Micros,
    work: String,
}

impl Marking {
    /// How many rows of a file are to be marked.
    async fn rows_in(&self, log: &TableLog, file: &ActiveFile, bytes: &Bytes) -> Result<u64> {
        let (letters, bytes) = (self.letters.clone(), bytes.clone());
        let counted = blocking(log.name(), move || -> std::result::Result<u64, ArrowError> {
            let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
            let columns = KEY_COLUMNS.iter().copied().chain([MARK]);
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
            let batches = builder.with_projection(mask).build()?;
            batches.map(|rows| Ok(letters.unmarked(&rows?).true_count() as u64)).sum()
        });
        counted.await?.map_err(|error| damaged(log, file, &error))
    }

    /// Writes a file anew with its marks.
    async fn rewrite(
        &self,
        upkeep: &Upkeep,
        log: &TableLog,
        file: &ActiveFile,
        bytes: Bytes,
        number: usize,
    ) -> Result<NewFile> {
        let path = self.name(file, number);
        let mut upload = log.upload(&path);
        let mut writer = upkeep.format.begin(log.name()).map_err(LakeError::upkeep(WRITING, log.name()))?;
        let metadata =
            ArrowReaderMetadata::load(&bytes, Default::default()).map_err(|error| damaged(log, file, &error))?;
        for row_group in 0..metadata.metadata().num_row_groups() {
            let (letters, at) = (self.letters.clone(), self.at);
            let (source, metadata) = (bytes.clone(), metadata.clone());
            let marked =
                blocking(log.name(), move || mark(&read_row_group(source, metadata, row_group)?, &letters, at)).await?;
            let marked = marked.map_err(|error| damaged(log, file, &error))?;
            let encoding = blocking(log.name(), move || writer.write(&marked).map(|()| writer));
            writer = encoding.await?.map_err(LakeError::upkeep(WRITING, log.name()))?;
            upload.write(writer.take().into()).await?;
        }
        let encoded =
            blocking(log.name(), move || writer.finish()).await?.map_err(LakeError::upkeep(WRITING, log.name()))?;
        if encoded.rows != file.rows {
            let problem = format!("it has {} rows, its table's log says {}", encoded.rows, file.rows);
            return Err(damaged(log, file, &problem));
        }
        upload.write(encoded.end.into()).await?;
        upload.finish().await?;
        Ok(NewFile { path, size_bytes: encoded.size_bytes, stats: encoded.stats })
    }

    /// A name that is no batch's, and tells compaction of the rows what the old one did: whether it has seen them.
    fn name(&self, file: &ActiveFile, number: usize) -> String {
        let first = if is_new(file) { MARKED } else { file.path.split('_').next().unwrap_or_default() };
        format!("{first}_{}_{number}.parquet", self.work)
    }
}

/// A row group of the table, as one RecordBatch; columns that came after it was written are null.
fn read_row_group(
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    row_group: usize,
) -> std::result::Result<RecordBatch, ArrowError> {
    let rows = metadata.metadata().row_group(row_group).num_rows() as usize;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata);
    let batches = builder.with_row_groups(vec![row_group]).with_batch_size(rows).build()?;
    let batches = batches.collect::<std::result::Result<Vec<_>, _>>()?;
    let columns = dead_letter_columns();
    let whole = batches.iter().map(|rows| conform(rows, &columns));
    concat_batches(&columns, &whole.collect::<std::result::Result<Vec<_>, _>>()?)
}

/// The same rows, those that are the letters' marked.
fn mark(rows: &RecordBatch, letters: &DeadLetterKeys, at: Micros) -> std::result::Result<RecordBatch, ArrowError> {
    let at = Scalar::new(TimestampMicrosecondArray::from_iter_values([at]).with_timezone("UTC"));
    let marks = zip(&letters.unmarked(rows), &at, rows[MARK].as_primitive::<TimestampMicrosecondType>())?;
    let columns = rows.schema_ref().fields().iter().zip(rows.columns());
    let columns = columns.map(|(field, column)| if field.name() == MARK { marks.clone() } else { column.clone() });
    RecordBatch::try_new(rows.schema(), columns.collect::<Vec<ArrayRef>>())
}

fn damaged(log: &TableLog, file: &ActiveFile, problem: &dyn std::fmt::Display) -> LakeError {
    log.damaged(&file.path, &format!("{problem}; restore it"))
}

#[cfg(test)]
mod tests;
