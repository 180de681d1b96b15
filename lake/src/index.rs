//! The object index kept in step with a table: entries for the files that have none.

use std::collections::HashSet;

use alluvium_core::IndexEntry;
use alluvium_core::clock::Micros;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::contents::{COLUMNS, Contents};
use crate::error::{LakeError, Result};
use crate::upkeep::{Upkeep, blocking};

/// How many entries are stored at a time: what is done is not done again by a process that starts anew.
const AT_ONCE: usize = 16;

impl Upkeep {
    /// Makes the entries that files of a table lack, those that batches left or all of them when the index was lost; says how many.
    /// The ledger has none.
    ///
    /// # Errors
    ///
    /// When there is no such table, a file is missing or damaged, or the store or the index fails.
    pub async fn index_table(&self, table: &str) -> Result<usize> {
        self.index_table_until(table, Micros::MAX).await
    }

    /// As [`index_table`](Self::index_table), but no file is begun when that time has come: the rest is for the next time.
    pub(crate) async fn index_table_until(&self, table: &str, until: Micros) -> Result<usize> {
        let known = self.newest(table).await?;
        let indexed = self.indexed(table).await?;
        let (mut made, mut count) = (Vec::new(), 0);
        for file in known.files()?.into_iter().filter(|file| !indexed.contains(&file.path)) {
            if self.clock.now_micros() >= until {
                break;
            }
            let bytes = known.log().get_present(&file.path).await?;
            let contents = blocking(table, move || contents(bytes)).await?;
            let contents =
                contents.map_err(|error| known.log().damaged(&file.path, &format!("{error}; restore it")))?;
            made.push(contents.entry(table, &file.path, file.size_bytes));
            count += 1;
            if made.len() == AT_ONCE {
                self.index(std::mem::take(&mut made)).await?;
            }
        }
        self.index(made).await?;
        Ok(count)
    }

    /// Puts entries into the index.
    pub(crate) async fn index(&self, entries: Vec<IndexEntry>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.index.put(entries).await.map_err(LakeError::Index)
    }

    /// Forgets the entry of a file.
    pub(crate) async fn forget_entry(&self, table: &str, path: &str) -> Result<()> {
        self.index.remove(table, vec![path.to_owned()]).await.map_err(LakeError::Index)
    }

    /// Forgets the entries of a table for which there is no file any more.
    pub(crate) async fn forget_entries(&self, table: &str, is_there: impl Fn(&str) -> bool) -> Result<()> {
        let gone: Vec<String> = self.indexed(table).await?.into_iter().filter(|path| !is_there(path)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.index.remove(table, gone).await.map_err(LakeError::Index)
    }

    /// The paths of a table's files that have an entry.
    async fn indexed(&self, table: &str) -> Result<HashSet<String>> {
        let paths = self.index.paths(table).await.map_err(LakeError::Index)?;
        Ok(paths.into_iter().collect())
    }
}

fn contents(file: Bytes) -> std::result::Result<Contents, ArrowError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let mut contents = Contents::default();
    for rows in builder.with_projection(mask).build()? {
        contents.add(&rows?);
    }
    Ok(contents)
}
