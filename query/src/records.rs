//! Records, newest first, across hot index and lake.
//!
//! # What is promised (QR-1)
//!
//! An event is *visible* once its chunk was taken for the hot index or its data file was committed to the lake. A walk from page
//! to page by cursor returns every event that was visible when it began, once, ordered by `event_time` (newest first), then
//! `source`, `event_id` and `owner`; or a page of it says `complete: false`.
//!
//! **Boundary.** B is the later of the dataset's *complete since* mark and now less its hot retention, computed anew for each
//! page. From B on the hot index alone answers. Below B the lake answers, joined with whatever the hot index still holds there:
//! chunks outlive their retention by a margin, and an event that arrived just before B passed it may wait for its commit. So an
//! event is missed only if its commit took longer than that margin. Without a mark B lies after all times and the lake is always
//! asked.
//!
//! **Incomplete.** While everything is committed, nothing can be missing. Otherwise a page says `complete: false` when the oldest
//! uncommitted event has waited for longer than the margin, or than half of the hot retention if that is less (its chunk may
//! expire before the lake has it), or when the page reaches below
//! the mark (the index may have lost what the lake does not have yet) unless the mark is so old that whatever is uncommitted
//! arrived after it. And it says so while chunks wait to be put into the hot index ([`HotIndex::waiting`]) that hold, in its bucket, event
//! times of the page or so near that they could be other arrivals of its events: whatever the lake has of them.
//!
//! **Each event once.** The event key is (owner, source, event id) within the dataset, and the first arrival wins
//! (`ingest_time`, then the older `event_time`). Arrivals of one key at the same `event_time`, which is what a retry of the same
//! bytes gives, are one row, always. Arrivals at different event times are one row when the first lies within [`DUPLICATE_WINDOW`] of
//! the page that the other is on (up to [`DUPLICATE_ROWS`] rows on each side). Further apart, both are returned, each at its own
//! time. The first arrival itself is never hidden.
//!
//! **Slow reads.** Where [`Records::with_patience`] says how long a request may wait for the lake, a page that takes longer is
//! [`QueryError::UnderWay`], and its statements go on. The same request with the [`Reading`] of that error has the time and the boundary of the
//! first, so its statements are the same, and each is started under a token of both: the engine answers with the one that it runs already. So
//! every request gets further than the one before, and nothing is kept here.

mod after;
mod boundary;
mod conform;
mod cursor;
mod hot;
mod lake;
mod page;
mod projection;
mod reading;
mod rows;
mod size;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::dataset::dead_letter_columns;
use alluvium_core::limits;
use alluvium_core::ports::{HotIndex, SqlEngine};
use alluvium_core::{Clock, DatasetName, Datasets};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::error::QueryError;
pub use after::{After, AfterPage, AfterRequest};
pub use cursor::{AfterCursor, Cursor, CursorError};
use projection::Projection;
pub use reading::{MOST_READING, Reading};

/// How many rows a page has when the request does not say.
pub const DEFAULT_LIMIT: usize = 100;

/// The most rows that a page may have.
pub const MAX_LIMIT: usize = 10_000;

/// How far from a page another arrival of one of its keys is looked for.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(60);

/// How many rows are read on each side of a page to look for other arrivals of its keys.
pub const DUPLICATE_ROWS: usize = 20_000;

/// By how much chunks outlive their retention when nothing else is said.
pub const DEFAULT_HOT_MARGIN: Duration = Duration::from_secs(3600);

/// The most rows that are kept in memory to make one page.
pub const PAGE_READS_ROWS: usize = 1_000_000;

/// A page ends early when its rows take more bytes of memory than this. Of what is read for it no more than twice that is kept, but for the block that
/// goes beyond it; of the rest the keys are. Our own: an event may have a megabyte, and ten thousand of them are a page.
pub const PAGE_BYTES: usize = 32 * 1024 * 1024;

