//! What programs ask Postgres about itself, so that they find the lake's tables: its catalogue, as far as they need it.
//!
//! Only statements of [`Dialect::Postgres`](alluvium_core::ports::Dialect::Postgres) see it. For them there are the schemas `pg_catalog` and
//! `information_schema` as Postgres has them ([`relations`]). Their rows are the names, columns and types of the tables that the statement's
//! reader may read, and what the connection knows of itself; nothing in them comes from any row of the lake (AU-1). Most relations are
//! empty, because the lake has no indexes, constraints, triggers or functions of its own.
//!
//! What Postgres can say and DataFusion cannot is written in other words before it is planned ([`rewrite`]), and the functions that such
//! statements call are there ([`functions`]).

mod catalog;
mod functions;
mod informed;
mod objects;
mod relations;
mod rewrite;
mod rows;

use std::sync::Arc;

use alluvium_core::ports::{PortError, PostgresSession, StatementFault};
use datafusion::common::TableReference;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::sql::parser::Statement;

use super::catalog::{CATALOG, LakeCatalog, SCHEMA};
use objects::Objects;

/// What one statement of such a client is planned with.
pub(super) struct Postgres {
    lake: Arc<LakeCatalog>,
    session: Arc<PostgresSession>,
    objects: Arc<Objects>,
}

impl Postgres {
    pub(super) fn new(lake: Arc<LakeCatalog>, session: Arc<PostgresSession>) -> Self {
        let objects = Arc::new(Objects::new(&lake.names(), &session));
        Self { lake, session, objects }
    }

    /// A session that knows the catalogue too, from one that knows what every statement knows.
    pub(super) fn session(&self, base: &SessionState) -> Result<SessionState> {
        let catalog = catalog::list(self.lake.clone(), self.session.clone(), self.objects.clone());
        let config = base.config().clone().with_information_schema(false);
        let mut state =
            SessionStateBuilder::new_from_existing(base.clone()).with_config(config).with_catalog_list(catalog).build();
        for function in functions::fixed().iter().cloned().chain(functions::of(&self.session, &self.objects)) {
            state.register_udf(function)?;
        }
        Ok(state)
    }

    /// Says a statement in DataFusion's words.
    pub(super) fn rewrite(&self, statement: &mut Statement) {
        rewrite::rewrite(statement, &self.session.database);
    }

    /// Refuses a table that is neither the lake's nor the catalogue's.
    pub(super) fn check_known(&self, table: &TableReference) -> Result<(), PortError> {
        let ours = table.catalog().is_none_or(|catalog| catalog == CATALOG);
        let schema = table.schema().unwrap_or(SCHEMA);
        if ours && catalog::knows(schema, table.table()) {
            return Ok(());
        }
        if [relations::PG_CATALOG, relations::INFORMATION_SCHEMA].contains(&schema) {
            let message =
                format!("there is no table `{table}` here: of Postgres's catalogue there is what programs ask for");
            return Err(PortError::faulty(StatementFault::NoTable, message));
        }
        self.lake.check_known(table)
    }
}

#[cfg(test)]
mod tests;
