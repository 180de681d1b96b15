#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use alluvium_core::contract::sql_engine as contract;
use alluvium_core::file::ResultFiles as _;
use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::super::tests::lake::MemoryLake;
use super::super::{SqlSettings, tests};
use super::*;

fn jobs(folder: &tempfile::TempDir, settings: JobSettings) -> QueryJobs {
    let page_rows = NonZeroUsize::new(1_000).unwrap();
    let engine = MemoryLake::default().sql(SqlSettings { page_rows, ..SqlSettings::default() });
    QueryJobs::new(Arc::new(engine), folder.path().join("queries"), settings).unwrap()
}

fn series(rows: u32) -> Statement {
    Statement::new(format!("select value as n from generate_series(1, {rows}) order by value"))
}

async fn ended(jobs: &QueryJobs, id: &StatementId) -> StatementState {
    loop {
        match jobs.status(id).await.unwrap().state {
            state if state.is_under_way() => tokio::time::sleep(Duration::from_millis(5)).await,
            ended => return ended,
        }
    }
}

fn files(folder: &tempfile::TempDir) -> usize {
    std::fs::read_dir(folder.path().join("queries")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    contract::all(&jobs(&folder, JobSettings::default()), &tests::dialect()).await;
}

#[tokio::test]
async fn pages_are_read_in_any_order_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(&folder, JobSettings::default());
    let id = jobs.start(series(2_500)).await.unwrap();
    assert_eq!(ended(&jobs, &id).await, StatementState::Succeeded);
    for (page, rows, next) in
        [(Some("2"), 500, None), (None, 1_000, Some("1")), (Some("1"), 1_000, Some("2")), (None, 1_000, Some("1"))]
    {
        let read = jobs.results(&id, page).await.unwrap();
        assert_eq!((read.batches[0].num_rows(), read.next.as_deref()), (rows, next), "{page:?}");
    }
    assert!(jobs.results(&id, Some("3")).await.is_err());
    jobs.cancel(&id).await.unwrap();
    assert!(jobs.status(&id).await.is_err());
    assert_eq!(files(&folder), 0, "a result goes with its statement");
}

#[tokio::test]
async fn a_result_that_is_too_large_fails_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(&folder, JobSettings { result_bytes: 20_000, ..JobSettings::default() });
    let id = jobs.start(series(1_000_000)).await.unwrap();
    let StatementState::Failed(why) = ended(&jobs, &id).await else { panic!("it has megabytes") };
    assert!(why.contains("more than 20000 bytes"), "{why}");
    assert!(jobs.results(&id, None).await.is_err());
}

#[tokio::test]
async fn what_ended_first_gives_way_and_what_runs_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(&folder, JobSettings { jobs: 2, ..JobSettings::default() });
    let first = jobs.start(series(1)).await.unwrap();
    ended(&jobs, &first).await;
    let endless = || Statement::new("select count(*) from generate_series(1, 1000000000000)");
    let long = jobs.start(endless()).await.unwrap();
    let longer = jobs.start(endless()).await.unwrap();
    assert!(jobs.status(&first).await.is_err(), "it gave way");
    assert_eq!(jobs.status(&long).await.unwrap().state, StatementState::Running);
    let refused = jobs.start(series(1)).await.unwrap_err();
    assert_eq!(refused.advice, Advice::BackOff);
    jobs.cancel(&longer).await.unwrap();
    jobs.start(series(1)).await.unwrap();
}

#[tokio::test]
async fn one_reader_has_a_share_and_takes_nothing_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(&folder, JobSettings { jobs: 8, ..JobSettings::default() });
    let of = |reader: &str| Statement { reader: Some(reader.to_owned()), ..series(1) };
    let of_bob = jobs.start(of("bob")).await.unwrap();
    ended(&jobs, &of_bob).await;
    let mut of_ann = Vec::new();
    for _ in 0..5 {
        let id = jobs.start(of("ann")).await.unwrap();
        ended(&jobs, &id).await;
        of_ann.push(id);
    }
    assert!(jobs.status(&of_bob).await.is_ok());
    let left = futures::future::join_all(of_ann.iter().map(|id| jobs.status(id))).await;
    assert_eq!(left.iter().filter(|status| status.is_ok()).count(), 2, "a quarter of eight");
    jobs.forget();
    assert!(jobs.status(&of_bob).await.is_err());
    assert_eq!(files(&folder), 0);
}

