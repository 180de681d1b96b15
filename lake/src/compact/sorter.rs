//! Rows in any order in, rows in the order of their table out, in bounded memory: runs of rows are sorted and spilled to files, then
//! merged.
//!
//! A run that was spilled is an Arrow IPC stream with one column more than the table: the number of each row.

use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, UInt64Array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::row::{RowConverter, Rows, SortField};

use super::keys::{Keys, RowSet};
use super::{Result, Unsorted};

/// The column that numbers rows. Columns of datasets cannot have such a name.
const NUMBER: &str = "_row";
/// How many rows a spilled run is written and read by.
const PORTION: usize = 8 * 1024;

/// Takes in rows, run by run.
pub(super) struct Sorter {
    columns: SchemaRef,
    order: Order,
    keys: Keys,
    /// The rows of the run that is being collected, numbered.
    waiting: Vec<RecordBatch>,
    waiting_bytes: usize,
    most_bytes: usize,
    rows: u64,
    spilled: Vec<File>,
    folder: PathBuf,
}

/// What rows are sorted by.
struct Order {
    places: Vec<usize>,
    converter: RowConverter,
}

impl Order {
    fn new(columns: &Schema, by: &[String]) -> Result<Self> {
        // A file is cut at dates, so these come first.
        let names =
            std::iter::once("event_date").chain(by.iter().map(String::as_str)).chain(["event_time", "ingest_time"]);
        let places = names.map(|name| columns.index_of(name)).collect::<std::result::Result<Vec<_>, _>>()?;
        let fields = places.iter().map(|place| SortField::new(columns.field(*place).data_type().clone())).collect();
        Ok(Self { places, converter: RowConverter::new(fields)? })
    }

    fn keys(&self, rows: &RecordBatch) -> Result<Rows> {
        let columns: Vec<ArrayRef> = self.places.iter().map(|place| rows.column(*place).clone()).collect();
        Ok(self.converter.convert_columns(&columns)?)
    }
}

impl Sorter {
    /// For so many rows at the most, of a table with these columns, which are sorted by `event_date` and then by those of these
    /// names. About `most_bytes` of them are held in memory; the rest waits in `folder`.
    pub(super) fn new(
        columns: &SchemaRef,
        by: &[String],
        rows: u64,
        most_bytes: usize,
        folder: PathBuf,
    ) -> Result<Self> {
        let fields = columns.fields().iter().cloned();
        let number = Arc::new(Field::new(NUMBER, DataType::UInt64, false));
        let numbered = Arc::new(Schema::new(fields.chain([number]).collect::<Vec<_>>()));
        Ok(Self {
            order: Order::new(columns, by)?,
            columns: numbered,
            keys: Keys::new(rows, &folder)?,
            waiting: Vec::new(),
            waiting_bytes: 0,
            most_bytes,
            rows: 0,
            spilled: Vec::new(),
            folder,
        })
    }

    /// Takes in rows with the table's columns.
    pub(super) fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        self.keys.add(rows)?;
        let numbers = UInt64Array::from_iter_values(self.rows..self.rows + rows.num_rows() as u64);
        self.rows += rows.num_rows() as u64;
        let columns = rows.columns().iter().cloned().chain([Arc::new(numbers) as ArrayRef]).collect();
        self.waiting_bytes += rows.get_array_memory_size();
        self.waiting.push(RecordBatch::try_new(self.columns.clone(), columns)?);
        if self.waiting_bytes >= self.most_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<()> {
        let path = self.folder.join(format!("run-{}", self.spilled.len()));
        let file = File::options().create_new(true).read(true).write(true).open(path)?;
        let mut writer = StreamWriter::try_new(BufWriter::new(file), &self.columns)?;
        for rows in self.sorted_run()? {
            writer.write(&rows?)?;
        }
        writer.finish()?;
        let mut file = writer.into_inner()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.spilled.push(file);
        Ok(())
    }

    /// The rows that wait, sorted, in portions; none wait then.
    fn sorted_run(&mut self) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let keys = waiting.iter().map(|rows| self.order.keys(rows)).collect::<Result<Vec<_>>>()?;
        let mut order: Vec<(u32, u32)> = Vec::with_capacity(waiting.iter().map(RecordBatch::num_rows).sum());
        for (batch, rows) in waiting.iter().enumerate() {
            order.extend((0..rows.num_rows() as u32).map(|row| (batch as u32, row)));
        }
        let key = |(batch, row): &(u32, u32)| keys[*batch as usize].row(*row as usize);
        order.sort_by(|one, other| key(one).cmp(&key(other)));
        drop(keys);
        let mut at = 0;
        Ok(std::iter::from_fn(move || {
            let part = &order[at..order.len().min(at + PORTION)];
            at += part.len();
            (!part.is_empty())
                .then(|| gather(&waiting, part.iter().map(|(batch, row)| (*batch as usize, *row as usize))))
        }))
    }

    /// Ends the input: the runs, and the keys of their rows.
    pub(super) fn finish(mut self) -> Result<(Runs, Keys)> {
        let last: Run = Box::new(self.sorted_run()?);
        let mut runs = vec![last];
        for file in self.spilled {
            let reader = StreamReader::try_new(BufReader::new(file), None)?;
            runs.push(Box::new(reader.map(|rows| rows.map_err(Unsorted::from))));
        }
        Ok((Runs { runs, order: self.order }, self.keys))
    }
}

