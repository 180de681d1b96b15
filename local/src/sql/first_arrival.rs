//! The view of a table in which each event key stands once: its first arrival.
//!
//! It answers what this would: `select * from t_raw qualify row_number() over (partition by owner, source, event_id order by
//! ingest_time, event_time) = 1`. That would sort whole rows. Instead the key columns of the files are read first, which finds the
//! rows that are not the first of their key, mostly none; then a plain scan reads what the statement wants and skips those rows
//! (a row selection per file), with all of its pruning.
//!
//! A filter on key columns alone narrows what is read before arrivals are compared. Any other filter must not: a row outside
//! may be the first arrival of a key inside. Such a filter only tells which files' keys are kept in memory: the keys of the other
//! files are compared with those and forgotten.
//!
//! With more rows than keys fit into memory, the files' keys are read several times, each time for one share of the keys.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::keys::{Arrival, FirstOfKey, KEY_COLUMNS, KeyReader, Keys, keys_in};
use super::scan::{Scan, may_match, predicate};
use super::tables::{Table, TableFile};

/// How many files' keys are read at once.
const READERS: usize = 2;
/// The most hidden rows that are remembered for the next statement, per table.
const REMEMBERED_ROWS: usize = 1_000_000;

/// Rows that are not the first of their key: per file, by its place in the table, in order.
type Hidden = HashMap<usize, Vec<u32>>;

/// What was found out about the present version of each table, for the statements to come.
#[derive(Debug)]
pub(super) struct Findings {
    keys_bytes: usize,
    by_table: Mutex<HashMap<String, (u64, Arc<Hidden>)>>,
}

impl Findings {
    pub(super) fn new(keys_bytes: usize) -> Self {
        Self { keys_bytes, by_table: Mutex::default() }
    }

    fn of(&self, table: &Table) -> Option<Arc<Hidden>> {
        let by_table = self.by_table.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (version, hidden) = by_table.get(&table.name)?;
        (Some(*version) == table.version).then(|| hidden.clone())
    }

    fn remember(&self, table: &Table, hidden: &Arc<Hidden>) {
        let rows: usize = hidden.values().map(Vec::len).sum();
        if let Some(version) = table.version.filter(|_| rows <= REMEMBERED_ROWS) {
            let mut by_table = self.by_table.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            by_table.insert(table.name.clone(), (version, hidden.clone()));
        }
    }
}

/// The view of one table.
#[derive(Debug)]
pub(super) struct FirstArrivals {
    table: Arc<Table>,
    store: Arc<dyn ObjectStore>,
    findings: Arc<Findings>,
}

impl FirstArrivals {
    pub(super) fn new(table: Arc<Table>, store: Arc<dyn ObjectStore>, findings: Arc<Findings>) -> Self {
        Self { table, store, findings }
    }

    /// The rows to leave out of the files that may match all filters.
    async fn hidden(&self, session: &dyn Session, wanted: &[bool], filters: &[Expr]) -> Result<Arc<Hidden>> {
        if let Some(hidden) = self.findings.of(&self.table) {
            return Ok(hidden);
        }
        let on_keys: Vec<Expr> = filters.iter().filter(|filter| is_about_keys(filter)).cloned().collect();
        let on_keys = predicate(session, &self.table.columns, &on_keys)?;
        let related = may_match(&self.table, on_keys.as_ref());
        let rows: usize = files(&self.table, wanted).map(|(_, file)| file.rows).sum();
        let shares = rows.div_ceil(keys_in(self.findings.keys_bytes)).max(1) as u64;
        let others: Vec<bool> = related.iter().zip(wanted).map(|(related, wanted)| *related && !wanted).collect();
        let unfiltered = on_keys.is_none() && !others.contains(&true) && !wanted.contains(&false);
        let scanned = session.config().get_extension().unwrap_or_default();
        let reader = KeyReader::new(self.store.clone(), self.table.columns.clone(), on_keys, scanned);
        let mut hidden = Hidden::new();
        for share in 0..shares {
            let mut first = FirstOfKey::with_capacity(rows / shares as usize);
            let mut hide = |arrival: Arrival| {
                let file = arrival.file as usize;
                if wanted[file] {
                    hidden.entry(file).or_default().push(arrival.row);
                }
            };
            let mut keys = self.read_keys(&reader, wanted, (share, shares));
            while let Some(portion) = keys.next().await? {
                portion.into_iter().filter_map(|(key, arrival)| first.add(key, arrival)).for_each(&mut hide);
            }
            let mut keys = self.read_keys(&reader, &others, (share, shares));
            while let Some(portion) = keys.next().await? {
                portion.into_iter().filter_map(|(key, arrival)| first.beat(key, arrival)).for_each(&mut hide);
            }
        }
        hidden.values_mut().for_each(|rows| rows.sort_unstable());
        let hidden = Arc::new(hidden);
        if unfiltered {
            self.findings.remember(&self.table, &hidden);
        }
        Ok(hidden)
    }

