//! The live tail: what comes in, as server-sent events in the order of its arrival (HTML Living Standard, "Server-sent events").
//!
//! ```text
//! GET /v1/{dataset}/live?source=&owner=     event: record, data: the record as in a page
//! ```
//!
//! An event's id says up to where the stream was read; not every event has one. A client that comes back with `Last-Event-ID` is given what
//! came after, some of it perhaps once more: events share a piece of the stream, and a piece that was broken off begins anew. What has left the
//! stream meanwhile is told by an event `reset`, and the tail goes on at the end. What arrives twice is told twice.
//!
//! Nothing is kept for a reader: one that is slow falls behind, and is told what it missed once that is gone from the stream.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium_core::arrivals::{Arrivals, Next, Positions};
use alluvium_core::ports::Advice;
use alluvium_core::{Caller, Problem, address};
use arrow::array::{AsArray as _, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::stream;
use http::request::Parts;
use http::{HeaderName, HeaderValue, header};
use serde_json::json;

use super::parameters::name_of;
use super::{RecordsApi, json, problem_response};
use crate::error::QueryError;

/// How often a reader hears something, so that whoever stands between does not take the connection for a dead one.
const QUIET: Duration = Duration::from_secs(15);

/// After how many pieces without a record for a reader it is told how far the stream was read.
const SILENT_PIECES: u32 = 64;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const KNOWN: &str = "source, owner, last_event_id";

/// What live tails need. Clones share it.
#[derive(Debug, Clone)]
pub struct LiveApi {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    records: RecordsApi,
    arrivals: Arc<dyn Arrivals>,
    most: usize,
    /// How many are open, by whose callers.
    tails: Mutex<HashMap<String, usize>>,
}

impl LiveApi {
    /// Tails of what arrives, `most` at a time; `records` says which datasets there are, and whose records a caller reads.
    pub fn new(records: RecordsApi, arrivals: Arc<dyn Arrivals>, most: usize) -> Self {
        Self { shared: Arc::new(Shared { records, arrivals, most, tails: Mutex::default() }) }
    }
}

/// The route of live tails.
pub fn live_routes(api: LiveApi) -> Router {
    Router::new().route("/v1/{dataset}/live", get(follow)).with_state(api)
}

/// What a reader wants to hear of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    dataset: String,
    owner: Option<String>,
    source: Option<String>,
}

