//! SQL by Athena: a statement is a query execution of one workgroup, which says where results lie and how much may be scanned.
//!
//! **Results come as text** with the name of each column's type, and [`decode`] makes typed columns of them. They stay in the
//! workgroup's results bucket until its lifecycle removes them, so a statement that has ended is not forgotten by a cancel.
//!
//! **Two things are lost on the way from the lake.** Trino's reader of Delta tables, which Athena's is made of, has timestamps to
//! the millisecond (Trino documentation, "Delta Lake connector", type mapping): `event_time` and `ingest_time` come back cut off
//! there. And structs and lists come back as text that cannot be read: records of a dataset that has such columns can be read
//! from the hot index alone, and a page that needs its lake rows is an error.
//!
//! **Parameters** are texts by the port's contract, and Athena takes a SQL expression for each: they are sent quoted.
//!
//! **Results lie apart by owner** where the settings say where: under `<results>/<key of the owner>/`, with a name that Athena makes up for
//! each statement. A statement whose results lie anywhere else is unknown here, whoever asks for it (AU-1). What nobody in particular started, as
//! a read of records does, lies under `<results>/records/`, which is no owner's.
//!
//! **Failures are noted** for the metric `StatementsFailed`, those of a statement that somebody wrote only where it is not the statement's own: a
//! table that is not there is for whoever asked, a right that Athena lacks is for whoever runs the stage.
//!
//! **Starts are idempotent**: with a token of the caller's, Athena answers with the statement that the token started, or refuses
//! it for another; without one the SDK makes one up, so that its own retries start nothing twice.

mod decode;
mod files;
mod place;
mod unload;

use std::time::Duration;

use alluvium_core::identity::content_hash;
use alluvium_core::ports::{
    Advice, OwnerKey, PortError, ResultPage, SqlEngine, Statement, StatementId, StatementState, StatementStatus,
};
use async_trait::async_trait;
use aws_sdk_athena::Client;
use aws_sdk_athena::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_athena::operation::start_query_execution::builders::StartQueryExecutionFluentBuilder;
use aws_sdk_athena::types::{QueryExecution, QueryExecutionContext, QueryExecutionState, ResultSet};
use tokio::time::Instant;

pub use files::AthenaFiles;

use crate::error::port_error;
use crate::metrics::note;
use crate::retry::Retries;
use crate::s3::LakeUrl;

/// The most rows of one page. Amazon Athena API Reference, `GetQueryResults`.
const PAGE_ROWS: i32 = 1_000;

/// The first pause before a running statement is looked at again, and the longest: few statements take less than half a second,
/// and looking is limited to some 20 times a second for all statements of an account together.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// The error code of a request that is wrong: also of a statement that is not SQL, and of one that Athena does not know.
const INVALID_REQUEST: &str = "InvalidRequestException";

/// The metric of statements that Athena did not answer, see above.
const STATEMENTS_FAILED: &str = "StatementsFailed";

/// Where and how long statements run.
#[derive(Debug, Clone)]
pub struct AthenaSettings {
    /// The workgroup. It must say where results lie, unless `results` does.
    pub workgroup: String,
    /// Where results lie, those of each owner apart; `None`: where the workgroup says, and all together. The workgroup must leave it to
    /// its clients.
    pub results: Option<LakeUrl>,
    /// The database that a table is looked for in when the statement names none.
    pub database: String,
    /// How long [`SqlEngine::results`] waits for a statement to end before it stops it.
    pub time_limit: Duration,
}

/// [`SqlEngine`] over Athena.
#[derive(Debug, Clone)]
pub struct AthenaSql {
    client: Client,
    settings: AthenaSettings,
    retries: Retries,
}

impl AthenaSql {
    /// The engine of this workgroup and database. Nothing is asked of Athena yet.
    pub fn new(client: Client, settings: AthenaSettings, retries: Retries) -> Self {
        Self { client, settings, retries }
    }

