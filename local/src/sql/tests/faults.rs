//! What is wrong with a statement is told apart from what is said of it.

use alluvium_core::ports::{PortError, SqlEngine as _, SqlPlanner as _, Statement, StatementFault};

use super::super::{DataFusionSql, SqlSettings};
use super::lake::{MemoryLake, events};

async fn failure(sql: &DataFusionSql, statement: Statement) -> PortError {
    let started = match sql.start(statement).await {
        Err(refused) => return refused,
        Ok(id) => id,
    };
    sql.results(&started, None).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_what_is_wrong_with_the_statement() {
    use StatementFault::*;
    let lake = MemoryLake::default();
    lake.add(&events(10, 2));
    let sql = lake.sql(SqlSettings::default());
    let long = format!("select '{}'", "x".repeat(40_000));
    for (statement, expected) in [
        ("selec 1", Some(Syntax)),
        ("select 'it", Some(Syntax)),
        ("select * from no_such", Some(NoTable)),
        ("select * from no_such.telemetry", Some(NoTable)),
        ("select no_such from telemetry", Some(NoColumn)),
        ("select t.no_such from telemetry t", Some(NoColumn)),
        ("select source from telemetry a, telemetry b", Some(AmbiguousColumn)),
        ("select no_such(1)", Some(NoFunction)),
        ("select source from telemetry where no_such(source) > 1", Some(NoFunction)),
        ("create table telemetry as select 1 as n", Some(NotRead)),
        ("insert into telemetry (source) values ('s')", Some(NotRead)),
        ("select 1 / (value - value)::int from telemetry", Some(DivisionByZero)),
        ("select cast('x' as int)", Some(InvalidValue)),
        ("select cast(source as int) from telemetry", Some(InvalidValue)),
        ("select cast('2026-13-01' as date)", Some(InvalidValue)),
        ("select ?", Some(Parameters)),
        (long.as_str(), Some(TooLarge)),
        ("select * from unnest([1]) with ordinality", Some(NotSupported)),
        // DataFusion says this in words alone.
        ("select source from telemetry group by value", None),
    ] {
        let failed = failure(&sql, Statement::new(statement)).await;
        assert_eq!(failed.fault(), expected, "{statement:.80}: {failed}");
    }
    let explain = Statement { reader: Some("ann".to_owned()), ..Statement::new("explain select 1") };
    assert_eq!(failure(&sql, explain).await.fault(), Some(NotPermitted));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_before_it_runs_has_the_same_fault() {
    let sql = MemoryLake::default().sql(SqlSettings::default());
    for (statement, expected) in [
        ("select no_such from telemetry", StatementFault::NoColumn),
        ("select no_such(1)", StatementFault::NoFunction),
        ("select * from no_such", StatementFault::NoTable),
        ("drop table telemetry", StatementFault::NotRead),
    ] {
        let refused = sql.shape(&Statement::new(statement)).await.unwrap_err();
        assert_eq!(refused.fault(), Some(expected), "{statement}: {refused}");
    }
}
