//! The maintenance loop: every few minutes, the tables are looked through for what there is to do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_core::{Clock, DatasetName, Datasets};
use alluvium_lake::{
    Compaction, Counted, LakeError, LakeReader, StoreIndex, Upkeep, UpkeepSettings, VacuumMode, Vacuumed,
};
use alluvium_transform::DataFiles;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};

use crate::erasure::Eraser;

/// Maintains the tables of one lake, one piece of work at a time.
pub struct Maintenance {
    upkeep: Upkeep,
    settings: MaintenanceSettings,
    busy: Mutex<()>,
}

/// With so many new files there is something to compact.
const LEAST_FILES: usize = 2;

/// How tables are maintained, and how often the loop looks after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceSettings {
    /// How.
    pub upkeep: UpkeepSettings,
    /// How often tables are compacted and files that are older than their retention are taken out. Default: 5 minutes.
    pub every: Duration,
    /// How often what nobody needs any more is deleted. Default: 6 hours.
    pub vacuum_every: Duration,
    /// With fewer new files than these a table is not compacted by itself. Default: 16.
    pub compact_files: usize,
}

impl Default for MaintenanceSettings {
    fn default() -> Self {
        Self {
            upkeep: UpkeepSettings::default(),
            every: Duration::from_secs(5 * 60),
            vacuum_every: Duration::from_secs(6 * 3600),
            compact_files: 16,
        }
    }
}

/// What vacuum deleted, or would have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VacuumReport {
    /// Of each table, by name.
    pub tables: Vec<Vacuumed>,
    /// Commit messages that nothing names any more, which no table has by itself: none where one table was asked for.
    pub messages: Counted,
}

