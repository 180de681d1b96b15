//! A stage's lake, worked on from anywhere: SQL by the engine that one machine has, the audit against the stage's stream, lost commit
//! messages made again, maintenance, and dead letters sent again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::{KinesisStream, LakeUrl, Retries, SqsCommitQueue, store};
use alluvium_core::ports::CommitQueue as _;
use alluvium_core::{Clock as _, Datasets, DeliveryBatch, RecordIdentity, StreamRecord, SystemClock};
use alluvium_lake::{
    AuditReport, AuditSettings, LakeReader, RecordReader, Recover, RecoverReport, audit_shared, recover_messages,
};
use alluvium_local::deep::DeepAudit;
use alluvium_local::maintenance::Maintenance;
use alluvium_local::redrive::{Redrive, RedriveReport, preview, settings as few_rows};
use alluvium_local::sql::{Condition, DataFusionSql, SqlSettings};
use alluvium_transform::{Transform, firehose};
use arrow::array::RecordBatch;
use aws_config::SdkConfig;
use object_store::ObjectStore;
use tempfile::TempDir;
use url::Url;

use crate::settings::Settings;
use crate::{node, output};

/// How long reading the ids of a table may take for a deep audit.
const DEEP: Duration = Duration::from_secs(3_600);

/// How deep an audit looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Records by identity, events and rows by count.
    Records,
    /// Each event too.
    Events,
}

/// The lake of a stage, and the schemas of its tables.
pub struct StageLake {
    aws: SdkConfig,
    settings: Settings,
    store: Arc<dyn ObjectStore>,
    root: Url,
    datasets: Arc<Datasets>,
}

impl StageLake {
    /// The lake at this URL, with the schemas that the settings name. Nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// When there is no region, no credentials, or a schema is wrong.
    pub fn open(aws: &SdkConfig, settings: &Settings, lake: &LakeUrl) -> anyhow::Result<Self> {
        let (store, root) = store::of_lake(aws, lake, Arc::new(SystemClock))?;
        let datasets = Arc::new(node::datasets(settings)?);
        Ok(Self { aws: aws.clone(), settings: settings.clone(), store, root, datasets })
    }

