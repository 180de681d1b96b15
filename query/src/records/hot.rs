//! Reading the hot index downwards in time, chunk by chunk, no further than a page needs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::hot::{HotChunk, HotQuery, Newest, SourceMark};
use alluvium_core::hot_block::{HotBlockReader, TextSet};
use alluvium_core::ports::{HotIndex, HotSnapshot, PortError};

use super::page::Scope;
use super::rows::{KEYS, Rows};
use super::{DUPLICATE_ROWS, DUPLICATE_WINDOW};
use crate::error::QueryError;

/// The most bytes that one chunk may expand to. A chunk has at most 400 KB, and rows compress to a tenth or so.
pub(super) const CHUNK_EXPANDED_BYTES: usize = 64 * 1024 * 1024;

/// How many chunks are asked for first, of one bucket and of all: of all, each holds rows of the page. Each later question asks for more.
const FIRST_OF_BUCKET: usize = 64;
const FIRST_OF_ALL: usize = 16;
const MORE: usize = 4;
const MOST_CHUNKS: usize = 256;

/// How much time above a page is asked for first where chunks of all sources lie.
const FIRST_SLICE: Duration = Duration::from_secs(1);

/// A walk through the chunks of one scope, newest first.
pub(super) struct HotWalk<'a> {
    index: &'a dyn HotIndex,
    /// What is asked in the index's place, if there is one.
    snapshot: Option<Arc<dyn HotSnapshot>>,
    scope: &'a Scope,
    bucket: Option<u16>,
    source: Option<SourceMark>,
    whole: HotBlockReader,
    keys: HotBlockReader,
    /// What lies above the page is still to be read.
    above: bool,
    /// Chunks that are not decoded yet, by their newest row, newest first.
    pending: VecDeque<HotChunk>,
    /// Where the next question begins: every chunk with a newer row has been asked for. `None`: all have.
    below: Option<Micros>,
    /// How many chunks the next question asks for.
    most: usize,
}