#[tokio::test]
async fn one_caller_s_long_statements_keep_nobody_else_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(&folder, JobSettings::default());
    let of = |owner: &str, sql: &str| Statement { owner: Some(owner.to_owned()), ..Statement::new(sql) };
    let mut of_ann = Vec::new();
    for _ in 0..4 {
        of_ann.push(jobs.start(of("ann", "select count(*) from generate_series(1, 1000000000000)")).await.unwrap());
    }
    for owner in ["bob", "eve"] {
        let reader = (owner == "bob").then(|| owner.to_owned());
        let id = jobs.start(Statement { reader, ..of(owner, "select 1") }).await.unwrap();
        let result = tokio::time::timeout(Duration::from_secs(30), jobs.results(&id, None)).await;
        assert_eq!(result.unwrap().unwrap().batches[0].num_rows(), 1, "{owner}");
        assert!(jobs.status(&id).await.unwrap().elapsed.is_some());
    }
    let (runs, waits) = (jobs.status(&of_ann[0]).await.unwrap(), jobs.status(&of_ann[1]).await.unwrap());
    assert_eq!((runs.state, runs.elapsed.is_some()), (StatementState::Running, true));
    assert_eq!((waits.state, waits.elapsed), (StatementState::Waiting, None), "it has not begun");
    jobs.cancel(&of_ann[0]).await.unwrap();
    while jobs.status(&of_ann[1]).await.unwrap().state == StatementState::Waiting {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = jobs.status(&of_ann[1]).await.unwrap().elapsed.unwrap();
    assert!(began < Duration::from_secs(5), "what it waited does not count: {began:?}");
    jobs.forget();
}

#[tokio::test]
async fn a_token_starts_a_statement_once_however_often_its_results_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(&folder, JobSettings::default());
    let asked = |rows| Statement { token: Some("t".to_owned()), reader: Some("ann".to_owned()), ..series(rows) };
    let id = jobs.start(asked(5)).await.unwrap();
    jobs.results(&id, None).await.unwrap();
    assert_eq!(jobs.start(asked(5)).await.unwrap(), id);
    assert!(jobs.start(asked(6)).await.is_err());
    let of_bob = Statement { reader: Some("bob".to_owned()), ..asked(5) };
    assert_ne!(jobs.start(of_bob).await.unwrap(), id);
    // Admins have no reader, and each has tokens of their own all the same.
    let of_admin = |owner: &str, rows| Statement { reader: None, owner: Some(owner.to_owned()), ..asked(rows) };
    let of_eve = jobs.start(of_admin("eve", 5)).await.unwrap();
    assert_ne!(jobs.start(of_admin("carol", 6)).await.unwrap(), of_eve);
    assert_eq!(jobs.start(of_admin("eve", 5)).await.unwrap(), of_eve);
}

async fn whole(jobs: &QueryJobs, id: &StatementId, format: FileFormat) -> Result<Vec<u8>, PortError> {
    let file = jobs.open(id, format).await?;
    let mut bytes = Vec::new();
    loop {
        let some = file.read(bytes.len() as u64).await?;
        if some.is_empty() {
            assert_eq!(file.bytes(), bytes.len() as u64);
            return Ok(bytes);
        }
        bytes.extend_from_slice(&some);
    }
}

#[tokio::test]
async fn a_whole_result_is_one_file_in_either_format_and_goes_with_its_statement() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(&folder, JobSettings::default());
    let id = jobs.start(series(2_500)).await.unwrap();
    ended(&jobs, &id).await;
    let lines: Vec<String> = (1..=2_500).map(|n| format!("{n}\r\n")).collect();
    for _ in 0..2 {
        let csv = whole(&jobs, &id, FileFormat::Csv).await.unwrap();
        assert_eq!(String::from_utf8(csv).unwrap(), format!("n\r\n{}", lines.concat()));
    }
    let parquet = bytes::Bytes::from(whole(&jobs, &id, FileFormat::Parquet).await.unwrap());
    let rows = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().build().unwrap();
    let values: Vec<i64> =
        rows.flat_map(|rows| rows.unwrap()["n"].as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(values, (1..=2_500).collect::<Vec<_>>());
    assert_eq!(files(&folder), 3);
    jobs.cancel(&id).await.unwrap();
    assert_eq!(files(&folder), 0);
    assert!(whole(&jobs, &id, FileFormat::Csv).await.is_err());
}

#[tokio::test]
async fn a_result_that_no_file_can_hold_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(&folder, JobSettings { result_bytes: 4_000, ..JobSettings::default() });
    let of = async |sql: &str| {
        let id = jobs.start(Statement::new(sql)).await.unwrap();
        assert_eq!(ended(&jobs, &id).await, StatementState::Succeeded, "{sql}");
        id
    };
    let same = of("select 1 as n, 2 as m, 3 as m_").await;
    assert!(whole(&jobs, &same, FileFormat::Parquet).await.is_ok());
    // A dictionary has each text once.
    let long =
        of("select arrow_cast(repeat('x', 100), 'Dictionary(Int8, Utf8)') as t from generate_series(1, 500)").await;
    let refused = whole(&jobs, &long, FileFormat::Csv).await.unwrap_err();
    assert!(refused.message.contains("more than 16000 bytes"), "{}", refused.message);
    assert_eq!(refused.advice, Advice::Stop);
    let endless = jobs.start(Statement::new("select count(*) from generate_series(1, 1000000000000)")).await.unwrap();
    assert!(whole(&jobs, &endless, FileFormat::Csv).await.is_err());
    jobs.cancel(&endless).await.unwrap();
}
