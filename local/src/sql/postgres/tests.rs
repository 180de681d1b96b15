#![allow(clippy::unwrap_used)]

use alluvium_core::ports::{Dialect, SqlEngine as _, SqlPlanner as _};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::sql::tests::lake::{Event, MemoryLake};
use crate::sql::{DataFusionSql, SqlSettings};
use alluvium_core::ports::Statement as Asked;

fn engine() -> DataFusionSql {
    let event = |owner: &str, id: &str, value: f64| Event {
        id: id.to_owned(),
        source: format!("of {owner}"),
        owner: owner.to_owned(),
        time: 1_000_000,
        arrival: 1_000_005,
        value,
    };
    let lake = MemoryLake::default();
    lake.add(&[event("ann", "1", 1.0), event("bob", "secret", 77.0)]);
    lake.sql(SqlSettings::default())
}

fn of(sql: &str, reader: Option<&str>) -> Asked {
    let session = PostgresSession {
        user: reader.unwrap_or("root").to_owned(),
        database: "a db".to_owned(),
        process: 7,
        settings: vec![("server_version".to_owned(), "16.0".to_owned())],
    };
    let dialect = Dialect::Postgres(Arc::new(session));
    Asked { reader: reader.map(str::to_owned), dialect, ..Asked::new(sql) }
}

async fn ask(engine: &DataFusionSql, asked: Asked) -> std::result::Result<Vec<RecordBatch>, PortError> {
    let id = engine.start(asked).await?;
    let (mut rows, mut page) = (Vec::new(), None);
    loop {
        let answered = engine.results(&id, page.as_deref()).await?;
        rows.extend(answered.batches);
        match answered.next {
            Some(next) => page = Some(next),
            None => return Ok(rows),
        }
    }
}

/// The rows, each as its values with `|` between them, null as nothing.
async fn rows(engine: &DataFusionSql, sql: &str, reader: Option<&str>) -> Vec<String> {
    let batches = ask(engine, of(sql, reader)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let options = FormatOptions::new();
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
        rows.extend((0..batch.num_rows()).map(row));
    }
    rows
}

const TABLES: &str = "select relname from pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where nspname = 'lake' order by 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_finds_the_tables_that_they_may_read() {
    let engine = engine();
    let of_reader = ["data", "data_raw", "dead_letters", "dead_letters_raw", "telemetry", "telemetry_raw"];
    assert_eq!(rows(&engine, TABLES, Some("ann")).await, of_reader);
    let of_admin = ["data", "data_raw", "dead_letters", "dead_letters_raw", "ledger", "telemetry", "telemetry_raw"];
    assert_eq!(rows(&engine, TABLES, None).await, of_admin);
    let informed = "select table_name from information_schema.tables order by 1";
    assert_eq!(rows(&engine, informed, Some("ann")).await, of_reader);
    assert_eq!(rows(&engine, "select 'ledger'::regclass", Some("ann")).await, [""]);
    for (sql, fault) in [
        ("select * from ledger", StatementFault::NotPermitted),
        ("select * from pg_catalog.pg_authid", StatementFault::NoTable),
        ("select * from information_schema.no_such", StatementFault::NoTable),
    ] {
        let refused = ask(&engine, of(sql, Some("ann"))).await.unwrap_err();
        assert_eq!(refused.fault(), Some(fault), "{sql}: {refused}");
    }
}

