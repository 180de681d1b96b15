//! A hot index and a lake in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use alluvium_core::clock::{Clock as _, ManualClock, Micros};
use alluvium_core::hot::{HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts, Waiting};
use alluvium_core::hot_block::{HotBlockWriter, read_block};
use alluvium_core::ports::{
    Advice, HotIndex, PortError, ResultPage, SqlEngine, Statement, StatementId, StatementState, StatementStatus,
};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use super::conditions::Condition;
use super::world::{Event, batch_of};

/// Dataset, bucket and sort key.
type Key = (String, u16, String);

/// A [`HotIndex`] in a map of chunks and when they were put. It keeps the contract, see the tests.
#[derive(Default)]
pub(crate) struct MemoryHot {
    chunks: Mutex<BTreeMap<Key, (Micros, HotChunk)>>,
    /// When the last chunk was put: not before the one before it, and later than that.
    last_put: AtomicI64,
    clock: Arc<ManualClock>,
    marks: Mutex<BTreeMap<String, Micros>>,
    /// Whether chunks that are put have to wait.
    pub(crate) throttled: AtomicBool,
    /// Those that do.
    waiting: Mutex<Vec<HotChunk>>,
    /// Chunks that were answered.
    pub(crate) answered: AtomicUsize,
}

impl MemoryHot {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Takes the last row of each chunk of more rows than this away.
    pub(crate) fn shorten(&self, longer_than: u32) {
        for (_, chunk) in self.chunks.lock().unwrap().values_mut().filter(|(_, chunk)| chunk.rows > longer_than) {
            let rows = read_block(&chunk.block, usize::MAX).unwrap();
            chunk.rows -= 1;
            chunk.block = HotBlockWriter::default().write(&rows.slice(0, rows.num_rows() - 1)).unwrap();
        }
    }

    /// Puts one of the chunks that wait, unless it has expired; says whether there was one.
    pub(crate) fn drain_one(&self, pick: usize) -> bool {
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.is_empty() {
            return false;
        }
        let pick = pick % waiting.len();
        let chunk = waiting.swap_remove(pick);
        if chunk.expires_at > self.clock.now_micros() {
            self.hold(vec![chunk]);
        }
        true
    }

    fn hold(&self, chunks: Vec<HotChunk>) {
        let mut held = self.chunks.lock().unwrap();
        held.extend(chunks.into_iter().map(|chunk| {
            let at = self.clock.now_micros().max(self.last_put.load(Ordering::Relaxed) + 1);
            self.last_put.store(at, Ordering::Relaxed);
            ((chunk.dataset.clone(), chunk.bucket, chunk.sort_key()), (at, chunk))
        }));
    }

    fn end(&self) -> PutPosition {
        PutPosition::at(self.clock.now_micros().max(self.last_put.load(Ordering::Relaxed) + 1))
    }

    /// Loses what is older than `before`.
    pub(crate) fn lose(&self, before: Micros) {
        self.chunks.lock().unwrap().retain(|_, (_, chunk)| chunk.max_time >= before);
    }
}

#[async_trait]
impl HotIndex for MemoryHot {
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        if self.throttled.load(Ordering::Relaxed) {
            self.waiting.lock().unwrap().extend(chunks);
        } else {
            self.hold(chunks);
        }
        Ok(())
    }

    async fn waiting(&self, dataset: &str, now: Micros) -> Result<Vec<Waiting>, PortError> {
        let waiting = self.waiting.lock().unwrap();
        let wanted = waiting.iter().filter(|chunk| chunk.dataset == dataset && chunk.expires_at > now);
        Ok(wanted.filter_map(|chunk| Waiting::of([chunk])).collect())
    }

    async fn flush(&self) -> Result<(), PortError> {
        Ok(())
    }

    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        let held = self.chunks.lock().unwrap();
        let wanted = held.values().map(|(_, chunk)| chunk).filter(|chunk| {
            chunk.dataset == query.dataset
                && query.bucket.is_none_or(|bucket| bucket == chunk.bucket)
                && chunk.expires_at > query.now
                && chunk.min_time <= query.to
                && chunk.max_time >= query.from
                && chunk.max_time <= query.below
        });
        let mut chunks: Vec<HotChunk> = wanted.cloned().collect();
        chunks.sort_by_key(|chunk| std::cmp::Reverse(chunk.max_time));
        // Those of one time come together.
        let below = chunks.get(query.most - 1).and_then(|last| {
            let rest = chunks.iter().skip(query.most).find(|chunk| chunk.max_time < last.max_time);
            rest.map(|chunk| chunk.max_time)
        });
        chunks.retain(|chunk| below.is_none_or(|below| chunk.max_time > below));
        self.answered.fetch_add(chunks.len(), Ordering::Relaxed);
        Ok(Newest { chunks, below })
    }

    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError> {
        let held = self.chunks.lock().unwrap();
        let wanted = held.values().filter(|(_, chunk)| {
            chunk.dataset == query.dataset && query.bucket.is_none_or(|bucket| bucket == chunk.bucket)
        });
        let mut noted: Vec<_> = wanted.map(|(at, chunk)| (PutPosition::of(*at, chunk), chunk.clone())).collect();
        noted.retain(|(position, _)| *position >= query.from);
        noted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let more = noted.len() > query.most;
        noted.truncate(query.most);
        let up_to = if more { noted.last().unwrap().0.past() } else { self.end().max(query.from) };
        noted.retain(|(_, chunk)| chunk.expires_at > query.now);
        Ok(Puts { chunks: noted, up_to, more })
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        Ok(self.end())
    }

    async fn complete_since(&self, dataset: &str) -> Result<Option<Micros>, PortError> {
        Ok(self.marks.lock().unwrap().get(dataset).copied())
    }

    async fn set_complete_since(&self, dataset: &str, since: Micros) -> Result<(), PortError> {
        self.marks.lock().unwrap().insert(dataset.to_owned(), since);
        Ok(())
    }

    async fn expire(&self, now: Micros) -> Result<usize, PortError> {
        let mut held = self.chunks.lock().unwrap();
        let before = held.len();
        held.retain(|_, (_, chunk)| chunk.expires_at > now);
        Ok(before - held.len())
    }
}

