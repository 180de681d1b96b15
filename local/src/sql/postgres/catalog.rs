//! The schemas of a session that knows the catalogue.

use std::sync::Arc;

use alluvium_core::ports::PostgresSession;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemTable, MemoryCatalogProviderList, SchemaProvider, TableProvider,
};
use datafusion::error::Result;

use super::objects::Objects;
use super::relations::{INFORMATION_SCHEMA, PG_CATALOG, Relation};
use super::{informed, rows};
use crate::sql::catalog::{CATALOG, LakeCatalog, SCHEMA};

/// Relations of `information_schema` that DataFusion has and Postgres has otherwise or not: `SHOW FUNCTIONS` reads them.
const OF_ENGINE: [&str; 3] = ["df_settings", "parameters", "routines"];

/// Whether a relation of the catalogue is meant. Those of `pg_catalog` need no schema before their name.
pub(super) fn knows(schema: &str, name: &str) -> bool {
    match schema {
        SCHEMA => name.starts_with("pg_") && Relation::named(PG_CATALOG, name).is_some(),
        INFORMATION_SCHEMA if OF_ENGINE.contains(&name) => true,
        schema => Relation::named(schema, name).is_some(),
    }
}

/// A session's catalogs: the lake's tables, and the catalogue's relations beside them.
pub(super) fn list(
    lake: Arc<LakeCatalog>,
    session: Arc<PostgresSession>,
    objects: Arc<Objects>,
) -> Arc<dyn CatalogProviderList> {
    let catalog = PostgresCatalog(Arc::new(Catalogue { engine: lake.clone().into_list(), lake, session, objects }));
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Arc::new(list)
}

#[derive(Debug)]
struct Catalogue {
    lake: Arc<LakeCatalog>,
    /// Those that statements have that are not for Postgres.
    engine: Arc<dyn CatalogProviderList>,
    session: Arc<PostgresSession>,
    objects: Arc<Objects>,
}

impl Catalogue {
    async fn relation(&self, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(relation) = Relation::named(schema, name) else { return Ok(None) };
        let rows = match schema {
            PG_CATALOG => rows::of(name, &self.session, &self.objects, &self.tables().await?),
            _ => informed::of(name, &self.session, &self.objects, &self.tables().await?),
        };
        let batch = relation.rows(&rows);
        Ok(Some(Arc::new(MemTable::try_new(relation.schema(), vec![vec![batch]])?)))
    }

    /// The columns of each of the lake's tables.
    async fn tables(&self) -> Result<Vec<LakeTable>> {
        let mut tables = Vec::new();
        for (name, oid) in self.objects.tables() {
            if let Some(table) = self.lake.table(name).await? {
                tables.push(LakeTable { name: name.to_owned(), oid, columns: table.schema() });
            }
        }
        Ok(tables)
    }
}

/// One of the lake's tables, as the catalogue tells of it.
#[derive(Debug)]
pub(super) struct LakeTable {
    pub(super) name: String,
    pub(super) oid: i64,
    pub(super) columns: SchemaRef,
}

#[derive(Debug)]
struct PostgresCatalog(Arc<Catalogue>);

impl CatalogProvider for PostgresCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = [SCHEMA, PG_CATALOG, INFORMATION_SCHEMA].into_iter().find(|known| *known == name)?;
        Some(Arc::new(PostgresSchema { schema, catalogue: self.0.clone() }))
    }
}

#[derive(Debug)]
struct PostgresSchema {
    schema: &'static str,
    catalogue: Arc<Catalogue>,
}

#[async_trait]
impl SchemaProvider for PostgresSchema {
    fn table_names(&self) -> Vec<String> {
        if self.schema == SCHEMA { self.catalogue.lake.table_names() } else { Vec::new() }
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let catalogue = &self.catalogue;
        match self.schema {
            SCHEMA => match catalogue.lake.table(name).await? {
                None => catalogue.relation(PG_CATALOG, name).await,
                known => Ok(known),
            },
            INFORMATION_SCHEMA if OF_ENGINE.contains(&name) => {
                InformationSchemaProvider::new(catalogue.engine.clone()).table(name).await
            }
            schema => catalogue.relation(schema, name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.catalogue.lake.table_exist(name) && self.schema == SCHEMA || knows(self.schema, name)
    }
}
