//! The pipeline of one machine, from the log to the lake: opened on a data folder, run, drained.

mod background;
mod hot_marks;
mod hot_upkeep;
mod rebuild;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{PortError, ShardState, Stream};
use alluvium_core::{Clock, Datasets, SequenceNumber};
use alluvium_lake::{Lake, LakeError, LakeReader, LakeRecovery, LakeSettings, TableSnapshot};
use alluvium_transform::{DataFiles, Transform, TransformError, TransformSettings};
use async_trait::async_trait;
use object_store::ObjectStore;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::arrivals::{EXPANDED_BYTES, LogArrivals};
use crate::committer::{CommitProgress, Committer, CommitterSettings};
use crate::delivery::{CutPoints, Delivery, DeliveryProgress, DeliverySettings, StartingPoints};
use crate::disk::Disk;
use crate::erasure::{Erased, Eraser};
use crate::folder::DataFolder;
use crate::hot::{BUCKETS, HotIndexError, Opened, RedbHotIndex};
use crate::log::{Log, LogSettings, RecoveryReport};
use crate::maintenance::{Maintenance, MaintenanceSettings};
use crate::queue::LocalCommitQueue;
use crate::reports::Committed;
use crate::sql::Snapshots;
use crate::store::{StoreFiles, SyncedStore};
use crate::threads::Threads;

/// How many commit messages may wait for the committer before delivery waits for it.
const QUEUED_COMMITS: usize = 256;

/// The settings of every part of a pipeline.
#[derive(Debug, Clone)]
pub struct PipelineSettings {
    /// The stream's.
    pub log: LogSettings,
    /// The transform's.
    pub transform: TransformSettings,
    /// The delivery loop's.
    pub delivery: DeliverySettings,
    /// The committer's.
    pub committer: CommitterSettings,
    /// The tables'.
    pub lake: LakeSettings,
    /// How much of the hot index is cached in memory.
    pub hot_cache_bytes: usize,
    /// How often expired chunks are taken out of the hot index.
    pub hot_expire_every: Duration,
    /// The maintenance's.
    pub maintenance: MaintenanceSettings,
}

/// What opening a folder found and mended.
#[derive(Debug)]
pub struct StartReport {
    /// In the log.
    pub log: RecoveryReport,
    /// In the tables.
    pub lake: LakeRecovery,
    /// Records that the log holds and the lake does not have yet: they are delivered first.
    pub records_behind: u64,
    /// Whether the hot index was empty and is rebuilt from the log.
    pub hot_rebuilt: bool,
}

