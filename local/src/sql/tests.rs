#![allow(clippy::unwrap_used)]

mod faults;
mod held;
pub(in crate::sql) mod lake;
mod nested;
mod oldest;
mod own;
mod records;
mod scanned;

use std::time::Instant as Stopwatch;

use alluvium_core::contract::sql_engine as contract;
use alluvium_core::ports::{SqlPlanner as _, StatementState};
use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::pretty::pretty_format_batches;
use proptest::prelude::*;

use self::lake::{Event, MemoryLake, events};
use super::*;

/// The view as a window function has it.
const WINDOW: &str = "(select * from (select *, row_number() over \
    (partition by owner, source, event_id order by ingest_time, event_time) as n from telemetry_raw) where n = 1)";

async fn text(sql: &DataFusionSql, statement: &str) -> String {
    pretty_format_batches(&sql.query(statement).await.unwrap()).unwrap().to_string()
}

async fn count(sql: &DataFusionSql, statement: &str) -> i64 {
    let batches = sql.query(statement).await.unwrap();
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// A time as the planner of records writes it.
fn micros(time: &str) -> String {
    format!("cast('{time}' as timestamp(6) with time zone)")
}

async fn refusal(sql: &DataFusionSql, statement: &str) -> String {
    sql.query(statement).await.unwrap_err().message
}

fn of(sql: &str, reader: Option<&str>) -> Statement {
    Statement { reader: reader.map(str::to_owned), ..Statement::new(sql) }
}

fn event(id: u32, source: &str, time: i64, arrival: i64) -> Event {
    Event { id: format!("e{id}"), source: source.into(), owner: "o".into(), time, arrival, value: f64::from(id) }
}

pub(super) fn dialect() -> contract::Dialect {
    contract::Dialect {
        numbers: format!("select value as n from generate_series(1, {}) order by value", contract::NUMBERS),
        long: "select * from generate_series(1, 100000000)".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract() {
    let page_rows = NonZeroUsize::new(1_000).unwrap();
    let sql = MemoryLake::default().sql(SqlSettings { page_rows, ..SqlSettings::default() });
    contract::all(&sql, &dialect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_the_shape_of_a_statement() {
    let sql = MemoryLake::default().sql(SqlSettings::default());
    alluvium_core::contract::sql_planner::all(&sql).await;
    let shape = sql
        .shape(&of("select value, event_time from telemetry where event_time > ? limit ?", Some("o")))
        .await
        .unwrap();
    let types: Vec<_> = shape.columns.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types[0], DataType::Float64);
    assert_eq!(shape.parameters[0].as_ref(), Some(&types[1]));
    for (statement, reader, expected) in [
        ("select * from ledger", Some("o"), "`ledger` counts everybody's events, so it needs the role `data.admin`"),
        ("explain select 1", Some("o"), "data.admin"),
        ("select repeat('x', 9)", Some("o"), "repeat"),
        ("drop table telemetry", None, "only statements that read"),
    ] {
        let message = sql.shape(&of(statement, reader)).await.unwrap_err().message;
        assert!(message.contains(expected), "{statement}: {message}");
    }
}

#[tokio::test]
async fn the_oldest_time_is_known_without_a_statement() {
    let lake = MemoryLake::default();
    let sql = lake.sql(SqlSettings::default());
    assert_eq!(sql.oldest("telemetry").await.unwrap(), Some(Micros::MAX), "there is no row");
    lake.add(&[event(1, "a", 9_000_000, 0), event(2, "a", 7_000_123, 0)]);
    assert_eq!(sql.oldest("telemetry").await.unwrap(), Some(7_000_000), "the log's times are cut to milliseconds");
    lake.add(&[event(3, "a", 8_000_000, 0)]);
    assert_eq!(sql.oldest("telemetry").await.unwrap(), Some(7_000_000));
    lake.add(&[event(4, "b", -1, 0)]);
    assert_eq!(sql.oldest("telemetry").await.unwrap(), Some(-1_000));
    assert_eq!(sql.oldest("no such dataset").await.unwrap(), None);
}

#[tokio::test]
async fn placeholders_are_numbered_as_they_stand_in_the_text() {
    let sql = MemoryLake::default().sql(SqlSettings::default());
    let parameters = ["1", "a", "2", "b", "3"].map(str::to_owned).to_vec();
    let statement = Statement {
        parameters,
        ..Statement::new(
            "with t as (select * from (values (1, 'a'), (2, 'b'), (3, 'a')) as v (n, s) where n >= cast(? as bigint))\n\
             select n from t where s = ? and n in (select cast(? as bigint) - 1)\n\
             union all select n from t where s = ? and n < cast(? as bigint)",
        )
    };
    let started = sql.start(statement).await.unwrap();
    let page = sql.results(&started, None).await.unwrap();
    let mut numbers: Vec<i64> =
        page.batches.iter().flat_map(|batch| batch["n"].as_primitive::<Int64Type>().values().to_vec()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn now_is_one_time_for_the_whole_of_a_statement() {
    let lake = MemoryLake::default();
    lake.add(&[event(1, "a", 10, 100)]);
    let sql = lake.sql(SqlSettings::default());
    assert_eq!(count(&sql, "select count(*) from telemetry where event_time > now() - interval '5 minutes'").await, 0);
    assert_eq!(count(&sql, "select count(*) from telemetry where event_time < now() and now() = now()").await, 1);
}

#[tokio::test]
async fn a_statement_that_computes_without_a_pause_keeps_nobody_waiting() {
    let lake = MemoryLake::default();
    lake.add(&events(400, 4));
    let sql = lake.sql(SqlSettings::default());
    let joined = "select max(a.value * b.value + c.value) from telemetry_raw a, telemetry_raw b, telemetry_raw c, telemetry_raw d";
    let heavy = sql.start(Statement::new(joined)).await.unwrap();
    let began = Stopwatch::now();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(sql.status(&heavy).await.unwrap().state, StatementState::Running);
    }
    sql.cancel(&heavy).await.unwrap();
    drop(sql);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_token_is_remembered_as_long_as_its_statement() {
    let sql = MemoryLake::default().sql(SqlSettings::default());
    let asked = |n: u32| Statement { token: Some("t".to_owned()), ..Statement::new(format!("select {n}")) };
    let first = sql.start(asked(1)).await.unwrap();
    let refused = sql.start(asked(2)).await.unwrap_err();
    assert!(refused.advice == Advice::Stop && refused.message.contains("`t`"), "{refused}");
    sql.cancel(&first).await.unwrap();
    assert_ne!(sql.start(asked(2)).await.unwrap(), first);
}

#[tokio::test]
async fn a_table_that_was_never_written_is_empty() {
    let sql = MemoryLake::default().sql(SqlSettings::default());
    for table in ["telemetry", "telemetry_raw", "data", "dead_letters", "dead_letters_raw", "ledger"] {
        assert_eq!(count(&sql, &format!("select count(*) from {table}")).await, 0, "{table}");
    }
    let none = sql.query("select source, value from telemetry").await.unwrap();
    assert_eq!(none[0].num_columns(), 2, "an empty result knows its columns");
}

#[tokio::test]
async fn the_view_shows_the_first_arrival_of_each_key() {
    let lake = MemoryLake::default();
    lake.add(&[event(1, "a", 10, 100), event(2, "a", 20, 100), event(1, "b", 10, 100)]);
    lake.add(&[event(1, "a", 11, 99), event(2, "a", 20, 101), event(3, "a", 30, 101), event(3, "a", 31, 101)]);
    let sql = lake.sql(SqlSettings::default());
    assert_eq!(count(&sql, "select count(*) from telemetry_raw").await, 7);
    assert_eq!(count(&sql, "select count(*) from telemetry").await, 4);
    let rows = text(&sql, "select event_id, source, cast(event_time as bigint) t from telemetry order by 1, 2").await;
    assert_eq!(
        rows,
        text(&sql, &format!("select event_id, source, cast(event_time as bigint) t from {WINDOW} order by 1, 2")).await
    );
    assert!(rows.contains("| e1       | a      | 11 |"), "{rows}");
}

#[tokio::test]
async fn a_filter_is_applied_after_arrivals_were_compared() {
    let lake = MemoryLake::default();
    lake.add(&[event(1, "a", 5_000_000, 100), event(2, "a", 6_000_000, 101)]);
    lake.add(&[event(1, "a", 9_000_000_000, 200), event(4, "a", 9_000_000_000, 200)]);
    let sql = lake.sql(SqlSettings::default());
    let late = "event_time >= timestamp '1970-01-01 01:00:00 UTC'";
    assert_eq!(count(&sql, &format!("select count(*) from telemetry_raw where {late}")).await, 2);
    assert_eq!(
        count(&sql, &format!("select count(*) from telemetry where {late}")).await,
        1,
        "e1 arrived first elsewhere"
    );
    assert_eq!(count(&sql, "select count(*) from telemetry where value = 1 and source = 'a'").await, 1);
    assert_eq!(count(&sql, "select count(*) from telemetry where source = 'b'").await, 0);
}

#[tokio::test]
async fn times_outside_a_file_are_not_read() {
    let lake = MemoryLake::default();
    lake.add(&[event(1, "a", 1_000, 100)]);
    lake.add(&[event(2, "b", 3_600_000_000, 100)]);
    let sql = lake.sql(SqlSettings::default());
    // A file that is read must be there.
    lake.remove_object(0);
    let late = "event_time >= timestamp '1970-01-01 00:30:00.000001 UTC'";
    assert_eq!(text(&sql, &format!("select event_id from telemetry_raw where {late}")).await.matches("e2").count(), 1);
    let late = format!("event_time >= {}", micros("1970-01-01 00:30:00.000001 UTC"));
    assert_eq!(text(&sql, &format!("select event_id from telemetry_raw where {late}")).await.matches("e2").count(), 1);
    assert_eq!(text(&sql, "select event_id from telemetry_raw where source = 'b'").await.matches("e2").count(), 1);
    assert_eq!(text(&sql, "select event_id from telemetry where source = 'b'").await.matches("e2").count(), 1);
    assert_eq!(
        text(&sql, "select event_id from telemetry_raw where event_date = '1970-01-01' and source >= 'b'")
            .await
            .matches("e2")
            .count(),
        1
    );
    let error = refusal(&sql, "select event_id from telemetry_raw").await;
    assert!(error.contains("not found") || error.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn least_and_greatest_are_of_the_rows_and_not_of_the_log() {
    let lake = MemoryLake::default();
    lake.add(&[event(1, "a", 1_234, 100), event(2, "a", 5_678, 100)]);
    let sql = lake.sql(SqlSettings::default());
    for table in ["telemetry", "telemetry_raw"] {
        let ends = text(&sql, &format!("select min(event_time), max(event_time) from {table}")).await;
        assert!(ends.contains("00:00:00.001234Z") && ends.contains("00:00:00.005678Z"), "{ends}");
    }
}

#[tokio::test]
async fn times_far_from_now_can_be_compared() {
    let lake = MemoryLake::default();
    let (first, last) = (-62_135_596_800_000_000, 253_402_207_200_000_000);
    lake.add(&[event(1, "a", first, 100), event(2, "a", last, 100)]);
    let sql = lake.sql(SqlSettings::default());
    let statement = |from: &str, to: &str| {
        format!(
            "select count(*) from telemetry_raw where event_time >= {} and event_time <= {}",
            micros(from),
            micros(to)
        )
    };
    let whole = statement("0001-01-01 00:00:00.000000 UTC", "9999-12-30 22:00:00.000000 UTC");
    assert_eq!(count(&sql, &whole).await, 2);
    let less = statement("0001-01-01 00:00:00.000001 UTC", "9999-12-30 21:59:59.999999 UTC");
    assert_eq!(count(&sql, &less).await, 0);
}

#[tokio::test]
async fn columns_that_a_file_does_not_have_are_null() {
    let lake = MemoryLake::default();
    lake.add_without("value", &[event(1, "a", 10, 100)]);
    lake.add(&[event(2, "a", 20, 100), event(1, "a", 10, 101)]);
    let sql = lake.sql(SqlSettings::default());
    assert_eq!(count(&sql, "select count(*) from telemetry where value is null").await, 1);
    assert_eq!(count(&sql, "select count(*) from telemetry where value = 2").await, 1);
}

#[tokio::test]
async fn a_statement_sees_one_version_of_a_table() {
    let lake = MemoryLake::default();
    lake.add(&[event(1, "a", 10, 100)]);
    let sql = lake.sql(SqlSettings::default());
    let twice = "select (select count(*) from telemetry_raw) a, (select count(*) from telemetry) b, \
        (select count(*) from telemetry_raw where source = 'a') c";
    lake.count_snapshots();
    let counts = text(&sql, twice).await;
    assert!(counts.contains("| 1 "), "{counts}");
    assert_eq!(lake.count_snapshots(), 1);
    lake.add(&[event(2, "a", 10, 100)]);
    assert_eq!(count(&sql, "select count(*) from telemetry").await, 2, "the next one sees the newest");
}

#[tokio::test]
async fn only_statements_that_read_are_answered() {
    let lake = MemoryLake::default();
    lake.add(&[event(1, "a", 10, 100)]);
    let sql = lake.sql(SqlSettings::default());
    for statement in [
        "create table x as select 1",
        "create external table x stored as parquet location '/etc'",
        "create view v as select * from telemetry",
        "drop table telemetry",
        "insert into telemetry_raw select * from telemetry_raw",
        "delete from telemetry_raw",
        "copy telemetry to '/tmp/x.parquet'",
        "copy (select 1) to '/tmp/x.parquet'",
        "set datafusion.execution.batch_size = 1",
    ] {
        let message = refusal(&sql, statement).await;
        assert!(
            message.contains("only statements that read") || message.contains("there is no table"),
            "{statement}: {message}"
        );
    }
    for statement in
        ["select * from '/etc/passwd'", "select * from read_parquet('/x')", "select 1; select 2", "selekt", "", "begin"]
    {
        refusal(&sql, statement).await;
    }
    for statement in [
        "explain select * from telemetry",
        "show tables",
        "describe telemetry",
        "values (1)",
        "with t as (select 1) select * from t",
    ] {
        sql.query(statement).await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_table_is_answered_with_those_that_there_are() {
    let sql = MemoryLake::default().sql(SqlSettings::default());
    let message = refusal(&sql, "select * from telemetrie").await;
    assert_eq!(
        message,
        "there is no table `telemetrie`; there are data, data_raw, telemetry, telemetry_raw, dead_letters, dead_letters_raw, ledger"
    );
    assert!(refusal(&sql, "select * from ledger_raw").await.contains("there is no table `ledger_raw`"));
    let message = refusal(&sql, "select nonsense from telemetry").await;
    assert!(message.contains("nonsense") && message.contains("event_id"), "{message}");
}

#[tokio::test]
async fn results_come_in_pages_and_a_page_can_be_asked_for_again() {
    let lake = MemoryLake::default();
    lake.add(&events(25, 5));
    let sql = lake.sql(SqlSettings { page_rows: NonZeroUsize::new(10).unwrap(), ..SqlSettings::default() });
    let statement = sql.start(Statement::new("select event_id from telemetry order by event_id")).await.unwrap();
    let rows = |page: &ResultPage| page.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let first = sql.results(&statement, None).await.unwrap();
    let second = sql.results(&statement, first.next.as_deref()).await.unwrap();
    let again = sql.results(&statement, first.next.as_deref()).await.unwrap();
    assert_eq!((rows(&first), rows(&second), rows(&again)), (10, 10, 10));
    assert_eq!(second.batches, again.batches);
    assert!(sql.results(&statement, None).await.unwrap_err().message.contains("in order"));
    let statement = sql.start(Statement::new("select event_id from telemetry limit 10")).await.unwrap();
    assert_eq!(sql.results(&statement, None).await.unwrap().next, None, "a full page may be the last");
    assert!(sql.results(&statement, None).await.unwrap_err().message.contains("no statement"));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_stopped() {
    let sql =
        MemoryLake::default().sql(SqlSettings { time_limit: Duration::from_millis(50), ..SqlSettings::default() });
    let message = refusal(&sql, "select count(*) from generate_series(1, 1000000000) a(x) where x % 7 = 3").await;
    assert!(message.contains("longer than 50ms"), "{message}");
}

#[tokio::test]
async fn there_are_only_so_many_statements_at_once() {
    let sql = MemoryLake::default().sql(SqlSettings { running: 1, statements: 2, ..SqlSettings::default() });
    let long = "select * from generate_series(1, 100000000)";
    let first = sql.start(Statement::new(long)).await.unwrap();
    let second = sql.start(Statement::new("select 1")).await.unwrap();
    let refused = sql.start(Statement::new("select 2")).await.unwrap_err();
    assert_eq!(refused.advice, Advice::BackOff, "{refused}");
    assert_eq!(sql.status(&second).await.unwrap().state, StatementState::Running, "it waits its turn");
    sql.cancel(&first).await.unwrap();
    assert_eq!(sql.results(&second, None).await.unwrap().batches[0].num_rows(), 1);
    assert!(sql.status(&first).await.is_err());
    sql.query("select 2").await.unwrap();
}

#[tokio::test]
async fn memory_is_bounded() {
    let lake = MemoryLake::default();
    lake.add(&events(200_000, 100_000));
    let sql = lake.sql(SqlSettings { memory_bytes: 1024 * 1024, ..SqlSettings::default() });
    let message =
        refusal(&sql, "select event_id, count(*) from telemetry_raw group by event_id order by 2 limit 1").await;
    assert!(message.contains("needs more memory"), "{message}");
    assert_eq!(count(&sql, "select count(*) from telemetry").await, 200_000);
}

fn any_event() -> impl Strategy<Value = Event> {
    (0..12_u32, 0..3_u8, 0..2_u8, 0..40_i64, 0..6_i64).prop_map(|(id, source, owner, time, arrival)| Event {
        id: format!("e{id}"),
        source: format!("s{source}"),
        owner: format!("o{owner}"),
        // Hours, so that files can be told apart by their times.
        time: time * 3_600_000_000,
        arrival,
        value: (time * 100 + arrival) as f64,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 12))]

    /// The view equals the window function, whatever the filter, and however little memory its keys have.
    #[test]
    fn the_view_equals_the_window_function(
        files in prop::collection::vec(prop::collection::vec(any_event(), 1..30), 1..6),
        hour in 0..40_i64,
        keys_bytes in prop::sample::select(vec![1, 4_000, 1_000_000]),
    ) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lake = MemoryLake::default();
            files.iter().for_each(|file| lake.add(file));
            let sql = lake.sql(SqlSettings { keys_bytes, ..SqlSettings::default() });
            let filters = [
                String::new(),
                format!("where event_time >= timestamp '1970-01-01 00:00:00 UTC' + interval '{hour} hours'"),
                "where source = 's1'".to_owned(),
                format!("where owner = 'o1' and value < {}", hour * 100),
                format!("where source <> 's0' and event_time < timestamp '1970-01-01 00:00:00 UTC' + interval '{hour} hours'"),
            ];
            for filter in filters {
                // Two arrivals that are alike but for what decides nothing may both be the first; so only deciding columns.
                let columns = "owner, source, event_id, ingest_time, event_time";
                let [view, window] = ["telemetry", WINDOW].map(|table| format!("select {columns} from {table} {filter} order by {columns}"));
                assert_eq!(text(&sql, &view).await, text(&sql, &window).await, "{filter}");
                let [view, window] = ["telemetry", WINDOW].map(|table| format!("select count(*) from {table} {filter}"));
                assert_eq!(count(&sql, &view).await, count(&sql, &window).await, "{filter}");
            }
        });
    }
}

/// Prints how long statements over a million rows take; run it by name with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_a_million_rows() {
    let lake = MemoryLake::default();
    for file in 0..50 {
        let mut rows = events(20_000, 200);
        rows.iter_mut().for_each(|event| {
            event.id = format!("0190f3c2-{file:04}-{}", event.id);
            event.time += file * 60_000_000;
        });
        lake.add(&rows);
    }
    let sql = lake.sql(SqlSettings::default());
    for statement in [
        "select count(*) from telemetry_raw",
        "select count(*) from telemetry",
        "select count(*) from telemetry",
        "select source, count(*), avg(value) from telemetry group by source order by 2 desc limit 5",
        "select count(*) from telemetry where source = 's7'",
        "select * from telemetry_raw where source = 's7' order by event_time desc, source, event_id, owner, ingest_time limit 101",
        "select * from telemetry_raw order by event_time desc, source, event_id, owner, ingest_time limit 101",
    ] {
        let began = Stopwatch::now();
        let rows: usize = sql.query(statement).await.unwrap().iter().map(RecordBatch::num_rows).sum();
        println!(
            "{:>8.1} ms  {rows} rows  {}",
            began.elapsed().as_secs_f64() * 1e3,
            &statement[..statement.len().min(90)]
        );
    }
    let roomy = lake.sql(SqlSettings { memory_bytes: 4 << 30, ..SqlSettings::default() });
    let began = Stopwatch::now();
    roomy.query(&format!("select count(*) from {WINDOW}")).await.unwrap();
    println!("{:>8.1} ms  the view as a window function", began.elapsed().as_secs_f64() * 1e3);
}
