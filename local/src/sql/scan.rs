//! Scanning a table's files: which of them, and what of each.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;

use super::tables::{Table, TableFile, store_url};

/// A table as it is: every row of every active file.
#[derive(Debug)]
pub(super) struct RawTable {
    table: Arc<Table>,
}

impl RawTable {
    pub(super) fn new(table: Arc<Table>) -> Self {
        Self { table }
    }
}

#[async_trait]
impl TableProvider for RawTable {
    fn schema(&self) -> SchemaRef {
        self.table.columns.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = predicate(session, &self.table.columns, filters)?;
        let kept = may_match(&self.table, predicate.as_ref());
        let files = self.table.files.iter().zip(kept).filter(|(_, kept)| *kept).map(|(file, _)| file);
        let rows = files.clone().map(|file| file.rows).sum();
        let files = files.map(TableFile::partitioned).collect::<Result<_>>()?;
        Scan { table: &self.table, files, rows, predicate, projection, limit }.plan(session)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// All filters as one expression over the table's columns.
pub(super) fn predicate(
    session: &dyn Session,
    columns: &SchemaRef,
    filters: &[Expr],
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
    let columns = DFSchema::try_from(columns.clone())?;
    Ok(Some(session.create_physical_expr(filter, &columns)?))
}

/// For each file of a table, whether its bounds let any row match.
pub(super) fn may_match(table: &Table, predicate: Option<&Arc<dyn PhysicalExpr>>) -> Vec<bool> {
    let all = vec![true; table.files.len()];
    let Some(predicate) = predicate else { return all };
    let pruning = PruningPredicateBuilder::new().with_file_schema(table.columns.clone()).build(predicate.clone());
    let Some(pruning) = pruning else { return all };
    let bounds = table.files.iter().map(|file| file.bounds.clone()).collect();
    // A file that cannot be judged is read.
    pruning.prune(&PrunableStatistics::new(bounds, table.columns.clone())).unwrap_or(all)
}

/// One scan.
pub(super) struct Scan<'a> {
    pub(super) table: &'a Table,
    pub(super) files: Vec<PartitionedFile>,
    /// How many rows the files hold, before the predicate.
    pub(super) rows: usize,
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    pub(super) projection: Option<&'a Vec<usize>>,
    pub(super) limit: Option<usize>,
}

impl Scan<'_> {
    /// The plan that reads it.
    pub(super) fn plan(self, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = session.config().target_partitions().min(self.files.len()).max(1);
        let mut groups = vec![Vec::new(); partitions];
        for (index, file) in self.files.into_iter().enumerate() {
            groups[index % partitions].push(file);
        }
        let mut source = ParquetSource::new(self.table.columns.clone())
            .with_table_parquet_options(session.table_options().parquet.clone());
        if let Some(predicate) = &self.predicate {
            source = source.with_predicate(predicate.clone());
        }
        let rows = if self.predicate.is_none() { Precision::Exact(self.rows) } else { Precision::Inexact(self.rows) };
        // Only the count is exact; the files' bounds answer no `min` and no `max`.
        let statistics = Statistics { num_rows: rows, ..Statistics::new_unknown(&self.table.columns) };
        let config = FileScanConfigBuilder::new(store_url(), Arc::new(source))
            .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
            .with_statistics(statistics)
            .with_projection_indices(self.projection.cloned())?
            .with_limit(self.limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
