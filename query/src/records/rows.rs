//! Rows that have been read for a page, and which of them are visible.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use alluvium_core::clock::Micros;
use arrow::array::{ArrayRef, AsArray as _, StringArray, TimestampMicrosecondArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Schema, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;

use super::PAGE_READS_ROWS;
use super::conform::conform;
use super::cursor::Cursor;
use super::size;
use crate::error::QueryError;

/// The columns that decide about a row: its key, its time and its arrival.
pub(super) const KEYS: [&str; 5] = ["event_id", "source", "event_time", "ingest_time", "owner"];

/// Where a row stands among all rows of its dataset: newest first, then by source, id and owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<'a> {
    pub(super) time: Reverse<Micros>,
    pub(super) source: &'a str,
    pub(super) id: &'a str,
    pub(super) owner: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn of(cursor: &'a Cursor) -> Self {
        Self { time: Reverse(cursor.time), source: &cursor.source, id: &cursor.id, owner: &cursor.owner }
    }

    pub(super) fn cursor(self, dataset: &str) -> Cursor {
        Cursor {
            dataset: dataset.to_owned(),
            time: self.time.0,
            source: self.source.to_owned(),
            id: self.id.to_owned(),
            owner: self.owner.to_owned(),
        }
    }
}

/// One row: which block, and which row of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    block: usize,
    row: usize,
}

/// The columns of a block that decide about its rows.
struct Block {
    /// All columns; `None`: only those below were read.
    whole: Option<RecordBatch>,
    times: TimestampMicrosecondArray,
    arrivals: TimestampMicrosecondArray,
    sources: StringArray,
    ids: StringArray,
    owners: StringArray,
}

/// Every row read so far.
pub(super) struct Rows {
    columns: SchemaRef,
    blocks: Vec<Block>,
    count: usize,
    /// No fewer than the whole rows take: parts of one batch count with all of it.
    bytes_at_most: usize,
    /// Of what comes after this row only the keys are kept: there is no room for more.
    horizon: Option<Cursor>,
}

impl Rows {
    /// None yet, of a dataset with these columns.
    pub(super) fn new(columns: SchemaRef) -> Self {
        Self { columns, blocks: Vec::new(), count: 0, bytes_at_most: 0, horizon: None }
    }

