//! Making one page: how far each side is read, and what of it is on the page.

use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::hot::{Waiting, bucket_of};
use alluvium_core::hot_block::TextSet;
use futures::future::try_join;

use super::boundary::Boundary;
use super::cursor::Cursor;
use super::hot::{HotWalk, texts_of};
use super::lake::LakeWalk;
use super::reading::Asking;
use super::rows::{Place, Row, Rows};
use super::{AnsweredBy, DUPLICATE_WINDOW, Readable, Records, RecordsPage, RecordsRequest, size};
use crate::error::QueryError;

/// How often a page is filled up when other arrivals turn out to hide its rows. It may stay shorter than its limit after that.
const MAX_ROUNDS: usize = 8;

/// How many rows the lake is asked for before it is known how much one takes: an engine sorts them in memory.
const LAKE_ROWS: usize = 1_000;

/// What of a dataset is read in one round, and as of when.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) dataset: String,
    pub(super) owner: Option<String>,
    pub(super) source: Option<String>,
    /// The oldest event time wanted, included.
    pub(super) from: Micros,
    /// The newest event time wanted, included.
    pub(super) newest: Micros,
    /// The page begins after this row.
    pub(super) after: Option<Cursor>,
    pub(super) now: Micros,
}

impl Scope {
    /// The newest time at which another arrival may hide a row of the page.
    pub(super) fn top(&self) -> Micros {
        self.newest.saturating_add(micros(DUPLICATE_WINDOW))
    }

    /// The oldest time at which another arrival may hide a row of the page.
    pub(super) fn bottom(&self) -> Micros {
        self.from.saturating_sub(micros(DUPLICATE_WINDOW))
    }

    /// The one bucket, of so many, that its rows are in, where one owner's source is read.
    pub(super) fn bucket(&self, buckets: u16) -> Option<u16> {
        Some(bucket_of(self.owner.as_deref()?, self.source.as_deref()?, buckets))
    }

    /// What its rows have in which columns.
    pub(super) fn texts(&self) -> Vec<(&'static str, &str)> {
        texts_of(self.owner.as_deref(), self.source.as_deref())
    }

    fn wants(&self, place: Place<'_>) -> bool {
        let within = (self.from..=self.newest).contains(&place.time.0);
        within && self.after.as_ref().is_none_or(|after| place > Place::of(after))
    }
}

/// What one round found.
struct Round {
    rows: Rows,
    page: Vec<Row>,
    next: Option<Cursor>,
    low: Micros,
    high: Micros,
    bucket: Option<u16>,
    answered_by: AnsweredBy,
}

pub(super) async fn read(
    records: &Records,
    request: &RecordsRequest,
    dataset: &Readable,
    limit: usize,
) -> Result<RecordsPage, QueryError> {
    let reading = request.reading.clone().unwrap_or_else(|| records.begin(&request.dataset));
    let now = reading.as_of;
    // Before the rows: while they are read, a commit may be done, which makes the answer no less complete. What arrived since the read began
    // may have waited for as long as what had arrived before.
    let waited = records.now().saturating_sub(now).max(0).unsigned_abs();
    let lag = match records.lag.get() {
        Duration::ZERO => Duration::ZERO,
        lag => lag + Duration::from_micros(waited),
    };
    let lake = Asking::new(records, reading);
    // Before the rows as well: what is not told of any more is among them.
    let mark = records.hot.complete_since(&request.dataset);
    let (mark, waiting) = try_join(mark, records.hot.waiting(&request.dataset, now)).await?;
    let boundary = Boundary::new(now, mark, dataset.hot_retention, records.hot_margin, lag);
    let mut next = request.cursor.clone();
    let mut batches = Vec::new();
    let (mut found, mut bytes) = (0, records.page_bytes);
    let mut complete = true;
    let mut answered_by = AnsweredBy::Hot;
    for _ in 0..MAX_ROUNDS {
        let scope = scope(request, next.take(), now);
        let round = Round::read(records, &lake, dataset, scope, &boundary, limit - found, bytes).await?;
        found += round.page.len();
        let batch = round.rows.gather(&round.page)?;
        bytes = bytes.saturating_sub(size::of(&batch));
        batches.push(batch);
        complete &= boundary.complete_down_to(round.low);
        complete &= !waiting.iter().any(|waiting| round.may_miss(waiting));
        if round.answered_by == AnsweredBy::HotAndLake {
            answered_by = AnsweredBy::HotAndLake;
        }
        next = round.next;
        // What is left after a round that ended for want of room is a part of a row or so.
        if next.is_none() || found >= limit || bytes <= records.page_bytes / 2 {
            break;
        }
    }
    let rows = arrow::compute::concat_batches(&dataset.columns, &batches)?;
    Ok(RecordsPage { rows, next, complete, answered_by })
}

