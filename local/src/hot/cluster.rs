//! Chunks of many batches made chunks of few sources.
//!
//! A batch brings a bucket a few rows of each of many sources, so a source's newest hundred lie in as many chunks as it took batches. Chunks of one
//! bucket and time bucket that have waited for each other are therefore read together, and written anew as chunks that are as large as before
//! and of few sources each. Their rows are the same.
//!
//! The new chunks lie where the last of the old ones was put, behind it. Who has gone on from there is not told of them; who was told of some of
//! the old ones and no further is told of all the rows once more. A row may come to lie in a chunk with newer rows by it, so a read asks its questions
//! of a snapshot.

use std::collections::{HashMap, VecDeque};

use alluvium_core::clock::Micros;
use alluvium_core::hot::HotChunk;
use alluvium_core::hot_block::{EXPANDED_BYTES, HotBlockReader, HotBlockWriter};
use alluvium_core::limits;
use arrow::array::{AsArray as _, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use redb::{Database, Durability, ReadableDatabase as _};

use super::error::HotIndexError;
use super::layout::{self, Known, Put};
use super::tables::Tables;
use super::{BLOCKS, CHUNKS, PUTS, tables, write};

/// A group has at most so many rows, and so many chunks, and is clustered when one more would be too many. A page of all sources passes the rows of
/// a group of each bucket, where two meet of two, which must stay well below what a page may read; one of one source passes a few of them.
const GROUP_ROWS: usize = 1_024;
const GROUP_CHUNKS: usize = 64;
/// What the chunks of a group may expand to together; the rest of them stay as they are.
const GROUP_EXPANDED_BYTES: usize = 4 * EXPANDED_BYTES;
/// A chunk ends with its source when it has so many rows, and within it when it has so many.
const ENOUGH_ROWS: usize = 96;
const MOST_ROWS: usize = 384;

/// How many notes are looked at before others get their turn; they get it after each group.
const NOTES_AT_ONCE: usize = 16_384;
/// How many chunks may wait for others of their groups: some megabytes. If there are more, all groups are clustered as they are.
const MOST_WAITING: usize = 65_536;

/// How far clustering is. It is not kept: after a start, all that is not clustered is looked at again.
#[derive(Debug, Default)]
pub(super) struct Clustering {
    /// What was put before this has been looked at.
    from: Option<Put>,
    /// Chunks that wait for others of their group, by what their places share.
    groups: HashMap<Vec<u8>, Group>,
    waiting: usize,
    due: VecDeque<Vec<Put>>,
}

#[derive(Debug, Default)]
struct Group {
    puts: Vec<Put>,
    rows: usize,
}

impl Clustering {
    /// Does some of what there is to do; says whether there is more.
    pub(super) fn some(&mut self, database: &Database, until: Micros) -> Result<bool, HotIndexError> {
        let looked_at = if self.due.is_empty() { self.look(database, until)? } else { 0 };
        if let Some(group) = self.due.pop_front() {
            cluster(database, &group)?;
        }
        Ok(!self.due.is_empty() || looked_at == NOTES_AT_ONCE)
    }

    /// Looks at what was put since; says how much it was.
    fn look(&mut self, database: &Database, until: Micros) -> Result<usize, HotIndexError> {
        let reading = database.begin_read()?;
        let (chunks, puts) = (reading.open_table(CHUNKS)?, reading.open_table(PUTS)?);
        let mut looked_at = 0;
        for note in puts.range(self.from.unwrap_or((Micros::MIN, 0))..(until, 0))?.take(NOTES_AT_ONCE) {
            let (put, place) = note?;
            looked_at += 1;
            self.from = Some(next(put.value()));
            let (Some(group), Some(known)) = (layout::group_of(place.value())?, chunks.get(place.value())?) else {
                continue;
            };
            self.add(group, put.value(), Known::read(known.value())?.rows as usize);
        }
        Ok(looked_at)
    }

    fn add(&mut self, of: &[u8], put: Put, rows: usize) {
        if rows >= GROUP_ROWS {
            return;
        }
        if self.waiting == MOST_WAITING {
            self.due.extend(self.groups.drain().map(|(_, group)| group.puts).filter(|puts| puts.len() > 1));
            self.waiting = 0;
        }
        let group = self.groups.entry(of.to_vec()).or_default();
        if group.rows + rows > GROUP_ROWS || group.puts.len() == GROUP_CHUNKS {
            let full = std::mem::take(group);
            self.waiting -= full.puts.len();
            self.due.push_back(full.puts);
        }
        group.puts.push(put);
        group.rows += rows;
        self.waiting += 1;
    }
}

/// The first put after this one.
fn next((at, which): Put) -> Put {
    which.checked_add(1).map_or((at.saturating_add(1), 0), |which| (at, which))
}

/// One chunk of a group, and where it lies.
struct Old {
    place: Vec<u8>,
    put: Put,
    chunk: HotChunk,
}

/// Clusters the chunks that were put then, unless they are gone or cannot be read together.
fn cluster(database: &Database, group: &[Put]) -> Result<(), HotIndexError> {
    let (olds, rows) = read(database, group)?;
    let (Some(last), [first, ..]) = (olds.last(), rows.as_slice()) else { return Ok(()) };
    if olds.len() < 2 {
        return Ok(());
    }
    let rows = concat_batches(first.schema_ref(), &rows).map_err(alluvium_core::hot_block::HotBlockError::from)?;
    let Some(keys) = Keys::of(&rows) else { return Ok(()) };
    let kept_for = olds.iter().map(|old| old.chunk.expires_at.saturating_sub(old.chunk.max_time)).max();
    let mut cutter = Cutter {
        rows: &rows,
        keys: &keys,
        like: &last.chunk,
        kept_for: kept_for.unwrap_or(0),
        blocks: HotBlockWriter::default(),
        new: Vec::new(),
    };
    cutter.cut_all()?;
    let new = cutter.new;
    write(database, Durability::None, |transaction| {
        let mut tables = Tables::open(transaction)?;
        for old in &olds {
            if !tables.holds(&old.place, old.put)? {
                // It was put again, or has expired meanwhile.
                return Ok(());
            }
        }
        olds.iter().try_for_each(|old| tables.remove(&old.place))?;
        let mut part = 0;
        for (which, chunk) in (0_u16..).zip(new) {
            let mut chunk = HotChunk { part: layout::clustered_part(part), ..chunk };
            // A batch may be the last of several groups: by its parts, or put again.
            while tables.has_named(&chunk)? {
                part += 1;
                chunk.part = layout::clustered_part(part);
            }
            tables.put(&chunk, (last.put.0, which))?;
            part += 1;
        }
        Ok(())
    })
}

/// Those chunks of a group that are there and have the same columns, and their rows, as many as may be read together.
fn read(database: &Database, group: &[Put]) -> Result<(Vec<Old>, Vec<RecordBatch>), HotIndexError> {
    let reading = database.begin_read()?;
    let (chunks, blocks, puts) = (reading.open_table(CHUNKS)?, reading.open_table(BLOCKS)?, reading.open_table(PUTS)?);
    let mut reader = HotBlockReader::new(EXPANDED_BYTES);
    let (mut olds, mut rows) = (Vec::new(), Vec::<RecordBatch>::new());
    let mut bytes = 0;
    for put in group {
        let Some(place) = puts.get(put)?.map(|place| place.value().to_vec()) else { continue };
        let Some(known) = chunks.get(place.as_slice())?.map(|known| Known::read(known.value())).transpose()? else {
            continue;
        };
        let chunk = tables::chunk(&place, known, &blocks)?;
        // What cannot be read stays where whoever reads it is told why.
        let Ok(Some(batch)) = reader.read_with(&chunk.block, &[]) else { continue };
        bytes += batch.get_array_memory_size();
        if bytes > GROUP_EXPANDED_BYTES {
            break;
        }
        if rows.first().is_none_or(|first| first.schema_ref() == batch.schema_ref()) {
            olds.push(Old { place, put: *put, chunk });
            rows.push(batch);
        }
    }
    Ok((olds, rows))
}

/// The columns by which rows are ordered.
struct Keys<'a> {
    owners: &'a StringArray,
    sources: &'a StringArray,
    times: &'a [Micros],
}

