//! The maintenance loop: every few minutes, the tables are looked through for what there is to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_core::{DatasetName, Datasets};
use alluvium_lake::{Compaction, LakeError, Upkeep};
use tokio::sync::Mutex;

/// Maintains the tables of one lake, one piece of work at a time.
pub struct Maintenance {
    upkeep: Upkeep,
    datasets: Arc<Datasets>,
    /// With fewer new files than these the loop leaves a table alone; who asks for a compaction gets it with two.
    least_files: usize,
    busy: Mutex<()>,
}

/// With so many new files there is something to compact.
const TWO: usize = 2;

impl Maintenance {
    /// Of the tables of these datasets, `dead_letters` and `ledger`.
    pub fn new(upkeep: Upkeep, datasets: Arc<Datasets>, least_files: usize) -> Self {
        Self { upkeep, datasets, least_files, busy: Mutex::default() }
    }

    /// What maintains the tables, for other work on them.
    pub fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    /// The tables, by name.
    fn tables(&self) -> Vec<String> {
        let mut tables: Vec<_> = self.datasets.iter().map(|dataset| dataset.name.to_string()).collect();
        tables.extend([DatasetName::dead_letters(), DatasetName::ledger()].map(|name| name.to_string()));
        tables.sort();
        tables
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
            return self.compact_table(table, TWO).await;
        }
        let mut rounds = Vec::new();
        for table in self.tables() {
            match self.compact_table(&table, TWO).await {
                // A node makes it when it first runs.
                Err(LakeError::NoTable(_)) => {}
                compacted => rounds.extend(compacted?),
            }
        }
        Ok(rounds)
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

    /// Looks through the tables every so often, for ever. A failure is logged, and tried again at the next turn.
    pub(crate) async fn run(self: Arc<Self>, every: Duration) {
        describe_metrics();
        let mut failed: BTreeMap<String, u32> = BTreeMap::new();
        loop {
            tokio::time::sleep(every).await;
            let _busy = self.busy.lock().await;
            for table in self.tables() {
                match self.compact_table(&table, self.least_files).await {
                    Ok(_) => drop(failed.remove(&table)),
                    Err(error) => {
                        let times = failed.entry(table.clone()).or_default();
                        *times += 1;
                        metrics::counter!("alluvium_maintenance_failures_total").increment(1);
                        tracing::warn!(table, times = *times, %error, "maintenance failed; it is tried again at the next turn");
                    }
                }
            }
        }
    }
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
    metrics::describe_counter!("alluvium_maintenance_failures_total", "Pieces of maintenance that failed.");
}