/// A [`SqlEngine`] over a list of committed rows, which understands just the statements that the planner writes.
#[derive(Default)]
pub(crate) struct MemoryLake {
    pub(crate) committed: Mutex<Vec<Event>>,
    /// The statements that were started.
    pub(crate) statements: Mutex<Vec<String>>,
    /// Whether it knows how old its oldest row is.
    pub(crate) tells_oldest: AtomicBool,
    /// How many rows a page of a result has; 0: all.
    pub(crate) page_rows: AtomicUsize,
}

impl MemoryLake {
    /// Leaves the first arrival of each key alone, as compaction does.
    pub(crate) fn compact(&self) {
        let mut first: BTreeMap<_, Event> = BTreeMap::new();
        let mut committed = self.committed.lock().unwrap();
        for row in committed.drain(..) {
            let kept = first.entry(row.key()).or_insert_with(|| row.clone());
            if (row.arrival, row.time) < (kept.arrival, kept.time) {
                *kept = row;
            }
        }
        committed.extend(first.into_values());
    }

    fn answer(&self, sql: &str) -> ResultPage {
        let (head, limit) = sql.rsplit_once(" limit ").unwrap();
        let (head, order) = head.split_once(" order by ").unwrap();
        let (head, condition) = head.split_once(" where ").map_or((head, None), |(head, rest)| (head, Some(rest)));
        if head.ends_with(" from dead_letters_raw") {
            let none = RecordBatch::new_empty(alluvium_core::dataset::dead_letter_columns());
            return ResultPage { batches: vec![none], next: None };
        }
        assert!(head.ends_with(" from telemetry_raw"), "{sql}");
        let condition = condition.map(Condition::parse);
        let mut rows: Vec<Event> = self.committed.lock().unwrap().clone();
        rows.retain(|row| condition.as_ref().is_none_or(|condition| condition.holds(row)));
        match order {
            "event_time asc" => rows.sort_by_key(|row| row.time),
            "event_time desc" => rows.sort_by_key(|row| std::cmp::Reverse(row.time)),
            "event_time desc, source, event_id, owner, ingest_time" => rows.sort_by(|a, b| {
                let key = |row: &Event| {
                    (std::cmp::Reverse(row.time), row.source.clone(), row.id.clone(), row.owner.clone(), row.arrival)
                };
                key(a).cmp(&key(b))
            }),
            other => panic!("{other}"),
        }
        rows.truncate(limit.parse().unwrap());
        ResultPage { batches: vec![batch_of(&rows)], next: None }
    }
}

#[async_trait]
impl SqlEngine for MemoryLake {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        self.statements.lock().unwrap().push(statement.sql.clone());
        Ok(StatementId(statement.sql))
    }

    async fn status(&self, _: &StatementId) -> Result<StatementStatus, PortError> {
        Ok(StatementStatus {
            state: StatementState::Succeeded,
            reader: None,
            owner: None,
            scanned_bytes: None,
            elapsed: None,
        })
    }

    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError> {
        if statement.0.starts_with("wrong") {
            return Err(PortError::new(Advice::Stop, "the statement is wrong"));
        }
        let all = self.answer(&statement.0);
        let (begin, most) = (page.map_or(0, |page| page.parse().unwrap()), self.page_rows.load(Ordering::Relaxed));
        if most == 0 {
            return Ok(all);
        }
        let rows = &all.batches[0];
        let end = (begin + most).min(rows.num_rows());
        Ok(ResultPage {
            batches: vec![rows.slice(begin, end - begin)],
            next: (end < rows.num_rows()).then(|| end.to_string()),
        })
    }

    async fn oldest(&self, _: &str) -> Result<Option<Micros>, PortError> {
        let oldest = || self.committed.lock().unwrap().iter().map(|row| row.time).min().unwrap_or(Micros::MAX);
        Ok(self.tells_oldest.load(Ordering::Relaxed).then(oldest))
    }

    async fn cancel(&self, _: &StatementId) -> Result<(), PortError> {
        Ok(())
    }
}
