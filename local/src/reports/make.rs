//! Running a report for one window.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alluvium_core::clock::Micros;
use alluvium_core::csv::CsvWriter;
use alluvium_core::file::FileFormat;
use alluvium_core::ports::{PortError, Statement, StatementId};
use alluvium_core::report::{FileFacts, ReportResult, WindowId};
use alluvium_core::{Report, Window};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;

use super::Reports;
use super::kept::{Kept, newer};
use crate::disk::DiskFile;
use crate::export::{ExportError, ParquetWriter};

/// How long it is waited for what had arrived to be committed, where somebody waits for the result, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// A report that was not run, or failed.
#[derive(Debug, thiserror::Error)]
pub enum ReportsError {
    /// There is none of this name.
    #[error("there is no report `{0}`; known: {1}")]
    Unknown(String, String),
    /// It cannot be run.
    #[error("the report `{name}` is broken: {problem}")]
    Broken {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It has no such window.
    #[error("no window of `{name}` begins at {window}; they are {length} long, and one begins at {near}")]
    NoWindow {
        /// The report.
        name: String,
        /// What was asked for.
        window: WindowId,
        /// How long its windows are.
        length: String,
        /// The window that the time lies in.
        near: WindowId,
    },
    /// The window is not over, or its delay is not.
    #[error("the window {window} of `{name}` can be made from {} on", time(*.due))]
    NotDue {
        /// The report.
        name: String,
        /// The window.
        window: WindowId,
        /// From when on it is due.
        due: Micros,
    },
    /// What arrived by then is not in the lake yet.
    #[error("what had arrived when the window {window} of `{name}` was due is not all committed yet; ask again")]
    Behind {
        /// The report.
        name: String,
        /// The window.
        window: WindowId,
    },
    /// As many newer results are there as are kept.
    #[error(
        "the {kept} results of `{name}` that are kept are all newer than {window}, so it would be deleted at once; keep more (setting `reports.windows_kept`)"
    )]
    TooOld {
        /// The report.
        name: String,
        /// The window.
        window: WindowId,
        /// How many are kept.
        kept: usize,
    },
    /// The statement failed.
    #[error(transparent)]
    Statement(#[from] PortError),
    /// Its rows cannot be written.
    #[error("the rows cannot be written: {0}")]
    Rows(#[from] ExportError),
    /// A file of the result became too large.
    #[error(
        "the result has more than {0} bytes; select fewer rows or columns, or aggregate (setting `sql.result_bytes`)"
    )]
    TooLarge(u64),
    /// The result cannot be stored.
    #[error("the result cannot be stored: {0}")]
    Io(#[from] io::Error),
}

impl From<ArrowError> for ReportsError {
    fn from(error: ArrowError) -> Self {
        Self::Rows(error.into())
    }
}

fn time(time: Micros) -> String {
    jiff::Timestamp::from_microsecond(time).map_or_else(|_| time.to_string(), |time| time.to_string())
}

impl Reports {
    /// Makes the result of a window, or makes it anew, whether there is one or not. Waits for a report that is being run.
    ///
    /// # Errors
    ///
    /// See [`ReportsError`]. The result that was there is there then as before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the old result or the new one.
    pub async fn make(&self, name: &str, window: WindowId) -> Result<ReportResult, ReportsError> {
        let (report, window) = self.find(name, window)?;
        let due = report.due(window);
        if self.clock.now_micros() < due {
            return Err(ReportsError::NotDue { name: name.to_owned(), window: window.id(), due });
        }
        let began = Instant::now();
        while self.committed.committed_before().await? < due {
            if began.elapsed() > PATIENCE {
                return Err(ReportsError::Behind { name: name.to_owned(), window: window.id() });
            }
            tokio::time::sleep(LOOK).await;
        }
        let kept = self.settings.windows_kept;
        let is_too_old = self
            .kept
            .lock()
            .get(name)
            .is_some_and(|results| newer(results, window) >= kept && !results.contains_key(&window.id()));
        if is_too_old {
            return Err(ReportsError::TooOld { name: name.to_owned(), window: window.id(), kept });
        }
        self.run_once(&report, window).await
    }

    fn find(&self, name: &str, window: WindowId) -> Result<(Arc<Report>, Window), ReportsError> {
        if let Some(problem) = self.broken.get(name) {
            return Err(ReportsError::Broken { name: name.to_owned(), problem: problem.clone() });
        }
        let Some((report, _)) = self.reports.get(name) else {
            let known: Vec<_> = self.reports.keys().map(|name| name.as_str()).collect();
            let name = name.chars().take(80).collect();
            return Err(ReportsError::Unknown(
                name,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            ));
        };
        let near = report.windows.at(window.0).id();
        let found = report.windows.starting(window).ok_or_else(|| ReportsError::NoWindow {
            name: name.to_owned(),
            window,
            length: alluvium_core::duration::format(report.windows.length()),
            near,
        })?;
        Ok((report.clone(), found))
    }

    /// Runs a report for a window, and counts how that went.
    pub(super) async fn run_once(&self, report: &Arc<Report>, window: Window) -> Result<ReportResult, ReportsError> {
        let alone = Arc::new(self.busy.clone().lock_owned().await);
        let began = Instant::now();
        let made = self.run_statement(report, window, &alone).await;
        let label = [("report", report.name.to_string())];
        match &made {
            Ok(result) => {
                metrics::counter!("alluvium_reports_made_total", &label).increment(1);
                metrics::histogram!("alluvium_report_seconds").record(began.elapsed().as_secs_f64());
                self.trouble().remove(&report.name);
                tracing::info!(report = %report.name, window = %window.id(), rows = result.rows, "a report was made");
                self.remove_old(report).await;
            }
            Err(_) => metrics::counter!("alluvium_report_failures_total", &label).increment(1),
        }
        made
    }

