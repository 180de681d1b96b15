//! Reading the lake downwards in time, a statement per stretch.

use alluvium_core::clock::{Micros, micros};
use arrow::record_batch::RecordBatch;
use jiff::Timestamp;

use super::cursor::Cursor;
use super::page::Scope;
use super::reading::Asking;
use super::rows::{Place, Rows};
use super::{DUPLICATE_ROWS, DUPLICATE_WINDOW, size};
use crate::error::QueryError;

/// A walk through the committed rows of one scope below the boundary, newest first.
pub(super) struct LakeWalk<'a> {
    lake: &'a Asking<'a>,
    scope: &'a Scope,
    /// The newest time that the lake is asked for.
    newest: Micros,
    /// The last row read.
    last: Option<Cursor>,
    exhausted: bool,
    /// No row of the table is older, as far as is known.
    oldest: Micros,
}

impl<'a> LakeWalk<'a> {
    /// A walk that begins at `newest`, or at the scope's own newest time if that is older.
    pub(super) fn new(lake: &'a Asking<'a>, scope: &'a Scope, newest: Micros) -> Self {
        let newest = newest.min(scope.newest);
        Self { lake, scope, newest, last: None, exhausted: newest < scope.from, oldest: Micros::MIN }
    }

    /// Takes note of what the engine knows of the table: it need not be asked for what is not there.
    pub(super) async fn look(&mut self) -> Result<(), QueryError> {
        if !self.exhausted {
            self.oldest = self.lake.oldest(&self.scope.dataset).await?;
            self.exhausted = self.oldest > self.newest;
        }
        Ok(())
    }

    /// Whether every row at this place or before it has been read.
    pub(super) fn has_read(&self, place: Place<'_>) -> bool {
        self.exhausted || self.last.as_ref().is_some_and(|last| place <= Place::of(last))
    }

    /// Whether everything has been read.
    pub(super) fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// Reads the next `count` rows, or as many as take some `bytes`; answers how many bytes one takes.
    pub(super) async fn advance(&mut self, count: usize, bytes: usize, rows: &mut Rows) -> Result<usize, QueryError> {
        let after = self.last.as_ref().or(self.scope.after.as_ref());
        let mut conditions = self.scope.conditions(self.scope.from, self.newest);
        conditions.extend(after.map(after_condition));
        // All columns, and not those wanted by name: one that the schema has gained is not in the table before its next commit.
        let sql = format!(
            "select * from {}_raw{} order by event_time desc, source, event_id, owner, ingest_time limit {count}",
            self.scope.dataset,
            where_clause(&conditions)
        );
        let (batches, all) = self.lake.run(&sql, bytes).await?;
        let read: usize = batches.iter().map(RecordBatch::num_rows).sum();
        for batch in &batches {
            rows.add(batch)?;
        }
        self.exhausted = all && read < count;
        if let Some(last) = rows.last_added().filter(|_| read > 0) {
            self.last = Some(rows.place(last).cursor(&self.scope.dataset));
        }
        Ok(batches.iter().map(size::of).sum::<usize>() / read.max(1))
    }

    /// Reads around a page that reaches from `high` down to `low` for the sake of other arrivals of its keys, as far as promised.
    /// `committed_below` is the time below which the lake is asked at all.
    pub(super) async fn read_windows(
        &self,
        (high, low): (Micros, Micros),
        committed_below: Micros,
        rows: &mut Rows,
    ) -> Result<(), QueryError> {
        let window = micros(DUPLICATE_WINDOW);
        let newest = committed_below.saturating_sub(1);
        // Both ends included: a row of the same time as the page's first may stand before it, one of its last after it.
        let above = (high, high.saturating_add(window).min(newest), "asc");
        let below = (low.saturating_sub(window), low.min(newest), "desc");
        for (from, to, order) in [above, below] {
            // No event is older than all times, nor newer; and neither would be a bound.
            if from > to || to < self.oldest || to == Micros::MIN || to == Micros::MAX {
                continue;
            }
            let sql = format!(
                "select owner, source, event_id, event_time, ingest_time from {}_raw{} order by event_time {order} limit {DUPLICATE_ROWS}",
                self.scope.dataset,
                where_clause(&self.scope.conditions(from, to))
            );
            for batch in self.lake.run(&sql, usize::MAX).await?.0 {
                rows.add_keys(&batch)?;
            }
        }
        Ok(())
    }
}

impl Scope {
    /// The rows of this scope's owner and source with an event time within these two, both included.
    fn conditions(&self, from: Micros, to: Micros) -> Vec<String> {
        let mut conditions = Vec::new();
        conditions.extend(self.owner.as_deref().map(|owner| format!("owner = {}", quoted(owner))));
        conditions.extend(self.source.as_deref().map(|source| format!("source = {}", quoted(source))));
        conditions.extend(timestamp(from).map(|from| format!("event_time >= {from}")));
        conditions.extend(timestamp(to).map(|to| format!("event_time <= {to}")));
        conditions
    }
}

fn where_clause(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(" and ")) }
}

/// The rows that come after this one.
fn after_condition(last: &Cursor) -> String {
    let (source, id, owner) = (quoted(&last.source), quoted(&last.id), quoted(&last.owner));
    let same_time = format!(
        "(source > {source} or source = {source} and (event_id > {id} or event_id = {id} and owner > {owner}))"
    );
    match timestamp(last.time) {
        Some(time) => format!("(event_time < {time} or event_time = {time} and {same_time})"),
        None => same_time,
    }
}

/// The first time of a calendar with four-digit years; no event is older.
const FIRST: Micros = -62_135_596_800_000_000;

/// A time as SQL has it; `None`: it stands for no bound.
fn timestamp(time: Micros) -> Option<String> {
    if time == Micros::MIN || time == Micros::MAX {
        return None;
    }
    let time = Timestamp::from_microsecond(time.max(FIRST)).unwrap_or(Timestamp::MAX);
    // Not `timestamp '…'`: DataFusion reads that as nanoseconds, which end in 2262.
    Some(format!("cast('{}' as timestamp(6) with time zone)", time.strftime("%Y-%m-%d %H:%M:%S.%6f UTC")))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
