//! Maintenance of the tables: what is done to them beside the commits of batches.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::dataset::dead_letter_columns;
use alluvium_core::ports::ObjectIndex;
use alluvium_core::{Clock, DataFileFormat, DatasetName, Datasets};
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::compact::CompactSettings;
use crate::error::{LakeError, Result};
use crate::reader::LakeReader;
use crate::retain::RetainSettings;
use crate::rewrite::Known;

/// How the tables are maintained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpkeepSettings {
    /// Compaction.
    pub compact: CompactSettings,
    /// Retention.
    pub retain: RetainSettings,
}

/// Maintains the tables of a lake. Committers may be at work, in this process and in others; so may other maintainers.
#[derive(Debug, Clone)]
pub struct Upkeep {
    pub(crate) reader: LakeReader,
    pub(crate) datasets: Arc<Datasets>,
    pub(crate) format: Arc<dyn DataFileFormat>,
    pub(crate) index: Arc<dyn ObjectIndex>,
    pub(crate) clock: Arc<dyn Clock>,
    /// A folder on a local disk for rows that do not fit into memory while they are sorted.
    pub(crate) spill: PathBuf,
    pub(crate) settings: UpkeepSettings,
}

/// Runs what takes long where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(table: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(LakeError::upkeep("work on rows", table))
}

impl Upkeep {
    /// Of the lake that `reader` reads, in a store that keeps to what [`Lake::open`](crate::Lake::open) asks of it. The files of
    /// snapshots that clones of `reader` have given are safe from vacuum, so this is the reader that the process queries with.
    ///
    /// `spill` is a folder on a local disk, made when it is missing, for rows that do not fit into memory while they are sorted;
    /// what is put there is taken away again.
    pub fn new(
        reader: LakeReader,
        datasets: Arc<Datasets>,
        format: Arc<dyn DataFileFormat>,
        index: Arc<dyn ObjectIndex>,
        clock: Arc<dyn Clock>,
        spill: PathBuf,
        settings: UpkeepSettings,
    ) -> Self {
        Self { reader, datasets, format, index, clock, spill, settings }
    }

    /// The tables that it maintains, by name: those of the datasets, `dead_letters` and `ledger`.
    pub fn tables(&self) -> Vec<String> {
        let mut tables: Vec<_> = self.datasets.iter().map(|dataset| dataset.name.to_string()).collect();
        tables.extend([DatasetName::dead_letters(), DatasetName::ledger()].map(|name| name.to_string()));
        tables.sort();
        tables
    }

    /// The columns of a table that is not the ledger.
    pub(crate) fn columns(&self, table: &str) -> Result<SchemaRef> {
        if table == DatasetName::dead_letters().as_str() {
            return Ok(dead_letter_columns());
        }
        let dataset = self.datasets.get(table).ok_or_else(|| LakeError::NoTable(table.to_owned()))?;
        Ok(dataset.columns().clone())
    }

    /// The newest version of a table.
    pub(crate) async fn newest(&self, table: &str) -> Result<Known> {
        let (state, lease) = self.reader.leased(table).await?;
        Ok(Known::new(self.reader.log(table), state, lease))
    }
}