/// AU-1: the catalogue is made of names; whatever is read of it, nothing of bob's rows is there, nor of how many there are.
#[tokio::test(flavor = "multi_thread")]
async fn no_relation_tells_of_rows() {
    let engine = engine();
    for schema in [relations::PG_CATALOG, relations::INFORMATION_SCHEMA] {
        for name in relations::Relation::names(schema) {
            let found = rows(&engine, &format!("select * from {schema}.{name}"), Some("ann")).await;
            let filled = match schema {
                relations::PG_CATALOG => rows::FILLED.contains(&name),
                _ => informed::FILLED.contains(&name),
            };
            assert_eq!(!found.is_empty(), filled, "{schema}.{name}");
            assert!(!found.iter().any(|row| row.contains("bob") || row.contains("secret")), "{schema}.{name}");
        }
    }
    assert_eq!(rows(&engine, "select distinct reltuples, relpages from pg_class", None).await, ["-1.0|0"]);
    assert_eq!(rows(&engine, "select source from telemetry", Some("ann")).await, ["of ann"]);
    assert_eq!(rows(&engine, "select source from lake.telemetry_raw", Some("ann")).await, ["of ann"]);
    assert_eq!(rows(&engine, "select source from \"a db\".lake.telemetry", Some("ann")).await, ["of ann"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_have_the_types_of_postgres() {
    let engine = engine();
    let sql = "select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typname, a.attnotnull \
        from pg_catalog.pg_attribute a join pg_type t on t.oid = a.atttypid \
        where a.attrelid = 'lake.telemetry'::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum";
    let found = rows(&engine, sql, Some("ann")).await;
    assert_eq!(found[0], "event_id|text|text|true");
    assert!(found.contains(&"event_time|timestamp with time zone|timestamptz|true".to_owned()), "{found:?}");
    assert!(found.contains(&"value|double precision|float8|false".to_owned()), "{found:?}");
    let sql = "select column_name, data_type, udt_name, numeric_precision, datetime_precision \
        from information_schema.columns where table_name = 'telemetry' and column_name in ('value', 'event_time') order by 1";
    let expected = ["event_time|timestamp with time zone|timestamptz||6", "value|double precision|float8|53|"];
    assert_eq!(rows(&engine, sql, Some("ann")).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_postgres_can_say_is_understood() {
    let engine = engine();
    for (sql, expected) in [
        (
            "select relname from pg_class where relname OPERATOR(pg_catalog.~) '^(telemetry)$' COLLATE pg_catalog.default",
            "telemetry",
        ),
        ("select c.oid::pg_catalog.regclass::text from pg_class c where relname = 'telemetry'", "telemetry"),
        ("select relname from pg_class where oid = 'telemetry'::regclass::oid", "telemetry"),
        ("select relname from pg_class where oid = to_regclass('\"lake\".\"telemetry\"')", "telemetry"),
        ("select relname from pg_class where relname = any('{telemetry,x}'::name[])", "telemetry"),
        (
            "select relname from pg_class where relkind = any(array['r', 'v']) and relname = 'data'::pg_catalog.name",
            "data",
        ),
        ("select 'r'::\"char\", 5::oid, 23::regtype, 'int4'::regtype::oid", "r|5|integer|23"),
        (
            "select (select pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) from pg_catalog.pg_attrdef d \
            where d.adrelid = a.attrelid and d.adnum = a.attnum and a.atthasdef) \
            from pg_catalog.pg_attribute a where attname = 'owner' and a.attrelid = 'data'::regclass",
            "",
        ),
        (
            "select exists (select 1 from pg_index i where i.indrelid = 1), not exists (select 1 from pg_index)",
            "false|true",
        ),
        ("select (select count(*) from pg_index)", "0"),
        ("select array(select 1 from pg_auth_members m where m.member = r.oid) from pg_roles r limit 1", ""),
        ("select count(*) from (select (information_schema._pg_expandarray(i.indkey)).n as k from pg_index i) x", "0"),
        ("select count(*) from pg_catalog.pg_get_keywords() where word = 'limit'", "1"),
        (
            "select array_to_string(c.reloptions || array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', ') \
            from pg_class c left join pg_class tc on c.reltoastrelid = tc.oid limit 1",
            "",
        ),
        (
            "select current_database(), current_user, current_schema(), version(), pg_backend_pid()",
            "a db|ann|lake|PostgreSQL 16.0|7",
        ),
        ("select current_setting('server_version'), current_setting('no_such', true)", "16.0|"),
        ("select current_schemas(true), pg_catalog.pg_get_userbyid(10)", "[pg_catalog, lake]|alluvium"),
        ("select has_table_privilege('telemetry', 'SELECT'), has_table_privilege('telemetry', 'insert')", "true|false"),
        ("select quote_ident('a'), quote_ident('A b')", "a|\"A b\""),
        ("select datname, pg_encoding_to_char(encoding) from pg_database", "a db|UTF8"),
        ("with pg_class as (select 1 as n) select n from pg_class", "1"),
        ("with pg_index as (select 1 as n) select (select n from pg_index)", "1"),
        (
            "select (select relname from pg_class c where c.oid = a.attrelid) from pg_attribute a \
            where attname = 'value' and attrelid = 'telemetry'::regclass",
            "telemetry",
        ),
        ("select count(*) from pg_namespace where oid = any (select relnamespace from pg_class)", "1"),
        (
            "select array_to_string(array(select nspname from pg_namespace where oid = d.datdba + 1), ',') from pg_database d",
            "pg_catalog",
        ),
        ("select nspname from pg_namespace where nspname like 'pg/_c%' escape '/'", "pg_catalog"),
        (
            "select 'a/b' like 'a//b' escape '/', 'a_b' like 'a#_b' escape '#', 'axb' like 'a#_b' escape '#', 'a\\b' like 'a\\b' escape '!'",
            "true|true|false|true",
        ),
        (
            "select t.typname from pg_type t left join (select ns.oid as o, r.r from pg_namespace as ns join (select s.r, \
            (current_schemas(false))[s.r] as nspname from generate_series(1, array_upper(current_schemas(false), 1)) as s(r)) as r \
            using (nspname)) as sp on sp.o = typnamespace where typname = 'text' order by sp.r, t.oid desc",
            "text",
        ),
        (
            "select count(*) from (select t.oid from pg_type t where t.oid = 25 and (t.typrelid = 0 or (select c.relkind = 'c' from pg_class c \
            where c.oid = t.typrelid)) and not exists (select 1 from pg_type el where el.oid = t.typelem and el.typarray = t.oid)) x",
            "1",
        ),
        (
            "select array_to_string(array(select polname from pg_policy pol where polrelid = c.oid), ',') from pg_class c limit 1",
            "",
        ),
        (
            "select count(*) from (select pol.polname, array(select 1), unnest(pol.polroles) as r from pg_policy pol order by pol.oid) x \
            where x.r = 1",
            "0",
        ),
        (
            "select d.datname, d.* from pg_database d where d.datname is null union all select 'x' || count(*), \
            null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null \
            from pg_tablespace t",
            "x1|||||||||||||||||",
        ),
        (
            "select table_name from information_schema.tables where quote_ident(table_schema) in (select trim(s[i]) from \
            generate_series(1, array_upper(string_to_array(current_setting('search_path'), ','), 1)) as t(i)) \
            and table_name = 'data'",
            "data",
        ),
    ] {
        assert_eq!(rows(&engine, sql, Some("ann")).await, [expected], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_what_falls_away_are_still_counted() {
    let engine = engine();
    let sql =
        "select relname from pg_class where not exists (select 1 from pg_index where indrelid = ?) and relname = ?";
    let asked = || of(sql, Some("ann"));
    let parameters = vec!["1".to_owned(), "telemetry".to_owned()];
    let found = ask(&engine, Asked { parameters, ..asked() }).await.unwrap();
    assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    assert_eq!(engine.shape(&asked()).await.unwrap().parameters.len(), 2);
    let refused = ask(&engine, asked()).await.unwrap_err();
    assert_eq!(refused.fault(), Some(StatementFault::Parameters));
}

/// What is not for Postgres is as it was; what is for it means the same to the lake's tables.
#[tokio::test(flavor = "multi_thread")]
async fn other_statements_are_what_they_were() {
    let engine = engine();
    for sql in ["select * from pg_class", "select * from pg_catalog.pg_class", "select pg_backend_pid()"] {
        assert!(ask(&engine, Asked::new(sql)).await.is_err(), "{sql}");
    }
    let columns =
        "select data_type from information_schema.columns where table_name = 'telemetry' and column_name = 'value'";
    let found = engine.query(columns).await.unwrap();
    assert_eq!(arrow::util::display::array_value_to_string(found[0].column(0), 0).unwrap(), "Float64");
    // A collation that orders otherwise is not passed over.
    let refused = ask(&engine, of("select source from telemetry order by source collate \"de_DE\"", None)).await;
    assert_eq!(refused.unwrap_err().fault(), Some(StatementFault::NotSupported));
    for (sql, expected) in [
        ("select named.a from (select struct(5 as a) as s) x, (select 6 as a) named", "6"),
        ("select (array[1, 2])[2]", "2"),
        ("select count(*) from telemetry where exists (select 1 from data)", "0"),
        ("select source from telemetry where owner = 'ann'", "of ann"),
    ] {
        assert_eq!(rows(&engine, sql, None).await, [expected], "{sql}");
    }
    for sql in ["insert into pg_class (oid) values (1)", "drop table pg_catalog.pg_class", "delete from pg_class"] {
        let refused = ask(&engine, of(sql, None)).await.unwrap_err();
        assert_eq!(refused.fault(), Some(StatementFault::NotRead), "{sql}: {refused}");
    }
    let shown = rows(&engine, "show tables", Some("ann")).await;
    assert_eq!(shown.len(), 6, "{shown:?}");
}
