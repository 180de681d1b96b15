//! The lake's tables as SQL needs them: which files there are, and where.

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::ports::PortError;
use alluvium_lake::{ActiveFile, LakeError, LakeReader, Lease, TableSnapshot};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use object_store::path::Path;

use super::delta_stats;

/// Tells which files a table has.
#[async_trait]
pub trait Snapshots: Send + Sync + std::fmt::Debug {
    /// The newest version of a table; `None`: there is no such table yet.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    async fn snapshot(&self, table: &str) -> std::result::Result<Option<TableSnapshot>, PortError>;

    /// A number that every commit has raised, by which tables may have got rows, when it counts as done; `None`: nobody tells of commits.
    fn commits(&self) -> Option<u64> {
        None
    }
}

#[async_trait]
impl Snapshots for LakeReader {
    async fn snapshot(&self, table: &str) -> std::result::Result<Option<TableSnapshot>, PortError> {
        match Self::snapshot(self, table).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(LakeError::NoTable(_)) => Ok(None),
            Err(error) => Err(PortError::because(error.advice(), format!("table `{table}` cannot be read"), error)),
        }
    }
}

/// The name under which the engine's runtime knows the lake's store.
pub(super) fn store_url() -> ObjectStoreUrl {
    ObjectStoreUrl::parse("alluvium-lake://lake").expect("the name is a URL with nothing after its host")
}

/// One version of one table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) version: Option<u64>,
    pub(super) columns: SchemaRef,
    /// The newest rows first, as far as the statistics tell.
    pub(super) files: Vec<TableFile>,
    /// Held for as long as the files may be read.
    _lease: Lease,
}

/// One file of a table.
#[derive(Debug, Clone)]
pub(super) struct TableFile {
    /// Under the store's root.
    pub(super) path: Path,
    pub(super) size_bytes: u64,
    pub(super) rows: usize,
    /// Bounds of its columns: no value lies outside, but there may be none that meets them.
    pub(super) bounds: Arc<Statistics>,
}

impl Table {
    /// A table that has this snapshot, whose files have these bounds.
    pub(super) fn new(name: &str, snapshot: TableSnapshot, bounds: Vec<Arc<Statistics>>) -> Self {
        let columns = snapshot.columns;
        let files = snapshot.files.iter().zip(bounds).map(|(file, bounds)| TableFile::new(name, file, bounds));
        let mut files: Vec<_> = files.collect();
        let newest = columns.index_of("event_time").ok();
        files.sort_by_cached_key(|file| {
            let max = newest.and_then(|column| delta_stats::max_micros(&file.bounds, column));
            (std::cmp::Reverse(max.unwrap_or(i64::MAX)), file.path.clone())
        });
        Self { name: name.to_owned(), version: Some(snapshot.version), columns, files, _lease: snapshot.lease }
    }

    /// A time before which no row has its `event_time`; `None`: that is not known of every file.
    pub(super) fn oldest(&self) -> Option<Micros> {
        let column = self.columns.index_of("event_time").ok()?;
        self.files
            .iter()
            .try_fold(Micros::MAX, |oldest, file| Some(oldest.min(delta_stats::min_micros(&file.bounds, column)?)))
    }

    /// A table that was never written to.
    pub(super) fn empty(name: &str, columns: SchemaRef) -> Self {
        Self { name: name.to_owned(), version: None, columns, files: Vec::new(), _lease: Lease::default() }
    }
}

impl TableFile {
    fn new(table: &str, file: &ActiveFile, bounds: Arc<Statistics>) -> Self {
        Self {
            path: Path::from(format!("{table}/{}", file.path)),
            size_bytes: file.size_bytes,
            rows: usize::try_from(file.rows).unwrap_or(usize::MAX),
            bounds,
        }
    }

    /// The file as a scan takes it.
    pub(super) fn partitioned(&self) -> Result<PartitionedFile> {
        Ok(PartitionedFile::new(self.path.to_string(), self.size_bytes).with_statistics(self.bounds.clone()))
    }
}