    /// Takes in rows, whatever release of the dataset's schema they were written with: a missing column is null, an unknown one
    /// is left out.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.count += batch.num_rows();
        if self.count > PAGE_READS_ROWS {
            return Err(QueryError::TooMuch(PAGE_READS_ROWS));
        }
        let batch = conform(batch, &self.columns)?;
        self.bytes_at_most = self.bytes_at_most.saturating_add(batch.get_array_memory_size());
        self.blocks.push(Block { whole: Some(batch.clone()), ..Block::keys(&batch) });
        Ok(())
    }

    /// Takes in rows of which only key and times were read: they may hide others, and are never gathered themselves.
    pub(super) fn add_keys(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        self.count += batch.num_rows();
        if self.count > PAGE_READS_ROWS {
            return Err(QueryError::TooMuch(PAGE_READS_ROWS));
        }
        let keys = KEYS.iter().map(|name| self.columns.field_with_name(name).cloned());
        let keys = Arc::new(Schema::new(keys.collect::<Result<Vec<_>, _>>()?));
        self.blocks.push(Block::keys(&conform(batch, &keys)?));
        Ok(())
    }

    /// The last row that a page can reach to; `None`: there was room for all.
    pub(super) fn horizon(&self) -> Option<Place<'_>> {
        self.horizon.as_ref().map(Place::of)
    }

    /// Where the whole rows take more than twice so many bytes, keeps those of the wanted that come first and take about so many, and of
    /// all others the keys.
    pub(super) fn make_room(
        &mut self,
        bytes: usize,
        dataset: &str,
        wanted: impl Fn(Place<'_>) -> bool,
    ) -> Result<(), QueryError> {
        if !self.exceed(bytes.saturating_mul(2)) {
            return Ok(());
        }
        let mut kept = self.visible(wanted);
        let fitting = self.fitting(&kept, bytes);
        if fitting < kept.len() {
            self.horizon = kept[..fitting].last().map(|last| self.place(*last).cursor(dataset));
        }
        kept.truncate(fitting);
        let whole = self.gather(&kept)?;
        self.blocks.iter_mut().for_each(|block| block.whole = None);
        self.bytes_at_most = whole.get_array_memory_size();
        self.blocks.push(Block { whole: Some(whole.clone()), ..Block::keys(&whole) });
        Ok(())
    }

    fn exceed(&self, bytes: usize) -> bool {
        let whole = || self.blocks.iter().filter_map(|block| block.whole.as_ref());
        self.bytes_at_most > bytes && whole().map(size::of).sum::<usize>() > bytes
    }

    /// How many of these rows, from the first on, take no more than this many bytes together; one at the least, if there is any.
    pub(super) fn fitting(&self, rows: &[Row], bytes: usize) -> usize {
        if self.bytes_at_most <= bytes {
            return rows.len();
        }
        let mut left = bytes;
        let fits = |row: &&Row| {
            let whole = self.blocks[row.block].whole.as_ref();
            let size = whole.map_or(0, |whole| size::of(&whole.slice(row.row, 1)));
            left.checked_sub(size).inspect(|rest| left = *rest).is_some()
        };
        rows.iter().take_while(fits).count().max(1).min(rows.len())
    }

    /// The row that was taken in last.
    pub(super) fn last_added(&self) -> Option<Row> {
        let last = self.blocks.last()?;
        Some(Row { block: self.blocks.len() - 1, row: last.times.len().checked_sub(1)? })
    }

    /// How many there are newer than `time`, shadowed ones and other arrivals of one key included.
    pub(super) fn newer_than(&self, time: Micros) -> usize {
        let newer = |block: &Block| block.times.values().iter().filter(|at| **at > time).count();
        self.blocks.iter().map(newer).sum()
    }

    pub(super) fn place(&self, row: Row) -> Place<'_> {
        let block = &self.blocks[row.block];
        Place {
            time: Reverse(block.times.value(row.row)),
            source: block.sources.value(row.row),
            id: block.ids.value(row.row),
            owner: block.owners.value(row.row),
        }
    }

    /// The first arrival of each key, out of all that was read, where `wanted` says so; in order of their places. A first arrival
    /// of which only the key was read hides others and is not answered itself.
    pub(super) fn visible(&self, wanted: impl Fn(Place<'_>) -> bool) -> Vec<Row> {
        let mut first: HashMap<(&str, &str, &str), Row, RandomState> = HashMap::default();
        let horizon = self.horizon();
        let is_wanted = |row: Row| {
            let place = self.place(row);
            self.blocks[row.block].whole.is_some() && horizon.is_none_or(|horizon| place <= horizon) && wanted(place)
        };
        for row in self.all().filter(|row| is_wanted(*row)) {
            let kept = first.entry(self.key(row)).or_insert(row);
            if self.rank(row) < self.rank(*kept) {
                *kept = row;
            }
        }
        // Most rows of a source that sends much are read only because they may hide one of the wanted.
        for row in self.all() {
            if let Some(kept) = first.get_mut(&self.key(row))
                && self.rank(row) < self.rank(*kept)
            {
                *kept = row;
            }
        }
        let mut visible: Vec<Row> = first.into_values().filter(|row| is_wanted(*row)).collect();
        visible.sort_unstable_by(|a, b| self.place(*a).cmp(&self.place(*b)));
        visible
    }

    fn all(&self) -> impl Iterator<Item = Row> {
        let rows_of = |(block, held): (usize, &Block)| (0..held.times.len()).map(move |row| Row { block, row });
        self.blocks.iter().enumerate().flat_map(rows_of)
    }

    fn key(&self, row: Row) -> (&str, &str, &str) {
        let Place { source, id, owner, .. } = self.place(row);
        (id, source, owner)
    }

    /// What decides between two arrivals of one key: the lesser wins.
    fn rank(&self, row: Row) -> (Micros, Micros) {
        let block = &self.blocks[row.block];
        (block.arrivals.value(row.row), block.times.value(row.row))
    }

    /// These rows as one RecordBatch, in this order.
    pub(super) fn gather(&self, rows: &[Row]) -> Result<RecordBatch, QueryError> {
        if rows.is_empty() {
            return Ok(RecordBatch::new_empty(self.columns.clone()));
        }
        let mut batches: Vec<&RecordBatch> = Vec::new();
        let mut place_of_block: HashMap<usize, usize> = HashMap::new();
        let mut indices = Vec::with_capacity(rows.len());
        for row in rows {
            let place = *place_of_block.entry(row.block).or_insert_with(|| {
                let whole = self.blocks[row.block].whole.as_ref();
                batches.push(whole.expect("rows that were read for their keys alone are never visible"));
                batches.len() - 1
            });
            indices.push((place, row.row));
        }
        Ok(interleave_record_batch(&batches, &indices)?)
    }
}

impl Block {
    fn keys(batch: &RecordBatch) -> Self {
        let text = |name: &str| column(batch, name).as_string::<i32>().clone();
        let time = |name: &str| column(batch, name).as_primitive::<TimestampMicrosecondType>().clone();
        let (times, arrivals) = (time("event_time"), time("ingest_time"));
        let (sources, ids, owners) = (text("source"), text("event_id"), text("owner"));
        Self { whole: None, times, arrivals, sources, ids, owners }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).expect("every table has the common columns")
}