async fn follow(State(api): State<LiveApi>, Path(dataset): Path<String>, parts: Parts) -> Response {
    let begun = async {
        let (wanted, last) = api.shared.read(dataset, &parts).map_err(|error| error.problem())?;
        let slot = Slot::of(&api.shared, parts.extensions.get().map_or("", Caller::owner))?;
        let begin = match last {
            Some(positions) => positions,
            None => api.shared.arrivals.newest().await.map_err(|error| QueryError::Port(error).problem())?,
        };
        let tail = Tail { wanted, positions: begin, trust: Trust::None, silent: 0, waiting: VecDeque::new(), slot };
        let events = stream::unfold(tail, |mut tail| async { Some((Ok::<_, Infallible>(tail.next().await?), tail)) });
        let mut response = Sse::new(events).into_response();
        // Proxies such as nginx would hold events back.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    };
    begun.await.unwrap_or_else(|problem: Problem| problem_response(&problem))
}

impl Shared {
    /// What a request wants, and where it ended before.
    fn read(&self, dataset: String, parts: &Parts) -> Result<(Wanted, Option<Positions>), QueryError> {
        self.records.records.columns(&dataset)?;
        let pairs = address::parameters(parts.uri.query())?;
        let mut wanted = Wanted { dataset, ..Wanted::default() };
        let mut named = None;
        let mut last = parts.headers.get(LAST_EVENT_ID).map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        for (name, value) in pairs {
            let refused = |message: String| QueryError::parameter(name.chars().take(80).collect::<String>(), message);
            match name.as_str() {
                "source" => wanted.source = Some(name_of(&value).map_err(refused)?),
                "owner" => named = Some(name_of(&value).map_err(refused)?),
                // For clients that cannot send headers; one that comes back by itself sends the header, which is newer.
                "last_event_id" => last = last.or(Some(value)),
                _ => return Err(refused(format!("there is no such parameter; known: {KNOWN}"))),
            }
        }
        wanted.owner = self.records.reads(parts.extensions.get(), named.as_deref())?;
        let last = last.filter(|id| !id.is_empty()).map(|id| id.parse());
        let last = last.transpose().map_err(|error| QueryError::parameter("Last-Event-ID", format!("{error}")))?;
        Ok((wanted, last))
    }
}

/// Which share of all tails one owner may have.
const OF_ONE_OWNER: usize = 8;

/// The place of one tail among those that there may be.
#[derive(Debug)]
struct Slot {
    shared: Arc<Shared>,
    owner: String,
}

impl Slot {
    fn of(shared: &Arc<Shared>, owner: &str) -> Result<Self, Problem> {
        let mut tails = shared.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (tails.values().sum::<usize>(), tails.get(owner).copied().unwrap_or(0));
        // Where nobody is asked for a token they are all of one.
        let share = if owner.is_empty() { shared.most } else { shared.most.div_ceil(OF_ONE_OWNER) };
        if all >= shared.most || own >= share {
            let detail = format!(
                "{all} tails are open, of at most {}, and {own} of yours, of at most {share}; come again later",
                shared.most
            );
            return Err(Problem::new(429, "too-many-tails", detail).retry_after(10));
        }
        tails.insert(owner.to_owned(), own + 1);
        Ok(Self { shared: shared.clone(), owner: owner.to_owned() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut tails = self.shared.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = tails.get_mut(&self.owner) {
            *own -= 1;
            if *own == 0 {
                tails.remove(&self.owner);
            }
        }
    }
}

/// What is known of a tail's positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Nothing: they may be of another stream, or made up.
    None,
    /// The stream gave something for them.
    Proven,
    /// It failed; nothing more is asked of it.
    Over,
}

/// One reader's tail.
struct Tail {
    wanted: Wanted,
    positions: Positions,
    trust: Trust,
    /// Pieces since the reader was last told how far the stream was read.
    silent: u32,
    /// Of the piece that is being sent.
    waiting: VecDeque<Event>,
    slot: Slot,
}

impl Tail {
    /// The next event; `None`: there will be no more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.trust == Trust::Over {
                return None;
            }
            match self.slot.shared.arrivals.after(&self.positions, QUIET).await {
                Ok(Next::Arrived(piece)) => {
                    self.trust = Trust::Proven;
                    self.positions = piece.positions.clone();
                    if let Err(error) = self.take(&piece.rows) {
                        return Some(self.failed(&error));
                    }
                }
                Ok(Next::Nothing) => return Some(self.quiet()),
                Ok(Next::Gone) => return Some(self.start_over().await),
                Ok(Next::Ended) => return None,
                // A client would come back with the same positions for ever.
                Err(error) if self.trust == Trust::None && error.advice == Advice::Stop => {
                    return Some(self.start_over().await);
                }
                Err(error) => return Some(self.failed(&QueryError::Port(error))),
            }
        }
    }

    /// Goes on at the stream's end, and says so.
    async fn start_over(&mut self) -> Event {
        match self.slot.shared.arrivals.newest().await {
            Ok(newest) => {
                self.positions = newest;
                self.trust = Trust::Proven;
                self.reset()
            }
            Err(error) => self.failed(&QueryError::Port(error)),
        }
    }

    /// Makes events of a piece's rows; the last has the id.
    fn take(&mut self, pieces: &[(String, RecordBatch)]) -> Result<(), QueryError> {
        for (_, rows) in pieces.iter().filter(|(dataset, _)| *dataset == self.wanted.dataset) {
            let lines = json::lines(&self.wanted.among(rows)?);
            let lines = String::from_utf8(lines).expect("records are written as JSON, which is UTF-8");
            self.waiting.extend(lines.lines().map(|line| Event::default().event("record").data(line)));
        }
        self.silent += 1;
        match self.waiting.pop_back() {
            Some(last) => {
                self.silent = 0;
                self.waiting.push_back(last.id(self.positions.to_string()));
            }
            None if self.silent >= SILENT_PIECES => {
                let quiet = self.quiet();
                self.waiting.push_back(quiet);
            }
            None => {}
        }
        Ok(())
    }

    /// Says nothing but how far the stream was read.
    fn quiet(&mut self) -> Event {
        self.silent = 0;
        Event::default().comment("").id(self.positions.to_string())
    }

    fn reset(&mut self) -> Event {
        self.silent = 0;
        let detail =
            "what came next is not in the stream any more, so that records were missed; the tail goes on at its end";
        Event::default().event("reset").data(json!({"detail": detail}).to_string()).id(self.positions.to_string())
    }

    /// Tells what went wrong, and ends.
    fn failed(&mut self, error: &QueryError) -> Event {
        tracing::warn!(%error, "a live tail failed");
        self.trust = Trust::Over;
        let problem = error.problem();
        Event::default().event("failed").data(String::from_utf8_lossy(&problem.to_json()))
    }
}

impl Wanted {
    /// The rows that are wanted of a table's.
    fn among(&self, rows: &RecordBatch) -> Result<RecordBatch, QueryError> {
        let column = |name: &str| rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let is = |name: &str, wanted: &Option<String>, row: usize| match wanted {
            None => true,
            // A row whose owner cannot be told is nobody's.
            Some(wanted) => column(name).is_some_and(|column| column.value(row) == wanted),
        };
        let wanted =
            (0..rows.num_rows()).map(|row| Some(is("owner", &self.owner, row) && is("source", &self.source, row)));
        Ok(filter_record_batch(rows, &wanted.collect::<BooleanArray>())?)
    }
}

#[cfg(test)]
mod tests;
