//! Statements whose results wait for whoever asked: each result is written to a file, so that its pages can be read in any order, and again.
//!
//! ```text
//! DIR/<id>.arrow   an Arrow IPC file: one RecordBatch a page
//! DIR/<id>.csv     the same as one file for people, once somebody asked for it; so for `.parquet`
//! ```
//!
//! A result is kept for a while after its statement has ended; those that ended first give way when there are too many. The folder is
//! emptied at the start: nobody remembers what it held.

mod files;
mod turns;

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::file::FileFormat;
use alluvium_core::ports::{
    Advice, PortError, ResultPage, SqlEngine, Statement, StatementFault, StatementId, StatementState, StatementStatus,
};
use arrow::compute::concat_batches;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::turns::{Asker, Turns, asker};
use super::DataFusionSql;
use super::scanned::Scanned;

/// How much results may take.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// The most bytes of one result. Default 256 MiB.
    pub result_bytes: u64,
    /// The most bytes of all results together: the oldest give way. Default 2 GiB.
    pub results_bytes: u64,
    /// The most statements that are remembered, running ones among them. Default 256.
    pub jobs: usize,
    /// How many run at a time, of one caller all but one of them; others wait, and callers take turns. What the engine has beyond that is left
    /// to reads of records. Default 2.
    pub running: usize,
    /// How long a result is kept once its statement has ended. Default 1 h.
    pub kept: Duration,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self { result_bytes: 256 << 20, results_bytes: 2 << 30, jobs: 256, running: 2, kept: Duration::from_secs(3600) }
    }
}

/// [`SqlEngine`] over [`DataFusionSql`], with results that stay.
#[derive(Debug)]
pub struct QueryJobs {
    engine: Arc<DataFusionSql>,
    folder: PathBuf,
    settings: JobSettings,
    turns: Arc<Turns>,
    jobs: Mutex<HashMap<StatementId, Arc<Job>>>,
    /// Held by who writes a file out of a result: one at a time.
    writing: Arc<tokio::sync::Mutex<()>>,
}

/// One statement.
#[derive(Debug)]
struct Job {
    asked: Statement,
    file: PathBuf,
    state: watch::Receiver<Progress>,
    /// The count of what it has read, once it has begun.
    scanned: Arc<OnceLock<Arc<Scanned>>>,
    /// The bytes of the files that were written out of the result.
    files_bytes: AtomicU64,
    task: AbortHandle,
}

/// How far it is.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// When its turn came; `None`: it waits for it.
    began: Option<Instant>,
    ended: Option<(StatementState, Instant)>,
    /// Why it failed, if it did and that is known.
    fault: Option<StatementFault>,
    pages: usize,
    bytes: u64,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.task.abort();
        let written = FileFormat::ALL
            .into_iter()
            .flat_map(|format| [files::path(&self.file, format), files::draft(&self.file, format)]);
        for file in written.chain([self.file.clone()]) {
            if let Err(error) = std::fs::remove_file(&file)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(file = %file.display(), %error, "a result that nobody needs any more could not be removed");
            }
        }
    }
}

impl Job {
    /// What its results take on disk.
    fn bytes(&self) -> u64 {
        self.state.borrow().bytes + self.files_bytes.load(Ordering::Relaxed)
    }
}

impl QueryJobs {
    /// Jobs whose results lie in `folder`, which is emptied.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or emptied.
    pub fn new(engine: Arc<DataFusionSql>, folder: PathBuf, settings: JobSettings) -> std::io::Result<Self> {
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(&folder)?,
        }
        let turns = Turns::new(settings.running);
        Ok(Self { engine, folder, settings, turns, jobs: Mutex::default(), writing: Default::default() })
    }

    /// Stops every statement and forgets every result: for when rows are erased that results may hold.
    pub fn forget(&self) {
        self.jobs().clear();
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, HashMap<StatementId, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &StatementId) -> Result<Arc<Job>, PortError> {
        let unknown = || {
            let kept = alluvium_core::duration::format(self.settings.kept);
            PortError::new(Advice::Stop, format!("there is no statement `{}`; results are kept for {kept}", id.0))
        };
        self.jobs().get(id).cloned().ok_or_else(unknown)
    }
}

/// The statement that this one's token has started. A token is its caller's: another one, admins among them, may have given a statement of
/// theirs the same.
fn with_token_of(jobs: &HashMap<StatementId, Arc<Job>>, asked: &Statement) -> Result<Option<StatementId>, PortError> {
    let Some(token) = &asked.token else { return Ok(None) };
    let callers = |job: &Job| job.asked.reader == asked.reader && job.asked.owner == asked.owner;
    let same = |job: &Job| job.asked.token.as_ref() == Some(token) && callers(job);
    match jobs.iter().find(|(_, job)| same(job)) {
        Some((id, job)) if job.asked == *asked => Ok(Some(id.clone())),
        Some(_) => {
            let message = format!("the token `{token}` has started another statement; give each its own");
            Err(PortError::new(Advice::Stop, message))
        }
        None => Ok(None),
    }
}

/// Which share of all statements one caller may have.
const OF_ONE_CALLER: usize = 4;