impl<'a> Keys<'a> {
    fn of(rows: &'a RecordBatch) -> Option<Self> {
        let text = |name: &str| rows.column_by_name(name)?.as_string_opt::<i32>();
        let times = rows.column_by_name("event_time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some(Self { owners: text("owner")?, sources: text("source")?, times: times.values() })
    }

    fn source(&self, row: u32) -> (&'a str, &'a str) {
        (self.owners.value(row as usize), self.sources.value(row as usize))
    }
}

struct Cutter<'a> {
    rows: &'a RecordBatch,
    keys: &'a Keys<'a>,
    /// A chunk of the same bucket, time bucket and batch.
    like: &'a HotChunk,
    /// How long after its newest row a chunk expires.
    kept_for: Micros,
    blocks: HotBlockWriter,
    new: Vec<HotChunk>,
}

impl Cutter<'_> {
    /// Cuts all rows, in the order that those of a chunk have.
    fn cut_all(&mut self) -> Result<(), HotIndexError> {
        let keys = self.keys;
        let mut order: Vec<u32> = (0..self.rows.num_rows() as u32).collect();
        // They are runs that have this order.
        order.sort_by(|one, other| {
            let key = |row: u32| (keys.source(row), keys.times[row as usize]);
            key(*one).cmp(&key(*other))
        });
        let mut rows = order.as_slice();
        while !rows.is_empty() {
            let ends = |end: &usize| keys.source(rows[*end]) != keys.source(rows[*end - 1]);
            let most = MOST_ROWS.min(rows.len());
            let enough = (ENOUGH_ROWS.min(rows.len())..most).find(ends).unwrap_or(most);
            let (piece, rest) = rows.split_at(enough);
            self.cut(piece)?;
            rows = rest;
        }
        Ok(())
    }

    /// Makes one chunk of rows, or several when one would be too large.
    fn cut(&mut self, rows: &[u32]) -> Result<(), HotIndexError> {
        let block = self.blocks.write_rows(self.rows, rows)?;
        let too_large = block.len() > limits::HOT_CHUNK_BYTES || self.blocks.expanded_bytes() > EXPANDED_BYTES;
        if too_large && rows.len() > 1 {
            let (one, other) = rows.split_at(rows.len() / 2);
            self.cut(one)?;
            return self.cut(other);
        }
        let times = rows.iter().map(|row| self.keys.times[*row as usize]);
        let (min_time, max_time) = times.fold((Micros::MAX, Micros::MIN), |(low, high), t| (low.min(t), high.max(t)));
        let expires_at = max_time.saturating_add(self.kept_for);
        self.new.push(HotChunk { rows: rows.len() as u32, min_time, max_time, expires_at, block, ..self.like.clone() });
        Ok(())
    }
}