/// Which records to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordsRequest {
    /// The dataset, or `dead_letters`.
    pub dataset: String,
    /// Only this owner's; `None`: everybody's. A read of one source is fast only with its owner: both choose the bucket.
    pub owner: Option<String>,
    /// Only this source's; `None`: all.
    pub source: Option<String>,
    /// The oldest event time wanted, included; `None`: no end.
    pub from: Option<Micros>,
    /// Event times from here on are not wanted; `None`: no end.
    pub to: Option<Micros>,
    /// The most rows, 1 to [`MAX_LIMIT`]; `None`: [`DEFAULT_LIMIT`].
    pub limit: Option<usize>,
    /// Where the page before this one ended; `None`: at the newest.
    pub cursor: Option<Cursor>,
    /// Only these of the table's columns, in this order; `None`: all.
    pub columns: Option<Vec<String>>,
    /// The read that this request goes on with; `None`: it begins one.
    pub reading: Option<Reading>,
}

/// One page of records.
#[derive(Debug, Clone)]
pub struct RecordsPage {
    /// The dataset's columns, or those wanted; at most `limit` rows and some [`PAGE_BYTES`], newest first.
    pub rows: RecordBatch,
    /// What the next request carries; `None`: this was the last page.
    pub next: Option<Cursor>,
    /// Whether nothing can be missing (QR-1).
    pub complete: bool,
    /// What answered.
    pub answered_by: AnsweredBy,
}

/// What had to be asked for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredBy {
    /// The hot index alone.
    Hot,
    /// The hot index and the lake.
    HotAndLake,
}

/// How long the oldest event that is not yet committed has waited for its commit: whoever commits writes it, [`Records`] reads it.
#[derive(Debug, Default)]
pub struct CommitLag(AtomicI64);