    fn start_request(&self, statement: Statement) -> StartQueryExecutionFluentBuilder {
        let token = statement.token.as_deref().map(|token| request_token(token, statement.owner.as_deref()));
        let place = self.settings.results.as_ref().map(|results| place::of(results, statement.owner.as_deref()));
        let parameters: Vec<String> = statement.parameters.iter().map(|parameter| quoted(parameter)).collect();
        self.client
            .start_query_execution()
            .query_string(statement.sql)
            .work_group(&self.settings.workgroup)
            .query_execution_context(QueryExecutionContext::builder().database(&self.settings.database).build())
            // An empty list is refused.
            .set_execution_parameters(Some(parameters).filter(|parameters| !parameters.is_empty()))
            .set_client_request_token(token)
            .set_result_configuration(place)
    }

    async fn execution(&self, statement: &StatementId) -> Result<QueryExecution, PortError> {
        let asked = self.client.get_query_execution().query_execution_id(&statement.0).send().await;
        let asked = asked.map_err(|error| failed(format!("asking for the statement `{}`", statement.0), error))?;
        let execution = asked.query_execution.ok_or_else(|| unknown(statement))?;
        // Others run statements too, in this workgroup or another one.
        if self.settings.results.is_some() && self.owner(&execution).is_none() {
            return Err(unknown(statement));
        }
        Ok(execution)
    }

    /// Whose a statement is; `None`: it is not of this engine, or results are not kept apart.
    fn owner(&self, execution: &QueryExecution) -> Option<OwnerKey> {
        place::owner(self.settings.results.as_ref()?, place::of_result(execution)?)
    }

    /// Whether a statement that failed did so by no fault of somebody who wrote it. Nobody wrote those of reads and reports.
    fn is_for_the_stage_to_mend(&self, execution: &QueryExecution) -> bool {
        let is_somebodys = self.owner(execution).is_some_and(|owner| !place::is_nobodys(&owner));
        !(is_somebodys && is_its_own(execution))
    }

    /// Waits for a statement to succeed. One that takes too long is stopped.
    async fn succeeded(&self, statement: &StatementId) -> Result<(), PortError> {
        let began = Instant::now();
        let mut pauses = self.retries.pauses(PAUSES.0, PAUSES.1);
        loop {
            let execution = self.execution(statement).await?;
            match state(&execution) {
                StatementState::Succeeded => return Ok(()),
                StatementState::Failed(message) => {
                    note(STATEMENTS_FAILED, u64::from(self.is_for_the_stage_to_mend(&execution)));
                    return Err(PortError::new(advice(&execution), message));
                }
                StatementState::Cancelled => {
                    return Err(PortError::new(Advice::Stop, format!("the statement `{}` was cancelled", statement.0)));
                }
                StatementState::Waiting | StatementState::Running if began.elapsed() >= self.settings.time_limit => {
                    break;
                }
                StatementState::Waiting | StatementState::Running => {
                    tokio::time::sleep(pauses.next().unwrap_or(PAUSES.1)).await;
                }
            }
        }
        note(STATEMENTS_FAILED, 1);
        self.cancel(statement).await?;
        let limit = alluvium_core::duration::format(self.settings.time_limit);
        let message = format!("the statement took longer than {limit}; narrow it by source or time");
        Err(PortError::new(Advice::Stop, message))
    }
}