fn ended_at(job: &Job) -> Option<Instant> {
    job.state.borrow().ended.as_ref().map(|(_, at)| *at)
}

/// Forgets what is past its time, and then what ended first until there is room for one more: first of what the caller has themselves, if
/// that is more than their share.
fn make_room(
    jobs: &mut HashMap<StatementId, Arc<Job>>,
    settings: &JobSettings,
    caller: &Asker,
) -> Result<(), PortError> {
    jobs.retain(|_, job| ended_at(job).is_none_or(|at| at.elapsed() < settings.kept));
    let share = settings.jobs.div_ceil(OF_ONE_CALLER);
    while caller.is_some() {
        let own = || jobs.iter().filter(|(_, job)| asker(&job.asked) == *caller);
        if own().count() < share {
            break;
        }
        let first = own().filter_map(|(id, job)| Some((ended_at(job)?, id.clone()))).min_by_key(|(at, _)| *at);
        let Some((_, first)) = first else {
            let message = format!("{share} statements of yours are running or waiting, as many as one caller may have");
            return Err(PortError::new(Advice::BackOff, message));
        };
        jobs.remove(&first);
    }
    loop {
        let bytes: u64 = jobs.values().map(|job| job.bytes()).sum();
        if jobs.len() < settings.jobs && bytes < settings.results_bytes {
            return Ok(());
        }
        let ended = jobs.iter().filter_map(|(id, job)| Some((ended_at(job)?, id.clone())));
        let Some((_, first)) = ended.min_by_key(|(at, _)| *at) else {
            let message = format!("{} statements are running or waiting, as many as may be", jobs.len());
            return Err(PortError::new(Advice::BackOff, message));
        };
        jobs.remove(&first);
    }
}

#[async_trait]
impl SqlEngine for QueryJobs {
    async fn start(&self, asked: Statement) -> Result<StatementId, PortError> {
        self.engine.check(&asked).await?;
        let mut jobs = self.jobs();
        if let Some(id) = with_token_of(&jobs, &asked)? {
            return Ok(id);
        }
        make_room(&mut jobs, &self.settings, &asker(&asked))?;
        // Nobody can guess it: who knows an id and has no reader to be compared with reads its rows.
        let id = StatementId(uuid::Uuid::new_v4().simple().to_string());
        let file = self.folder.join(format!("{}.arrow", id.0));
        File::create_new(&file).map_err(|error| not_kept(&error))?;
        let (progress, state) = watch::channel(Progress::default());
        let scanned = Arc::<OnceLock<_>>::default();
        let keep = Keep {
            engine: self.engine.clone(),
            asked: asked.clone(),
            turns: self.turns.clone(),
            started: Mutex::default(),
            scanned: scanned.clone(),
            file: file.clone(),
            most_bytes: self.settings.result_bytes,
            progress,
        };
        let task = tokio::spawn(keep.run()).abort_handle();
        jobs.insert(id.clone(), Arc::new(Job { asked, file, state, scanned, files_bytes: AtomicU64::new(0), task }));
        Ok(id)
    }

    async fn oldest(&self, dataset: &str) -> Result<Option<Micros>, PortError> {
        self.engine.oldest(dataset).await
    }

    async fn status(&self, statement: &StatementId) -> Result<StatementStatus, PortError> {
        let job = self.find(statement)?;
        let progress = job.state.borrow().clone();
        let reached = if progress.began.is_some() { StatementState::Running } else { StatementState::Waiting };
        let (state, until) = progress.ended.unwrap_or((reached, Instant::now()));
        let elapsed = progress.began.map(|began| until.saturating_duration_since(began));
        let reader = job.asked.reader.clone();
        // As the engine has it: a reader is not told what is read of files that hold everybody's rows.
        let scanned_bytes = reader.is_none().then(|| job.scanned.get().map_or(0, |scanned| scanned.bytes()));
        // Whoever may see everybody's rows may see everybody's results: a statement is not its owner's, but its reader's.
        Ok(StatementStatus { state, reader, owner: None, scanned_bytes, elapsed })
    }

    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError> {
        let job = self.find(statement)?;
        let mut state = job.state.clone();
        let ended = state.wait_for(|progress| progress.ended.is_some()).await.map(|progress| progress.clone());
        let ended = ended.map_err(|_| PortError::new(Advice::Stop, "the statement was stopped"))?;
        match ended.ended {
            Some((StatementState::Failed(message), _)) => {
                return Err(match ended.fault {
                    Some(fault) => PortError::faulty(fault, message),
                    None => PortError::new(Advice::Stop, message),
                });
            }
            Some((StatementState::Cancelled, _)) => {
                return Err(PortError::new(Advice::Stop, format!("the statement `{}` was cancelled", statement.0)));
            }
            _ => {}
        }
        let number = page.map_or(Some(0), |page| page.parse::<usize>().ok()).filter(|number| *number < ended.pages);
        let number = number.ok_or_else(|| {
            PortError::new(
                Advice::Stop,
                format!("there is no page `{}`; each is named by the one before", page.unwrap_or("0")),
            )
        })?;
        let file = job.file.clone();
        let read = tokio::task::spawn_blocking(move || read_page(&file, number)).await;
        let batch = read.map_err(|error| PortError::because(Advice::Retry, "a page could not be read", error))??;
        let next = Some(number + 1).filter(|next| *next < ended.pages).map(|next| next.to_string());
        Ok(ResultPage { batches: vec![batch], next })
    }