    async fn remove_old(&self, report: &Arc<Report>) {
        let (kept, report, newest) = (self.kept.clone(), report.clone(), self.settings.windows_kept);
        let removed = tokio::task::spawn_blocking(move || kept.remove_all_but(report.name.as_str(), newest)).await;
        if let Err(error) = removed.map_err(io::Error::other).and_then(|removed| removed) {
            tracing::warn!(%error, "old results could not be removed; it is tried again when the next one is made");
        }
    }

    async fn run_statement(
        &self,
        report: &Arc<Report>,
        window: Window,
        alone: &Alone,
    ) -> Result<ReportResult, ReportsError> {
        let made_at = self.clock.now_micros();
        let statement = self.engine.start(Statement::new(report.statement(window))).await?;
        let made = self.write_result(report, (window, made_at), &statement, alone).await;
        if made.is_err() {
            // What it still had to say is for nobody.
            let _forgotten = self.engine.cancel(&statement).await;
            self.kept.discard(report.name.as_str(), window.id());
        }
        made
    }

    /// Reads the rows of a statement page by page, and writes each into both files.
    async fn write_result(
        &self,
        report: &Arc<Report>,
        (window, made_at): (Window, Micros),
        statement: &StatementId,
        alone: &Alone,
    ) -> Result<ReportResult, ReportsError> {
        let most_bytes = self.settings.result_bytes;
        let mut files = None;
        let mut page: Option<String> = None;
        loop {
            let answered = self.engine.results(statement, page.as_deref()).await?;
            let (kept, report) = (self.kept.clone(), report.clone());
            files = Some(
                off_the_runtime(alone, move || {
                    let mut files = match files {
                        Some(files) => files,
                        None => Files::begin(&kept, &report, window, &columns(&answered.batches))?,
                    };
                    answered.batches.iter().try_for_each(|batch| files.write(batch))?;
                    if files.bytes() > most_bytes { Err(ReportsError::TooLarge(most_bytes)) } else { Ok(files) }
                })
                .await?,
            );
            page = answered.next;
            if page.is_none() {
                break;
            }
        }
        let files = files.expect("there was a page");
        let (kept, report) = (self.kept.clone(), report.clone());
        off_the_runtime(alone, move || {
            let result = files.finish(window, made_at)?;
            // What a writer holds back is in the file only now.
            if result.csv.bytes.max(result.parquet.bytes) > most_bytes {
                return Err(ReportsError::TooLarge(most_bytes));
            }
            kept.publish(report.name.as_str(), &result)?;
            Ok(result)
        })
        .await
    }
}

fn columns(batches: &[RecordBatch]) -> Schema {
    batches.first().map_or_else(Schema::empty, |batch| batch.schema().as_ref().clone())
}

/// Held by who runs a report, and by what is still being written for one whose caller has gone: its drafts are nobody else's until then.
type Alone = Arc<OwnedMutexGuard<()>>;

async fn off_the_runtime<T: Send + 'static>(
    alone: &Alone,
    work: impl FnOnce() -> Result<T, ReportsError> + Send + 'static,
) -> Result<T, ReportsError> {
    let alone = alone.clone();
    let working = move || {
        let done = work();
        drop(alone);
        done
    };
    tokio::task::spawn_blocking(working).await.map_err(io::Error::other)?
}

/// Both files of a result while they are written.
struct Files {
    csv: CsvWriter<DraftFile>,
    parquet: ParquetWriter<DraftFile>,
    lengths: [Arc<AtomicU64>; 2],
    rows: u64,
}

impl Files {
    fn begin(kept: &Kept, report: &Report, window: Window, columns: &Schema) -> Result<Self, ReportsError> {
        let name = report.name.as_str();
        let csv = kept.draft(name, window.id(), FileFormat::Csv)?;
        let parquet = kept.draft(name, window.id(), FileFormat::Parquet)?;
        let lengths = [csv.length.clone(), parquet.length.clone()];
        let about = [
            ("alluvium.report", name.to_owned()),
            ("alluvium.from", time(window.start)),
            ("alluvium.to", time(window.end)),
        ];
        // Parquet first: it is the one that refuses columns.
        let parquet = ParquetWriter::new(parquet, columns, &about)?;
        let csv = CsvWriter::new(csv, columns.fields().iter().map(|field| field.name().as_str()))?;
        Ok(Self { csv, parquet, lengths, rows: 0 })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ReportsError> {
        self.csv.write_rows(batch)?;
        self.parquet.write(batch)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// The bytes of the longer one so far.
    fn bytes(&self) -> u64 {
        self.lengths.iter().map(|length| length.load(Ordering::Relaxed)).max().unwrap_or_default()
    }

    fn finish(self, window: Window, made_at: Micros) -> Result<ReportResult, ReportsError> {
        Ok(ReportResult {
            from: window.start,
            to: window.end,
            made_at,
            rows: self.rows,
            csv: self.csv.finish()?.done()?,
            parquet: self.parquet.finish()?.done()?,
        })
    }
}

/// A file that is being written, and what is known of it so far.
#[derive(Debug)]
pub(super) struct DraftFile {
    file: Box<dyn DiskFile>,
    length: Arc<AtomicU64>,
    hash: Sha256,
}

impl DraftFile {
    pub(super) fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file, length: Arc::default(), hash: Sha256::new() }
    }

    /// Makes its bytes durable.
    fn done(self) -> io::Result<FileFacts> {
        self.file.sync()?;
        let sha256 = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(FileFacts { bytes: self.length.load(Ordering::Relaxed), sha256 })
    }
}

impl Write for DraftFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(self.length.load(Ordering::Relaxed), bytes)?;
        self.length.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.hash.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
