//! SQL on one machine: DataFusion over the active files of the lake's Delta tables, read-only.
//!
//! For each dataset `d` there are two tables: `d_raw`, the table itself, and `d`, in which each event key stands once
//! ([`first_arrival`]); the same for `dead_letters`; and `ledger`. A statement sees one version of each table: the newest when it
//! first names it.
//!
//! A statement with a reader sees the rows of that owner alone ([`own_rows`]), and no ledger.
//!
//! Everything that a statement uses is bounded by [`SqlSettings`].

mod bounds;
mod catalog;
mod condition;
mod delta_stats;
mod error;
mod file_reader;
mod first_arrival;
mod functions;
mod jobs;
mod keys;
mod own_rows;
mod placeholders;
mod postgres;
mod scan;
mod scanned;
mod shape;
mod size;
mod statement;
mod tables;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Datasets;
use alluvium_core::clock::Micros;
use alluvium_core::ports::{
    Advice, Dialect, PortError, ResultPage, SqlEngine, Statement, StatementFault, StatementId, StatementStatus,
};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser;
use object_store::ObjectStore;
use tokio::runtime::Builder;
use tokio::sync::{Mutex, Semaphore};

pub use condition::Condition;
pub use jobs::{JobSettings, QueryJobs};
pub use tables::Snapshots;

use self::catalog::{LakeCatalog, LakeTables};
use self::postgres::Postgres;
use self::scanned::Scanned;
use self::statement::{Plan, Started};
use crate::threads::Threads;

/// Functions whose results are as large as their arguments say, outside of what is counted: not for readers.
const UNBOUNDED: [&str; 6] = ["range", "generate_series", "repeat", "array_repeat", "lpad", "rpad"];

/// The stack of each thread that statements compute on, of which only what is used takes memory. Parsing and planning go as deep as an
/// expression does, some kilobytes a level in an unoptimised build: `1+1+…` of the longest statement fits several times over.
const STACK_BYTES: usize = 512 * 1024 * 1024;

/// How long results wait for their reader when there is no room for another statement.
const IDLE_WHEN_FULL: Duration = Duration::from_secs(2);

/// What statements may use.
#[derive(Debug, Clone)]
pub struct SqlSettings {
    /// The memory of all statements together; one that needs more spills to `spill`, or fails. Default 128 MiB.
    pub memory_bytes: usize,
    /// The memory in which one statement keeps event keys to find the first arrivals; with more keys than fit it reads the
    /// key columns several times over. Default 48 MiB.
    pub keys_bytes: usize,
    /// How long one statement may compute; the time that its results wait for their reader does not count. Default 60 s.
    pub time_limit: Duration,
    /// How long results wait for their reader before they are dropped. Default 60 s.
    pub idle_limit: Duration,
    /// The most rows of one page of results, and of what a statement works on at a time. Default 8,192.
    pub page_rows: NonZeroUsize,
    /// How many statements run at once; others wait. Default 4.
    pub running: usize,
    /// How many statements there may be in all; more are refused. Default 64.
    pub statements: usize,
    /// Where large sorts and aggregations spill to, and how many bytes; `None`: they fail instead. Default `None`.
    pub spill: Option<(PathBuf, u64)>,
}

impl Default for SqlSettings {
    fn default() -> Self {
        Self {
            memory_bytes: 128 * 1024 * 1024,
            keys_bytes: 48 * 1024 * 1024,
            time_limit: Duration::from_secs(60),
            idle_limit: Duration::from_secs(60),
            page_rows: NonZeroUsize::new(8_192).expect("8,192 is not 0"),
            running: 4,
            statements: 64,
            spill: None,
        }
    }
}

/// [`SqlEngine`] over DataFusion and the tables of one lake.
pub struct DataFusionSql {
    planner: Arc<Planner>,
    settings: SqlSettings,
    running: Arc<Semaphore>,
    /// How many statements are planned at a time of which only the shape is wanted.
    shaping: Semaphore,
    /// What statements compute on: their own, so that one that computes without a pause keeps nobody else waiting, and a node that stops need
    /// not wait for it.
    threads: Threads,
    statements: Mutex<Statements>,
}

/// What statements are read and planned with.
pub(in crate::sql) struct Planner {
    base: SessionState,
    /// The same for statements with a reader.
    of_readers: SessionState,
    tables: Arc<LakeTables>,
}

/// A statement that was read.
struct Read {
    state: SessionState,
    /// Its placeholders are `$1`, `$2` and so on.
    statement: parser::Statement,
    /// How many they are.
    places: usize,
}

#[derive(Default)]
struct Statements {
    by_id: HashMap<StatementId, Arc<Started>>,
    started: u64,
}

