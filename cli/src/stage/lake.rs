//! A stage's lake, asked from anywhere: SQL by the engine that one machine has, the audit against the stage's stream, and lost commit
//! messages made again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::{KinesisStream, LakeUrl, Retries, SqsCommitQueue, config, store};
use alluvium_core::ports::CommitQueue as _;
use alluvium_core::{Clock as _, DeliveryBatch, RecordIdentity, StreamRecord, SystemClock};
use alluvium_lake::{
    AuditReport, AuditSettings, LakeReader, RecordReader, Recover, RecoverReport, audit_shared, recover_messages,
};
use alluvium_local::sql::DataFusionSql;
use alluvium_transform::{Transform, firehose};
use arrow::array::RecordBatch;

use crate::settings::Settings;
use crate::{node, output};

/// Runs one statement over the lake's tables.
///
/// # Errors
///
/// When the lake cannot be read, or the statement fails.
pub async fn ask(settings: &Settings, lake: &LakeUrl, statement: &str) -> anyhow::Result<Vec<RecordBatch>> {
    let (store, root) = store::of_lake(&config::from_environment().await, lake, Arc::new(SystemClock))?;
    let reader = Arc::new(LakeReader::new(store.clone(), root));
    let datasets = Arc::new(node::datasets(settings)?);
    let engine = DataFusionSql::new(store, reader, datasets, node::sql_settings(settings))?;
    Ok(engine.query(statement).await?)
}

/// Audits the lake against every record that the stream retains.
///
/// # Errors
///
/// When a table or the stream cannot be read; what does not balance is in the report, not an error.
pub async fn audit(
    settings: &Settings,
    lake: &LakeUrl,
    stream: &str,
    asked: &AuditSettings,
) -> anyhow::Result<AuditReport> {
    let aws = config::from_environment().await;
    let (store, root) = store::of_lake(&aws, lake, Arc::new(SystemClock))?;
    let datasets = Arc::new(node::datasets(settings)?);
    let transform = Transform::new(datasets.clone(), node::transform_settings(settings)?)?;
    let retries = Retries::new(SystemClock.now_micros().unsigned_abs());
    let stream = KinesisStream::new(aws_sdk_kinesis::Client::new(&aws), stream, retries);
    Ok(audit_shared(&LakeReader::new(store, root), &datasets, &stream, &AsDelivered(transform), asked).await?)
}

/// Enqueues paths of commit messages again.
///
/// # Errors
///
/// When the queue takes one not. To enqueue those before it once more does no harm.
pub async fn enqueue(queue: &str, paths: impl Iterator<Item = &str>) -> anyhow::Result<()> {
    let queue = SqsCommitQueue::new(aws_sdk_sqs::Client::new(&config::from_environment().await), queue);
    let mut enqueued = 0_u64;
    for path in paths {
        queue.enqueue(path).await?;
        enqueued += 1;
    }
    eprintln!(
        "{} enqueued again; audit once more when the queue is empty",
        output::counted(enqueued, "commit message was", "commit messages were")
    );
    Ok(())
}

/// What is done with a commit message that can be made again.
#[derive(Debug, Clone, Copy)]
pub enum Rebuild<'a> {
    /// Nothing: it is only named.
    DryRun,
    /// It is stored.
    Store,
    /// It is stored, and its path enqueued in the queue of this URL.
    Enqueue(&'a str),
}

/// Makes lost commit messages again.
///
/// # Errors
///
/// When the lake cannot be read, or a message not stored.
pub async fn recover(lake: &LakeUrl, rebuild: Rebuild<'_>, older_than: Duration) -> anyhow::Result<RecoverReport> {
    let aws = config::from_environment().await;
    let (store, root) = store::of_lake(&aws, lake, Arc::new(SystemClock))?;
    let queue;
    let recover = match rebuild {
        Rebuild::DryRun => Recover::DryRun,
        Rebuild::Store => Recover::Store,
        Rebuild::Enqueue(url) => {
            queue = SqsCommitQueue::new(aws_sdk_sqs::Client::new(&aws), url);
            Recover::Enqueue(&queue)
        }
    };
    Ok(recover_messages(&LakeReader::new(store, root), recover, older_than, SystemClock.now_micros()).await?)
}

/// Reads records as Firehose hands them over: aggregates taken apart.
struct AsDelivered(Transform);

impl RecordReader for AsDelivered {
    fn identities(&self, record: &StreamRecord) -> Vec<RecordIdentity> {
        firehose::user_records(record.clone()).iter().map(firehose::identity_in_batch).collect()
    }

    fn received(&self, records: Vec<StreamRecord>) -> BTreeMap<String, u64> {
        self.0.received(&DeliveryBatch { records })
    }
}