    /// As [`open`](Self::open), with what the environment says of AWS.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn at(settings: &Settings, lake: &LakeUrl) -> anyhow::Result<Self> {
        Self::open(&alluvium_aws::config::from_environment().await, settings, lake)
    }

    fn reader(&self) -> LakeReader {
        LakeReader::new(self.store.clone(), self.root.clone())
    }

    fn sql(&self, bounds: SqlSettings) -> anyhow::Result<DataFusionSql> {
        Ok(DataFusionSql::new(self.store.clone(), Arc::new(self.reader()), self.datasets.clone(), bounds)?)
    }

    fn stream(&self, name: &str) -> KinesisStream {
        KinesisStream::new(aws_sdk_kinesis::Client::new(&self.aws), name, retries())
    }

    /// Runs one statement over the lake's tables.
    ///
    /// # Errors
    ///
    /// When the lake cannot be read, or the statement fails.
    pub async fn ask(&self, statement: &str) -> anyhow::Result<Vec<RecordBatch>> {
        Ok(self.sql(node::sql_settings(&self.settings))?.query(statement).await?)
    }

    /// Audits the lake against every record that the stream retains.
    ///
    /// # Errors
    ///
    /// When a table or the stream cannot be read; what does not balance is in the report, not an error.
    pub async fn audit(&self, stream: &str, asked: &AuditSettings, depth: Depth) -> anyhow::Result<AuditReport> {
        let transform =
            || anyhow::Ok(Transform::new(self.datasets.clone(), node::transform_settings(&self.settings)?)?);
        let (reader, stream) = (self.reader(), self.stream(stream));
        let mut report = audit_shared(&reader, &self.datasets, &stream, &AsDelivered(transform()?), asked).await?;
        if depth == Depth::Events {
            let erased = self.maintenance()?.upkeep().open_erasures().await?;
            let erased: Vec<_> = erased.into_iter().map(|erasure| erasure.target).collect();
            let deep = DeepAudit {
                stream: &stream,
                transform: &transform()?,
                sql: &self.sql(SqlSettings {
                    time_limit: DEEP,
                    idle_limit: DEEP,
                    ..node::sql_settings(&self.settings)
                })?,
                datasets: &self.datasets,
                erased: &erased,
                positions: report.shards.iter().map(|shard| (shard.shard.clone(), shard.position)).collect(),
                now: asked.now,
            };
            report.checks.push(deep.check().await?);
        }
        Ok(report)
    }

    /// Enqueues paths of commit messages again.
    ///
    /// # Errors
    ///
    /// When the queue takes one not. To enqueue those before it once more does no harm.
    pub async fn enqueue(&self, queue: &str, paths: impl Iterator<Item = &str>) -> anyhow::Result<()> {
        let queue = SqsCommitQueue::new(aws_sdk_sqs::Client::new(&self.aws), queue);
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

    /// Makes lost commit messages again.
    ///
    /// # Errors
    ///
    /// When the lake cannot be read, or a message not stored.
    pub async fn recover(&self, rebuild: Rebuild<'_>, older_than: Duration) -> anyhow::Result<RecoverReport> {
        let queue;
        let recover = match rebuild {
            Rebuild::DryRun => Recover::DryRun,
            Rebuild::Store => Recover::Store,
            Rebuild::Enqueue(url) => {
                queue = SqsCommitQueue::new(aws_sdk_sqs::Client::new(&self.aws), url);
                Recover::Enqueue(&queue)
            }
        };
        Ok(recover_messages(&self.reader(), recover, older_than, SystemClock.now_micros()).await?)
    }

    /// What maintains the tables. Committers and other maintainers may be at work meanwhile: each change is a commit of a table, which
    /// of two comes second starts over.
    ///
    /// # Errors
    ///
    /// When there is no room for temporary files.
    pub fn maintenance(&self) -> anyhow::Result<StageMaintenance> {
        let spill = tempfile::tempdir()?;
        let maintenance = Maintenance::new(
            self.store.clone(),
            self.reader(),
            self.datasets.clone(),
            Arc::new(SystemClock),
            spill.path().to_owned(),
            node::maintenance_settings(&self.settings),
        );
        Ok(StageMaintenance { maintenance: Arc::new(maintenance), _spill: spill })
    }

    /// What a redrive under this condition would send.
    ///
    /// # Errors
    ///
    /// When the condition is wrong or the lake cannot be read.
    pub async fn preview_redrive(&self, condition: &Condition) -> anyhow::Result<RedriveReport> {
        Ok(preview(&self.sql(few_rows(node::sql_settings(&self.settings)))?, condition).await?)
    }

    /// Sends dead letters into the stream again, and marks them in the lake.
    ///
    /// # Errors
    ///
    /// When the condition is wrong, or the lake or the stream fails. What was sent is marked, unless marking failed; to redrive once
    /// more sends the rest.
    pub async fn redrive(&self, stream: &str, condition: &Condition) -> anyhow::Result<RedriveReport> {
        let maintenance = self.maintenance()?;
        let redrive = Redrive {
            sql: Arc::new(self.sql(few_rows(node::sql_settings(&self.settings)))?),
            stream: Arc::new(self.stream(stream)),
            maintenance: maintenance.maintenance.clone(),
            clock: Arc::new(SystemClock),
        };
        Ok(redrive.run(condition).await?)
    }
}

/// What maintains a stage's tables, with a folder for what does not fit into memory, which goes with it.
pub struct StageMaintenance {
    maintenance: Arc<Maintenance>,
    _spill: TempDir,
}

impl std::ops::Deref for StageMaintenance {
    type Target = Maintenance;

    fn deref(&self) -> &Maintenance {
        &self.maintenance
    }
}

/// Retries that no other process has alike.
pub fn retries() -> Retries {
    Retries::new(SystemClock.now_micros().unsigned_abs())
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
