//! A statement holds the files that it reads, for as long as it computes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::ports::{SqlEngine as _, Statement};
use alluvium_core::{
    BatchIdentity, CommitMessage, DataFileEntry, DataFileFormat as _, Dataset, Datasets, LedgerEntry, ManualClock,
    RecordIdentity, ShardId, ShardRange,
};
use alluvium_lake::{
    Counted, Lake, LakeReader, LakeSettings, StoreIndex, Upkeep, UpkeepSettings, VacuumMode, Vacuumed,
};
use alluvium_transform::DataFiles;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::super::{DataFusionSql, SqlSettings};
use super::lake::{Event, batch_of, datasets, events};

const TABLE: &str = "telemetry";

/// Stores a file of events, which are one record of the stream, and returns its message.
async fn deliver(
    store: &Arc<dyn ObjectStore>,
    datasets: &Arc<Datasets>,
    number: u64,
    events: &[Event],
) -> CommitMessage {
    let shard = ShardId::numbered(0);
    let batch = BatchIdentity::of(&[RecordIdentity { shard: shard.clone(), sequence: number.into(), subsequence: 0 }]);
    let mut writer = DataFiles::new(datasets.clone()).begin(TABLE).unwrap();
    writer.write(&batch_of(events, "")).unwrap();
    let file = writer.finish().unwrap();
    let path = format!("{TABLE}/{batch}-{number:032x}.parquet");
    store.put(&Path::from(path.as_str()), file.end.into()).await.unwrap();
    let covers = vec![ShardRange { shard, first: number.into(), last: number.into() }];
    let entry = LedgerEntry {
        batch: batch.clone(),
        dataset: TABLE.to_owned(),
        received: file.rows,
        written: file.rows,
        filtered: 0,
        dead: 0,
        bytes: file.size_bytes,
        dead_by_reason: Default::default(),
        redriven: Some(0),
        arrival: 0,
        covers: covers.clone(),
    };
    let file = DataFileEntry {
        dataset: TABLE.to_owned(),
        path,
        size_bytes: file.size_bytes,
        rows: file.rows,
        stats: file.stats,
        schema: "0".to_owned(),
    };
    CommitMessage::new(batch, covers, vec![file], vec![entry])
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_leaves_what_a_statement_reads_until_it_has_ended() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let root = url::Url::parse("memory:///").unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let datasets = Arc::new(datasets());
    let settings = LakeSettings::default();
    let format = Arc::new(DataFiles::new(datasets.clone()));
    let (mut lake, _) =
        Lake::open(store.clone(), root.clone(), &datasets, format, clock.clone(), settings).await.unwrap();
    let all = events(60_000, 7);
    for (number, events) in (1..).zip(all.chunks(10_000)) {
        lake.commit(&[deliver(&store, &datasets, number, events).await]).await.unwrap();
    }
    let reader = LakeReader::new(store.clone(), root);
    let page_rows = NonZeroUsize::new(1_000).unwrap();
    let sql_settings = SqlSettings { page_rows, ..SqlSettings::default() };
    let sql = DataFusionSql::new(store.clone(), Arc::new(reader.clone()), datasets.clone(), sql_settings).unwrap();

    // Only one day of rows is kept from now on, so all files leave the table.
    let mut telemetry = Dataset::clone(datasets.get(TABLE).unwrap());
    telemetry.retention = Some(Duration::from_secs(86_400));
    let expiring = Arc::new(Datasets::of([telemetry], None).unwrap());
    let format = Arc::new(DataFiles::new(expiring.clone()));
    let spill = tempfile::tempdir().unwrap();
    let settings = UpkeepSettings::default();
    let upkeep = Upkeep::new(
        reader,
        expiring,
        format,
        Arc::new(StoreIndex::new(store.clone())),
        clock.clone(),
        spill.path().to_owned(),
        settings,
    );
    clock.advance(3 * 86_400_000_000);
    let vacuum = async || -> Vacuumed { upkeep.vacuum(TABLE, VacuumMode::Delete, Some(Duration::ZERO)).await.unwrap() };

    for view in ["telemetry", "telemetry_raw"] {
        let statement = sql.start(Statement::new(format!("select * from {view}"))).await.unwrap();
        let mut page = sql.results(&statement, None).await.unwrap();
        upkeep.retain(TABLE).await.unwrap();
        lake.keep_up().await.unwrap();
        let meanwhile = vacuum().await;
        assert_eq!((meanwhile.removed, meanwhile.waiting.files), (Counted::default(), 6), "{view}");
        let mut rows = 0;
        loop {
            rows += page.batches.iter().map(|batch| batch.num_rows()).sum::<usize>();
            let Some(next) = page.next else { break };
            page = sql.results(&statement, Some(&next)).await.unwrap();
        }
        assert_eq!(rows, all.len(), "{view}");
        let after = vacuum().await;
        assert_eq!((after.removed.files, after.waiting), (6, Counted::default()), "{view}");
        for (number, events) in (7..).zip(all.chunks(10_000)).filter(|_| view == "telemetry") {
            lake.commit(&[deliver(&store, &datasets, number, events).await]).await.unwrap();
        }
    }
}
