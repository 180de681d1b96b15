//! Reading the hot index downwards in time, chunk by chunk, no further than a page needs.

use std::collections::VecDeque;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery};
use alluvium_core::hot_block::{HotBlockError, read_rows_with};
use alluvium_core::ports::HotIndex;
use arrow::record_batch::RecordBatch;

use super::boundary::micros;
use super::page::Scope;
use super::rows::Rows;
use super::{DUPLICATE_ROWS, DUPLICATE_WINDOW};
use crate::error::QueryError;

/// The most bytes that one chunk may expand to. A chunk has at most 400 KB, and rows compress to a tenth or so.
const CHUNK_EXPANDED_BYTES: usize = 64 * 1024 * 1024;

/// How much time the first slice covers. Slices grow while they hold little and shrink while they hold much, so that neither a
/// sparse source takes many questions nor a dense dataset many megabytes in one answer.
const FIRST_SLICE: Duration = Duration::from_secs(1);
const FEW_CHUNKS: usize = 16;
const MANY_CHUNKS: usize = 256;

/// A walk through the chunks of one scope, newest first.
pub(super) struct HotWalk<'a> {
    index: &'a dyn HotIndex,
    scope: &'a Scope,
    bucket: Option<u16>,
    /// Chunks that are not decoded yet, by their newest row, newest first.
    pending: VecDeque<HotChunk>,
    /// The upper end of the next question: everything newer has been asked for. `None`: everything has.
    to: Option<Micros>,
    /// The lower end of the next question.
    from: Micros,
    /// How much time a slice covers at the moment.
    slice: Micros,
    /// How many more rows may be read above the page for the sake of their keys alone.
    budget_above: usize,
}

impl<'a> HotWalk<'a> {
    pub(super) fn new(index: &'a dyn HotIndex, scope: &'a Scope) -> Self {
        let bucket = scope.bucket();
        let slice = micros(FIRST_SLICE);
        let from = scope.newest.min(scope.now).saturating_sub(slice).max(scope.bottom());
        let to = Some(scope.top());
        Self { index, scope, bucket, pending: VecDeque::new(), to, from, slice, budget_above: DUPLICATE_ROWS }
    }

    /// No row that has not been read is newer than this; `None`: all have been read.
    pub(super) fn frontier(&self) -> Option<Micros> {
        self.pending.front().map(|chunk| chunk.max_time).or(self.to)
    }

    /// Decodes one more chunk, or asks for the next slice.
    pub(super) async fn advance(&mut self, rows: &mut Rows) -> Result<(), QueryError> {
        if let Some(chunk) = self.pending.pop_front() {
            return self.decode(&chunk, rows);
        }
        let (from, Some(to)) = (self.from, self.to) else { return Ok(()) };
        let query =
            HotQuery { dataset: self.scope.dataset.clone(), bucket: self.bucket, from, to, now: self.scope.now };
        let mut chunks = self.index.newest(query).await?;
        self.aim_below(chunks.first().map(|chunk| chunk.time_bucket), chunks.len());
        if to < self.scope.top() {
            // A chunk that reaches above this slice came with the one before.
            chunks.retain(|chunk| chunk.max_time <= to);
        }
        self.drop_far_above(&mut chunks);
        self.pending = chunks.into();
        Ok(())
    }

    /// Reads on below `low` for the sake of other arrivals of the page's keys, as far as promised.
    pub(super) async fn read_window_below(&mut self, low: Micros, rows: &mut Rows) -> Result<(), QueryError> {
        let until = low.saturating_sub(micros(DUPLICATE_WINDOW));
        let mut budget = DUPLICATE_ROWS;
        while self.frontier().is_some_and(|frontier| frontier >= until) {
            if let Some(chunk) = self.pending.front() {
                let Some(rest) = budget.checked_sub(chunk.rows as usize) else { return Ok(()) };
                budget = rest;
            }
            self.advance(rows).await?;
        }
        Ok(())
    }

    /// Sets the next question's range, given the time bucket that the last one was answered from and with how many chunks.
    fn aim_below(&mut self, answered: Option<Micros>, chunks: usize) {
        match answered {
            // One answer holds one time bucket: the rest of the slice is still to be asked for.
            Some(time_bucket) if time_bucket > self.from => self.to = Some(time_bucket - 1),
            _ if self.from <= self.scope.bottom() => self.to = None,
            _ => {
                let to = self.from - 1;
                match chunks {
                    ..FEW_CHUNKS => self.slice = self.slice.saturating_mul(2),
                    MANY_CHUNKS.. => self.slice = (self.slice / 2).max(1),
                    _ => {}
                }
                self.from = to.saturating_sub(self.slice).max(self.scope.bottom());
                self.to = Some(to);
            }
        }
    }

    /// Of chunks that lie wholly above the page, keeps those nearest to it, as many as promised.
    fn drop_far_above(&mut self, chunks: &mut Vec<HotChunk>) {
        let newest = self.scope.newest;
        let above = chunks.partition_point(|chunk| chunk.max_time > newest);
        let mut far: Vec<usize> = (0..above).filter(|index| chunks[*index].min_time > newest).collect();
        far.sort_unstable_by_key(|index| chunks[*index].min_time);
        far.retain(|index| match self.budget_above.checked_sub(chunks[*index].rows as usize) {
            Some(rest) => {
                self.budget_above = rest;
                false
            }
            None => true,
        });
        far.sort_unstable();
        for index in far.into_iter().rev() {
            chunks.remove(index);
        }
    }

    fn decode(&self, chunk: &HotChunk, rows: &mut Rows) -> Result<(), QueryError> {
        match rows_of(chunk, self.scope.owner.as_deref(), self.scope.source.as_deref())? {
            Some(batch) => rows.add(&batch),
            None => Ok(()),
        }
    }
}

/// A chunk's rows of this owner and this source, where they are named; `None`: there are none.
pub(super) fn rows_of(
    chunk: &HotChunk,
    owner: Option<&str>,
    source: Option<&str>,
) -> Result<Option<RecordBatch>, HotBlockError> {
    let texts = [("owner", owner), ("source", source)];
    let texts: Vec<_> = texts.into_iter().filter_map(|(column, text)| Some((column, text?))).collect();
    read_rows_with(&chunk.block, CHUNK_EXPANDED_BYTES, &texts)
}
