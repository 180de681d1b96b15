//! Erasure on one machine: an owner's rows leave the tables, the hot index and the log.
//!
//! What the log held when it was asked for is committed first, so that the tables and the hot index have all of it. Then both are
//! written anew without the owner, and the log's segments go by their own retention. Until it is closed the erasure is looked after
//! at each turn of the [maintenance loop](crate::maintenance), and what is delivered is compared with it ([`Erased`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::clock::{Micros, micros};
use alluvium_core::hot::HotChunk;
use alluvium_core::ports::{Advice, PortError, Stream as _};
use alluvium_lake::{
    ErasureReport, HOT_INDEX, LakeError, OpenErasure, Screened, StoreErasure, Target, screen_chunk, screen_rows,
};
use arrow::record_batch::RecordBatch;

use uuid::Uuid;

use crate::committer::CommitProgress;
use crate::hot::RedbHotIndex;
use crate::log::Log;
use crate::maintenance::Maintenance;

/// How often it is looked whether the log is committed.
const LOOK: Duration = Duration::from_millis(50);
/// How long what the log held may take to be committed before the erasure is left to the maintenance loop, and how long that waits
/// at each of its turns.
const PATIENCE: Duration = Duration::from_secs(120);
const PATIENCE_OF_A_TURN: Duration = Duration::from_secs(5);

/// How often, and with what pauses, it is tried to delete files at once before that is left to the maintenance loop.
const DELETIONS: u32 = 50;
const BETWEEN_DELETIONS: Duration = Duration::from_millis(200);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EraseRequest {
    /// Whose rows go.
    pub owner: String,
    /// The one dataset that they leave; `None`: all.
    pub dataset: Option<String>,
    /// Whether files that held them are deleted as soon as nothing needs them, instead of when time travel has passed.
    pub at_once: bool,
}

/// Why an erasure stopped. What was begun is open, and goes on at the next turn of the maintenance loop.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// Nobody's name.
    #[error("an owner has at least one character; what nobody owns cannot be erased by owner")]
    NoOwner,
    /// The tables.
    #[error(transparent)]
    Lake(Box<LakeError>),
    /// The hot index or the log.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The log is not committed.
    #[error(
        "what the log held is not committed after {0:?}: the erasure is open and goes on by itself when it is; see why \
         commits stand still"
    )]
    Behind(Duration),
}

impl From<LakeError> for EraseError {
    fn from(error: LakeError) -> Self {
        Self::Lake(Box::new(error))
    }
}

/// Whose rows are being erased, for those who store what the hot index is to have.
#[derive(Debug, Clone, Default)]
pub struct Erased(Arc<RwLock<Arc<[Target]>>>);

impl Erased {
    /// Takes the place of what was known before.
    pub(crate) fn set(&self, targets: impl IntoIterator<Item = Target>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = targets.into_iter().collect();
    }

    /// Whether nobody is being erased.
    pub fn is_empty(&self) -> bool {
        self.targets().is_empty()
    }

    fn targets(&self) -> Arc<[Target]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rows of a table without those of who is being erased.
    ///
    /// # Errors
    ///
    /// When the rows do not have the table's columns.
    pub fn screen_rows(&self, table: &str, rows: &RecordBatch) -> Result<RecordBatch, PortError> {
        screen_rows(&self.targets(), table, rows)
            .map_err(|error| PortError::because(Advice::Stop, format!("rows of `{table}` cannot be read"), error))
    }

    /// The chunks without the rows of those who are being erased.
    ///
    /// # Errors
    ///
    /// When a chunk is damaged.
    pub fn screen(&self, chunks: Vec<HotChunk>) -> Result<Vec<HotChunk>, PortError> {
        let targets = self.targets();
        if targets.is_empty() {
            return Ok(chunks);
        }
        let mut left = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let screened = screen_chunk(&targets, &chunk)
                .map_err(|error| PortError::because(Advice::Stop, "a chunk for the hot index cannot be read", error))?;
            match screened {
                Screened::AsItWas => left.push(chunk),
                Screened::Without(_, chunk) => left.extend(chunk),
            }
        }
        Ok(left)
    }
}