    async fn cancel(&self, statement: &StatementId) -> Result<(), PortError> {
        // Dropping the job stops it and removes its result.
        self.jobs().remove(statement);
        Ok(())
    }
}

fn read_page(file: &PathBuf, number: usize) -> Result<RecordBatch, PortError> {
    let failed = |why: String| PortError::new(Advice::Retry, format!("the result cannot be read: {why}"));
    let file = File::open(file).map_err(|error| failed(error.to_string()))?;
    let mut reader =
        FileReader::try_new(std::io::BufReader::new(file), None).map_err(|error| failed(error.to_string()))?;
    reader.set_index(number).map_err(|error| failed(error.to_string()))?;
    let page = reader.next().ok_or_else(|| failed("it ends early".to_owned()))?;
    page.map_err(|error| failed(error.to_string()))
}

/// Runs a statement and keeps its results.
struct Keep {
    engine: Arc<DataFusionSql>,
    asked: Statement,
    turns: Arc<Turns>,
    /// What the engine calls it, once it has begun.
    started: Mutex<Option<StatementId>>,
    scanned: Arc<OnceLock<Arc<Scanned>>>,
    file: PathBuf,
    most_bytes: u64,
    progress: watch::Sender<Progress>,
}

impl Drop for Keep {
    fn drop(&mut self) {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Stopped on the way: the engine need not go on for nobody.
        if let (Some(started), Ok(runtime)) = (started, tokio::runtime::Handle::try_current()) {
            let engine = self.engine.clone();
            runtime.spawn(async move { engine.cancel(&started).await });
        }
    }
}

impl Keep {
    async fn run(self) {
        let _turn = self.turns.take(asker(&self.asked)).await;
        self.progress.send_modify(|progress| progress.began = Some(Instant::now()));
        let (state, fault) = match self.keep().await {
            Ok(()) => (StatementState::Succeeded, None),
            Err(error) => (StatementState::Failed(error.message.clone()), error.fault()),
        };
        self.progress.send_modify(|progress| {
            progress.ended = Some((state, Instant::now()));
            progress.fault = fault;
        });
    }

    async fn keep(&self) -> Result<(), PortError> {
        // The token is ours to remember: the engine forgets a statement when its results were read.
        let statement = self.engine.start(Statement { token: None, ..self.asked.clone() }).await?;
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(statement.clone());
        // Set once: each statement is kept once.
        let _ = self.scanned.set(self.engine.scanned(&statement).await?);
        let mut writer = None;
        let mut page = None;
        loop {
            let answered = self.engine.results(&statement, page.as_deref()).await?;
            let file = self.file.clone();
            let written = tokio::task::spawn_blocking(move || write_page(writer, &file, &answered.batches)).await;
            let (written, bytes) = written.map_err(|error| not_kept(&error))??;
            self.progress.send_modify(|progress| {
                progress.pages += 1;
                progress.bytes = bytes;
            });
            if bytes > self.most_bytes {
                let message = format!(
                    "the result has more than {} bytes; ask for fewer rows or columns, or aggregate",
                    self.most_bytes
                );
                return Err(PortError::faulty(StatementFault::TooLarge, message));
            }
            page = answered.next;
            if page.is_none() {
                let mut writer = written;
                let finish = tokio::task::spawn_blocking(move || writer.finish()).await;
                return finish.map_err(|error| not_kept(&error))?.map_err(|error| not_kept(&error));
            }
            writer = Some(written);
        }
    }
}

fn not_kept(error: &dyn std::error::Error) -> PortError {
    PortError::new(Advice::Retry, format!("the result cannot be kept: {error}"))
}

type Writer = FileWriter<std::io::BufWriter<File>>;

/// Writes a page as one RecordBatch; says how many bytes the file has, about.
fn write_page(writer: Option<Writer>, file: &PathBuf, batches: &[RecordBatch]) -> Result<(Writer, u64), PortError> {
    let columns =
        batches.first().ok_or_else(|| PortError::new(Advice::Stop, "the engine answered no RecordBatch"))?.schema();
    let mut writer = match writer {
        Some(writer) => writer,
        None => {
            // It was made at the start: one that is gone belongs to a statement that nobody knows any more.
            let file = File::options().write(true).open(file).map_err(|error| not_kept(&error))?;
            FileWriter::try_new_buffered(file, &columns).map_err(|error| not_kept(&error))?
        }
    };
    let page = concat_batches(&columns, batches).map_err(|error| not_kept(&error))?;
    writer.write(&page).map_err(|error| not_kept(&error))?;
    writer.flush().map_err(|error| not_kept(&error))?;
    let bytes = std::fs::metadata(file).map_err(|error| not_kept(&error))?.len();
    Ok((writer, bytes))
}

#[cfg(test)]
mod tests;
