"""`format=arrow`, read by Polars and by pandas: the rows that JSON has, in columns of their own types."""

import datetime as dt
import json

import pandas
import polars
import pyarrow
import pytest
from program import Node, eventually

UTC = dt.timezone.utc
SCHEMA = {
    "properties": {
        "value": {"type": "number"}, "count": {"type": "integer"}, "open": {"type": "boolean"}, "room": {"type": "string"},
        "seen": {"type": "string", "format": "date-time"}, "day": {"type": "string", "format": "date"},
        "place": {"type": "object", "properties": {"lat": {"type": "number"}, "floor": {"type": "integer"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
    }
}
EVENTS = 25
NOW = dt.datetime.now(UTC).replace(microsecond=123_456)


def event(n):
    """Some are older than the hot index keeps, so that pages come from the lake too; every third has next to nothing."""
    at = NOW - dt.timedelta(minutes=n) if n % 2 else NOW - dt.timedelta(days=3, minutes=n)
    told = {"id": str(n), "source": f"s{n % 4}", "time": at.isoformat(), "value": n / 4}
    if n % 3 == 0:
        return told
    return told | {
        "count": 2**53 + n, "open": n % 2 == 0, "room": f"küche {n}", "seen": "2026-01-31T13:00:00.5+01:00", "day": "2024-02-29",
        "place": {"lat": 1.5, "floor": n}, "tags": ["a", f"b{n}"], "undeclared": n,
    }


def row(n):
    """An event as it stands in the columns."""
    told = event(n)
    place = told.get("place")
    return {
        "event_id": told["id"], "source": told["source"], "event_time": dt.datetime.fromisoformat(told["time"]), "owner": "anonymous",
        "value": told["value"], "count": told.get("count"), "open": told.get("open"), "room": told.get("room"),
        "seen": dt.datetime(2026, 1, 31, 12, 0, 0, 500_000, UTC) if place else None, "day": dt.date(2024, 2, 29) if place else None,
        "place": place, "tags": told.get("tags"), "extra": json.dumps({"undeclared": n}, separators=(",", ":")) if place else None,
    }


ROWS = sorted(map(row, range(EVENTS)), key=lambda row: row["event_time"], reverse=True)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arrow")
    (folder / "datasets").mkdir()
    (folder / "datasets/rooms.json").write_text(json.dumps(SCHEMA))
    running = Node(folder / "node", "--datasets", folder / "datasets")
    answer = running.session().post(f"{running.url}/v1/rooms", json=[event(n) for n in range(EVENTS)])
    assert answer.json()["accepted"] == EVENTS
    ask = lambda: running.session().get(f"{running.url}/v1/rooms", params={"from": 0, "limit": 1000}).json()["records"]
    eventually(ask, lambda records: len(records) == EVENTS)
    yield running
    running.stop()


def pages(node, path, parameter, **wanted):
    """The bodies of all pages."""
    while True:
        answer = node.session().get(node.url + path, params=wanted | {"format": "arrow"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
        yield answer.content
        if "Alluvium-Next" not in answer.headers:
            return
        wanted[parameter] = answer.headers["Alluvium-Next"]


@pytest.fixture(scope="module")
def bodies(node):
    """Pages of records from hot index and lake."""
    found = list(pages(node, "/v1/rooms", "cursor", limit=7, **{"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}))
    assert len(found) == 4
    return found


def test_polars_reads_records(bodies):
    frame = polars.concat(polars.read_ipc_stream(body) for body in bodies)
    time = polars.Datetime("us", "UTC")
    assert dict(frame.schema) == {
        "event_id": polars.String, "source": polars.String, "type": polars.String, "event_time": time, "event_date": polars.Date,
        "ingest_time": time, "owner": polars.String, "value": polars.Float64, "count": polars.Int64, "open": polars.Boolean,
        "room": polars.String, "seen": time, "day": polars.Date, "place": polars.Struct({"lat": polars.Float64, "floor": polars.Int64}),
        "tags": polars.List(polars.String), "extra": polars.String,
    }
    assert frame.select(list(ROWS[0])).to_dicts() == ROWS
    assert frame["event_date"].to_list() == [row["event_time"].date() for row in ROWS]


def test_pandas_reads_records(bodies):
    frame = pandas.concat([pyarrow.ipc.open_stream(body).read_pandas() for body in bodies], ignore_index=True)
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds | {
        "event_id": "str", "source": "str", "event_time": "datetime64[us, UTC]", "ingest_time": "datetime64[us, UTC]",
        "value": "float64", "room": "str", "seen": "datetime64[us, UTC]", "extra": "str",
    } == kinds
    assert list(frame["event_time"]) == [row["event_time"] for row in ROWS]
    assert list(frame["value"]) == [row["value"] for row in ROWS]
    # Types of Arrow's own keep what those of NumPy cannot: whole numbers beside null.
    exact = pandas.concat([pyarrow.ipc.open_stream(body).read_pandas(types_mapper=pandas.ArrowDtype) for body in bodies], ignore_index=True)
    assert str(exact["count"].dtype) == "int64[pyarrow]"
    for name in ROWS[0]:
        assert [None if value is pandas.NA else value for value in exact[name]] == [row[name] for row in ROWS], name


def test_arrow_has_what_json_has(node, bodies):
    wanted = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "limit": 1000}
    records = node.session().get(f"{node.url}/v1/rooms", params=wanted).json()["records"]
    table = pyarrow.concat_tables(pyarrow.ipc.open_stream(body).read_all() for body in bodies)
    assert table["event_id"].to_pylist() == [record["id"] for record in records]
    assert table["ingest_time"].to_pylist() == [dt.datetime.fromisoformat(record["ingest_time"]) for record in records]
    assert [json.loads(extra or "{}") for extra in table["extra"].to_pylist()] == [record["extra"] for record in records]
    for name in ["value", "count", "open", "room", "place", "tags"]:
        assert table[name].to_pylist() == [record["data"].get(name) for record in records], name


def test_fields_of_an_empty_page_have_their_types(node):
    wanted = {"source": "nobody", "fields": "time,count,place"}
    [body] = pages(node, "/v1/rooms", "cursor", **wanted)
    frame = polars.read_ipc_stream(body)
    assert frame.schema == {
        "event_time": polars.Datetime("us", "UTC"), "count": polars.Int64, "place": polars.Struct({"lat": polars.Float64, "floor": polars.Int64})}
    assert frame.is_empty() and pyarrow.ipc.open_stream(body).read_pandas().empty


def test_results_of_a_statement(node):
    statement = "select source, count(*) as n, sum(value) as total, max(event_time) as last from rooms group by source order by source"
    session = node.session()
    started = session.post(f"{node.url}/v1/queries", json={"sql": statement})
    place = started.headers["Location"]
    eventually(lambda: session.get(node.url + place).json()["state"], lambda state: state != "running")
    [body] = pages(node, f"{place}/results", "page")
    frame = polars.read_ipc_stream(body)
    of = lambda source: [row for row in ROWS if row["source"] == source]
    expected = [(source, len(of(source)), sum(row["value"] for row in of(source)), of(source)[0]["event_time"]) for source in ["s0", "s1", "s2", "s3"]]
    assert frame.rows() == expected and frame.schema["n"] == polars.Int64
    assert list(pyarrow.ipc.open_stream(body).read_pandas()["total"]) == [row[2] for row in expected]
