//! Compaction: the small files that batches leave become few large ones, sorted, without duplicates.
//!
//! A round takes new files of a table, with the small compacted ones of the same dates that are worth it (the module `plan`),
//! sorts their rows by `event_date` and the dataset's order, and writes files that are cut at dates. Of each event key the first
//! arrival stays (LK-3): the earliest `ingest_time`, then the earliest `event_time`, in whatever file and on whatever date; which
//! is the row that the de-duplicated view shows before (LK-2). Files that the round does not take are asked by their key filters
//! (`crate::filter`, `beside`); one that has a later arrival than a new row is taken along. The ledger's files are only put together.
//!
//! Memory is bounded by spilling sorted runs (`sorter`). The round ends by one commit that replaces the files, or by none: then
//! what it wrote are orphans for vacuum, and the next round begins anew. A round of two compactors at a time is won by the one
//! that commits first (`rewrite`).

mod beside;
mod keys;
mod output;
mod plan;
mod sorter;

use std::collections::BTreeSet;

use alluvium_core::{DatasetName, Removal};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::columns::conform;
use crate::contention::Contention;
use crate::error::{LakeError, Result as LakeResult};
use crate::ledger_file;
use crate::log::TableLog;
use crate::reader::ActiveFile;
use crate::rewrite::{Known, NewFile, Rewrite};
use crate::upkeep::{Upkeep, blocking};
use crate::vacuum::Counted;
use sorter::{Merge, Sorter};

pub(crate) use keys::numbers as numbers_of_keys;
pub(crate) use plan::{days_of, is_new};

/// How many files are fetched ahead of those that are read.
const FETCHED: usize = 4;
/// What is being done, when it fails.
const SORTING: &str = "sort rows";
/// How many rows are read of a file at once.
const PORTION: usize = 16 * 1024;

/// How tables are compacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompactSettings {
    /// What a compacted file is to have, in bytes. Default: 128 MiB.
    pub target_bytes: u64,
    /// How many bytes of new files one round takes, and as many of compacted ones beside them. Default: 1 GiB.
    pub round_bytes: u64,
    /// About how many bytes of rows are sorted in memory at a time; what is more is spilled to disk. Default: 96 MiB.
    pub memory_bytes: usize,
}

impl Default for CompactSettings {
    fn default() -> Self {
        Self { target_bytes: 128 << 20, round_bytes: 1 << 30, memory_bytes: 96 << 20 }
    }
}

impl CompactSettings {
    /// A file is cut at a date once it has so many bytes: less is not worth a file of its own.
    fn cut_bytes(&self) -> u64 {
        self.target_bytes / 32
    }
}

/// What a round of compaction did to one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compaction {
    /// The table.
    pub table: String,
    /// The version that its commit made.
    pub version: u64,
    /// The files that it replaced.
    pub files_before: usize,
    /// The files that took their place.
    pub files_after: usize,
    /// The rows of the files that it replaced.
    pub rows_before: u64,
    /// Rows that were not the first arrival of their event key, and are gone.
    pub duplicates: u64,
    /// The bytes that it read: those of the files that it replaced.
    pub bytes_before: u64,
    /// Of them, the bytes of files that had not been compacted before.
    pub bytes_new: u64,
    /// The bytes that it wrote.
    pub bytes_after: u64,
}

impl Compaction {
    /// Bytes of files that were replaced for each byte that had not been compacted before; 1 is the least. `None`: there was none.
    pub fn rewritten_per_new_byte(&self) -> Option<f64> {
        (self.bytes_new > 0).then(|| self.bytes_before as f64 / self.bytes_new as f64)
    }
}

