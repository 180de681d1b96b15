//! What a statement with a reader gets: their rows, and nothing from which those of others could be told (AU-1).

use alluvium_core::ports::{PortError, SqlEngine as _, Statement};
use arrow::util::pretty::pretty_format_batches;

use super::super::{DataFusionSql, SqlSettings};
use super::lake::{Event, MemoryLake};

/// What only bob's rows hold.
const SECRET: &str = "bobs-secret";

async fn as_reader(sql: &DataFusionSql, owner: &str, statement: &str) -> Result<String, PortError> {
    let statement = Statement { reader: Some(owner.to_owned()), ..Statement::new(statement) };
    let id = sql.start(statement).await?;
    let (mut rows, mut page) = (Vec::new(), None);
    loop {
        let answered = sql.results(&id, page.as_deref()).await?;
        rows.extend(answered.batches);
        match answered.next {
            Some(next) => page = Some(next),
            None => return Ok(pretty_format_batches(&rows).unwrap().to_string()),
        }
    }
}

/// Ann's three events, one of them sent twice, and bob's two, one with ann's event id.
fn engine() -> DataFusionSql {
    let event = |owner: &str, id: &str, source: &str, time: i64, value: f64| Event {
        id: id.to_owned(),
        source: source.to_owned(),
        owner: owner.to_owned(),
        time: time * 1_000_000,
        arrival: time * 1_000_000 + 5,
        value,
    };
    let lake = MemoryLake::default();
    lake.add(&[event("ann", "1", "hall", 10, 1.0), event("bob", "1", "hall", 11, 77.0)]);
    lake.add(&[event("ann", "2", "hall", 20, 2.0), event("bob", SECRET, SECRET, 21, 0.0)]);
    lake.add(&[event("ann", "2", "hall", 20, 2.0), event("ann", "3", "roof", 30, 4.0)]);
    lake.sql(SqlSettings::default())
}

