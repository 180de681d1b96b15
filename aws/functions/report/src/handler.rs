//! One invocation: every window that is due and not made, report by report, the newest first; or one that somebody asks for.

mod files;
mod measured;
mod table;

use std::path::Path;
use std::sync::Arc;

use alluvium_aws::reports::{About, CATCH_UP, KeptReport};
use alluvium_aws::{Metrics, S3Reports};
use alluvium_core::clock::Micros;
use alluvium_core::ports::{PortError, SqlEngine, Statement, StatementId};
use alluvium_core::report::{ReportResult, WindowId};
use alluvium_core::{Clock, Report, ReportName, Window};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use files::{Files, ResultError};
use measured::Measured;

/// What invocations work on.
pub struct Handler {
    /// The reports of the package, by name.
    pub definitions: Vec<Definition>,
    /// Answers their statements.
    pub engine: Arc<dyn SqlEngine>,
    /// Where results are put.
    pub results: Arc<dyn Keeper>,
    /// The database that the reports' tables are registered in.
    pub database: String,
    /// The most bytes of one file.
    pub result_bytes: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A file of the package, and the report that it declares.
pub struct Definition {
    /// The file's name without its ending.
    pub name: String,
    /// The report, or what is wrong with its file.
    pub report: Result<Report, String>,
}

/// Where results are kept, with what is known of each report.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// What is known of a report whose file says this.
    ///
    /// # Errors
    ///
    /// When it cannot be read or noted.
    async fn know(&self, report: &str, about: &About) -> Result<KeptReport, PortError>;

    /// Makes these files, CSV and Parquet, the result of its window.
    ///
    /// # Errors
    ///
    /// When they cannot be stored.
    async fn publish(&self, report: &str, result: &ReportResult, files: (Bytes, Bytes)) -> Result<(), PortError>;

    /// Notes that a run failed.
    ///
    /// # Errors
    ///
    /// When it cannot be noted.
    async fn fail(&self, report: &str, window: WindowId, error: &str) -> Result<(), PortError>;

    /// Notes the columns of a report's table.
    ///
    /// # Errors
    ///
    /// When they cannot be noted.
    async fn registered(&self, report: &str, columns: &str) -> Result<(), PortError>;

    /// Where the Parquet files of a report lie.
    fn table_location(&self, report: &str) -> String;
}

#[async_trait]
impl Keeper for S3Reports {
    async fn know(&self, report: &str, about: &About) -> Result<KeptReport, PortError> {
        self.know(report, about).await
    }

    async fn publish(&self, report: &str, result: &ReportResult, files: (Bytes, Bytes)) -> Result<(), PortError> {
        self.publish(report, result, files.0, files.1).await
    }

    async fn fail(&self, report: &str, window: WindowId, error: &str) -> Result<(), PortError> {
        self.fail(report, window, error).await
    }

    async fn registered(&self, report: &str, columns: &str) -> Result<(), PortError> {
        self.registered(report, columns).await
    }

    fn table_location(&self, report: &str) -> String {
        self.table_location(report)
    }
}

/// What somebody asks for who wants one window made anew. What a schedule sends has neither.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    report: Option<String>,
    window: Option<String>,
}

/// What an invocation did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The windows that were made, as `report/window`.
    pub made: Vec<String>,
    /// Those that failed.
    pub failed: Vec<String>,
}

/// Why a result was not made.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// What was asked for cannot be.
    #[error("{0}")]
    Asked(String),
    /// The statement failed, or the result cannot be stored.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The rows cannot be written.
    #[error(transparent)]
    Result(#[from] ResultError),
}

impl Handler {
    /// Makes what the payload asks for, or what is due until it is so late.
    ///
    /// # Errors
    ///
    /// When one window was asked for and not made. What a schedule asked for is tried again by the next, and is in `metrics`.
    pub async fn handle(&self, payload: &Value, until: Micros, metrics: &mut Metrics) -> Result<Done, RunError> {
        let asked: Asked = Asked::deserialize(payload).unwrap_or_default();
        match (asked.report, asked.window) {
            (Some(report), Some(window)) => self.make_one(&report, &window).await,
            (None, None) => {
                let mut measured = Measured::default();
                let done = self.make_due(until, &mut measured).await;
                measured.report(metrics);
                Ok(done)
            }
            _ => Err(RunError::Asked(
                "expected `report` and `window`, such as {\"report\": \"events_per_hour\", \"window\": \"20261128T1000Z\"}, or neither"
                    .to_owned(),
            )),
        }
    }

    async fn make_due(&self, until: Micros, measured: &mut Measured) -> Done {
        let mut done = Done::default();
        for Definition { name, report } in &self.definitions {
            let known = match self.results.know(name, &about(report)).await {
                Ok(known) => known,
                Err(error) => {
                    tracing::error!(report = name, %error, "it is not known which results a report has");
                    measured.failed();
                    continue;
                }
            };
            let report = match report {
                Ok(report) => report,
                Err(problem) => {
                    tracing::error!(
                        report = name,
                        problem,
                        "a report is broken, and has no results until its file is mended"
                    );
                    measured.failed();
                    continue;
                }
            };
            let mut missing = self.missing(report, &known);
            let waits = known.again().is_some_and(|again| again > self.clock.now_micros());
            while let Some(window) = missing.first().copied().filter(|_| !waits && self.clock.now_micros() < until) {
                let called = format!("{name}/{}", window.id());
                let token = token(report, window, &known);
                if let Err(error) = self.make(report, window, &known, Some(token)).await {
                    tracing::error!(report = name, window = %window.id(), %error, "a report failed");
                    measured.failed();
                    done.failed.push(called);
                    if let Err(error) = self.results.fail(name, window.id(), &error.to_string()).await {
                        tracing::error!(report = name, %error, "that a report failed could not be noted");
                    }
                    break;
                }
                measured.made();
                done.made.push(called);
                missing.remove(0);
            }
            let now = self.clock.now_micros();
            // A report that is new is not late by what was due before it.
            let due = |window: &Window| report.due(*window).max(known.seen_at);
            missing.iter().for_each(|window| measured.waits(now.saturating_sub(due(window))));
        }
        done
    }

