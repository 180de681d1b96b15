//! `alluvium sql --athena`: one statement by the stage's Athena workgroup.

use std::time::Duration;

use alluvium_aws::{AthenaSettings, AthenaSql};
use alluvium_core::ports::{SqlEngine as _, Statement};
use arrow::array::RecordBatch;

use super::OnStage;
use super::lake::retries;

/// How long a statement may take before it is stopped. Athena itself stops it earlier, unless its quota was raised to the most that it may be
/// (Amazon Athena User Guide, "Service Quotas": DML query timeout).
const TIME_LIMIT: Duration = Duration::from_secs(240 * 60);

/// The rows of a statement, at most `most` and what was on the same page. A person reads no more, so no more is asked for.
///
/// # Errors
///
/// When Athena refuses the statement, it fails, or takes longer than Athena lets it.
pub async fn ask(on: &OnStage, statement: &str, most: usize) -> anyhow::Result<Vec<RecordBatch>> {
    let settings = AthenaSettings {
        workgroup: on.stage.workgroup.clone(),
        // The workgroup says itself where its results go.
        results: None,
        database: on.stage.database.clone(),
        time_limit: TIME_LIMIT,
    };
    let engine = AthenaSql::new(aws_sdk_athena::Client::new(&on.aws), settings, retries());
    let id = engine.start(Statement::new(statement)).await?;
    let (mut batches, mut rows) = (Vec::new(), 0);
    let mut page = None;
    loop {
        let answered = engine.results(&id, page.as_deref()).await?;
        rows += answered.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        batches.extend(answered.batches);
        page = answered.next.filter(|_| rows <= most);
        if page.is_none() {
            return Ok(batches);
        }
    }
}
