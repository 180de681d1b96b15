//! From sorted rows to the chunks of the hot index.

use std::ops::Range;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::hot::{HotChunk, TIME_BUCKET_MICROS, time_bucket_of};
use alluvium_core::hot_block::{EXPANDED_BYTES, HotBlockError, HotBlockWriter};
use alluvium_core::{BatchIdentity, limits};
use arrow::array::{Array, AsArray, RecordBatch};
use rustc_hash::FxHashMap;

use crate::plan::Plan;
use crate::rows::{SortedRows, order};
use crate::settings::TransformSettings;
use crate::sources::{SourceIndex, Sources};

/// What rows may take, roughly, to be tried as one chunk: few compress to less than a tenth.
const LARGE_BYTES: usize = 4 * 1024 * 1024;

/// What decides which rows a batch's chunks hold and how long they are kept.
#[derive(Debug)]
pub(crate) struct HotSettings<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) batch: &'a BatchIdentity,
    /// The oldest event time that is still hot.
    pub(crate) since: Micros,
    /// Into how many buckets chunks are spread.
    pub(crate) buckets: u16,
    /// How long after its newest row's event time a chunk expires.
    pub(crate) kept_for_micros: Micros,
}

impl<'a> HotSettings<'a> {
    pub(crate) fn new(plan: &'a Plan, batch: &'a BatchIdentity, arrival: Micros, settings: &TransformSettings) -> Self {
        let retention = micros(plan.dataset.hot_retention);
        Self {
            plan,
            batch,
            since: arrival.saturating_sub(retention),
            buckets: settings.hot_buckets,
            kept_for_micros: retention.saturating_add(micros(settings.hot_margin)),
        }
    }
}

/// Where a row belongs: its bucket, its time bucket, its owner and source, and its place among the sorted rows, so that numeric
/// order is the order in which the chunks hold the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Belongs(u128);

impl Belongs {
    fn new(bucket: u16, time: Micros, pair_rank: u32, row: u32) -> Self {
        // Times between the years 0001 and 9999 span fewer than 2^31 time buckets.
        let time_bucket = (time.div_euclid(TIME_BUCKET_MICROS) + (1 << 31)) as u32;
        let low = u64::from(pair_rank) << 32 | u64::from(row);
        Self(u128::from(bucket) << 96 | u128::from(time_bucket) << 64 | u128::from(low))
    }

    fn bucket(self) -> u16 {
        (self.0 >> 96) as u16
    }