/// A sorted run in portions.
type Run = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Sorted runs, to be merged.
pub(super) struct Runs {
    runs: Vec<Run>,
    order: Order,
}

/// The rows at these places among batches, in this order, as one batch.
fn gather(batches: &[RecordBatch], places: impl Iterator<Item = (usize, usize)>) -> Result<RecordBatch> {
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    Ok(interleave_record_batch(&batches, &places.collect::<Vec<_>>())?)
}

/// One sorted run, from its next row on.
struct Cursor {
    rest: Run,
    keys: Rows,
    /// Which of the merge's batches is the present one, and the next row in it.
    batch: usize,
    row: usize,
}

/// The key of the next row of a run: in a heap the least comes first.
struct Head {
    key: Vec<u8>,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.key.cmp(&self.key).then(other.run.cmp(&self.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// Sorted runs as one.
pub(super) struct Merge {
    order: Order,
    cursors: Vec<Cursor>,
    heads: BinaryHeap<Head>,
    /// The batches of which rows wait in `places` or are to come.
    batches: Vec<RecordBatch>,
    places: Vec<(usize, usize)>,
    /// The rows that are left out.
    later: RowSet,
}

impl Merge {
    /// Of these runs, without these rows.
    pub(super) fn new(Runs { runs, order }: Runs, later: RowSet) -> Result<Self> {
        let mut merge = Self {
            heads: BinaryHeap::with_capacity(runs.len()),
            cursors: Vec::with_capacity(runs.len()),
            batches: Vec::new(),
            places: Vec::new(),
            order,
            later,
        };
        for mut rest in runs {
            let Some(rows) = rest.next().transpose()? else { continue };
            let keys = merge.order.keys(&rows)?;
            let run = merge.cursors.len();
            merge.heads.push(Head { key: keys.row(0).as_ref().to_vec(), run });
            merge.cursors.push(Cursor { rest, keys, batch: merge.batches.len(), row: 0 });
            merge.batches.push(rows);
        }
        Ok(merge)
    }

    /// The next rows with the table's columns: as many as `most`, or fewer when no more come or, where the next would be of another
    /// date, `cut` says that so many are enough; and whether it did. `None`: there are no more.
    pub(super) fn next(&mut self, most: usize, cut: impl Fn(usize) -> bool) -> Result<Option<(RecordBatch, bool)>> {
        let (mut last_day, mut is_cut) = (None, false);
        while let Some(mut head) = self.heads.peek_mut() {
            let cursor = &mut self.cursors[head.run];
            let rows = &self.batches[cursor.batch];
            let number = rows[NUMBER].as_primitive::<UInt64Type>().value(cursor.row);
            if !self.later.contains(number) {
                let day = day_of(rows, self.order.places[0], cursor.row);
                is_cut = last_day.is_some_and(|last| last != day) && cut(self.places.len());
                if is_cut || self.places.len() >= most {
                    break;
                }
                last_day = Some(day);
                self.places.push((cursor.batch, cursor.row));
            }
            cursor.row += 1;
            if cursor.row == rows.num_rows() {
                let Some(next) = cursor.rest.next().transpose()? else {
                    PeekMut::pop(head);
                    continue;
                };
                cursor.keys = self.order.keys(&next)?;
                (cursor.batch, cursor.row) = (self.batches.len(), 0);
                self.batches.push(next);
            }
            head.key.clear();
            head.key.extend_from_slice(cursor.keys.row(cursor.row).as_ref());
        }
        if self.places.is_empty() {
            return Ok(None);
        }
        let rows = gather(&self.batches, self.places.drain(..))?;
        self.forget_passed();
        let table: Vec<usize> = (0..rows.num_columns() - 1).collect();
        Ok(Some((rows.project(&table)?, is_cut)))
    }

    /// Lets go of the batches of which no row is to come.
    fn forget_passed(&mut self) {
        let batches = std::mem::take(&mut self.batches);
        for cursor in &mut self.cursors {
            let present = batches[cursor.batch].clone();
            cursor.batch = self.batches.len();
            self.batches.push(present);
        }
    }
}

fn day_of(rows: &RecordBatch, place: usize, row: usize) -> i32 {
    rows.column(place).as_primitive::<arrow::datatypes::Date32Type>().value(row)
}
