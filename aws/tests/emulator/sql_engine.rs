//! The SQL engine over the emulator's Athena: its protocol only.
//!
//! Neither emulator is evidence for more. ministack runs statements by DuckDB, moto answers each with nothing; both ignore request
//! tokens and parameters, whose way into a request has unit tests.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::{AthenaFiles, AthenaSettings, AthenaSql, Retries, config as sdk};
use alluvium_core::contract::sql_engine as contract;
use alluvium_core::file::{FileFormat, FilePlace, ResultFiles as _};
use alluvium_core::ports::{OwnerKey, SqlEngine as _, Statement, StatementState};
use aws_sdk_athena::Client;
use aws_sdk_athena::types::{ResultConfiguration, WorkGroupConfiguration};
use aws_sdk_s3::types::CreateBucketConfiguration;

use crate::endpoint::{config, fetch, unique};

/// An engine over a workgroup and a bucket for its results of its own.
async fn engine() -> AthenaSql {
    let config = config().await;
    let results = unique("results");
    let region = CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
    let path_style = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(path_style);
    s3.create_bucket().bucket(&results).create_bucket_configuration(region).send().await.unwrap();
    let client = Client::new(&config);
    let workgroup = unique("sql");
    let location = ResultConfiguration::builder().output_location(format!("s3://{results}/")).build();
    let configuration = WorkGroupConfiguration::builder().result_configuration(location).build();
    client.create_work_group().name(&workgroup).configuration(configuration).send().await.unwrap();
    let settings = AthenaSettings {
        workgroup,
        results: Some(format!("s3://{results}/api").parse().unwrap()),
        database: "default".to_owned(),
        time_limit: Duration::from_secs(20),
    };
    AthenaSql::new(client, settings, Retries::new(1))
}

/// Whether the emulator runs statements at all.
async fn runs_statements(engine: &AthenaSql) -> bool {
    let statement = engine.start(Statement::new("select 1 as n")).await.unwrap();
    engine.results(&statement, None).await.unwrap().batches[0].num_columns() > 0
}

#[tokio::test]
async fn a_statement_is_started_waited_for_and_read() {
    let engine = engine().await;
    let statement = engine.start(Statement::new("select 1 as n")).await.unwrap();
    let page = engine.results(&statement, None).await.unwrap();
    assert_eq!((page.batches.len(), page.next), (1, None));
    let status = engine.status(&statement).await.unwrap();
    assert_eq!(status.state, StatementState::Succeeded);
    assert!(status.scanned_bytes.is_some() && status.elapsed.is_some(), "{status:?}");
    engine.cancel(&statement).await.unwrap();
}

#[tokio::test]
async fn rows_come_back_page_by_page() {
    let engine = engine().await;
    if !runs_statements(&engine).await {
        return;
    }
    contract::rows_of_several_types_come_back(&engine).await;
    contract::an_empty_result_knows_its_columns(&engine).await;
    contract::a_wrong_statement_fails(&engine).await;
    let numbers = format!("select range as n from range(1, {}) order by range", contract::NUMBERS + 1);
    contract::pages_hold_all_rows_in_order(&engine, &numbers).await;
}

#[tokio::test]
async fn a_cancelled_statement_has_ended() {
    let engine = engine().await;
    let statement = engine.start(Statement::new("select 1 as n")).await.unwrap();
    engine.cancel(&statement).await.unwrap();
    // One that ends as fast as this may have succeeded before.
    let state = engine.status(&statement).await.unwrap().state;
    assert!(matches!(state, StatementState::Cancelled | StatementState::Succeeded), "{state:?}");
}

#[tokio::test]
async fn an_unknown_statement_is_an_error() {
    contract::an_unknown_statement_is_an_error(&engine().await).await;
}

#[tokio::test]
async fn a_workgroup_that_is_not_there_is_named() {
    let client = Client::new(&config().await);
    let settings = AthenaSettings {
        workgroup: "no-such-workgroup".to_owned(),
        results: None,
        database: "default".to_owned(),
        time_limit: Duration::from_secs(1),
    };
    let refused = AthenaSql::new(client, settings, Retries::new(1)).start(Statement::new("select 1")).await;
    refused.expect_err("there is no such workgroup");
}

fn of(owner: &str, sql: &str) -> Statement {
    Statement { owner: Some(owner.to_owned()), ..Statement::new(sql) }
}

#[tokio::test]
async fn a_statement_is_its_owners_and_of_no_other_engine() {
    let (engine, other) = (engine().await, engine().await);
    for owner in ["ann", "bob/../ann", "täglich"] {
        let statement = engine.start(of(owner, "select 1 as n")).await.unwrap();
        assert_eq!(engine.status(&statement).await.unwrap().owner, Some(OwnerKey::of(owner)));
        other.status(&statement).await.expect_err("its results lie elsewhere");
        other.results(&statement, None).await.expect_err("its results lie elsewhere");
        other.cancel(&statement).await.expect_err("its results lie elsewhere");
    }
    let nobodys = engine.start(Statement::new("select 1 as n")).await.unwrap();
    let owner = engine.status(&nobodys).await.unwrap().owner.unwrap();
    assert_eq!(owner.as_str(), "records", "no owner has this key");
}

#[tokio::test]
async fn a_whole_result_is_fetched_by_a_url_without_a_token() {
    let engine = Arc::new(engine().await);
    if !runs_statements(&engine).await {
        return;
    }
    let s3 = sdk::s3(&config().await);
    let files = AthenaFiles::new(engine.clone(), s3.clone());
    let statement = engine.start(of("ann", "select 1 as n, 'x' as word")).await.unwrap();
    engine.results(&statement, None).await.unwrap();
    let FilePlace::At(url) = files.place(&statement, FileFormat::Csv).await.unwrap() else { panic!("it is there") };
    assert!(url.contains("X-Amz-Expires=900") && url.contains(OwnerKey::of("ann").as_str()), "{url}");
    // The emulator puts the result into a folder of the name that it says it has.
    let (bucket, key) = url.split_once('?').unwrap().0.splitn(4, '/').nth(3).unwrap().split_once('/').unwrap();
    let copied_from = format!("{bucket}/{key}/{}.csv", statement.0);
    s3.copy_object().bucket(bucket).key(key).copy_source(copied_from).send().await.unwrap();
    let (head, body) = fetch(&url).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains(&format!("attachment; filename=\"{}.csv\"", statement.0)), "{head}");
    assert_eq!(body.replace(['"', '\r'], "").trim_end(), "n,word\n1,x");
    assert_eq!(files.place(&statement, FileFormat::Parquet).await.unwrap(), FilePlace::OnDemand);
}