#[tokio::test]
async fn a_reader_counts_sums_and_joins_their_own_rows() {
    let sql = engine();
    for (statement, ann, bob) in [
        ("select count(*) from telemetry", "3", "2"),
        ("select count(*) from telemetry_raw", "4", "2"),
        ("select count(*) from alluvium.lake.telemetry", "3", "2"),
        ("select sum(value) from telemetry where source = 'hall'", "3.0", "77.0"),
        ("select count(*) from telemetry a join telemetry b on a.event_id = b.event_id", "3", "2"),
        ("select count(*) from telemetry a cross join telemetry_raw b", "12", "4"),
        ("with t as (select * from telemetry) select count(*) from t", "3", "2"),
        ("select count(*) from (select * from telemetry union all select * from telemetry_raw)", "7", "4"),
        ("select count(*) from telemetry where owner = 'bob'", "0", "2"),
        ("select count(*) from telemetry where owner <> 'ann' or 1 = 1", "3", "2"),
        ("select count(distinct owner) from telemetry", "1", "1"),
        ("select max(value) from telemetry where event_time > timestamp '1970-01-01 00:00:15 UTC'", "4.0", "0.0"),
        ("select count(*) from (select * from telemetry limit 2)", "2", "2"),
        ("select (select count(*) from telemetry_raw where source = t.source) as n from telemetry t limit 1", "3", "1"),
        ("select count(*) from dead_letters", "0", "0"),
    ] {
        for (owner, expected) in [("ann", ann), ("bob", bob), ("nobody", "")] {
            let answer = as_reader(&sql, owner, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
            let cell = answer.lines().nth(3).map(|line| line.trim_matches(['|', ' ']).to_owned()).unwrap_or_default();
            if owner == "nobody" {
                assert!(["0", ""].contains(&cell.as_str()) || cell.starts_with('+'), "{statement}: {answer}");
            } else {
                assert_eq!(cell, expected, "{statement} as {owner}");
            }
        }
    }
}

#[tokio::test]
async fn no_way_out_of_a_readers_rows_is_known() {
    let sql = engine();
    for statement in [
        "select * from ledger",
        "select * from telemetry, ledger",
        "explain select * from telemetry",
        "explain analyze select * from telemetry",
        "copy telemetry to '/tmp/out.csv'",
        "copy (select * from telemetry) to '/tmp/out.parquet'",
        "set datafusion.catalog.information_schema = false",
        "create external table t stored as csv location '/etc/passwd'",
        "create table t as select * from telemetry",
        "create view v as select * from telemetry",
        "insert into telemetry select * from telemetry",
        "drop table telemetry",
        "prepare p as select * from telemetry",
        "select * from '/etc/passwd'",
        "select * from \"/etc/passwd\"",
        "select * from read_csv('/etc/passwd')",
        "select * from read_parquet('lake/telemetry/a.parquet')",
        "select * from parquet_metadata('lake/telemetry/a.parquet')",
        "select * from other.lake.telemetry",
        "select * from information_schema.no_such",
    ] {
        let refused = as_reader(&sql, "ann", statement).await;
        assert!(refused.is_err(), "{statement}: {refused:?}");
    }
    // What may be asked says nothing of the others.
    for statement in [
        "show tables",
        "describe telemetry",
        "select * from information_schema.tables",
        "select * from information_schema.columns",
        "select * from information_schema.views",
        "select * from information_schema.df_settings",
        "select * from generate_series(1, 3)",
        "select * from telemetry_raw",
    ] {
        let answer = as_reader(&sql, "ann", statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        assert!(!answer.contains(SECRET) && !answer.contains("ledger"), "{statement}: {answer}");
    }
}

#[tokio::test]
async fn nothing_is_computed_on_another_owners_rows() {
    let sql = engine();
    // Each fails on bob's rows: with his text in its message, or by dividing by his 0.
    for condition in [
        "cast(event_id as bigint) > 0",
        "cast(source || '0' as bigint) > 0 or source = 'hall' or source = 'roof'",
        "10 / cast(value as bigint) >= 0",
        "case when cast(event_id as bigint) = 0 then true else true end",
    ] {
        for table in ["telemetry", "telemetry_raw"] {
            let everybody = sql.query(&format!("select event_id from {table} where {condition}")).await;
            assert!(everybody.is_err(), "{condition}: it has to fail on what it sees, or this shows nothing");
            let safe = condition.replace(" or source = 'hall' or source = 'roof'", "");
            let statement = format!("select event_id from {table} where {condition}");
            match as_reader(&sql, "ann", &statement).await {
                Ok(rows) => assert!(!rows.contains(SECRET), "{rows}"),
                // Ann's own sources are no numbers.
                Err(error) => assert!(safe != condition && !error.message.contains(SECRET), "{condition}: {error}"),
            }
            let ordered = format!("select event_id from {table} order by 10 / cast(value as bigint) limit 1");
            assert!(as_reader(&sql, "ann", &ordered).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_reader_makes_no_more_memory_than_is_counted_and_no_deeper_a_statement_than_there_is_stack() {
    let sql = engine();
    for statement in [
        "select array_length(range(0, 100000000))",
        "select length(repeat('x', 500000000))",
        "select length(lpad('x', 500000000, 'y'))",
        "select array_length(array_repeat(1, 100000000))",
        "select array_length(generate_series(0, 100000000))",
    ] {
        let refused = as_reader(&sql, "ann", statement).await.unwrap_err();
        assert!(refused.message.contains("nvalid function"), "{statement}: {refused}");
    }
    let sum = |terms: usize| format!("select {}1 as n", "1+".repeat(terms));
    assert!(as_reader(&sql, "ann", &sum(1_000)).await.unwrap().contains("1001"));
    let all = |terms: usize| format!("select 1 as n where {}true", "true and ".repeat(terms));
    assert!(as_reader(&sql, "ann", &all(1_000)).await.is_ok());
    let union = |terms: usize| format!("select count(*) from ({}select 1)", "select 1 union all ".repeat(terms));
    assert!(as_reader(&sql, "ann", &union(100)).await.unwrap().contains("101"));
    for (statement, problem) in [
        (sum(1_001), "1001 operators"),
        (sum(16_000), "16000 operators"),
        (all(3_500), "3500 operators"),
        (format!("select {}'x'", "'a'||".repeat(5_400)), "5400 operators"),
        (format!("explain {}", sum(2_000)), "2000 operators"),
        (union(101), "101 set operations"),
        (sum(20_000), "the longest has 32768"),
    ] {
        let refused = as_reader(&sql, "ann", &statement).await.unwrap_err();
        assert!(refused.message.contains(problem), "{problem}: {refused}");
    }
}

#[tokio::test]
async fn a_token_is_its_readers_alone() {
    let sql = engine();
    let asked = |reader: Option<&str>| Statement {
        token: Some("t".to_owned()),
        reader: reader.map(str::to_owned),
        ..Statement::new("select 1")
    };
    let of_ann = sql.start(asked(Some("ann"))).await.unwrap();
    assert_eq!(sql.start(asked(Some("ann"))).await.unwrap(), of_ann);
    for reader in [Some("bob"), None] {
        assert_ne!(sql.start(asked(reader)).await.unwrap(), of_ann, "{reader:?}");
    }
    assert_eq!(sql.status(&of_ann).await.unwrap().reader.as_deref(), Some("ann"));
}
