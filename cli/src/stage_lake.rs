//! A stage's lake, asked from anywhere: SQL by the engine that one machine has, and the audit against the stage's stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_aws::{KinesisStream, LakeUrl, Retries, config, store};
use alluvium_core::{Clock as _, DeliveryBatch, RecordIdentity, StreamRecord, SystemClock};
use alluvium_lake::{AuditReport, LakeReader, RecordReader, audit_shared};
use alluvium_local::sql::DataFusionSql;
use alluvium_transform::{Transform, firehose};
use arrow::array::RecordBatch;

use crate::node;
use crate::settings::Settings;

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
pub async fn audit(settings: &Settings, lake: &LakeUrl, stream: &str) -> anyhow::Result<AuditReport> {
    let aws = config::from_environment().await;
    let (store, root) = store::of_lake(&aws, lake, Arc::new(SystemClock))?;
    let datasets = Arc::new(node::datasets(settings)?);
    let transform = Transform::new(datasets.clone(), node::transform_settings(settings)?)?;
    let retries = Retries::new(SystemClock.now_micros().unsigned_abs());
    let stream = KinesisStream::new(aws_sdk_kinesis::Client::new(&aws), stream, retries);
    Ok(audit_shared(&LakeReader::new(store, root), &datasets, &stream, &AsDelivered(transform)).await?)
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