    /// What rows of one chunk share.
    fn chunk(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// What rows of one chunk, owner and source share.
    fn source(self) -> u128 {
        self.0 >> 32
    }

    fn row(self) -> u32 {
        self.0 as u32
    }
}

/// The next part of each chunk of a batch's rows of one dataset, as they come run by run.
#[derive(Debug, Default)]
pub(crate) struct Parts(FxHashMap<u64, u16>);

/// Adds the chunks of a run of a batch's rows of one dataset.
///
/// # Errors
///
/// When a block cannot be encoded, which would be a defect.
pub(crate) fn chunks(
    rows: &SortedRows,
    known: &Sources,
    settings: &HotSettings<'_>,
    blocks: &mut HotBlockWriter,
    parts: &mut Parts,
    chunks: &mut Vec<HotChunk>,
) -> Result<(), HotBlockError> {
    let is_hot = |time: &Micros| *time >= settings.since;
    if !rows.times.iter().any(is_hot) {
        return Ok(());
    }
    let buckets = known.buckets(settings.buckets);
    // Rows that come by owner and source, as one owner's do in the usual order, need no ranks: their places say the same.
    let by_pair = |one: &SourceIndex, next: &SourceIndex| one == next || known.pair(*one) <= known.pair(*next);
    let are_ranked = order::is_usual(&settings.plan.dataset) && rows.sources.is_sorted_by(by_pair);
    let ranks = (!are_ranked).then(|| known.pair_ranks());
    let rank = |source| ranks.as_ref().map_or(0, |ranks| ranks.of(source));
    let hot = rows.times.iter().zip(&rows.sources).enumerate().filter(|(_, (time, _))| is_hot(time));
    let mut order: Vec<Belongs> =
        hot.map(|(row, (time, source))| Belongs::new(buckets[source.at()], *time, rank(*source), row as u32)).collect();
    order.sort_unstable();
    if !order::is_usual(&settings.plan.dataset) {
        sort_by_time(&mut order, rows);
    }
    let batch = &rows.batch;
    let row_bytes = row_bytes(batch);
    let most_rows = (LARGE_BYTES / row_bytes.max(1)).max(1);
    let mut cutter =
        Cutter { batch, most_rows, times: &rows.times, order: &order, numbers: Vec::new(), settings, blocks, chunks };
    let mut start = 0;
    for group in order.chunk_by(|one, next| one.chunk() == next.chunk()) {
        cutter.cut(start..start + group.len(), parts.0.entry(group[0].chunk()).or_default())?;
        start += group.len();
    }
    Ok(())
}

/// What a row takes, roughly: of a dictionary the key, for its values are there once.
fn row_bytes(rows: &RecordBatch) -> usize {
    let bytes = rows.columns().iter().map(|column| match column.as_any_dictionary_opt() {
        Some(dictionary) => dictionary.keys().get_array_memory_size(),
        None => column.get_array_memory_size(),
    });
    bytes.sum::<usize>() / rows.num_rows()
}

/// Sorts the rows of each owner and source by `event_time` and `event_id`, where the data file has them in another order.
fn sort_by_time(order: &mut [Belongs], rows: &SortedRows) {
    let ids = rows.batch.column(0).as_string::<i32>();
    let key = |belongs: &Belongs| {
        let row = belongs.row() as usize;
        (rows.times[row], ids.value(row))
    };
    for of_source in order.chunk_by_mut(|one, next| one.source() == next.source()) {
        of_source.sort_by(|one, other| key(one).cmp(&key(other)));
    }
}

struct Cutter<'a> {
    /// The rows in the order of the data file.
    batch: &'a RecordBatch,
    /// More rows than this are not tried as one chunk.
    most_rows: usize,
    /// The event times of the rows in the order of the data file.
    times: &'a [Micros],
    order: &'a [Belongs],
    /// The numbers of a chunk's rows.
    numbers: Vec<u32>,
    settings: &'a HotSettings<'a>,
    blocks: &'a mut HotBlockWriter,
    chunks: &'a mut Vec<HotChunk>,
}

impl Cutter<'_> {
    /// Makes one chunk of rows that share bucket and time bucket, or several when one would be too large. A single row that is too
    /// large by itself still becomes a chunk: left out it would be a gap (QR-1).
    fn cut(&mut self, rows: Range<usize>, part: &mut u16) -> Result<(), HotBlockError> {
        if rows.len() > self.most_rows {
            return self.halve(rows, part);
        }
        self.numbers.clear();
        self.numbers.extend(self.order[rows.clone()].iter().map(|belongs| belongs.row()));
        let block = self.blocks.write_rows(self.batch, &self.numbers)?;
        let too_large = block.len() > limits::HOT_CHUNK_BYTES || self.blocks.expanded_bytes() > EXPANDED_BYTES;
        if too_large && rows.len() > 1 {
            return self.halve(rows, part);
        }
        let first = self.order[rows.start];
        let times = self.order[rows.clone()].iter().map(|belongs| self.times[belongs.row() as usize]);
        let (min_time, max_time) = times.fold((Micros::MAX, Micros::MIN), |(low, high), t| (low.min(t), high.max(t)));
        self.chunks.push(HotChunk {
            dataset: self.settings.plan.dataset.name.as_str().to_owned(),
            bucket: first.bucket(),
            time_bucket: time_bucket_of(min_time),
            batch: self.settings.batch.clone(),
            part: *part,
            rows: rows.len() as u32,
            min_time,
            max_time,
            expires_at: max_time.saturating_add(self.settings.kept_for_micros),
            block,
        });
        *part += 1;
        Ok(())
    }

    fn halve(&mut self, rows: Range<usize>, part: &mut u16) -> Result<(), HotBlockError> {
        let middle = rows.start + rows.len() / 2;
        self.cut(rows.start..middle, part)?;
        self.cut(middle..rows.end, part)
    }
}
