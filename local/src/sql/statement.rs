//! One statement: a task that computes, and a reader that takes its results page by page.
//!
//! The two are joined by a short queue, so that a result of any size takes little memory: the task waits for its reader.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alluvium_core::ports::{Advice, PortError, ResultPage, Statement, StatementFault, StatementState, StatementStatus};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser;
use futures::StreamExt as _;
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::error::{abandoned, not_read_only, refused, too_slow};
use super::scanned::Scanned;
use super::{Planner, SqlSettings, functions};
use crate::threads::Threads;

/// How many RecordBatches may wait for the reader.
const QUEUED_BATCHES: usize = 2;

/// A statement that was read and not yet planned.
pub(super) struct Plan {
    pub(super) state: SessionState,
    /// Its placeholders are `$1`, `$2` and so on.
    pub(super) statement: parser::Statement,
    pub(super) parameters: Vec<String>,
}

/// A statement that was started. Dropping it stops it.
pub(super) struct Started {
    /// What was asked for.
    asked: Statement,
    status: watch::Receiver<StatementStatus>,
    reading: Mutex<Reading>,
    scanned: Arc<Scanned>,
    task: AbortHandle,
    started: Instant,
    /// When somebody last asked for a page, in ms after `started`.
    asked_ms: AtomicU64,
}

struct Reading {
    results: mpsc::Receiver<Result<Output, PortError>>,
    columns: SchemaRef,
    /// Rows that were taken from the queue and are not on a page yet.
    rest: Option<RecordBatch>,
    /// The number of the next page.
    next: u64,
    /// The page before it, in case its reader asks again.
    last: Option<ResultPage>,
}

enum Output {
    Columns(SchemaRef),
    Rows(RecordBatch),
}

impl Drop for Started {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Started {
    pub(super) fn start(
        asked: Statement,
        planner: Arc<Planner>,
        settings: &SqlSettings,
        running: Arc<Semaphore>,
        threads: &Threads,
    ) -> Self {
        let reader = asked.reader.clone();
        let running_now =
            StatementStatus { state: StatementState::Running, reader, owner: None, scanned_bytes: None, elapsed: None };
        let (status, status_seen) = watch::channel(running_now);
        let (sender, results) = mpsc::channel(QUEUED_BATCHES);
        let scanned = Arc::<Scanned>::default();
        let task = Task {
            scanned: scanned.clone(),
            sender,
            status,
            time_limit: settings.time_limit,
            time_left: settings.time_limit,
            idle_limit: settings.idle_limit,
        };
        let task = threads.spawn(task.run(planner, asked.clone(), running)).abort_handle();
        let reading = Reading { results, columns: Arc::new(Schema::empty()), rest: None, next: 0, last: None };
        Self {
            asked,
            status: status_seen,
            reading: Mutex::new(reading),
            scanned,
            task,
            started: Instant::now(),
            asked_ms: AtomicU64::new(0),
        }
    }

    /// What was asked for.
    pub(super) fn asked(&self) -> &Statement {
        &self.asked
    }

    pub(super) fn status(&self) -> StatementStatus {
        // How much is read of files that hold everybody's rows would tell a reader how much the others have.
        let scanned_bytes = self.asked.reader.is_none().then(|| self.scanned.bytes());
        StatementStatus { scanned_bytes, ..self.status.borrow().clone() }
    }

    /// The count of what it has read.
    pub(super) fn scanned(&self) -> Arc<Scanned> {
        self.scanned.clone()
    }

    /// Whether it has ended, one way or the other, and nobody has asked for its results for so long.
    pub(super) fn is_abandoned(&self, idle_limit: Duration) -> bool {
        let asked = self.started + Duration::from_millis(self.asked_ms.load(Ordering::Relaxed));
        self.task.is_finished() && self.reading.try_lock().is_ok() && asked.elapsed() > idle_limit
    }