impl Statements {
    /// The statement that this one's token has started; `None`: none, or it is forgotten.
    fn with_token_of(&self, asked: &Statement) -> Result<Option<StatementId>, PortError> {
        let Some(token) = &asked.token else { return Ok(None) };
        let callers = |other: &Statement| other.reader == asked.reader && other.owner == asked.owner;
        let same = |started: &Started| started.asked().token.as_ref() == Some(token) && callers(started.asked());
        let found = self.by_id.iter().find(|(_, started)| same(started));
        match found {
            Some((id, started)) if started.asked() == asked => Ok(Some(id.clone())),
            Some(_) => {
                let message = format!("the token `{token}` has started another statement; give each its own");
                Err(PortError::new(Advice::Stop, message))
            }
            None => Ok(None),
        }
    }
}

impl std::fmt::Debug for DataFusionSql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataFusionSql").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl DataFusionSql {
    /// An engine over the lake in `store`, which is rooted at the lake: a table's files lie under the folder of its name.
    /// `snapshots` tells which files a table has.
    ///
    /// # Errors
    ///
    /// When the settings cannot be met, such as a spill folder that cannot be used.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        snapshots: Arc<dyn Snapshots>,
        datasets: Arc<Datasets>,
        settings: SqlSettings,
    ) -> Result<Self, PortError> {
        let mut disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        if let Some((folder, bytes)) = &settings.spill {
            disk =
                disk.with_mode(DiskManagerMode::Directories(vec![folder.clone()])).with_max_temp_directory_size(*bytes);
        }
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(settings.memory_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| PortError::because(Advice::Stop, "the SQL engine cannot start", error))?;
        runtime.register_object_store(tables::store_url().as_ref(), store.clone());
        let config = SessionConfig::new()
            .with_information_schema(true)
            .with_batch_size(settings.page_rows.get())
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(catalog::CATALOG, catalog::SCHEMA);
        let base =
            SessionStateBuilder::new().with_default_features().with_config(config).with_runtime_env(runtime).build();
        let mut of_readers = base.clone();
        for function in UNBOUNDED {
            let removed = of_readers.deregister_udf(function);
            removed.map_err(|error| PortError::because(Advice::Stop, "the SQL engine cannot start", error))?;
        }
        let tables = Arc::new(LakeTables::new(store, snapshots, datasets, settings.keys_bytes));
        let running = Arc::new(Semaphore::new(settings.running));
        // As many as all running statements compute on at a time, so that a heavy one takes none of another's.
        let count = settings.running.saturating_mul(base.config().target_partitions());
        let mut described = Builder::new_multi_thread();
        described.worker_threads(count).thread_name("sql").thread_stack_size(STACK_BYTES);
        let threads = Threads::new(described)
            .map_err(|error| PortError::because(Advice::Stop, "the SQL engine gets no threads", error))?;
        let planner = Arc::new(Planner { base, of_readers, tables });
        let shaping = Semaphore::new(settings.running);
        Ok(Self { planner, settings, running, shaping, threads, statements: Mutex::default() })
    }

    /// Runs a statement and reads all its results: for tests, and where they are known to be few. At least one RecordBatch,
    /// which may be empty.
    ///
    /// # Errors
    ///
    /// When the statement is refused or fails.
    pub async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, PortError> {
        let statement = self.start(Statement::new(sql)).await?;
        let mut batches = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let answered = self.results(&statement, page.as_deref()).await?;
            batches.extend(answered.batches);
            match answered.next {
                Some(next) => page = Some(next),
                None => return Ok(batches),
            }
        }
    }

    /// Checks what of a statement can be checked without any I/O: that it is SQL, of a size that is planned, and names tables that there are.
    ///
    /// # Errors
    ///
    /// When it is refused.
    pub async fn check(&self, asked: &Statement) -> Result<(), PortError> {
        size::check_text(&asked.sql)?;
        let (planner, asked) = (self.planner.clone(), asked.clone());
        // What is read is dropped there too, which goes as deep.
        self.with_its_stack(async move { planner.prepare(&asked, &Arc::default()).map(drop) }).await?
    }

    /// Does something that needs the stack of the engine's threads there, and waits for it.
    async fn with_its_stack<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, PortError> {
        let done = self.threads.spawn(work).await;
        done.map_err(|error| PortError::because(Advice::Stop, "the statement could not be read", error))
    }

    /// The count of what a statement has read, which goes on when the engine has forgotten the statement.
    async fn scanned(&self, id: &StatementId) -> Result<Arc<Scanned>, PortError> {
        Ok(self.find(id).await?.scanned())
    }

    async fn find(&self, id: &StatementId) -> Result<Arc<Started>, PortError> {
        let found = self.statements.lock().await.by_id.get(id).cloned();
        found.ok_or_else(|| {
            let message =
                format!("there is no statement `{}`; its results may have been dropped or read to their end", id.0);
            PortError::new(Advice::Stop, message)
        })
    }
}

