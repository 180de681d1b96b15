"""The SQL that goes to Athena: it is in Athena's dialect, and another engine answers it as ours does.

The dialect is sqlglot's `athena`; the other engine is DuckDB, for which sqlglot translates, over the Delta tables' own files. What Athena itself does
is in docs/aws-checklist.md.
"""

import datetime
import json

import deltalake
import duckdb
import pytest
import sqlglot
from program import ROOT, alluvium
from sqlglot import exp

RECORDS = json.loads((ROOT / "testdata/sql/records.json").read_text())
VIEW = (ROOT / "testdata/sql/view_telemetry.sql").read_text()
REPORTS = {path.stem: path.read_text() for path in sorted((ROOT / "reports").glob("*.sql"))}
#: An hour in which several of the series have readings.
HOUR = ("2014-07-01 02:00:00.000000 UTC", "2014-07-01 03:00:00.000000 UTC")
ALWAYS = ("1970-01-01 00:00:00.000000 UTC", "2100-01-01 00:00:00.000000 UTC")


def report(name, window):
    """A report's statement as it is run: docs/reports.md says what stands for `$from` and `$to`."""
    sql = REPORTS[name]
    for word, time in zip(["$from", "$to"], window):
        sql = sql.replace(word, f"cast('{time}' as timestamp(6) with time zone)")
    return sql


def every_statement():
    yield from ((f"{read['read']} {number}", read["sql"]) for number, read in enumerate(RECORDS))
    yield "the view", VIEW
    yield from ((name, report(name, HOUR)) for name in REPORTS)


def parsed(sql):
    [statement] = sqlglot.parse(sql, read="athena", error_level=sqlglot.ErrorLevel.RAISE)
    # What sqlglot does not understand it keeps as a command, or as a function that it does not know.
    assert not list(statement.find_all(exp.Command, exp.Anonymous)), sql
    return statement


@pytest.mark.parametrize("sql", [pytest.param(sql, id=name) for name, sql in every_statement()])
def test_every_statement_is_in_athenas_dialect(sql):
    statement = parsed(sql)
    assert isinstance(statement, (exp.Query, exp.Create))
    # Read back from what sqlglot writes for Athena, it is the same statement: nothing in it was guessed.
    assert parsed(statement.sql(dialect="athena")) == statement


@pytest.mark.parametrize("sql", ["select * from t qualify over", "select nosuchfunction(1)", "select 1; select 2", "select * frm t"])
def test_what_is_in_no_dialect_is_found(sql):
    with pytest.raises((AssertionError, ValueError, sqlglot.errors.ParseError)):
        parsed(sql)


def other_engine(data):
    """DuckDB with the tables of a folder as the Delta library finds their files."""
    engine = duckdb.connect()
    engine.execute("set timezone = 'UTC'")
    for table in ["telemetry", "data", "dead_letters"]:
        files = deltalake.DeltaTable(str(data / "lake" / table)).file_uris()
        if files:
            engine.execute(f"create view {table}_raw as select * from read_parquet({files}, union_by_name = true)")
        else:
            engine.register(f"{table}_raw", deltalake.DeltaTable(str(data / "lake" / table)).to_pyarrow_table())
    engine.execute(translated(VIEW))
    for table in ["data", "dead_letters"]:
        engine.execute(f"create view {table} as select * from {table}_raw")
    return engine


def translated(sql):
    return parsed(sql).sql(dialect="duckdb")


def plain(value):
    """A value as JSON has it; times in UTC to the microsecond, whoever wrote them."""
    if isinstance(value, str):
        try:
            return plain(datetime.datetime.fromisoformat(value)) if "T" in value else value
        except ValueError:
            return value
    if isinstance(value, datetime.datetime):
        value = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        return value.astimezone(datetime.timezone.utc).isoformat(timespec="microseconds")
    return value.isoformat() if isinstance(value, datetime.date) else value


def ours(data, sql):
    lines = alluvium("--json", "sql", "--data", data, "--", sql).splitlines()
    return [{name: plain(value) for name, value in json.loads(line).items()} for line in lines]


def theirs(engine, sql):
    answer = engine.execute(translated(sql))
    names = [column[0] for column in answer.description]
    return [{name: plain(value) for name, value in zip(names, row)} for row in answer.fetchall()]


def same(ordered, one, other):
    """Whether these are the same rows; where their order is not all told, in any."""
    if ordered:
        return one == other
    return sorted(map(str, one)) == sorted(map(str, other))


def test_reads_of_records_find_the_same_rows_in_another_engine(nab):
    engine = other_engine(nab)
    rows = 0
    for read in RECORDS:
        sql = read["sql"]
        if "dead_letters" in sql:
            continue
        here, there = ours(nab, sql), theirs(engine, sql)
        assert same("select *" in sql, here, there), (sql, here[:3], there[:3])
        assert here or "select *" not in sql or "drop table" in sql, sql
        rows += len(here)
        if read["read"] == "a range of time" and "select *" in sql:
            assert len(here) == 6, "the page is full, and one more is read"
    assert rows > 30


def test_the_view_shows_each_event_once_in_both(node):
    series = ROOT / "testdata/nab/ambient_temperature_system_failure.csv"
    for _ in range(2):
        alluvium("--json", "replay", "--data", node.data, series)
    node.stop()
    readings = len(series.read_text().splitlines()) - 1
    counted = "select count(*) as n, count(distinct event_id) as ids, min(event_time) as first, sum(value) as total from "
    engine = other_engine(node.data)
    [raw], [once] = theirs(engine, counted + "telemetry_raw"), theirs(engine, counted + "telemetry")
    assert (raw["n"], once["n"], once["ids"]) == (2 * readings, readings, readings)
    [here] = ours(node.data, counted + "telemetry")
    assert here["total"] == pytest.approx(once["total"])
    assert {**here, "total": 0} == {**once, "total": 0}


@pytest.mark.parametrize("window", [HOUR, ALWAYS])
@pytest.mark.parametrize("name", list(REPORTS))
def test_reports_answer_the_same_in_another_engine(nab, name, window):
    sql = report(name, window)
    here, there = ours(nab, sql), theirs(other_engine(nab), sql)
    assert here == there
    if name == "events_per_hour":
        [events] = [row["events"] for row in here if row["dataset"] == "telemetry"]
        assert events == 152_965 if window == ALWAYS else events > 0
