#![allow(clippy::unwrap_used)]

use aws_sdk_athena::config::{BehaviorVersion, Region};
use aws_sdk_athena::types::{AthenaError, QueryExecutionStatus, ResultConfiguration};

use super::*;

fn engine() -> AthenaSql {
    let config = aws_sdk_athena::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let settings = AthenaSettings {
        workgroup: "prefix".to_owned(),
        results: Some("s3://results/api".parse().unwrap()),
        database: "lake".to_owned(),
        time_limit: Duration::from_secs(1),
    };
    AthenaSql::new(Client::from_conf(config), settings, Retries::new(1))
}

fn with_token(token: &str) -> String {
    let statement = Statement { token: Some(token.to_owned()), ..Statement::new("select 1") };
    engine().start_request(statement).get_client_request_token().clone().unwrap()
}

#[test]
fn a_start_names_workgroup_and_database_and_quotes_parameters() {
    let parameters = vec!["it's".to_owned(), "5".to_owned(), String::new()];
    let request = engine().start_request(Statement { parameters, ..Statement::new("select 1") });
    assert_eq!(request.get_query_string().as_deref(), Some("select 1"));
    assert_eq!(request.get_work_group().as_deref(), Some("prefix"));
    assert_eq!(request.get_query_execution_context().as_ref().unwrap().database(), Some("lake"));
    let parameters = request.get_execution_parameters().as_deref().unwrap();
    assert_eq!(parameters, ["'it''s'", "'5'", "''"]);
    assert_eq!(request.get_client_request_token(), &None, "the SDK makes one up");
    assert_eq!(engine().start_request(Statement::new("select 1")).get_execution_parameters(), &None);
}

#[test]
fn a_token_of_any_length_becomes_one_that_athena_takes() {
    for token in ["", "a", &"long".repeat(100), "täglich"] {
        let sent = with_token(token);
        assert!((32..=128).contains(&sent.len()) && sent.is_ascii(), "{sent}");
        assert_eq!(sent, with_token(token));
    }
    assert_ne!(with_token("a"), with_token("b"));
}

#[test]
fn a_failed_statement_tells_why_and_whether_to_try_again() {
    let failed = |category: i32, retryable: bool| {
        let error = AthenaError::builder().error_category(category).retryable(retryable);
        let error = error.error_message("line 1:15: Table 'x' does not exist").build();
        let status = QueryExecutionStatus::builder().state(QueryExecutionState::Failed).athena_error(error).build();
        QueryExecution::builder().status(status).build()
    };
    assert_eq!(state(&failed(2, false)), StatementState::Failed("line 1:15: Table 'x' does not exist".to_owned()));
    assert_eq!(advice(&failed(2, false)), Advice::Stop);
    assert_eq!(advice(&failed(2, true)), Advice::Stop, "the statement's own fault stays one");
    assert_eq!(advice(&failed(1, true)), Advice::Retry);
    assert_eq!(advice(&failed(1, false)), Advice::Stop);
}

#[test]
fn what_somebody_wrote_wrongly_is_not_for_the_stage_to_mend() {
    let failed = |owner: Option<&str>, category: i32| {
        let place = place::of(&"s3://results/api".parse().unwrap(), owner);
        let location = format!("{}id.csv", place.output_location().unwrap());
        let error = AthenaError::builder().error_category(category).build();
        let status = QueryExecutionStatus::builder().state(QueryExecutionState::Failed).athena_error(error).build();
        let place = ResultConfiguration::builder().output_location(location).build();
        QueryExecution::builder().status(status).result_configuration(place).build()
    };
    let counts = |owner: Option<&str>, category: i32| engine().is_for_the_stage_to_mend(&failed(owner, category));
    assert!(!counts(Some("ann"), 2), "a table that there is not");
    assert!(counts(Some("ann"), 1), "Athena's own");
    assert!(counts(None, 2), "a read of records names what is there, and so does a report");
    assert!(counts(None, 1));
}

#[test]
fn a_queued_statement_waits() {
    for (athenas, ours) in [
        (QueryExecutionState::Queued, StatementState::Waiting),
        (QueryExecutionState::Running, StatementState::Running),
        (QueryExecutionState::Succeeded, StatementState::Succeeded),
        (QueryExecutionState::Cancelled, StatementState::Cancelled),
    ] {
        let status = QueryExecutionStatus::builder().state(athenas).build();
        assert_eq!(state(&QueryExecution::builder().status(status).build()), ours);
    }
}

#[test]
fn results_lie_where_their_owner_is_known_by_and_nowhere_else() {
    let place = |owner: Option<&str>| {
        let statement = Statement { owner: owner.map(str::to_owned), ..Statement::new("select 1") };
        let request = engine().start_request(statement);
        request.get_result_configuration().as_ref().unwrap().output_location().unwrap().to_owned()
    };
    let results = "s3://results/api".parse().unwrap();
    for owner in ["ann", "records", "../bob", "täglich/x"] {
        let place = place(Some(owner));
        assert!(place.strip_prefix("s3://results/api/").unwrap().strip_suffix('/').unwrap().len() == 32, "{place}");
        assert_eq!(place::owner(&results, &format!("{place}id.csv")), Some(OwnerKey::of(owner)));
    }
    assert_eq!(place(None), "s3://results/api/records/");
    for elsewhere in [
        "s3://results/sql/id.csv",
        "s3://results/api/id.csv",
        "s3://results/api//id.csv",
        "s3://results/api/reports/records/id.csv",
        "s3://results/apiary/x/id.csv",
    ] {
        assert_eq!(place::owner(&results, elsewhere), None, "{elsewhere}");
    }
}

#[test]
fn tokens_of_two_owners_are_never_the_same() {
    let sent = |owner: Option<&str>| {
        let statement =
            Statement { token: Some("a".to_owned()), owner: owner.map(str::to_owned), ..Statement::new("select 1") };
        engine().start_request(statement).get_client_request_token().clone().unwrap()
    };
    let (ann, bob, nobody) = (sent(Some("ann")), sent(Some("bob")), sent(None));
    assert!(ann != bob && bob != nobody && nobody != ann);
    assert!(ann.len() <= 128 && ann == sent(Some("ann")));
}
