//! The hot index as a node has it, and what is asked of it through its port.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alluvium_core::clock::{ManualClock, Micros};
use alluvium_core::hot::{HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts};
use alluvium_core::ports::{
    Advice, HotIndex, PortError, ResultPage, SqlEngine, Statement, StatementId, StatementState, StatementStatus,
};
use alluvium_core::{Clock as _, Datasets};
use alluvium_local::hot::RedbHotIndex;
use alluvium_query::{CommitLag, Records, RecordsRequest};
use anyhow::Context as _;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::items::lines;
use crate::{CACHE_BYTES, CLUSTER_AFTER, DATASET, LIMIT, OWNER};

/// What a chunk's key and header take, and the notes of its times, its expiry and its put: about.
pub const KEY_BYTES: u64 = 4 * 54 + 16 + 8 + 8 + 37;

/// The hot index behind the planner that reads it.
pub struct Chunks {
    index: Arc<Counted>,
    records: Records,
    clock: Arc<ManualClock>,
}

impl Chunks {
    pub async fn open(folder: &Path, datasets: Arc<Datasets>) -> anyhow::Result<Self> {
        let clock = Arc::new(ManualClock::default());
        let (index, _) = RedbHotIndex::open(folder, CACHE_BYTES, clock.clone())?;
        index.set_complete_since(DATASET, Micros::MIN).await?;
        let index = Arc::new(Counted { index, asked: Counts::default() });
        let columns = datasets.get(DATASET).context("a dataset that is built in")?.columns().clone();
        let lake = Arc::new(EmptyLake(RecordBatch::new_empty(columns)));
        let records = Records::new(index.clone(), lake, datasets, clock.clone(), Arc::new(CommitLag::default()));
        Ok(Self { index, records, clock })
    }

    pub fn set_now(&self, now: Micros) {
        self.clock.set(now);
    }

    /// Stores chunks, visible when it returns and durable with `flush`, at the time of their newest row; and clusters what is old enough then, as
    /// a node does meanwhile.
    pub async fn put(&self, chunks: Vec<HotChunk>, flush: bool) -> anyhow::Result<()> {
        let newest = chunks.iter().map(|chunk| chunk.max_time).max().unwrap_or_default();
        self.set_now(self.clock.now_micros().max(newest));
        self.index.put(chunks).await?;
        while self.index.index.cluster(self.clock.now_micros() - CLUSTER_AFTER).await? {}
        if flush {
            self.index.flush().await?;
        }
        Ok(())
    }

    /// The newest records of a source, a line each.
    pub async fn newest(&self, source: &str) -> anyhow::Result<Vec<u8>> {
        let request = RecordsRequest {
            dataset: DATASET.to_owned(),
            owner: Some(OWNER.to_owned()),
            source: Some(source.to_owned()),
            limit: Some(LIMIT),
            ..RecordsRequest::default()
        };
        lines(&self.records.page(&request).await?.rows)
    }

    /// What the index was asked so far.
    pub fn asked(&self) -> Asked {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { calls, chunks, rows, bytes, nanos } = &self.index.asked;
        Asked { calls: read(calls), chunks: read(chunks), rows: read(rows), bytes: read(bytes), nanos: read(nanos) }
    }
}

/// Questions to the index, and what it answered.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    calls: u64,
    chunks: u64,
    rows: u64,
    bytes: u64,
    nanos: u64,
}

impl Asked {
    pub fn since(self, before: &Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            chunks: self.chunks - before.chunks,
            rows: self.rows - before.rows,
            bytes: self.bytes - before.bytes,
            nanos: self.nanos - before.nanos,
        }
    }

    /// Means of so many lookups.
    pub fn report(&self, lookups: usize) -> Value {
        let mean = |sum: u64| sum as f64 / lookups.max(1) as f64;
        json!({
            "questions": mean(self.calls),
            "chunks": mean(self.chunks),
            "rows": mean(self.rows),
            "bytes": mean(self.bytes),
            "ms": Duration::from_nanos(self.nanos).as_secs_f64() * 1e3 / lookups.max(1) as f64,
        })
    }
}

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    chunks: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

/// The index, counting what it is asked.
struct Counted {
    index: RedbHotIndex,
    asked: Counts,
}

#[async_trait]
impl HotIndex for Counted {
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        self.index.put(chunks).await
    }

    async fn flush(&self) -> Result<(), PortError> {
        self.index.flush().await
    }

    fn buckets(&self) -> u16 {
        self.index.buckets()
    }

    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        let started = Instant::now();
        let newest = self.index.newest(query).await?;
        let chunks = &newest.chunks;
        let add = |count: &AtomicU64, what: u64| count.fetch_add(what, Ordering::Relaxed);
        add(&self.asked.calls, 1);
        add(&self.asked.chunks, chunks.len() as u64);
        add(&self.asked.rows, chunks.iter().map(|chunk| u64::from(chunk.rows)).sum());
        add(&self.asked.bytes, chunks.iter().map(|chunk| chunk.block.len() as u64).sum());
        add(&self.asked.nanos, started.elapsed().as_nanos() as u64);
        Ok(newest)
    }

    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError> {
        self.index.puts(query).await
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        self.index.puts_end().await
    }

    async fn complete_since(&self, dataset: &str) -> Result<Option<Micros>, PortError> {
        self.index.complete_since(dataset).await
    }

    async fn set_complete_since(&self, dataset: &str, since: Micros) -> Result<(), PortError> {
        self.index.set_complete_since(dataset, since).await
    }

    async fn expire(&self, now: Micros) -> Result<usize, PortError> {
        self.index.expire(now).await
    }
}

/// A lake without rows: what is not hot is nowhere.
struct EmptyLake(RecordBatch);

#[async_trait]
impl SqlEngine for EmptyLake {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
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

    async fn results(&self, _: &StatementId, _: Option<&str>) -> Result<ResultPage, PortError> {
        Ok(ResultPage { batches: vec![self.0.clone()], next: None })
    }

    async fn cancel(&self, _: &StatementId) -> Result<(), PortError> {
        Err(PortError::new(Advice::Stop, "nothing runs here"))
    }
}
