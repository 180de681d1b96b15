//! What a statement says that it has read.

use alluvium_core::ports::{SqlEngine as _, Statement, StatementState};

use super::lake::{MemoryLake, events};
use crate::sql::{JobSettings, QueryJobs, SqlSettings};

#[tokio::test]
async fn bytes_are_counted_of_the_files_that_are_read_and_told_to_no_reader() {
    let lake = MemoryLake::default();
    lake.add(&events(5_000, 10));
    let day = 86_400_000_000;
    let next_day = events(5_000, 10).into_iter().map(|event| super::Event { time: event.time + day, ..event });
    lake.add(&next_day.collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    let engine = std::sync::Arc::new(lake.sql(SqlSettings::default()));
    let jobs = QueryJobs::new(engine, folder.path().join("queries"), JobSettings::default()).unwrap();
    let scanned = async |sql: &str, reader: Option<&str>| {
        let statement = Statement { reader: reader.map(str::to_owned), ..Statement::new(sql) };
        let id = jobs.start(statement).await.unwrap();
        jobs.results(&id, None).await.unwrap();
        let status = jobs.status(&id).await.unwrap();
        assert_eq!(status.state, StatementState::Succeeded, "{sql}");
        status.scanned_bytes
    };
    // Of a maximum, files are left out that cannot have a greater one.
    let all = "select sum(value) from telemetry_raw";
    let both = scanned(all, None).await.unwrap();
    let one = scanned(&format!("{all} where event_date = date '1970-01-02'"), None).await.unwrap();
    assert!(one > 0 && one < both, "{one} of {both}");
    let keys_too = scanned("select sum(value) from telemetry", None).await.unwrap();
    assert!(keys_too > both, "to find first arrivals, keys are read: {keys_too} and {both}");
    assert_eq!(scanned("select 1", None).await, Some(0));
    assert_eq!(scanned(all, Some("o")).await, None, "it would tell how much the others have");
}