impl<'a> HotWalk<'a> {
    /// # Errors
    ///
    /// When the index cannot be asked.
    pub(super) async fn begin(index: &'a dyn HotIndex, scope: &'a Scope) -> Result<Self, QueryError> {
        let bucket = scope.bucket(index.buckets());
        Ok(Self {
            index,
            snapshot: index.snapshot().await?,
            scope,
            bucket,
            source: scope
                .owner
                .as_deref()
                .zip(scope.source.as_deref())
                .map(|(owner, source)| SourceMark::of(owner, source)),
            whole: HotBlockReader::new(CHUNK_EXPANDED_BYTES),
            keys: HotBlockReader::of_columns(CHUNK_EXPANDED_BYTES, &KEYS),
            above: scope.newest < scope.top(),
            pending: VecDeque::new(),
            below: Some(scope.top()),
            most: if bucket.is_some() { FIRST_OF_BUCKET } else { FIRST_OF_ALL },
        })
    }

    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        match &self.snapshot {
            Some(snapshot) => snapshot.newest(query).await,
            None => self.index.newest(query).await,
        }
    }

    /// No row that has not been read is newer than this; `None`: all have been read.
    pub(super) fn frontier(&self) -> Option<Micros> {
        self.pending.front().map(|chunk| chunk.max_time).or(self.below)
    }

    /// Whether every row of this time or a newer one has been read.
    pub(super) fn has_read(&self, time: Micros) -> bool {
        self.frontier().is_none_or(|frontier| time > frontier)
    }

    /// Decodes one more chunk, or asks for the next ones.
    pub(super) async fn advance(&mut self, rows: &mut Rows) -> Result<(), QueryError> {
        if self.above {
            self.above = false;
            return self.read_above(rows).await;
        }
        match self.pending.pop_front() {
            Some(chunk) => self.decode(&chunk, rows),
            None => self.ask().await,
        }
    }

    /// Reads on below `low` for the sake of other arrivals of events with these ids, as far as promised. Rows down to there have been read.
    pub(super) async fn read_window_below(
        &mut self,
        low: Micros,
        ids: &TextSet,
        rows: &mut Rows,
    ) -> Result<(), QueryError> {
        let until = low.saturating_sub(micros(DUPLICATE_WINDOW));
        let mut budget = DUPLICATE_ROWS;
        while self.frontier().is_some_and(|frontier| frontier >= until) {
            let Some(chunk) = self.pending.pop_front() else {
                self.ask().await?;
                continue;
            };
            let Some(rest) = budget.checked_sub(chunk.rows as usize) else { return Ok(()) };
            budget = rest;
            let of_scope = self.scope.texts();
            if let Some(batch) = self.keys.read_any_of(&chunk.block, &of_scope, ("event_id", ids))? {
                rows.add_keys(&batch)?;
            }
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<(), QueryError> {
        let Some(below) = self.below else { return Ok(()) };
        let query = HotQuery { below, most: self.most, ..self.query(self.scope.bottom(), self.scope.top()) };
        let found = self.newest(query).await?;
        self.most = self.most.saturating_mul(MORE).min(MOST_CHUNKS);
        self.pending = found.chunks.into();
        self.below = found.below;
        Ok(())
    }

    /// Reads the chunks that reach above the page: those that reach into it whole, and of those nearest above it the keys, as many
    /// as promised.
    async fn read_above(&mut self, rows: &mut Rows) -> Result<(), QueryError> {
        let (newest, top) = (self.scope.newest, self.scope.top());
        // Of one bucket all fits into an answer.
        let mut slice = micros(if self.bucket.is_some() { DUPLICATE_WINDOW } else { FIRST_SLICE });
        let mut budget = DUPLICATE_ROWS;
        let mut from = newest;
        'slices: loop {
            let to = from.saturating_add(slice).min(top);
            let mut chunks = self.all_within(from, to).await?;
            // One that reaches below this slice came with the one before.
            chunks.retain(|chunk| from == newest || chunk.min_time >= from);
            chunks.sort_by_key(|chunk| chunk.min_time);
            for chunk in chunks {
                if chunk.min_time <= newest {
                    self.decode(&chunk, rows)?;
                    continue;
                }
                let Some(rest) = budget.checked_sub(chunk.rows as usize) else { break 'slices };
                budget = rest;
                self.decode_keys(&chunk, rows)?;
            }
            if to >= top {
                break;
            }
            from = to + 1;
            slice = slice.saturating_mul(2);
        }
        self.below = newest.checked_sub(1);
        Ok(())
    }

    /// Every chunk with rows within these times.
    async fn all_within(&self, from: Micros, to: Micros) -> Result<Vec<HotChunk>, QueryError> {
        let mut all = Vec::new();
        let mut below = Some(Micros::MAX);
        while let Some(next) = below {
            let query = HotQuery { below: next, most: usize::MAX, ..self.query(from, to) };
            let found = self.newest(query).await?;
            all.extend(found.chunks);
            below = found.below;
        }
        Ok(all)
    }

    fn query(&self, from: Micros, to: Micros) -> HotQuery {
        HotQuery {
            dataset: self.scope.dataset.clone(),
            bucket: self.bucket,
            source: self.source,
            from,
            to,
            below: to,
            most: self.most,
            now: self.scope.now,
        }
    }

    fn decode(&mut self, chunk: &HotChunk, rows: &mut Rows) -> Result<(), QueryError> {
        match self.whole.read_with(&chunk.block, &self.scope.texts())? {
            Some(batch) => rows.add(&batch),
            None => Ok(()),
        }
    }

    fn decode_keys(&mut self, chunk: &HotChunk, rows: &mut Rows) -> Result<(), QueryError> {
        match self.keys.read_with(&chunk.block, &self.scope.texts())? {
            Some(batch) => rows.add_keys(&batch),
            None => Ok(()),
        }
    }
}

/// What rows of this owner and this source, where they are named, have in which columns.
pub(super) fn texts_of<'a>(owner: Option<&'a str>, source: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
    let texts = [("owner", owner), ("source", source)];
    texts.into_iter().filter_map(|(column, text)| Some((column, text?))).collect()
}
