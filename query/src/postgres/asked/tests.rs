#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn what_clients_say_by_themselves_is_understood() {
    let set = |name: &str, value: &str| Asked::Set(name.to_owned(), value.to_owned());
    let name = |name: &str| Some(name.to_owned());
    for (statement, expected) in [
        ("BEGIN", Asked::Begin),
        ("begin isolation level read committed", Asked::Begin),
        ("START TRANSACTION READ ONLY", Asked::Begin),
        ("start", Asked::Rows),
        ("COMMIT", Asked::Commit),
        ("end", Asked::Commit),
        ("ROLLBACK", Asked::Rollback),
        ("abort", Asked::Rollback),
        ("ROLLBACK TO SAVEPOINT s", Asked::Savepoint("ROLLBACK")),
        ("savepoint s", Asked::Savepoint("SAVEPOINT")),
        ("RELEASE s", Asked::Savepoint("RELEASE")),
        ("SET extra_float_digits = 3", set("extra_float_digits", "3")),
        ("SET SESSION DateStyle TO 'ISO', DMY", set("datestyle", "ISO, dmy")),
        ("set time zone 'UTC'", set("timezone", "UTC")),
        ("SET TRANSACTION READ ONLY", set("transaction", "")),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", set("transaction", "")),
        ("RESET ALL", Asked::Reset),
        ("SHOW client_encoding", Asked::Show("client_encoding".to_owned())),
        ("SHOW TRANSACTION ISOLATION LEVEL", Asked::Show("transaction isolation level".to_owned())),
        ("show tables", Asked::Rows),
        ("SHOW COLUMNS FROM telemetry", Asked::Rows),
        ("DEALLOCATE ALL", Asked::Deallocate(None)),
        ("DEALLOCATE PREPARE \"_pg3_0\"", Asked::Deallocate(name("_pg3_0"))),
        ("DISCARD ALL", Asked::Discard),
        ("CLOSE c", Asked::Close(name("c"))),
        ("CLOSE ALL", Asked::Close(None)),
        ("FETCH FORWARD 100 FROM \"My cursor\"", Asked::Fetch { cursor: "My cursor".to_owned(), rows: Some(100) }),
        ("fetch all in c", Asked::Fetch { cursor: "c".to_owned(), rows: None }),
        ("fetch c", Asked::Fetch { cursor: "c".to_owned(), rows: Some(1) }),
        ("select 1", Asked::Rows),
        ("with t as (select 1) select * from t", Asked::Rows),
        ("insert into telemetry values (1)", Asked::Change("INSERT".to_owned())),
        ("/* ! */ create temp table t (n int)", Asked::Change("CREATE".to_owned())),
        ("VACUUM", Asked::Change("VACUUM".to_owned())),
        ("(select 1)", Asked::Rows),
    ] {
        assert_eq!(asked(statement), expected, "{statement}");
    }
    for statement in
        ["COPY t TO STDOUT", "LISTEN x", "fetch backward 1 from c", "fetch -1 from c", "fetch", "set x", "declare"]
    {
        assert!(matches!(asked(statement), Asked::Unknown(_)), "{statement}");
    }
}

#[test]
fn a_cursor_is_declared_over_the_statement_behind_for() {
    for statement in [
        "DECLARE c CURSOR FOR select 'for' as cursor",
        "declare \"c\" no scroll cursor with hold for\n select 'for' as cursor",
    ] {
        let Asked::Declare { cursor, from } = asked(statement) else { panic!("{statement}") };
        assert_eq!((cursor.as_str(), &statement[from..]), ("c", "select 'for' as cursor"));
    }
    assert!(matches!(asked("declare c binary cursor for select 1"), Asked::Unknown(_)));
}

#[test]
fn facts_are_told_where_nothing_else_is_asked() {
    let facts = |statement: &str| match asked(statement) {
        Asked::Facts(facts) => facts.into_iter().map(|(name, fact)| format!("{name}={fact:?}")).collect(),
        _ => Vec::new(),
    };
    assert_eq!(facts("select version()"), ["version=Version"]);
    assert_eq!(facts("SELECT pg_catalog.version() AS v, current_schema() s"), ["v=Version", "s=Schema"]);
    assert_eq!(
        facts("select current_user, current_database(), pg_backend_pid(), current_setting('TimeZone')"),
        [
            "current_user=User",
            "current_database=Database",
            "pg_backend_pid=Process",
            "current_setting=Setting(\"TimeZone\")"
        ]
    );
    for statement in [
        "select version(), 1",
        "select version() from telemetry",
        "select current_user || 'x'",
        "select",
        "select user,",
    ] {
        assert_eq!(asked(statement), Asked::Rows, "{statement}");
    }
}