/// Why a pipeline cannot start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] crate::log::LogError),
    /// The store cannot be opened.
    #[error("the lake's folder cannot be opened: {0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A table cannot be opened.
    #[error(transparent)]
    Lake(Box<LakeError>),
    /// The lake holds records that the log never had.
    #[error(
        "the lake holds records of {shard} up to {in_lake}, the log ends at {in_log}: the log was lost or replaced. \
         Put the log back, or move the whole data folder away and start with a new one"
    )]
    LogBehindLake {
        /// The shard.
        shard: String,
        /// The newest record in the lake.
        in_lake: SequenceNumber,
        /// The newest record in the log.
        in_log: SequenceNumber,
    },
    /// The log no longer holds records that the lake does not have.
    #[error(
        "{shard} begins at {oldest}, and the lake has its records only up to {in_lake}: what lies between is gone from the log"
    )]
    LogTrimmedTooFar {
        /// The shard.
        shard: String,
        /// The oldest record in the log.
        oldest: SequenceNumber,
        /// The newest record in the lake.
        in_lake: SequenceNumber,
    },
    /// The datasets need a setting that is not there.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// The hot index cannot be opened.
    #[error(transparent)]
    Hot(#[from] HotIndexError),
    /// A port call failed for good.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The delivery loop failed.
    #[error(transparent)]
    Delivery(#[from] crate::delivery::DeliveryError),
    /// The loops cannot begin.
    #[error("the system gives no threads")]
    Threads(#[source] std::io::Error),
    /// A loop panicked.
    #[error("a loop of the pipeline panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

impl From<LakeError> for PipelineError {
    fn from(error: LakeError) -> Self {
        Self::Lake(Box::new(error))
    }
}

/// A running pipeline.
pub struct Pipeline {
    /// The stream: what the gateway appends to.
    pub log: Arc<Log>,
    /// The hot index: what records are read from first.
    pub hot: Arc<RedbHotIndex>,
    /// The object store of the lake.
    pub store: Arc<dyn ObjectStore>,
    /// The URL of the lake's folder.
    pub lake_url: Url,
    /// The datasets.
    pub datasets: Arc<Datasets>,
    /// The transform.
    pub transform: Arc<Transform>,
    /// What delivery has done.
    pub delivered: Arc<DeliveryProgress>,
    /// What the committer has done.
    pub committed: Arc<CommitProgress>,
    /// What maintains the tables.
    pub maintenance: Arc<Maintenance>,
    /// What erases owners.
    pub eraser: Arc<Eraser>,
    /// What comes in, for those who follow it.
    pub arrivals: Arc<LogArrivals>,
    reader: LakeReader,
    clock: Arc<dyn Clock>,
    /// Ends those who follow what comes in.
    last_arrival: CancellationToken,
    drain: CancellationToken,
    finish: CancellationToken,
    /// Ends what goes on in the hot index by itself.
    rest: CancellationToken,
    stopped: CancellationToken,
    loops: Mutex<Option<Loops>>,
    // Held for as long as anything may write to the folder.
    folder: DataFolder,
}

struct Loops {
    delivery: JoinHandle<Result<(), PipelineError>>,
    committer: JoinHandle<Result<(), PipelineError>>,
    hot_upkeep: JoinHandle<()>,
    maintenance: JoinHandle<()>,
    /// What they run on.
    threads: Threads,
}

impl Pipeline {
    /// Opens everything in the folder, mends what a crash left, and starts the loops.
    ///
    /// # Errors
    ///
    /// When a part cannot be opened, is damaged, or the log and the lake do not belong together.
    pub async fn start(
        folder: DataFolder,
        disk: Arc<dyn Disk>,
        datasets: Arc<Datasets>,
        settings: PipelineSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, StartReport), PipelineError> {
        let of_tails = TransformSettings { batch_expanded_bytes: EXPANDED_BYTES, ..settings.transform.clone() };
        let of_tails = Arc::new(Transform::new(datasets.clone(), of_tails)?);
        let for_index = TransformSettings { hot_buckets: BUCKETS, ..settings.transform };
        let transform = Arc::new(Transform::new(datasets.clone(), for_index)?);
        let log_retention = settings.log.retention;
        let opening = (disk.clone(), folder.log(), clock.clone());
        let (log, log_report) =
            tokio::task::spawn_blocking(move || Log::open(opening.0, &opening.1, settings.log, opening.2)).await??;
        let log = Arc::new(log);
        let store: Arc<dyn ObjectStore> =
            Arc::new(SyncedStore::open(disk, &folder.lake()).map_err(|error| PipelineError::Store(error.into()))?);
        let lake_url = folder.lake_url();
        let format = Arc::new(DataFiles::new(datasets.clone()));
        let (lake, lake_report) =
            Lake::open(store.clone(), lake_url.clone(), &datasets, format, clock.clone(), settings.lake).await?;
        let reader = LakeReader::new(store.clone(), lake_url.clone());
        let maintenance = Arc::new(Maintenance::new(
            store.clone(),
            reader.clone(),
            datasets.clone(),
            clock.clone(),
            folder.spill(),
            settings.maintenance,
        ));
        let shards = log.shards().await?;
        check_that_log_and_lake_agree(&shards, &lake)?;
        let (hot, hot_opened) = RedbHotIndex::open(&folder.hot(), settings.hot_cache_bytes, clock.clone())?;
        if let Opened::SetAside { kept, why } = &hot_opened {
            tracing::warn!(kept = %kept.display(), why, "the hot index cannot be used and was set aside");
        }
        let hot = Arc::new(hot);
        let erased = Erased::default();
        erased.set(maintenance.upkeep().open_erasures().await?.into_iter().map(|erasure| erasure.target));
        let sources =
            rebuild::Sources { log: &log, lake: &lake, transform: &transform, datasets: &datasets, erased: &erased };
        let hot_rebuilt = sources.rebuild_if_lost(&folder, &hot, clock.as_ref()).await?;

        let from: StartingPoints =
            shards.iter().map(|state| (state.shard.clone(), lake.position(&state.shard))).collect();
        let cuts = CutPoints::new(lake.marks(), |shard| lake.position(shard));
        let files = Arc::new(StoreFiles::new(store.clone()));
        let queue = Arc::new(LocalCommitQueue::new(QUEUED_COMMITS));
        let (drain, finish, stopped) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let delivered = Arc::<DeliveryProgress>::default();
        let committed = Arc::<CommitProgress>::default();
        committed.set_positions(lake.positions());
        let delivery = Delivery {
            stream: log.clone(),
            transform: transform.clone(),
            files: files.clone(),
            hot: hot.clone(),
            queue: queue.clone(),
            settings: settings.delivery,
            erased: erased.clone(),
            progress: delivered.clone(),
        };
        let committer = Committer {
            lake,
            queue,
            files,
            hot: hot.clone(),
            log: log.clone(),
            settings: settings.committer,
            progress: committed.clone(),
        };
        let report = StartReport {
            log: log_report,
            lake: lake_report,
            records_behind: records_behind(&shards, &from),
            hot_rebuilt,
        };
        let (last_arrival, rest) = (CancellationToken::new(), CancellationToken::new());
        let arrivals = LogArrivals::new(log.clone(), of_tails, erased.clone(), last_arrival.clone());
        let eraser = Arc::new(Eraser {
            maintenance: maintenance.clone(),
            hot: hot.clone(),
            log: log.clone(),
            log_retention,
            committed: committed.clone(),
            erased,
            clock: clock.clone(),
        });
        let threads = background::threads().map_err(PipelineError::Threads)?;
        let loops = Loops {
            delivery: threads.spawn(ending(stopped.clone(), delivery.run(from, cuts, drain.clone()))),
            committer: threads.spawn(ending(stopped.clone(), committer.run(finish.clone()))),
            hot_upkeep: threads.spawn(hot_upkeep::run(
                hot.clone(),
                clock.clone(),
                settings.hot_expire_every,
                rest.clone(),
            )),
            maintenance: threads.spawn(maintenance.clone().run(eraser.clone())),
            threads,
        };
        let pipeline = Self {
            log,
            hot,
            reader,
            store,
            lake_url,
            datasets,
            transform,
            delivered,
            committed,
            maintenance,
            eraser,
            arrivals: Arc::new(arrivals),
            last_arrival,
            clock,
            drain,
            finish,
            rest,
            stopped,
            loops: Mutex::new(Some(loops)),
            folder,
        };
        Ok((pipeline, report))
    }

    /// The tables' versions, for an engine that runs beside the committer.
    pub fn snapshots(&self) -> Arc<dyn Snapshots> {
        Arc::new(CommittedSnapshots { reader: self.reader.clone(), progress: self.committed.clone() })
    }

    /// A reader of the tables: a clone of one and the same, so that maintenance knows what is being read.
    pub fn lake_reader(&self) -> LakeReader {
        self.reader.clone()
    }

    /// The clock that the pipeline goes by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Tells those who follow what comes in that nothing more will: they hold connections open that a stopping node waits for.
    pub fn end_arrivals(&self) {
        self.last_arrival.cancel();
    }

    /// Returns when a loop has ended by itself, which only a failure makes it do; [`drain`](Self::drain) then says which.
    pub async fn failed(&self) {
        self.stopped.cancelled().await;
    }

    /// Whether a loop has ended by itself.
    pub fn has_failed(&self) -> bool {
        self.stopped.is_cancelled() && !self.drain.is_cancelled()
    }

    /// How long the oldest event that is not yet committed has waited.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn commit_lag(&self) -> Result<Duration, PortError> {
        let waited = self.oldest_waiting().await?.map_or(0, |oldest| self.clock.now_micros() - oldest);
        Ok(Duration::from_micros(u64::try_from(waited).unwrap_or(0)))
    }

    /// When the oldest record arrived that is not yet committed; `None`: all are.
    async fn oldest_waiting(&self) -> Result<Option<Micros>, PortError> {
        let mut oldest = None;
        for state in self.log.shards().await? {
            let page = self.log.read(&state.shard, self.committed.position(&state.shard), 1, Duration::ZERO).await?;
            oldest = page.records.first().map(|record| record.arrival).into_iter().chain(oldest).min();
        }
        Ok(oldest)
    }

    /// The data folder that it holds.
    pub fn folder(&self) -> &DataFolder {
        &self.folder
    }

    /// Stops at once, as a crash would; returns when nothing of the pipeline runs any more. What was acknowledged is in the log.
    pub async fn halt(self) {
        if let Some(Loops { delivery, committer, hot_upkeep, maintenance, threads }) = self.loops.lock().await.take() {
            delivery.abort();
            committer.abort();
            self.rest.cancel();
            maintenance.abort();
            // Each ends by being cancelled, which is what was asked for.
            let _ = tokio::join!(delivery, committer, hot_upkeep, maintenance);
            threads.end().await;
        }
        self.log.close().await;
    }

    /// Delivers and commits all that the log holds, then closes everything. Nothing may be appended any more. A second call
    /// does nothing.
    ///
    /// # Errors
    ///
    /// The failure of the loop that failed, now or before; what was acknowledged is in the log and delivered at the next start.
    pub async fn drain(&self) -> Result<(), PipelineError> {
        let Some(loops) = self.loops.lock().await.take() else { return Ok(()) };
        let Loops { mut delivery, mut committer, hot_upkeep, maintenance, threads } = loops;
        self.rest.cancel();
        maintenance.abort();
        self.drain.cancel();
        let delivered = tokio::select! {
            delivered = &mut delivery => delivered?,
            // A committer that has failed takes nothing from the queue, so delivery might wait for it for ever.
            failed = &mut committer => {
                delivery.abort();
                return failed?;
            }
        };
        self.finish.cancel();
        let committed = committer.await?;
        hot_upkeep.await?;
        // What maintenance has begun and cannot be stopped in goes on until then.
        threads.end().await;
        self.log.close().await;
        delivered.and(committed)
    }
}

/// The tables' versions, with what the committer tells of them.
#[derive(Debug)]
struct CommittedSnapshots {
    reader: LakeReader,
    progress: Arc<CommitProgress>,
}

#[async_trait]
impl Snapshots for CommittedSnapshots {
    async fn snapshot(&self, table: &str) -> Result<Option<TableSnapshot>, PortError> {
        Snapshots::snapshot(&self.reader, table).await
    }

    fn commits(&self) -> Option<u64> {
        Some(self.progress.commits.load(Ordering::Acquire))
    }
}

#[async_trait]
impl Committed for Pipeline {
    async fn committed_before(&self) -> Result<Micros, PortError> {
        // Asked first: what arrives from now on is later.
        let now = self.clock.now_micros();
        Ok(self.oldest_waiting().await?.map_or(now, |oldest| oldest.min(now)))
    }
}

async fn ending<E: Into<PipelineError>>(
    stopped: CancellationToken,
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), PipelineError> {
    let result = work.await.map_err(Into::into);
    if let Err(error) = &result {
        tracing::error!(%error, "the pipeline has stopped; what was acknowledged is in the log");
        stopped.cancel();
    }
    result
}

/// Sequence numbers are never given twice, so a log that ends before the lake does is another log, and going on would skip
/// records as known that are not.
fn check_that_log_and_lake_agree(shards: &[ShardState], lake: &Lake) -> Result<(), PipelineError> {
    for (shard, in_lake) in lake.marks().into_iter().chain(lake.positions()) {
        let state = shards.iter().find(|state| state.shard == shard);
        let in_log = state.and_then(|state| state.newest).unwrap_or_default();
        if in_lake > in_log {
            return Err(PipelineError::LogBehindLake { shard: shard.to_string(), in_lake, in_log });
        }
    }
    for state in shards {
        let (Some(oldest), in_lake) = (state.oldest, lake.position(&state.shard).unwrap_or_default()) else { continue };
        if number(oldest) > number(in_lake) + 1 {
            return Err(PipelineError::LogTrimmedTooFar { shard: state.shard.to_string(), oldest, in_lake });
        }
    }
    Ok(())
}

fn records_behind(shards: &[ShardState], from: &StartingPoints) -> u64 {
    let behind = shards.iter().zip(from).map(|(state, (_, position))| {
        number(state.newest.unwrap_or_default()).saturating_sub(number(position.unwrap_or_default()))
    });
    behind.sum()
}

fn number(sequence: SequenceNumber) -> u64 {
    sequence.as_u64().expect("the local log counts in 64 bits")
}
