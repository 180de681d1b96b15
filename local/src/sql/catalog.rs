//! The names that statements know.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use alluvium_core::clock::Micros;
use alluvium_core::dataset::{dead_letter_columns, ledger_columns};
use alluvium_core::ports::{PortError, StatementFault};
use alluvium_core::{DatasetName, Datasets};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider,
    TableProvider,
};
use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use object_store::ObjectStore;
use tokio::sync::Mutex;

use super::bounds::KnownBounds;
use super::first_arrival::{Findings, FirstArrivals};
use super::own_rows::OwnRows;
use super::scan::RawTable;
use super::tables::{Snapshots, Table};

pub(super) const CATALOG: &str = "alluvium";
pub(super) const SCHEMA: &str = "lake";
const RAW: &str = "_raw";

/// The lake's tables, for every statement.
#[derive(Debug)]
pub(super) struct LakeTables {
    store: Arc<dyn ObjectStore>,
    snapshots: Arc<dyn Snapshots>,
    datasets: Arc<Datasets>,
    findings: Arc<Findings>,
    bounds: KnownBounds,
    /// The oldest times of tables, as of so many commits: nothing else gives a table older rows.
    oldest: std::sync::Mutex<HashMap<String, (u64, Option<Micros>)>>,
}

impl LakeTables {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        snapshots: Arc<dyn Snapshots>,
        datasets: Arc<Datasets>,
        keys_bytes: usize,
    ) -> Self {
        let findings = Arc::new(Findings::new(keys_bytes));
        Self {
            store,
            snapshots,
            datasets,
            findings,
            bounds: KnownBounds::default(),
            oldest: std::sync::Mutex::default(),
        }
    }

    /// The names that a reader's statements know: the ledger counts everybody's events.
    fn names(&self, reader: Option<&str>) -> Vec<String> {
        let dead_letters = DatasetName::dead_letters();
        let events = self.datasets.names().into_iter().chain([dead_letters.as_str()]);
        let mut names: Vec<String> = events.flat_map(|name| [name.to_owned(), format!("{name}{RAW}")]).collect();
        if reader.is_none() {
            names.push(DatasetName::ledger().as_str().to_owned());
        }
        names
    }

    /// The columns of a table that may have no version yet.
    fn columns(&self, table: &str) -> Option<SchemaRef> {
        if table == DatasetName::dead_letters().as_str() {
            return Some(dead_letter_columns());
        }
        if table == DatasetName::ledger().as_str() {
            return Some(ledger_columns());
        }
        self.datasets.get(table).map(|dataset| dataset.columns().clone())
    }

    async fn read(&self, name: &str, columns: SchemaRef) -> Result<Table, PortError> {
        let Some(mut snapshot) = self.snapshots.snapshot(name).await? else { return Ok(Table::empty(name, columns)) };
        if self.datasets.get(name).is_none() {
            snapshot.columns = with_added(&snapshot.columns, &columns);
        }
        let bounds = self.bounds.of(name, &snapshot);
        Ok(Table::new(name, snapshot, bounds))
    }

    /// A time before which no row of a table has its `event_time`, if that is known.
    pub(super) async fn oldest(&self, name: &str) -> Result<Option<Micros>, PortError> {
        let Some(columns) = self.columns(name) else { return Ok(None) };
        let Some(commits) = self.snapshots.commits() else { return Ok(self.read(name, columns).await?.oldest()) };
        let known = self.oldest.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        if let Some((_, oldest)) = known.filter(|(as_of, _)| *as_of == commits) {
            return Ok(oldest);
        }
        let oldest = self.read(name, columns).await?.oldest();
        self.oldest.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), (commits, oldest));
        Ok(oldest)
    }
}

/// The columns of a table of ours, with those that this release has and the one that opened the lake last had not: null in all rows.
fn with_added(present: &SchemaRef, known: &SchemaRef) -> SchemaRef {
    let added = known.fields().iter().filter(|field| present.column_with_name(field.name()).is_none());
    Arc::new(Schema::new(present.fields().iter().chain(added).cloned().collect::<Vec<_>>()))
}