fn scope(request: &RecordsRequest, after: Option<Cursor>, now: Micros) -> Scope {
    let before = request.to.map_or(Micros::MAX, |to| to.saturating_sub(1));
    Scope {
        dataset: request.dataset.clone(),
        owner: request.owner.clone(),
        source: request.source.clone(),
        from: request.from.unwrap_or(Micros::MIN),
        newest: after.as_ref().map_or(before, |after| after.time.min(before)),
        after,
        now,
    }
}

impl Round {
    async fn read(
        records: &Records,
        asking: &Asking<'_>,
        dataset: &Readable,
        scope: Scope,
        boundary: &Boundary,
        limit: usize,
        bytes: usize,
    ) -> Result<Self, QueryError> {
        // One more than the page holds tells whether there is a next page.
        let needed = limit + 1;
        let mut rows = Rows::new(dataset.columns.clone());
        let mut hot = HotWalk::begin(records.hot.as_ref(), &scope).await?;
        let mut candidates = read_hot(&mut hot, &mut rows, &scope, needed, bytes).await?;

        let mut lake = LakeWalk::new(asking, &scope, boundary.at.saturating_sub(1));
        let mut answered_by = AnsweredBy::Hot;
        let mut count = needed.min(LAKE_ROWS);
        let hot_suffices = end(&candidates, &rows, needed).is_some_and(|end| end.time.0 >= boundary.at);
        if !hot_suffices {
            lake.look().await?;
        }
        while !hot_suffices && !lake.exhausted() {
            answered_by = AnsweredBy::HotAndLake;
            let row_bytes = lake.advance(count, bytes, &mut rows).await?;
            // An arrival in the lake may hide one in the hot index, which then has to give another row in its place.
            candidates = read_hot(&mut hot, &mut rows, &scope, needed, bytes).await?;
            if end(&candidates, &rows, needed).is_some_and(|end| lake.has_read(end)) {
                break;
            }
            count = count.saturating_mul(2).max(needed).min(bytes / row_bytes.max(1)).max(1);
        }

        candidates.truncate(needed);
        let goes_on = candidates.len() == needed;
        candidates.truncate(limit);
        let fitting = rows.fitting(&candidates, bytes);
        let goes_on = goes_on || fitting < candidates.len();
        candidates.truncate(fitting);
        let last = candidates.last().filter(|_| goes_on).map(|last| rows.place(*last));
        let next = last.or(rows.horizon()).map(|last| last.cursor(&scope.dataset));
        let low = next.as_ref().map_or(scope.from, |next| next.time);
        let high = scope.newest;

        if !candidates.is_empty() {
            let ids: TextSet = candidates.iter().map(|row| rows.place(*row).id).collect();
            hot.read_window_below(low, &ids, &mut rows).await?;
            if low.saturating_sub(micros(DUPLICATE_WINDOW)) < boundary.at {
                lake.read_windows((high, low), boundary.at, &mut rows).await?;
            }
        }
        let bucket = scope.bucket(records.hot.buckets());
        let last = next.as_ref().map(Place::of);
        let page = rows.visible(|place| scope.wants(place) && last.is_none_or(|last| place <= last));
        Ok(Self { rows, page, next, low, high, bucket, answered_by })
    }

    /// Whether what waits can belong on the page, or be another arrival of what is on it.
    fn may_miss(&self, waiting: &Waiting) -> bool {
        let window = micros(DUPLICATE_WINDOW);
        waiting.meets(self.bucket, self.low.saturating_sub(window), self.high.saturating_add(window))
    }
}

/// The last row of a page and the one after it, if they are read already: `needed` of the candidates, or as many as have room.
fn end<'a>(candidates: &[Row], rows: &'a Rows, needed: usize) -> Option<Place<'a>> {
    candidates.get(needed - 1).map(|last| rows.place(*last)).or(rows.horizon())
}

/// Reads the hot index until `needed` rows are certain to come first, or all that have room in `bytes`, or there are no more; answers what is
/// visible so far.
async fn read_hot(
    hot: &mut HotWalk<'_>,
    rows: &mut Rows,
    scope: &Scope,
    needed: usize,
    bytes: usize,
) -> Result<Vec<Row>, QueryError> {
    loop {
        rows.make_room(bytes, &scope.dataset, |place| scope.wants(place))?;
        match hot.frontier() {
            Some(frontier) if rows.newer_than(frontier) < needed && rows.horizon().is_none() => {}
            frontier => {
                let visible = rows.visible(|place| scope.wants(place));
                if frontier.is_none() || end(&visible, rows, needed).is_some_and(|end| hot.has_read(end.time.0)) {
                    return Ok(visible);
                }
            }
        }
        hot.advance(rows).await?;
    }
}
