//! What came in since, for clients that poll: records in the order in which they became visible in the hot index.
//!
//! # What is promised
//!
//! Who goes on from each answer's `next` is told of every event that became visible after it, at least once; or an answer says
//! `complete: false`. One that arrived twice may be told twice, and so may one whose chunk was put again, or was put together with chunks that
//! came seconds later: `id`, `source` and `owner` tell events apart, and what was put together is told of by source. An event that was older than the hot retention when it arrived never is in the hot index, and is not told of.
//!
//! A chunk outlives its rows' retention by the margin, so a cursor is good for that long at least. One that is older than the margin, or than the
//! *complete since* mark (the index may have lost what it had before), is answered with what there is, and `complete: false`.
//!
//! While chunks wait to be put ([`HotIndex::waiting`]), answers say `complete: false`. Each is told of once it is put, at the position that it gets
//! then. One that had expired by then is not: it waited for longer than the margin, so whoever asked meanwhile was told, and the cursor of
//! whoever did not is older than the margin.
//!
//! [`HotIndex::waiting`]: alluvium_core::ports::HotIndex::waiting

use alluvium_core::clock::{Micros, micros};
use alluvium_core::hot::{PutPosition, PutQuery, bucket_of};
use alluvium_core::hot_block::HotBlockReader;
use arrow::record_batch::RecordBatch;
use futures::TryFutureExt as _;
use futures::future::try_join;

use super::conform::conform;
use super::cursor::AfterCursor;
use super::hot::{CHUNK_EXPANDED_BYTES, texts_of};
use super::{PAGE_READS_ROWS, Readable, Records, size};
use crate::error::QueryError;

/// How many chunks are asked for at once: 25 MB at most.
const CHUNKS_AT_ONCE: usize = 64;

/// How many questions are asked for one answer at the most: an index may pass much of others' for nothing.
const MOST_QUESTIONS: usize = 64;

/// By how much, in µs, a position may be ahead of the end of the puts: two readers of one index may have clocks that differ.
const CLOCKS_DIFFER: Micros = 1_000_000;

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// With the oldest that the hot index holds.
    Oldest,
    /// With what comes from now on.
    Newest,
    /// Where an answer ended.
    Cursor(AfterCursor),
}

/// Which records to tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfterRequest {
    /// The dataset. Dead letters are not in the hot index.
    pub dataset: String,
    /// Only this owner's; `None`: everybody's.
    pub owner: Option<String>,
    /// Only this source's; `None`: all.
    pub source: Option<String>,
    /// Where to begin.
    pub after: After,
    /// The most rows, 1 to [`MAX_LIMIT`](super::MAX_LIMIT); `None`: [`DEFAULT_LIMIT`](super::DEFAULT_LIMIT).
    pub limit: Option<usize>,
    /// Only these of the table's columns, in this order; `None`: all.
    pub columns: Option<Vec<String>>,
}

/// What came in.
#[derive(Debug, Clone)]
pub struct AfterPage {
    /// The dataset's columns, or those wanted; at most `limit` rows and some [`PAGE_BYTES`](super::PAGE_BYTES). Fewer: there is no more at the moment,
    /// or much of others' had to be looked through.
    pub rows: RecordBatch,
    /// What the next request carries.
    pub next: AfterCursor,
    /// Whether nothing can be missing.
    pub complete: bool,
}

pub(super) async fn read(
    records: &Records,
    request: &AfterRequest,
    dataset: &Readable,
    limit: usize,
) -> Result<AfterPage, QueryError> {
    let bucket = match (&request.owner, &request.source) {
        (Some(owner), Some(source)) => Some(bucket_of(owner, source, records.hot.buckets())),
        _ => None,
    };
    let now = records.clock.now_micros();
    // Before the chunks: what is not told of any more is among them, or at a later position.
    let waiting = records.hot.waiting(&request.dataset, now).map_err(QueryError::from);
    let ((mut place, known), waiting) = try_join(begin(records, request, now), waiting).await?;
    let complete = known && !waiting.iter().any(|waiting| waiting.meets(bucket, Micros::MIN, Micros::MAX));
    let texts = texts_of(request.owner.as_deref(), request.source.as_deref());
    let mut reader = HotBlockReader::new(CHUNK_EXPANDED_BYTES);
    let mut batches = Vec::new();
    let (mut found, mut looked_at, mut questions) = (0, 0, 0);
    let (mut bytes, mut full) = (records.page_bytes, false);
    let mut more = request.after != After::Newest;
    while more && questions < MOST_QUESTIONS {
        questions += 1;
        let from = place.position.clone();
        let query = PutQuery { dataset: request.dataset.clone(), bucket, from, most: CHUNKS_AT_ONCE, now };
        let puts = records.hot.puts(query).await?;
        more = puts.more;
        for (position, chunk) in puts.chunks {
            looked_at += chunk.rows as usize;
            let Some(rows) = reader.read_with(&chunk.block, &texts)? else {
                place = place.at(position.past());
                continue;
            };
            let rows = conform(&rows, &dataset.columns)?;
            let seen = place.seen_of(&position, rows.num_rows());
            let unseen = rows.slice(seen, (rows.num_rows() - seen).min(limit - found));
            let taken = size::prefix_of(&unseen, bytes);
            let told = unseen.slice(0, taken);
            bytes = bytes.saturating_sub(size::of(&told));
            batches.push(told);
            found += taken;
            place = if seen + taken == rows.num_rows() {
                place.at(position.past())
            } else {
                AfterCursor { rows: seen + taken, of: rows.num_rows(), ..place.at(position) }
            };
            full = found == limit || bytes == 0 || taken < unseen.num_rows();
            if full {
                break;
            }
        }
        if full || looked_at >= PAGE_READS_ROWS {
            break;
        }
        place = place.at(puts.up_to);
    }
    let rows = arrow::compute::concat_batches(&dataset.columns, &batches)?;
    Ok(AfterPage { rows, next: place, complete })
}

/// Where to begin, and whether nothing that came after it can be gone.
async fn begin(records: &Records, request: &AfterRequest, now: Micros) -> Result<(AfterCursor, bool), QueryError> {
    let at = |position| AfterCursor { dataset: request.dataset.clone(), position, rows: 0, of: 0 };
    match &request.after {
        After::Oldest => Ok((at(PutPosition::at(Micros::MIN)), true)),
        After::Newest => Ok((at(records.hot.puts_end().await?), true)),
        After::Cursor(cursor) => {
            let end = records.hot.puts_end().await?;
            if cursor.position.time() > end.time().saturating_add(CLOCKS_DIFFER) {
                // The clock was set back since it was given out, or the index is another one: what was put meanwhile may lie before it.
                return Ok((at(end), false));
            }
            let mark = records.hot.complete_since(&request.dataset).await?;
            let kept_since = now.saturating_sub(micros(records.hot_margin)).max(mark.unwrap_or(Micros::MAX));
            Ok((cursor.clone(), cursor.position.time() >= kept_since))
        }
    }
}