impl Planner {
    /// Reads a statement and checks what can be checked without any I/O. What it reads will be counted in `scanned`.
    pub(in crate::sql) fn prepare(&self, asked: &Statement, scanned: &Arc<Scanned>) -> Result<Plan, PortError> {
        let Read { state, statement, places } = self.read(asked, scanned)?;
        placeholders::check(places, asked.parameters.len())?;
        Ok(Plan { state, statement, parameters: asked.parameters.clone() })
    }

    /// Reads a statement, whatever its parameters will be.
    fn read(&self, asked: &Statement, scanned: &Arc<Scanned>) -> Result<Read, PortError> {
        let reader = asked.reader.as_deref();
        let catalog = Arc::new(LakeCatalog::new(self.tables.clone(), reader.map(str::to_owned)));
        let base = if reader.is_some() { &self.of_readers } else { &self.base };
        let refused = |error: DataFusionError| error::refused(&error);
        let mut state = SessionStateBuilder::new_from_existing(base.clone())
            .with_config(base.config().clone().with_extension(scanned.clone()))
            .with_catalog_list(catalog.clone().into_list())
            .build();
        let postgres = match &asked.dialect {
            Dialect::Engine => None,
            Dialect::Postgres(session) => Some(Postgres::new(catalog.clone(), session.clone())),
        };
        if let Some(postgres) = &postgres {
            state = postgres.session(&state).map_err(refused)?;
        }
        // What `now()` is for all of it.
        state.mark_start_execution();
        let dialect = state.config().options().sql_parser.dialect;
        let mut statement = state.sql_to_statement(&asked.sql, &dialect).map_err(refused)?;
        size::check_operators(&statement)?;
        if reader.is_some() && matches!(statement, parser::Statement::Explain(_)) {
            let message = "EXPLAIN tells of files that hold everybody's rows, so it needs the role `data.admin`";
            return Err(PortError::faulty(StatementFault::NotPermitted, message));
        }
        let places = placeholders::number(&mut statement);
        if let Some(postgres) = &postgres {
            postgres.rewrite(&mut statement);
        }
        for table in state.resolve_table_references(&statement).map_err(refused)? {
            // Functions stand among the tables; DataFusion's own read no files.
            if !state.table_functions().contains_key(table.table()) {
                match &postgres {
                    Some(postgres) => postgres.check_known(&table)?,
                    None => catalog.check_known(&table)?,
                }
            }
        }
        Ok(Read { state, statement, places })
    }
}

#[async_trait]
impl SqlEngine for DataFusionSql {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        self.check(&statement).await?;
        let mut statements = self.statements.lock().await;
        if let Some(started) = statements.with_token_of(&statement)? {
            return Ok(started);
        }
        let idle_limit = self.settings.idle_limit;
        statements.by_id.retain(|_, statement| !statement.is_abandoned(idle_limit));
        if statements.by_id.len() >= self.settings.statements {
            // Callers who went away leave results behind: they give way to those who are there.
            statements.by_id.retain(|_, statement| !statement.is_abandoned(idle_limit.min(IDLE_WHEN_FULL)));
        }
        if statements.by_id.len() >= self.settings.statements {
            let message = format!("{} statements are running or waiting, as many as may be", self.settings.statements);
            return Err(PortError::new(Advice::BackOff, message));
        }
        statements.started += 1;
        let id = StatementId(statements.started.to_string());
        let started =
            Started::start(statement, self.planner.clone(), &self.settings, self.running.clone(), &self.threads);
        statements.by_id.insert(id.clone(), Arc::new(started));
        Ok(id)
    }

    async fn status(&self, statement: &StatementId) -> Result<StatementStatus, PortError> {
        Ok(self.find(statement).await?.status())
    }

    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError> {
        let found = self.find(statement).await?;
        let page = found.page(page, self.settings.page_rows).await;
        if page.as_ref().map_or(true, |page| page.next.is_none()) {
            self.statements.lock().await.by_id.remove(statement);
        }
        page
    }

    async fn oldest(&self, dataset: &str) -> Result<Option<Micros>, PortError> {
        self.planner.tables.oldest(dataset).await
    }

    async fn cancel(&self, statement: &StatementId) -> Result<(), PortError> {
        // Dropping the statement stops it.
        self.statements.lock().await.by_id.remove(statement);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