/// Erases owners, one at a time and beside no other maintenance.
pub struct Eraser {
    pub(crate) maintenance: Arc<Maintenance>,
    pub(crate) hot: Arc<RedbHotIndex>,
    pub(crate) log: Arc<Log>,
    pub(crate) log_retention: Duration,
    pub(crate) committed: Arc<CommitProgress>,
    pub(crate) erased: Erased,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Eraser {
    /// Erases an owner: nothing of what had arrived before can be read any more when it returns, unless by who reads older versions
    /// of the tables. The report says when the last copies end.
    ///
    /// # Errors
    ///
    /// See [`EraseError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves an erasure that goes on by itself, or one that was never begun.
    pub async fn erase(&self, request: EraseRequest) -> Result<ErasureReport, EraseError> {
        let _alone = self.maintenance.alone().await;
        let upkeep = self.maintenance.upkeep();
        let at_once = request.at_once;
        let target = self.target(request)?;
        self.log.seal(target.until).await?;
        // So that what is on its way counts among what the tables lose. When commits stand still, it is begun all the same.
        let behind = self.wait_for_commits(PATIENCE).await;
        let id = upkeep.begin_erasure(target, at_once).await?;
        let open = self.open().await?;
        for open in open.iter().filter(|open| open.id == id) {
            self.go_on(open).await?;
        }
        behind?;
        // A file goes once the ledger has copied the commit that took it out, which the committer does by itself.
        for _ in 0..DELETIONS {
            let report = self.report(id).await?;
            if !at_once || report.stores.iter().all(|store| !store.store.starts_with("table") || store.ends.is_none()) {
                return Ok(report);
            }
            tokio::time::sleep(BETWEEN_DELETIONS).await;
            upkeep.erase(id).await?;
        }
        self.report(id).await
    }

    async fn report(&self, id: Uuid) -> Result<ErasureReport, EraseError> {
        let name = id.simple().to_string();
        let reports = self.maintenance.upkeep().erasure_reports().await?;
        let report = reports.into_iter().find(|report| report.id.as_ref() == Some(&name));
        Ok(self.with_log(report.expect("it was stored when it began")))
    }

    /// What an erasure would take out of what is committed by now.
    ///
    /// # Errors
    ///
    /// See [`EraseError`].
    pub async fn preview(&self, request: EraseRequest) -> Result<ErasureReport, EraseError> {
        let target = self.target(request)?;
        let mut report = self.maintenance.upkeep().preview_erasure(target.clone()).await?;
        let rows = self.count_hot(&[target]).await?;
        for hot in report.stores.iter_mut().filter(|store| store.store == HOT_INDEX) {
            hot.rows = Some(rows);
        }
        Ok(self.with_log(report))
    }

    /// What has become of every erasure so far, the oldest first.
    ///
    /// # Errors
    ///
    /// When the store fails, or what is stored of one is damaged.
    pub async fn reports(&self) -> Result<Vec<ErasureReport>, LakeError> {
        Ok(self.maintenance.upkeep().erasure_reports().await?.into_iter().map(|report| self.with_log(report)).collect())
    }

    /// Does what there is to do of every erasure that is open.
    ///
    /// # Errors
    ///
    /// See [`EraseError`].
    pub async fn look_after(&self) -> Result<(), EraseError> {
        let _alone = self.maintenance.alone().await;
        let mut failure = None;
        for open in self.open().await? {
            // One that fails holds up no other.
            if let Err(error) = self.go_on(&open).await {
                failure.get_or_insert(error);
            }
        }
        self.open().await?;
        failure.map_or(Ok(()), Err)
    }

    /// The open erasures, of which those who deliver know from now on.
    async fn open(&self) -> Result<Vec<OpenErasure>, LakeError> {
        let open = self.maintenance.upkeep().open_erasures().await?;
        self.erased.set(open.iter().map(|erasure| erasure.target.clone()));
        Ok(open)
    }

    async fn go_on(&self, erasure: &OpenErasure) -> Result<(), EraseError> {
        let upkeep = self.maintenance.upkeep();
        let until = erasure.target.until;
        self.log.seal(until).await?;
        upkeep.erase(erasure.id).await?;
        if !erasure.is_hot_done {
            // What was being delivered before the erasure was known is in the hot index then.
            self.wait_for_commits(PATIENCE_OF_A_TURN).await?;
            let rows = self.erase_hot(vec![erasure.target.clone()]).await?;
            upkeep.note_hot_erasure(erasure.id, rows).await?;
        }
        for state in self.log.shards().await? {
            if let Some(position) = self.committed.position(&state.shard) {
                self.log.trim(&state.shard, position).await?;
            }
        }
        if !self.log.holds_arrivals(until) {
            upkeep.close_erasure(erasure.id).await?;
        }
        Ok(())
    }

    fn target(&self, request: EraseRequest) -> Result<Target, EraseError> {
        if request.owner.is_empty() {
            return Err(EraseError::NoOwner);
        }
        // The log's arrivals never go back, though the clock may.
        let until = self.clock.now_micros().max(self.log.newest_arrival().unwrap_or(Micros::MIN));
        Ok(Target { owner: request.owner, until, dataset: request.dataset })
    }

    /// Waits until what the log holds now is in the tables, and so has been put into the hot index for the last time.
    async fn wait_for_commits(&self, patience: Duration) -> Result<(), EraseError> {
        let held = self.log.shards().await?;
        let is_committed = || held.iter().all(|state| self.committed.position(&state.shard) >= state.newest);
        let waiting = async {
            while !is_committed() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(patience, waiting).await.map_err(|_| EraseError::Behind(patience))
    }

    async fn erase_hot(&self, targets: Vec<Target>) -> Result<u64, PortError> {
        let erased = Arc::new(AtomicU64::new(0));
        let counter = erased.clone();
        let screen = move |chunk| {
            Ok(match screen_chunk(&targets, &chunk)? {
                Screened::AsItWas => Some(chunk),
                Screened::Without(rows, left) => {
                    counter.fetch_add(rows, Ordering::Relaxed);
                    left
                }
            })
        };
        self.hot.rewrite(screen).await?;
        Ok(erased.load(Ordering::Relaxed))
    }

    async fn count_hot(&self, targets: &[Target]) -> Result<u64, PortError> {
        let targets = targets.to_vec();
        let count = move |chunk: &_| {
            Ok(match screen_chunk(&targets, chunk)? {
                Screened::AsItWas => 0,
                Screened::Without(rows, _) => rows,
            })
        };
        self.hot.sum(count).await
    }

    /// Adds what the log has to say.
    fn with_log(&self, mut report: ErasureReport) -> ErasureReport {
        let ends = report.requested_at.saturating_add(micros(self.log_retention));
        let holds = report.closed_at.is_none() && self.log.holds_arrivals(report.requested_at);
        report.stores.push(StoreErasure {
            store: "stream log".to_owned(),
            ends: holds.then_some(ends),
            is_done: true,
            ..StoreErasure::default()
        });
        if report.closed_at.is_none() {
            report.open_until = report.open_until.max(ends);
        }
        report
    }
}
