//! Maintenance of a node's own lake while the node runs, over the store that it writes to.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::ports::{PortError, Stream as _};
use alluvium_core::{Datasets, ManualClock, PutBatch, PutRecord, SequenceNumber, ShardId, ShardRange};
use alluvium_lake::{
    AuditReport, AuditSettings, LakeReader, LakeSettings, StoreIndex, StreamCounts, TableAudit, Upkeep, UpkeepSettings,
    VacuumMode, audit,
};
use alluvium_local::committer::CommitterSettings;
use alluvium_local::delivery::DeliverySettings;
use alluvium_local::disk::RealDisk;
use alluvium_local::folder::{DataFolder, Missing};
use alluvium_local::log::LogSettings;
use alluvium_local::maintenance::MaintenanceSettings;
use alluvium_local::pipeline::{Pipeline, PipelineSettings};
use alluvium_transform::{DataFiles, TransformSettings};
use async_trait::async_trait;

const TABLE: &str = "telemetry";
const NOW: i64 = 1_767_225_600_000_000;

fn settings() -> PipelineSettings {
    PipelineSettings {
        log: LogSettings { shards: 1, ..LogSettings::default() },
        transform: TransformSettings::default(),
        delivery: DeliverySettings { buffer_bytes: 500, buffer: Duration::from_millis(2), concurrency: 1 },
        committer: CommitterSettings { interval: Duration::from_millis(3), max_batches: 8 },
        lake: LakeSettings { checkpoint_every: 5.try_into().unwrap() },
        hot_cache_bytes: 1 << 20,
        hot_expire_every: Duration::from_secs(3600),
        maintenance: MaintenanceSettings::default(),
    }
}

/// Knows nothing: the lake alone is looked at.
struct Forgetful;

#[async_trait]
impl StreamCounts for Forgetful {
    async fn received(&self, _: &ShardRange) -> Result<Option<BTreeMap<String, u64>>, PortError> {
        Ok(None)
    }

    async fn oldest(&self, _: &ShardId) -> Result<Option<SequenceNumber>, PortError> {
        Ok(None)
    }

    async fn newest(&self, _: &ShardId) -> Result<Option<SequenceNumber>, PortError> {
        Ok(None)
    }
}

fn table(report: &AuditReport) -> &TableAudit {
    report.tables.iter().find(|table| table.table == TABLE).unwrap()
}

/// Audits until the table is as wanted, which the loops of the node see to.
async fn audited(
    reader: &LakeReader,
    datasets: &Datasets,
    index: &StoreIndex,
    wanted: impl Fn(&TableAudit) -> bool,
) -> AuditReport {
    for _ in 0..3_000 {
        let report = audit(reader, datasets, index, &Forgetful, &AuditSettings::at(0)).await.unwrap();
        assert!(report.balances(), "{:?}", report.problems().collect::<Vec<_>>());
        if wanted(table(&report)) {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about in half a minute");
}

#[tokio::test]
async fn a_node_without_new_events_lets_vacuum_delete_what_compaction_replaced() {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(root.path(), Missing::Create).unwrap();
    let datasets = Arc::new(Datasets::load(None, None).unwrap());
    let clock = Arc::new(ManualClock::at(NOW));
    let disk = Arc::new(RealDisk);
    let (pipeline, _) = Pipeline::start(folder, disk, datasets.clone(), settings(), clock.clone()).await.unwrap();
    let record = |id: u32| PutRecord {
        partition_key: "k".to_owned(),
        explicit_hash_key: None,
        data: format!(r#"{{"id":"{id}","source":"s","type":"reading","value":1}}"#).into(),
    };
    let reader = pipeline.lake_reader();
    let index = StoreIndex::new(pipeline.store.clone());
    for first in [0, 50] {
        pipeline.log.append(PutBatch { records: (first..first + 50).map(record).collect() }).await.unwrap();
        audited(&reader, &datasets, &index, |table| table.rows == u64::from(first) + 50).await;
    }
    let spill = tempfile::tempdir().unwrap();
    let upkeep = Upkeep::new(
        reader.clone(),
        datasets.clone(),
        Arc::new(DataFiles::new(datasets.clone())),
        Arc::new(StoreIndex::new(pipeline.store.clone())),
        clock,
        spill.path().to_owned(),
        UpkeepSettings::default(),
    );
    let rounds = upkeep.compact(TABLE, 2).await.unwrap();
    let replaced = rounds[0].files_before;
    assert!(replaced >= 2, "{rounds:?}");
    audited(&reader, &datasets, &index, |table| table.versions_ahead == 0 && table.removed == replaced).await;
    let done = upkeep.vacuum(TABLE, VacuumMode::Delete, Some(Duration::ZERO)).await.unwrap();
    assert_eq!(done.removed.files, replaced as u64);
    let report = audited(&reader, &datasets, &index, |_| true).await;
    assert_eq!((table(&report).rows, table(&report).files, table(&report).removed), (100, 1, 0));
    pipeline.drain().await.unwrap();
}