impl CommitLag {
    /// Says how long; zero: everything that was taken in is committed.
    pub fn set(&self, lag: Duration) {
        self.0.store(i64::try_from(lag.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// How long.
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

/// Reads records across hot index and lake.
#[derive(Clone)]
pub struct Records {
    hot: Arc<dyn HotIndex>,
    sql: Arc<dyn SqlEngine>,
    datasets: Arc<Datasets>,
    clock: Arc<dyn Clock>,
    lag: Arc<CommitLag>,
    hot_margin: Duration,
    /// How long a request waits for the lake; `None`: for as long as the engine lets it.
    patience: Option<Duration>,
    page_bytes: usize,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("datasets", &self.datasets.names()).finish_non_exhaustive()
    }
}

/// What there is to know of a dataset to read it.
struct Readable {
    columns: SchemaRef,
    hot_retention: Duration,
}

impl Records {
    /// A reader of these datasets and of `dead_letters`.
    pub fn new(
        hot: Arc<dyn HotIndex>,
        sql: Arc<dyn SqlEngine>,
        datasets: Arc<Datasets>,
        clock: Arc<dyn Clock>,
        lag: Arc<CommitLag>,
    ) -> Self {
        let (hot_margin, page_bytes) = (DEFAULT_HOT_MARGIN, PAGE_BYTES);
        Self { hot, sql, datasets, clock, lag, hot_margin, patience: None, page_bytes }
    }

    /// The same reader of an index whose chunks outlive their retention by `margin`: the least that any chunk in it was written
    /// with. [`DEFAULT_HOT_MARGIN`] if this is not called.
    #[must_use]
    pub fn with_hot_margin(self, margin: Duration) -> Self {
        Self { hot_margin: margin, ..self }
    }

    /// The same reader, whose requests wait for the lake no longer than this. Its engine must know a statement by its token.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// The same reader, whose pages end when their rows take so many bytes of memory. [`PAGE_BYTES`] if this is not called.
    #[must_use]
    pub fn with_page_bytes(self, bytes: usize) -> Self {
        Self { page_bytes: bytes, ..self }
    }

    /// A read of this dataset that begins now.
    pub fn begin(&self, dataset: &str) -> Reading {
        Reading { dataset: dataset.to_owned(), as_of: self.now() }
    }

    /// The time now, as this reader's clock has it.
    pub fn now(&self) -> Micros {
        self.clock.now_micros()
    }

    /// The columns of a dataset's table.
    ///
    /// # Errors
    ///
    /// When the dataset is unknown.
    pub fn columns(&self, dataset: &str) -> Result<SchemaRef, QueryError> {
        self.readable(dataset).map(|dataset| dataset.columns)
    }

    /// Reads one page.
    ///
    /// # Errors
    ///
    /// When the dataset is unknown, a parameter cannot be used, the page would take too many rows to make, or the hot index or
    /// the lake cannot be read.
    pub async fn page(&self, request: &RecordsRequest) -> Result<RecordsPage, QueryError> {
        let mut dataset = self.readable(&request.dataset)?;
        let limit = limit(request.limit)?;
        if let Some(cursor) = &request.cursor {
            given_out_for("cursor", &cursor.dataset, &request.dataset)?;
        }
        if let Some(reading) = &request.reading {
            given_out_for("reading", &reading.dataset, &request.dataset)?;
            reading.check(self.now(), self.hot_margin)?;
        }
        let Some(wanted) = &request.columns else { return page::read(self, request, &dataset, limit).await };
        let projection = Projection::new(&dataset.columns, wanted)?;
        dataset.columns = projection.read;
        let page = page::read(self, request, &dataset, limit).await?;
        Ok(RecordsPage { rows: page.rows.project(&projection.answered)?, ..page })
    }

    /// Tells what came in after something.
    ///
    /// # Errors
    ///
    /// When the dataset is unknown or not in the hot index, a parameter cannot be used, or the hot index cannot be read.
    pub async fn after(&self, request: &AfterRequest) -> Result<AfterPage, QueryError> {
        let mut dataset = self.readable(&request.dataset)?;
        if request.dataset == DatasetName::dead_letters().as_str() {
            let message = "dead letters are not in the hot index, which alone knows what came in since; \
                           read them with `from`, or with SQL";
            return Err(QueryError::parameter("after", message));
        }
        let limit = limit(request.limit)?;
        if let After::Cursor(cursor) = &request.after {
            given_out_for("after", &cursor.dataset, &request.dataset)?;
        }
        let Some(wanted) = &request.columns else { return after::read(self, request, &dataset, limit).await };
        let projection = Projection::new(&dataset.columns, wanted)?;
        dataset.columns = projection.read;
        let page = after::read(self, request, &dataset, limit).await?;
        Ok(AfterPage { rows: page.rows.project(&projection.answered)?, ..page })
    }

    fn readable(&self, name: &str) -> Result<Readable, QueryError> {
        if let Some(dataset) = self.datasets.get(name) {
            return Ok(Readable { columns: dataset.columns().clone(), hot_retention: dataset.hot_retention });
        }
        if name == DatasetName::dead_letters().as_str() {
            return Ok(Readable { columns: dead_letter_columns(), hot_retention: limits::HOT_RETENTION });
        }
        let mut known = self.datasets.names();
        known.push("dead_letters");
        Err(QueryError::UnknownDataset { name: name.chars().take(80).collect(), known: known.join(", ") })
    }
}

/// The most rows of a page.
fn limit(asked: Option<usize>) -> Result<usize, QueryError> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(QueryError::parameter("limit", format!("{limit} is not within 1 to {MAX_LIMIT}")))
    }
}

fn given_out_for(parameter: &str, dataset: &str, asked: &str) -> Result<(), QueryError> {
    if dataset == asked {
        return Ok(());
    }
    Err(QueryError::parameter(parameter, format!("it was given out for `{dataset}`, not for `{asked}`")))
}

#[cfg(test)]
pub(crate) mod tests;