impl Maintenance {
    /// Of the tables of these datasets, `dead_letters` and `ledger`, in the lake in `store`, which `reader` reads. What does not fit into
    /// memory goes to the folder `spill`.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        reader: LakeReader,
        datasets: Arc<Datasets>,
        clock: Arc<dyn Clock>,
        spill: PathBuf,
        settings: MaintenanceSettings,
    ) -> Self {
        let format = Arc::new(DataFiles::new(datasets.clone()));
        let index = Arc::new(StoreIndex::new(store));
        let upkeep = Upkeep::new(reader, datasets, format, index, clock, spill, settings.upkeep.clone());
        Self { upkeep, settings, busy: Mutex::default() }
    }

    /// What maintains the tables, for other work on them.
    pub fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    /// Waits until no maintenance is under way; none begins until what it returns is dropped.
    pub(crate) async fn alone(&self) -> MutexGuard<'_, ()> {
        self.busy.lock().await
    }

    /// Compacts one table, or all, as far as there is anything to gain; waits for work that is under way. Returns the rounds, table
    /// by table.
    ///
    /// # Errors
    ///
    /// The first failure; the rounds before it are committed.
    pub async fn compact(&self, table: Option<&str>) -> Result<Vec<Compaction>, LakeError> {
        let _busy = self.busy.lock().await;
        if let Some(table) = table {
            return self.compact_table(table, LEAST_FILES).await;
        }
        let mut rounds = Vec::new();
        for table in self.upkeep.tables() {
            rounds.extend(of_a_table(self.compact_table(&table, LEAST_FILES).await).transpose()?.unwrap_or_default());
        }
        Ok(rounds)
    }

    /// Deletes what nobody needs any more of one table, or of all with the commit messages; see [`Upkeep::vacuum`] and
    /// [`Upkeep::vacuum_messages`].
    ///
    /// # Errors
    ///
    /// The first failure; the rest is left for the next time.
    pub async fn vacuum(
        &self,
        table: Option<&str>,
        mode: VacuumMode,
        removed_for: Option<Duration>,
    ) -> Result<VacuumReport, LakeError> {
        let _busy = self.busy.lock().await;
        if let Some(table) = table {
            let tables = vec![self.vacuum_table(table, mode, removed_for).await?];
            return Ok(VacuumReport { tables, messages: Counted::default() });
        }
        let mut tables = Vec::new();
        for table in self.upkeep.tables() {
            tables.extend(of_a_table(self.vacuum_table(&table, mode, removed_for).await).transpose()?);
        }
        Ok(VacuumReport { tables, messages: self.upkeep.vacuum_messages(mode).await? })
    }

    async fn vacuum_table(
        &self,
        table: &str,
        mode: VacuumMode,
        removed_for: Option<Duration>,
    ) -> Result<Vacuumed, LakeError> {
        let vacuumed = self.upkeep.vacuum(table, mode, removed_for).await?;
        if mode == VacuumMode::Delete {
            let all = [vacuumed.removed, vacuumed.orphans, vacuumed.key_filters, vacuumed.log_entries];
            let (files, bytes) =
                all.iter().fold((0, 0), |(files, bytes), some| (files + some.files, bytes + some.bytes));
            metrics::counter!("alluvium_vacuumed_bytes_total", "table" => table.to_owned()).increment(bytes);
            if files > 0 {
                tracing::info!(table, files, bytes, "files that nobody needs were deleted");
            }
        }
        Ok(vacuumed)
    }

    /// What the loop does to one table at a turn.
    async fn look_after(&self, table: &str, vacuum: bool) -> Result<(), LakeError> {
        self.compact_table(table, self.settings.compact_files).await?;
        let is_ledger = table == DatasetName::ledger().as_str();
        if !is_ledger {
            self.retain_table(table).await?;
        }
        if vacuum {
            self.vacuum_table(table, VacuumMode::Delete, None).await?;
        }
        if !is_ledger {
            // Last, for it may have a whole lake to read once.
            self.upkeep.index_table(table).await?;
        }
        Ok(())
    }

    async fn retain_table(&self, table: &str) -> Result<(), LakeError> {
        if let Some(expired) = self.upkeep.retain(table).await? {
            metrics::counter!("alluvium_rows_expired_total", "table" => table.to_owned()).increment(expired.rows);
            tracing::info!(table, files = expired.files, rows = expired.rows, "rows are past their retention");
        }
        Ok(())
    }

    async fn compact_table(&self, table: &str, least_files: usize) -> Result<Vec<Compaction>, LakeError> {
        let started = Instant::now();
        let rounds = self.upkeep.compact(table, least_files).await?;
        if !rounds.is_empty() {
            metrics::histogram!("alluvium_compaction_seconds").record(started.elapsed().as_secs_f64());
        }
        for round in &rounds {
            let label = [("table", table.to_owned())];
            metrics::counter!("alluvium_compacted_bytes_total", &label).increment(round.bytes_before);
            metrics::counter!("alluvium_duplicates_removed_total", &label).increment(round.duplicates);
            tracing::info!(
                table,
                files_before = round.files_before,
                files_after = round.files_after,
                duplicates = round.duplicates,
                "a table was compacted"
            );
        }
        Ok(rounds)
    }

    /// Looks through the tables and the open erasures every so often, for ever. A failure is logged, and tried again at the next turn.
    pub(crate) async fn run(self: Arc<Self>, eraser: Arc<Eraser>) {
        describe_metrics();
        let mut failed: BTreeMap<String, u32> = BTreeMap::new();
        // Not at the start: what a crash left half done is delivered first.
        let mut vacuumed = Instant::now();
        loop {
            if let Err(error) = eraser.look_after().await {
                metrics::counter!("alluvium_maintenance_failures_total").increment(1);
                tracing::warn!(%error, "an erasure waits; it goes on at the next turn");
            }
            tokio::time::sleep(self.settings.every).await;
            let _busy = self.busy.lock().await;
            let vacuum = vacuumed.elapsed() >= self.settings.vacuum_every;
            for table in self.upkeep.tables() {
                match self.look_after(&table, vacuum).await {
                    Ok(()) => drop(failed.remove(&table)),
                    Err(error) => {
                        let times = failed.entry(table.clone()).or_default();
                        *times += 1;
                        metrics::counter!("alluvium_maintenance_failures_total").increment(1);
                        tracing::warn!(table, times = *times, %error, "maintenance failed; it is tried again at the next turn");
                    }
                }
            }
            if vacuum {
                if let Err(error) = self.upkeep.vacuum_messages(VacuumMode::Delete).await {
                    metrics::counter!("alluvium_maintenance_failures_total").increment(1);
                    tracing::warn!(%error, "old commit messages could not be deleted; it is tried again");
                }
                vacuumed = Instant::now();
            }
        }
    }
}

/// `None`: there is no such table, which a node makes when it first runs.
fn of_a_table<T>(done: Result<T, LakeError>) -> Option<Result<T, LakeError>> {
    (!matches!(done, Err(LakeError::NoTable(_)))).then_some(done)
}

fn describe_metrics() {
    metrics::describe_histogram!(
        "alluvium_compaction_seconds",
        metrics::Unit::Seconds,
        "One table's compaction, when there was anything to gain."
    );
    metrics::describe_counter!(
        "alluvium_compacted_bytes_total",
        metrics::Unit::Bytes,
        "Bytes of the files that compaction replaced, by table."
    );
    metrics::describe_counter!(
        "alluvium_duplicates_removed_total",
        "Rows that compaction removed because they were not the first arrival of their event key, by table."
    );
    metrics::describe_counter!(
        "alluvium_rows_expired_total",
        "Rows that left because they were older than their dataset's retention, by table."
    );
    metrics::describe_counter!(
        "alluvium_vacuumed_bytes_total",
        metrics::Unit::Bytes,
        "Bytes of files that vacuum deleted, by table."
    );
    metrics::describe_counter!("alluvium_maintenance_failures_total", "Pieces of maintenance that failed.");
}