#[async_trait]
impl SqlEngine for AthenaSql {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        if statement.reader.is_some() {
            let message =
                "Athena cannot leave other owners' rows out of a statement; `GET /v1/{dataset}` reads your own";
            return Err(PortError::new(Advice::Stop, message));
        }
        let is_somebodys = statement.owner.is_some();
        let started = self.start_request(statement).send().await.map_err(|error| {
            let is_wrong = error.as_service_error().is_some_and(|error| error.code() == Some(INVALID_REQUEST));
            if !(is_wrong && is_somebodys) {
                note(STATEMENTS_FAILED, 1);
            }
            failed("starting a statement", error)
        })?;
        let id =
            started.query_execution_id.ok_or_else(|| PortError::new(Advice::Retry, "Athena started no statement"))?;
        Ok(StatementId(id))
    }

    async fn status(&self, statement: &StatementId) -> Result<StatementStatus, PortError> {
        let execution = self.execution(statement).await?;
        let statistics = execution.statistics();
        let scanned = statistics.and_then(|statistics| statistics.data_scanned_in_bytes());
        let elapsed = statistics.and_then(|statistics| statistics.total_execution_time_in_millis());
        Ok(StatementStatus {
            state: state(&execution),
            reader: None,
            owner: self.owner(&execution),
            scanned_bytes: scanned.and_then(|bytes| u64::try_from(bytes).ok()),
            elapsed: elapsed.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis),
        })
    }

    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError> {
        match page {
            None => self.succeeded(statement).await?,
            Some(_) => drop(self.execution(statement).await?),
        }
        let asked = self.client.get_query_results().query_execution_id(&statement.0).max_results(PAGE_ROWS);
        let answered = asked.set_next_token(page.map(str::to_owned)).send().await;
        let answered = answered.map_err(|error| failed(format!("reading the results of `{}`", statement.0), error))?;
        let place = if page.is_none() { decode::Place::First } else { decode::Place::Later };
        let rows = answered.result_set.unwrap_or_else(|| ResultSet::builder().build());
        let rows = decode::rows(&rows, place)?;
        Ok(ResultPage { batches: vec![rows], next: answered.next_token })
    }

    async fn cancel(&self, statement: &StatementId) -> Result<(), PortError> {
        self.execution(statement).await?;
        let stopped = self.client.stop_query_execution().query_execution_id(&statement.0).send().await;
        stopped.map_err(|error| failed(format!("stopping the statement `{}`", statement.0), error)).map(|_| ())
    }
}

/// A text as a SQL expression, which is what Athena takes for a parameter. Amazon Athena User Guide, "Use parameterized queries".
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A caller's token as Athena takes it: of 32 to 128 characters. Amazon Athena API Reference, `StartQueryExecution`. Two owners' are never the
/// same.
fn request_token(token: &str, owner: Option<&str>) -> String {
    match owner {
        None => format!("alluvium-{}", content_hash(token.as_bytes())),
        Some(owner) => format!("alluvium-{}-{}", content_hash(token.as_bytes()), OwnerKey::of(owner).as_str()),
    }
}

fn state(execution: &QueryExecution) -> StatementState {
    let Some(status) = execution.status() else { return StatementState::Running };
    match status.state() {
        Some(QueryExecutionState::Queued) => StatementState::Waiting,
        Some(QueryExecutionState::Succeeded) => StatementState::Succeeded,
        Some(QueryExecutionState::Cancelled) => StatementState::Cancelled,
        Some(QueryExecutionState::Failed) => {
            let message = status.athena_error().and_then(|error| error.error_message());
            let message =
                message.or(status.state_change_reason()).unwrap_or("the statement failed, Athena does not say why");
            StatementState::Failed(message.to_owned())
        }
        _ => StatementState::Running,
    }
}

/// What to do about a statement that failed: Athena says whether the same one may succeed.
fn advice(execution: &QueryExecution) -> Advice {
    let error = execution.status().and_then(|status| status.athena_error());
    match error {
        Some(error) if error.retryable() && !is_its_own(execution) => Advice::Retry,
        _ => Advice::Stop,
    }
}

/// Whether a statement failed by what it says.
fn is_its_own(execution: &QueryExecution) -> bool {
    /// The category of errors that are the statement's own. Amazon Athena API Reference, `AthenaError`.
    const USER: i32 = 2;
    let error = execution.status().and_then(|status| status.athena_error());
    error.is_some_and(|error| error.error_category() == Some(USER))
}

fn unknown(statement: &StatementId) -> PortError {
    PortError::new(Advice::Stop, format!("there is no statement `{}`", statement.0))
}

/// The error of a call. What Athena says of a request that is wrong is for the person who wrote the statement, and is all of the
/// message.
fn failed<E>(what: impl std::fmt::Display, error: SdkError<E, aws_sdk_athena::config::http::HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let said = error.as_service_error().filter(|error| error.code() == Some(INVALID_REQUEST));
    match said.and_then(|error| error.message()).map(str::to_owned) {
        Some(message) => PortError { advice: Advice::Stop, message, source: Some(Box::new(error)) },
        None => port_error(what, error),
    }
}

#[cfg(test)]
mod tests;