    /// Starts reading one share of the keys of these files.
    fn read_keys(&self, reader: &KeyReader, which: &[bool], share: (u64, u64)) -> KeyPortions {
        let (sender, receiver) = mpsc::channel(READERS);
        let mut tasks = JoinSet::new();
        for turn in 0..READERS {
            let files: Vec<(u32, TableFile)> = files(&self.table, which)
                .skip(turn)
                .step_by(READERS)
                .map(|(number, file)| (number as u32, file.clone()))
                .collect();
            tasks.spawn(read_files(reader.clone(), files, share, sender.clone()));
        }
        KeyPortions { receiver, tasks }
    }
}

async fn read_files(
    reader: KeyReader,
    files: Vec<(u32, TableFile)>,
    (share, shares): (u64, u64),
    sender: mpsc::Sender<Keys>,
) -> Result<()> {
    for (number, file) in files {
        let mut portions = std::pin::pin!(reader.read(&file, number).await?);
        while let Some(mut portion) = portions.try_next().await? {
            if shares > 1 {
                // The second half, because the first chooses the place in the table.
                portion.retain(|((_, half), _)| half % shares == share);
            }
            if sender.send(portion).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Keys as they are read; dropping it stops the reading.
struct KeyPortions {
    receiver: mpsc::Receiver<Keys>,
    tasks: JoinSet<Result<()>>,
}

impl KeyPortions {
    async fn next(&mut self) -> Result<Option<Keys>> {
        if let Some(portion) = self.receiver.recv().await {
            return Ok(Some(portion));
        }
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| DataFusionError::External(error.into()))??;
        }
        Ok(None)
    }
}

fn files<'a>(table: &'a Table, which: &'a [bool]) -> impl Iterator<Item = (usize, &'a TableFile)> + Clone {
    table.files.iter().enumerate().filter(|(index, _)| which[*index])
}

/// Whether a filter says the same of all arrivals of one key.
fn is_about_keys(filter: &Expr) -> bool {
    let columns: BTreeSet<&str> = filter.column_refs().into_iter().map(|column| column.name.as_str()).collect();
    !columns.is_empty() && !filter.is_volatile() && columns.iter().all(|column| KEY_COLUMNS.contains(column))
}

/// What to read of a file with these rows hidden; `None`: nothing.
fn without(file: &TableFile, hidden: Option<&Vec<u32>>) -> Result<Option<PartitionedFile>> {
    let whole = file.partitioned()?;
    let Some(hidden) = hidden else { return Ok(Some(whole)) };
    if hidden.len() >= file.rows {
        return Ok(None);
    }
    let mut selectors = Vec::with_capacity(2 * hidden.len() + 1);
    let mut read = 0;
    for row in hidden {
        let row = *row as usize;
        if row > read {
            selectors.push(RowSelector::select(row - read));
        }
        selectors.push(RowSelector::skip(1));
        read = row + 1;
    }
    if file.rows > read {
        selectors.push(RowSelector::select(file.rows - read));
    }
    Ok(Some(whole.with_extension(ParquetRowSelection::new(RowSelection::from(selectors)))))
}

#[async_trait]
impl TableProvider for FirstArrivals {
    fn schema(&self) -> SchemaRef {
        self.table.columns.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = predicate(session, &self.table.columns, filters)?;
        let wanted = may_match(&self.table, predicate.as_ref());
        let hidden = self.hidden(session, &wanted, filters).await?;
        let mut rows = 0;
        let mut kept = Vec::new();
        for (index, file) in files(&self.table, &wanted) {
            let hidden = hidden.get(&index);
            rows += file.rows - hidden.map_or(0, Vec::len).min(file.rows);
            kept.extend(without(file, hidden)?);
        }
        Scan { table: &self.table, files: kept, rows, predicate, projection, limit }.plan(session)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
