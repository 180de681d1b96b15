"""Results of reports, read by engines that are not ours."""

import csv
import datetime
import io

import duckdb
import polars
import pyarrow
import pyarrow.parquet
import pytest
import requests
from program import Node, alluvium, eventually

DAY = datetime.timedelta(days=1)
REPORT = """-- title: What there was, source by source
-- window: 1d
-- delay: 0s
select
    source,
    count(*) as events,
    avg(value) as mean,
    max(event_time) as newest,
    cast(sum(value) as decimal(10, 2)) as total,
    min(event_date) as day,
    max(unit) as unit,
    array_agg(value order by value) as readings
from telemetry
where event_time >= $from and event_time < $to
group by source
order by source
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A node whose report of yesterday is made, and the start of yesterday."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "sql").mkdir()
    (folder / "sql" / "by_source.sql").write_text(REPORT)
    now = datetime.datetime.now(datetime.timezone.utc)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0) - DAY
    node = Node(folder / "node")
    events = [
        {"source": source, "time": (day + datetime.timedelta(hours=hour)).isoformat(), "data": {"value": value, "unit": unit}}
        for source, hour, value, unit in [("a, \"b\"", 1, 1.5, "Cel"), ("a, \"b\"", 23, 2.25, None), ("=1+1", 12, -4.0, "é")]
    ]
    for event in events:
        event["data"] = {name: value for name, value in event["data"].items() if value is not None}
    assert node.session().post(f"{node.url}/v1/telemetry", json=events).status_code == 202
    node.stop()
    node = Node(folder / "node", "--reports", folder / "sql")
    yield node, day
    node.stop()


def result(node, day):
    window = day.strftime("%Y%m%dT%H%MZ")

    def listed():
        # Results of the folder that the first start found, if it had the time to make any, are listed too.
        reports = node.session().get(f"{node.url}/v1/reports").json()["reports"]
        report, = (one for one in reports if one["name"] == "by_source")
        return next((one for one in report["results"] if one["window"] == window), None)

    return eventually(listed, lambda found: found is not None)


def test_pyarrow_reads_types_that_engines_share(made):
    node, day = made
    found = result(node, day)
    path = node.data / "reports" / "by_source" / f"{found['window']}.parquet"
    table = pyarrow.parquet.read_table(path)
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("source", "string"), ("events", "int64"), ("mean", "double"), ("newest", "timestamp[us, tz=UTC]"),
        ("total", "decimal128(10, 2)"), ("day", "date32[day]"), ("unit", "string"), ("readings", "list<element: double>"),
    ]
    assert table.num_rows == found["rows"] == 2
    assert table.column("readings").to_pylist() == [[-4.0], [1.5, 2.25]]
    about = pyarrow.parquet.read_metadata(path).metadata
    assert about[b"alluvium.report"] == b"by_source"
    assert about[b"alluvium.from"].decode() == day.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_duckdb_polars_and_the_csv_have_the_same_rows(made):
    node, day = made
    found = result(node, day)
    folder = node.data / "reports" / "by_source"
    expected = [("=1+1", 1, -4.0, "é"), ("a, \"b\"", 2, 1.875, "Cel")]
    statement = f"select source, events, mean, unit from read_parquet('{folder}/*.parquet') order by source"
    assert duckdb.sql(statement).fetchall() == expected
    rows = polars.read_parquet(folder / f"{found['window']}.parquet").select("source", "events", "mean", "unit").rows()
    assert rows == expected
    text = requests.get(node.url + found["csv"]["url"], timeout=10)
    assert text.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(text.content.decode(), newline="")))
    assert [(line["source"], int(line["events"]), float(line["mean"]), line["unit"]) for line in lines] == expected
    assert lines[1]["newest"] == (day + datetime.timedelta(hours=23)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert lines[1]["readings"] == "[1.5,2.25]" and lines[1]["total"] == "3.75"
    assert (folder / f"{found['window']}.csv").read_bytes() == text.content


def test_made_anew_it_is_one_result_with_the_same_rows(made):
    node, day = made
    before = result(node, day)
    alluvium("reports", "run", "by_source", "--window", before["from"], "--data", node.data)
    after = result(node, day)
    assert after["made_at"] > before["made_at"]
    assert after["csv"]["sha256"] == before["csv"]["sha256"] and after["parquet"]["sha256"] == before["parquet"]["sha256"]
    files = sorted(path.name for path in (node.data / "reports" / "by_source").iterdir())
    assert files == [*(f"{before['window']}.{ending}" for ending in ("csv", "json", "parquet")), "seen.json"]