/// What a name stands for.
enum Named<'a> {
    /// A table as it is.
    Raw(&'a str),
    /// A table with each event key once.
    View(&'a str),
}

impl<'a> Named<'a> {
    fn new(name: &'a str) -> Self {
        match name.strip_suffix(RAW) {
            Some(table) => Self::Raw(table),
            None if name == DatasetName::ledger().as_str() => Self::Raw(name),
            None => Self::View(name),
        }
    }
}

/// The lake's tables as one statement sees them: each as of the moment when the statement first named it.
#[derive(Debug)]
pub(super) struct LakeCatalog {
    tables: Arc<LakeTables>,
    /// Whose rows it has; `None`: everybody's.
    reader: Option<String>,
    seen: Mutex<HashMap<String, Arc<Table>>>,
}

impl LakeCatalog {
    pub(super) fn new(tables: Arc<LakeTables>, reader: Option<String>) -> Self {
        Self { tables, reader, seen: Mutex::default() }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.tables.names(self.reader.as_deref())
    }

    /// The catalog of a session that knows these tables and no others.
    pub(super) fn into_list(self: Arc<Self>) -> Arc<dyn CatalogProviderList> {
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, self).expect("a catalog in memory takes any schema");
        let list = MemoryCatalogProviderList::new();
        list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        Arc::new(list)
    }

    /// Refuses a table that is not there.
    pub(super) fn check_known(&self, table: &TableReference) -> Result<(), PortError> {
        let ours = table.catalog().is_none_or(|catalog| catalog == CATALOG);
        let known = match table.schema() {
            None | Some(SCHEMA) => self.table_exist(table.table()),
            Some(schema) => schema == "information_schema",
        };
        if ours && known {
            return Ok(());
        }
        let ledger = DatasetName::ledger();
        if ours && matches!(table.schema(), None | Some(SCHEMA)) && table.table() == ledger.as_str() {
            let message = format!("`{ledger}` counts everybody's events, so it needs the role `data.admin`");
            return Err(PortError::faulty(StatementFault::NotPermitted, message));
        }
        let message = format!("there is no table `{table}`; there are {}", self.names().join(", "));
        Err(PortError::faulty(StatementFault::NoTable, message))
    }

    async fn seen(&self, name: &str, columns: SchemaRef) -> Result<Arc<Table>, PortError> {
        let mut seen = self.seen.lock().await;
        if let Some(table) = seen.get(name) {
            return Ok(table.clone());
        }
        let table = Arc::new(self.tables.read(name, columns).await?);
        seen.insert(name.to_owned(), table.clone());
        Ok(table)
    }
}

#[async_trait]
impl SchemaProvider for LakeCatalog {
    fn table_names(&self) -> Vec<String> {
        self.names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let (Named::Raw(table) | Named::View(table)) = Named::new(name);
        let Some(columns) = self.tables.columns(table).filter(|_| self.table_exist(name)) else { return Ok(None) };
        let table = self.seen(table, columns).await.map_err(|error| DataFusionError::External(error.into()))?;
        let (store, findings) = (self.tables.store.clone(), self.tables.findings.clone());
        let rows: Arc<dyn TableProvider> = match Named::new(name) {
            Named::Raw(_) => Arc::new(RawTable::new(table)),
            Named::View(_) => Arc::new(FirstArrivals::new(table, store, findings)),
        };
        Ok(Some(match &self.reader {
            None => rows,
            Some(owner) => Arc::new(OwnRows::new(rows, owner)),
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.names().iter().any(|known| known == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_ours_has_the_columns_of_this_release_and_those_of_a_later_one() {
        let known = dead_letter_columns();
        let (last, before) = known.fields().split_last().unwrap();
        let newer = Arc::new(known.field(0).clone().with_name("of_a_later_release"));
        let later: SchemaRef = Arc::new(Schema::new([before, &[newer]].concat()));
        let merged = with_added(&later, &known);
        assert_eq!(merged.fields().len(), later.fields().len() + 1);
        assert_eq!(merged.fields().last(), Some(last));
        assert_eq!(with_added(&known, &known), known);
    }
}
