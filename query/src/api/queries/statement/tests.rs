use super::*;

fn refusal(sql: &str) -> Option<String> {
    check(sql).err().map(|problem| problem.detail)
}

#[test]
fn statements_that_read_pass() {
    for sql in [
        "select 1",
        "SELECT 1;",
        "  \n\twith t as (select 1) select * from t ; -- done; really",
        "-- why\n/* select; */ select ';' as \"a;b\", 'it''s; ' from t",
        "(select 1) union (select 2)",
        "select(1)",
        "values (1)",
        "show tables",
        "describe telemetry",
        "explain select 1",
        "select 1 /* unfinished ; select 2",
        "select 'unfinished ; select 2",
        "select a-- b; c\n from t",
    ] {
        assert_eq!(refusal(sql), None, "{sql}");
    }
}

#[test]
fn other_statements_are_refused_with_the_word_they_begin_with() {
    for (sql, word) in [
        ("insert into t values (1)", "`insert`"),
        ("-- select\ndrop table t", "`drop`"),
        ("unload (select 1) to 's3://x'", "`unload`"),
        ("selekt", "`selekt`"),
        ("'select'", "`'select'`"),
        ("; select 1", "`;`"),
    ] {
        let detail = refusal(sql).unwrap_or_default();
        assert!(detail.contains(word) && detail.contains("begins with select, with"), "{sql}: {detail}");
    }
}

#[test]
fn a_text_without_a_word_is_no_statement() {
    for sql in ["", " \n", "-- select 1", "/* select 1 */"] {
        let detail = refusal(sql).unwrap_or_default();
        assert!(detail.starts_with("there is no statement in `sql`") && !detail.contains("``"), "{sql}: {detail}");
    }
}

#[test]
fn a_second_statement_is_refused() {
    for sql in ["select 1; select 2", "select 1;drop table t", "select 'a';--\n'b'", "select 1;; values (1)"] {
        let detail = refusal(sql).unwrap_or_default();
        assert!(detail.contains("more than one statement"), "{sql}: {detail}");
    }
}