    /// Reads a page; `None`: the first. Pages come in order, and the last one given can be asked for again.
    pub(super) async fn page(&self, page: Option<&str>, rows: NonZeroUsize) -> Result<ResultPage, PortError> {
        let mut reading = self.reading.lock().await;
        self.asked_ms.store(self.started.elapsed().as_millis() as u64, Ordering::Relaxed);
        let number: Option<u64> = page.map_or(Some(0), |page| page.parse().ok());
        let again = |number: u64| number + 1 == reading.next;
        match (number, &reading.last) {
            (Some(number), _) if number == reading.next => reading.read(rows.get()).await,
            (Some(number), Some(last)) if again(number) => Ok(last.clone()),
            _ => Err(PortError::new(
                Advice::Stop,
                format!(
                    "page `{}` cannot be read; pages are read in order, each named by the one before",
                    page.unwrap_or("0")
                ),
            )),
        }
    }
}

impl Reading {
    async fn read(&mut self, rows: usize) -> Result<ResultPage, PortError> {
        let mut batches = Vec::new();
        let mut room = rows;
        while room > 0 {
            let Some(batch) = self.next_rows().await? else { break };
            let taken = batch.num_rows().min(room);
            room -= taken;
            if taken < batch.num_rows() {
                self.rest = Some(batch.slice(taken, batch.num_rows() - taken));
            }
            batches.push(batch.slice(0, taken));
        }
        if room == 0 && self.rest.is_none() {
            // Whether this is the last page is known only when the next rows are there.
            self.rest = self.next_rows().await?;
        }
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(self.columns.clone()));
        }
        self.next += 1;
        let page = ResultPage { batches, next: self.rest.is_some().then(|| self.next.to_string()) };
        self.last = Some(page.clone());
        Ok(page)
    }

    /// The next rows, of which there is at least one; `None`: there are no more.
    async fn next_rows(&mut self) -> Result<Option<RecordBatch>, PortError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        while let Some(output) = self.results.recv().await {
            match output? {
                Output::Columns(columns) => self.columns = columns,
                Output::Rows(batch) if batch.num_rows() > 0 => return Ok(Some(batch)),
                Output::Rows(_) => {}
            }
        }
        Ok(None)
    }
}

struct Task {
    scanned: Arc<Scanned>,
    sender: mpsc::Sender<Result<Output, PortError>>,
    status: watch::Sender<StatementStatus>,
    time_limit: Duration,
    time_left: Duration,
    idle_limit: Duration,
}

impl Task {
    async fn run(mut self, planner: Arc<Planner>, asked: Statement, running: Arc<Semaphore>) {
        let _permit = running.acquire().await.expect("the engine never closes the semaphore");
        let state = match self.compute(&planner, &asked).await {
            Ok(()) => StatementState::Succeeded,
            Err(error) => {
                let state = StatementState::Failed(error.message.clone());
                // A reader who is gone needs no answer.
                let _gone = self.sender.send_timeout(Err(error), self.idle_limit).await;
                state
            }
        };
        self.scanned.ended();
        self.say(state);
    }

    fn say(&self, state: StatementState) {
        let elapsed = Some(self.time_limit.saturating_sub(self.time_left));
        self.status.send_modify(|status| {
            status.state = state;
            status.elapsed = elapsed;
        });
    }

    async fn compute(&mut self, planner: &Planner, asked: &Statement) -> Result<(), PortError> {
        let plan = planner.prepare(asked, &self.scanned)?;
        let Executing { mut stream, session: _session } = self.timed(execute(plan, self.scanned.clone())).await??;
        self.send(Output::Columns(stream.schema())).await?;
        while let Some(batch) = self.timed(stream.next()).await? {
            let batch = batch.map_err(|error| refused(&error))?;
            self.say(StatementState::Succeeded);
            self.send(Output::Rows(batch)).await?;
        }
        Ok(())
    }

    /// Waits for a computation and counts its time.
    async fn timed<T>(&mut self, computation: impl Future<Output = T>) -> Result<T, PortError> {
        let began = Instant::now();
        let outcome = tokio::time::timeout(self.time_left, computation).await;
        self.time_left = self.time_left.saturating_sub(began.elapsed());
        outcome.map_err(|_| too_slow(self.time_limit))
    }

    async fn send(&self, output: Output) -> Result<(), PortError> {
        self.sender.send_timeout(Ok(output), self.idle_limit).await.map_err(|_| abandoned(self.idle_limit))
    }
}

/// A statement whose rows are being computed.
struct Executing {
    stream: SendableRecordBatchStream,
    /// It knows the tables that the statement sees, which hold their files: the plan that is executed does not.
    session: SessionState,
}

/// The plan of a statement, which reads and does nothing else.
pub(super) async fn read_only(state: &SessionState, statement: parser::Statement) -> Result<LogicalPlan, PortError> {
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let calls_unknown = functions::unknown(state, &statement).is_some();
    let logical = state.statement_to_plan(statement).await.map_err(|error| match refused(&error) {
        // DataFusion's error of a function that is not there is one of planning like any other.
        error if calls_unknown && error.fault().is_none() => {
            PortError::faulty(StatementFault::NoFunction, error.message)
        }
        error => error,
    })?;
    read_only.verify_plan(&logical).map_err(|error| not_read_only(&error))?;
    Ok(logical)
}

async fn execute(plan: Plan, scanned: Arc<Scanned>) -> Result<Executing, PortError> {
    let Plan { state, statement, parameters } = plan;
    let logical = read_only(&state, statement).await?;
    let values: Vec<ScalarValue> = parameters.into_iter().map(ScalarValue::from).collect();
    let logical = logical.with_param_values(values).map_err(|error| refused(&error))?;
    let physical = state.create_physical_plan(&logical).await.map_err(|error| refused(&error))?;
    scanned.executes(physical.clone());
    let stream = execute_stream(physical, state.task_ctx()).map_err(|error| refused(&error))?;
    Ok(Executing { stream, session: state })
}