    /// The windows that are due now and have no result, the newest first, and the one that failed last of all.
    fn missing(&self, report: &Report, known: &KeptReport) -> Vec<Window> {
        let is_made = |window: &Window| known.result(window.id()).is_some_and(|kept| kept.result.to == window.end);
        let mut missing = report.timing().missing(known.seen_at, self.clock.now_micros(), CATCH_UP, is_made);
        let failed = known.failure.as_ref().map(|failure| failure.from);
        missing.sort_by_key(|window| Some(window.start) == failed);
        missing
    }

    async fn make_one(&self, name: &str, window: &str) -> Result<Done, RunError> {
        let known: Vec<_> = self.definitions.iter().map(|definition| definition.name.as_str()).collect();
        let definition = self.definitions.iter().find(|definition| definition.name == name);
        let refused = |message: String| Err(RunError::Asked(message));
        let Some(Definition { report, .. }) = definition else {
            return refused(format!("there is no report of this name; known: {}", known.join(", ")));
        };
        let report = match report {
            Ok(report) => report,
            Err(problem) => return refused(format!("the report `{name}` is broken: {problem}")),
        };
        let window: WindowId = window.parse().map_err(|error| RunError::Asked(format!("{error}")))?;
        let Some(window) = report.windows.starting(window) else {
            let near = report.windows.at(window.0).id();
            return refused(format!("no window of `{name}` begins at {window}; one begins at {near}"));
        };
        if self.clock.now_micros() < report.due(window) {
            return refused(format!("the window {} of `{name}` is not over, or its delay is not", window.id()));
        }
        let known = self.results.know(name, &about(&Ok(report.clone()))).await?;
        self.make(report, window, &known, None).await?;
        Ok(Done { made: vec![format!("{name}/{}", window.id())], failed: Vec::new() })
    }

    /// Starts with the same token are one statement; `None`: it is one of its own.
    async fn make(
        &self,
        report: &Report,
        window: Window,
        known: &KeptReport,
        token: Option<String>,
    ) -> Result<(), RunError> {
        let name = report.name.as_str();
        let made_at = self.clock.now_micros();
        let statement = Statement { token, ..Statement::new(report.statement(window)) };
        let statement = self.engine.start(statement).await?;
        let files = self.read(report, window, &statement).await?;
        let (result, columns, bytes) = files.finish(window, made_at)?;
        self.results.publish(name, &result, bytes).await?;
        tracing::info!(report = name, window = %window.id(), rows = result.rows, "a report was made");
        self.register(name, &columns, known).await;
        Ok(())
    }

    async fn read(&self, report: &Report, window: Window, statement: &StatementId) -> Result<Files, RunError> {
        let mut page: Option<String> = None;
        let mut files = None;
        loop {
            let answered = self.engine.results(statement, page.as_deref()).await?;
            let files = match &mut files {
                Some(files) => files,
                none => none.insert(Files::begin(report, window, &answered.batches, self.result_bytes)?),
            };
            answered.batches.iter().try_for_each(|batch| files.write(batch))?;
            page = answered.next;
            if page.is_none() {
                break;
            }
        }
        Ok(files.expect("there was a page"))
    }

    /// Makes the Parquet files of a report a table, when it has its first result. It is only for those who read it there, so nothing fails by it.
    async fn register(&self, name: &str, columns: &str, known: &KeptReport) {
        match &known.table {
            Some(table) if table == columns => return,
            Some(table) => {
                tracing::warn!(
                    report = name,
                    table,
                    columns,
                    "a report's table has other columns than its results have now; drop the table in Athena and its `kept.json` of `table`"
                );
                return;
            }
            None => {}
        }
        let location = self.results.table_location(name);
        let ddl = table::create(&self.database, name, columns, &location);
        let registered = async {
            let statement = self.engine.start(Statement::new(ddl)).await?;
            self.engine.results(&statement, None).await?;
            self.results.registered(name, columns).await
        };
        if let Err(error) = registered.await {
            tracing::error!(report = name, %error, "a report's table could not be made; it is tried with the next result");
        }
    }
}

/// What stands for one attempt at a window. The schedule fires while an invocation waits for a long statement, and the next one joins that
/// statement instead of paying for another; one that failed is not found again.
fn token(report: &Report, window: Window, known: &KeptReport) -> String {
    let failures = known.failures;
    format!("{}/{} after {failures} failures: {}", report.name.as_str(), window.id(), report.statement(window))
}

fn about(report: &Result<Report, String>) -> About {
    match report {
        Ok(report) => About {
            title: report.title.clone(),
            window_s: Some(report.windows.length().as_secs()),
            delay_s: Some(report.delay.as_secs()),
            broken: None,
        },
        Err(problem) => About { broken: Some(problem.clone()), ..About::default() },
    }
}

/// The reports of a folder of the package, by name; none where there is no such folder. One that is wrong keeps none of the others back.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn definitions(folder: &Path) -> std::io::Result<Vec<Definition>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut definitions = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "sql") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path)?;
        let report = ReportName::new(&name)
            .map_err(|error| error.to_string())
            .and_then(|name| Report::parse(name, &text).map_err(|error| error.to_string()));
        definitions.push(Definition { name, report });
    }
    definitions.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(definitions)
}

#[cfg(test)]
mod tests;
