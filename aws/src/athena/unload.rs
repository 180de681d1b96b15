//! Whole results as Parquet: the statement run once more, as what Athena unloads.
//!
//! ```text
//! UNLOAD (<the statement>) TO '<results>/<hash of the owner>/<the statement's id>/' WITH (format = 'PARQUET', compression = 'SNAPPY')
//! ```
//!
//! It is started under a token that is made of the statement's id, so that whoever asks again is answered of the one that runs, and nothing has
//! to be remembered. It reads the tables as they are then. The files have names of Athena's and no order among each other (Amazon Athena User
//! Guide, "UNLOAD"). They lie under the owner's part of the results, and go with it.

use alluvium_core::file::{FileFormat, MadeFile, URL_LIFETIME};
use alluvium_core::identity::content_hash;
use alluvium_core::ports::{Advice, PortError, StatementId, StatementState};
use aws_sdk_athena::operation::start_query_execution::builders::StartQueryExecutionFluentBuilder;
use aws_sdk_athena::types::{
    EncryptionConfiguration, EncryptionOption, QueryExecution, QueryExecutionContext, ResultConfiguration,
};

use super::{AthenaSql, advice, failed, place, state};
use crate::error::port_error;
use crate::s3::signed_get;

/// The most files that are led to.
const FILES: usize = 1_000;

impl AthenaSql {
    /// Has the result of a statement unloaded, and says how far that is.
    pub(super) async fn unloaded(
        &self,
        s3: &aws_sdk_s3::Client,
        statement: &StatementId,
    ) -> Result<MadeFile, PortError> {
        let execution = self.execution(statement).await?;
        let folder = folder(&execution, statement)?;
        let started = self.unload(&execution, statement, &folder)?.send().await;
        let started = started.map_err(|error| failed(format!("unloading the result of `{}`", statement.0), error))?;
        let id = started.query_execution_id.unwrap_or_default();
        let unload = self.client.get_query_execution().query_execution_id(&id).send().await;
        let unload = unload.map_err(|error| failed(format!("asking for the statement `{id}`"), error))?;
        let lost = || PortError::new(Advice::Retry, "Athena knows nothing of the statement that it started");
        let unload = unload.query_execution.ok_or_else(lost)?;
        match state(&unload) {
            StatementState::Waiting | StatementState::Running => Ok(MadeFile::UnderWay),
            StatementState::Succeeded => files(s3, &folder, statement).await.map(MadeFile::At),
            StatementState::Failed(message) => {
                let message = format!("Athena cannot write this result as Parquet: {message}");
                Err(PortError::new(advice(&unload), message))
            }
            StatementState::Cancelled => {
                let message = "writing this result as Parquet was cancelled; start its statement again";
                Err(PortError::new(Advice::Stop, message))
            }
        }
    }

    fn unload(
        &self,
        execution: &QueryExecution,
        statement: &StatementId,
        folder: &str,
    ) -> Result<StartQueryExecutionFluentBuilder, PortError> {
        let query = execution.query().map(str::trim).unwrap_or_default();
        let query = query.strip_suffix(';').unwrap_or(query);
        // The line break ends a comment at its end.
        let sql = format!("UNLOAD (\n{query}\n) TO '{folder}' WITH (format = 'PARQUET', compression = 'SNAPPY')");
        let (parent, _) = folder.trim_end_matches('/').rsplit_once('/').unwrap_or_default();
        let encryption = EncryptionConfiguration::builder().encryption_option(EncryptionOption::SseS3).build();
        let results = ResultConfiguration::builder()
            .output_location(format!("{parent}/"))
            .encryption_configuration(encryption.expect("it has its option"))
            .build();
        let parameters = execution.execution_parameters().to_vec();
        Ok(self
            .client
            .start_query_execution()
            .query_string(sql)
            .work_group(&self.settings.workgroup)
            .query_execution_context(QueryExecutionContext::builder().database(&self.settings.database).build())
            .set_execution_parameters(Some(parameters).filter(|parameters| !parameters.is_empty()))
            .client_request_token(format!("alluvium-parquet-{}", content_hash(statement.0.as_bytes())))
            .result_configuration(results))
    }
}

/// Where the files of a statement's result lie: in a folder of its name beside it.
fn folder(execution: &QueryExecution, statement: &StatementId) -> Result<String, PortError> {
    let place = place::of_result(execution).and_then(|location| location.rsplit_once('/'));
    let (parent, _) = place.ok_or_else(|| {
        PortError::new(Advice::Stop, format!("Athena does not say where the result of `{}` lies", statement.0))
    })?;
    // It stands between quotes.
    if parent.contains('\'') {
        return Err(PortError::new(Advice::Stop, "the results lie in a place whose name has a quote"));
    }
    Ok(format!("{parent}/{}/", statement.0))
}

/// URLs of the files under this folder.
async fn files(s3: &aws_sdk_s3::Client, folder: &str, statement: &StatementId) -> Result<Vec<String>, PortError> {
    let (bucket, prefix) = place::object(folder).unwrap_or_default();
    let listed = s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await;
    let listed = listed.map_err(|error| port_error(format!("cannot list {folder}"), error))?;
    if listed.is_truncated().unwrap_or_default() {
        let message =
            format!("the result has more than {FILES} files; unload it in Athena itself, to a place of your own");
        return Err(PortError::new(Advice::Stop, message));
    }
    let mut urls = Vec::new();
    let objects = listed.contents().iter().filter(|object| object.size().unwrap_or_default() > 0);
    for (part, key) in objects.filter_map(|object| object.key()).enumerate() {
        let name = format!("{}-{}.parquet", statement.0, part + 1);
        let media_type = FileFormat::Parquet.media_type();
        urls.push(signed_get(s3, (bucket, key, None), &name, media_type, URL_LIFETIME).await?);
    }
    Ok(urls)
}

#[cfg(test)]
mod tests;