/// Why rows could not be sorted or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsorted {
    #[error("{0}")]
    Spill(#[from] std::io::Error),
    #[error("{0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error(transparent)]
    Encode(#[from] alluvium_core::DataFileError),
    #[error("the sorting of rows panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
    #[error("the upload of the files ended before they did")]
    Abandoned,
}

type Result<T> = std::result::Result<T, Unsorted>;

/// How a round ended.
enum Ended {
    Committed(Compaction),
    /// Another rewrite came between.
    Overtaken,
    /// Files at these paths have later arrivals of its keys, and are to be taken along.
    Takes(BTreeSet<String>),
}

impl Upkeep {
    /// Compacts a table, round by round, until there is nothing to gain. With fewer new files than `least_files` it is left alone,
    /// but for small compacted files that are many.
    ///
    /// Appends may go on, and other compactors may be at it. What the rounds wrote and could not commit is left for vacuum.
    ///
    /// # Errors
    ///
    /// When there is no such table, a file of it is missing or damaged, the store or the disk for spilling fails, or others keep
    /// winning. The rounds before are committed.
    pub async fn compact(&self, table: &str, least_files: usize) -> LakeResult<Vec<Compaction>> {
        let mut rounds = Vec::new();
        while let Some(round) = self.compact_round(table, least_files).await? {
            rounds.push(round);
        }
        Ok(rounds)
    }

    /// One round of [`compact`](Self::compact); `None`: there is nothing to gain.
    ///
    /// # Errors
    ///
    /// As `compact`.
    pub async fn compact_round(&self, table: &str, least_files: usize) -> LakeResult<Option<Compaction>> {
        let mut contention = Contention::default();
        loop {
            let state = self.newest(table).await?;
            let files = state.files()?;
            let mut chosen = plan::choose(&files, &self.settings.compact, least_files);
            if chosen.is_empty() {
                return Ok(None);
            }
            let ended = loop {
                let others: Vec<_> = files.iter().filter(|file| !is_new(file) && !chosen.contains(file)).collect();
                match self.round(table, &chosen, &others, &state).await {
                    Ok(Ended::Committed(round)) => break Some(round),
                    Ok(Ended::Overtaken) => break None,
                    Ok(Ended::Takes(more)) => {
                        chosen.extend(others.into_iter().filter(|file| more.contains(&file.path)));
                    }
                    // What another rewrite took out, vacuum in another process may have deleted before it was read here.
                    Err(LakeError::Damaged { .. }) if state.is_overtaken().await? => break None,
                    Err(error) => return Err(error),
                }
            };
            match ended {
                Some(round) => return Ok(Some(round)),
                None => contention.wait(table).await?,
            }
        }
    }

    /// The files of a table that rounds would take: the new ones, or else the many small ones. None: there is nothing to gain.
    pub(crate) async fn to_compact(&self, table: &str, least_files: usize) -> LakeResult<Counted> {
        let files = self.newest(table).await?.files()?;
        let chosen = plan::choose(&files, &self.settings.compact, least_files);
        if chosen.is_empty() {
            return Ok(Counted::default());
        }
        let (new, rest): (Vec<_>, Vec<_>) = files.iter().partition(|file| is_new(file));
        let waiting =
            if new.is_empty() { rest.into_iter().filter(|file| chosen.contains(file)).collect() } else { new };
        let bytes = waiting.iter().map(|file| file.size_bytes).sum();
        Ok(Counted { files: waiting.len() as u64, bytes })
    }

    /// One round over these files, beside the other compacted ones of the table.
    async fn round(
        &self,
        table: &str,
        files: &[&ActiveFile],
        others: &[&ActiveFile],
        state: &Known,
    ) -> LakeResult<Ended> {
        if table == DatasetName::ledger().as_str() {
            return self.ledger_round(files, state).await;
        }
        let log = state.log().clone();
        let (columns, order) = (self.columns(table)?, self.order(table));
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        let folder = self.spill_folder(table)?;
        let memory = self.settings.compact.memory_bytes;
        let mut sorter = Sorter::new(&columns, &order, rows, memory, folder.path().to_owned())
            .map_err(LakeError::upkeep(SORTING, table))?;
        // Collected, and owned by each future, so that whoever compacts may do so on another thread.
        let fetches: Vec<_> = files.iter().map(|file| fetch(log.clone(), (*file).clone())).collect();
        let mut fetched = std::pin::pin!(futures::stream::iter(fetches).buffered(FETCHED));
        while let Some((file, bytes)) = fetched.try_next().await? {
            let (log, columns) = (log.clone(), columns.clone());
            sorter =
                blocking(table, move || read(&log, &file, bytes, &columns, &mut sorter).map(|()| sorter)).await??;
        }
        let (runs, keys) =
            blocking(table, move || sorter.finish()).await?.map_err(LakeError::upkeep(SORTING, table))?;
        let (later, takes) = beside::compare(&log, keys, others).await?;
        if !takes.is_empty() {
            return Ok(Ended::Takes(takes));
        }
        let duplicates = later.len;
        let work = Uuid::new_v4().simple().to_string();
        let merge = Merge::new(runs, later).map_err(LakeError::upkeep(SORTING, table))?;
        let written = output::write(self, &log, &work, merge, rows_per_byte(files)).await?;
        drop(folder);
        let removal = (duplicates > 0).then(|| Removal {
            work,
            table: table.to_owned(),
            duplicates,
            at: self.clock.now_micros(),
            ..Removal::default()
        });
        let report = report(table, files, &written, duplicates);
        self.end(files, written, removal, state, report).await
    }

    /// One round over files of the ledger: their rows as one file. Each row is there once already.
    async fn ledger_round(&self, files: &[&ActiveFile], state: &Known) -> LakeResult<Ended> {
        let log = state.log();
        let mut contents = Vec::with_capacity(files.len());
        for file in files {
            contents.push(log.get_present(&file.path).await?);
        }
        let merged = blocking(log.name(), move || ledger_file::merge(contents)).await?;
        let (bytes, rows) = merged.map_err(LakeError::upkeep("merge the files", log.name()))?;
        let path = format!("{}_0.parquet", Uuid::new_v4().simple());
        log.put_if_absent(&path, bytes.clone()).await?;
        let size_bytes = bytes.len() as u64;
        let written = vec![NewFile { path, size_bytes, stats: format!(r#"{{"numRecords":{rows}}}"#) }];
        let report = report(log.name(), files, &written, 0);
        self.end(files, written, None, state, report).await
    }

    /// Ends a round by its commit.
    async fn end(
        &self,
        files: &[&ActiveFile],
        written: Vec<NewFile>,
        removal: Option<Removal>,
        state: &Known,
        report: Compaction,
    ) -> LakeResult<Ended> {
        let rewrite = Rewrite::replace(files.iter().map(|file| (*file).clone()).collect(), written, removal);
        Ok(match self.commit(state.clone(), rewrite).await? {
            Some(version) => Ended::Committed(Compaction { version, ..report }),
            None => Ended::Overtaken,
        })
    }

    /// The columns that a table's rows are sorted by.
    fn order(&self, table: &str) -> Vec<String> {
        match self.datasets.get(table) {
            Some(dataset) => dataset.sort.clone(),
            None => ["source", "event_time"].map(str::to_owned).to_vec(),
        }
    }

    /// A folder that goes when it is dropped.
    fn spill_folder(&self, table: &str) -> LakeResult<tempfile::TempDir> {
        let made = std::fs::create_dir_all(&self.spill)
            .and_then(|()| tempfile::TempDir::with_prefix_in("compact-", &self.spill));
        made.map_err(LakeError::upkeep("make a folder to sort in", table))
    }
}

fn report(table: &str, files: &[&ActiveFile], written: &[NewFile], duplicates: u64) -> Compaction {
    Compaction {
        table: table.to_owned(),
        version: 0,
        files_before: files.len(),
        files_after: written.len(),
        rows_before: files.iter().map(|file| file.rows).sum(),
        duplicates,
        bytes_before: files.iter().map(|file| file.size_bytes).sum(),
        bytes_new: files.iter().filter(|file| is_new(file)).map(|file| file.size_bytes).sum(),
        bytes_after: written.iter().map(|file| file.size_bytes).sum(),
    }
}

fn rows_per_byte(files: &[&ActiveFile]) -> f64 {
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let bytes: u64 = files.iter().map(|file| file.size_bytes).sum();
    rows as f64 / bytes.max(1) as f64
}

async fn fetch(log: TableLog, file: ActiveFile) -> LakeResult<(ActiveFile, Bytes)> {
    let bytes = log.get_present(&file.path).await?;
    Ok((file, bytes))
}

/// Adds the rows of a file; columns that came after it was written are null.
fn read(log: &TableLog, file: &ActiveFile, bytes: Bytes, columns: &SchemaRef, sorter: &mut Sorter) -> LakeResult<()> {
    let damaged = |error: &dyn std::fmt::Display| log.damaged(&file.path, &format!("{error}; restore it"));
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| damaged(&error))?;
    let mut rows = 0;
    for batch in builder.with_batch_size(PORTION).build().map_err(|error| damaged(&error))? {
        let batch = batch.map_err(|error| damaged(&error))?;
        rows += batch.num_rows() as u64;
        let batch = conform(&batch, columns).map_err(|error| damaged(&error))?;
        sorter.add(&batch).map_err(LakeError::upkeep(SORTING, log.name()))?;
    }
    if rows != file.rows {
        return Err(damaged(&format!("it has {rows} rows, its table's log says {}", file.rows)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
