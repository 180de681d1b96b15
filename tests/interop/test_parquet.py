"""The Parquet that we write, read by engines that are not ours: the same rows, types and nulls."""

import datetime
import glob
import json

import duckdb
import polars
import pyarrow
import pyarrow.parquet
import pytest
from program import ROOT, alluvium

EVENTS = [
    {"id": "a", "source": "s1", "type": "reading", "time": "2026-01-02T03:04:05.123456Z",
     "data": {"value": 1.5, "unit": "Cel", "battery": 50, "status": "ok", "lat": 1.25, "lon": -2.5, "firmware": "1.0"}},
    {"id": "b", "source": "s1", "time": "2026-01-01T00:00:00+02:00", "data": {"value": -0.0}},
    {"id": "c", "source": "äöü 🙂", "time": 0, "data": {"value": 1e300, "unit": "", "battery": 101, "more": {"x": [1, None]}}},
    {"id": "d", "source": "s0", "data": {"unit": "no value"}},
]
ROWS = [  # sorted by source and time, as the file is
    ("b", "s1", None, datetime.datetime(2025, 12, 31, 22, tzinfo=datetime.timezone.utc), -0.0, None, None, None),
    ("a", "s1", "reading", datetime.datetime(2026, 1, 2, 3, 4, 5, 123456, datetime.timezone.utc), 1.5, "Cel", 50.0, None),
    ("c", "äöü 🙂", None, datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc), 1e300, "", None,
     '{"battery":101,"more":{"x": [1, null]}}'),  # as sent, blanks included
]
COLUMNS = ["event_id", "source", "type", "event_time", "value", "unit", "battery", "extra"]


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("convert")
    source, target = folder / "in.ndjson", folder / "out.parquet"
    source.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    schema = folder / "telemetry.json"
    shipped = json.loads((ROOT / "datasets/telemetry.json").read_text())
    schema.write_text(json.dumps(shipped))
    report = json.loads(alluvium("--json", "convert", source, "--schema", schema, "-o", target))
    assert report["rows"] == 3 and report["dead_by_reason"] == {"required_missing": 1}
    return str(target)


def test_pyarrow_reads_the_same_rows_types_and_nulls(converted):
    table = pyarrow.parquet.read_table(converted)
    assert table.schema.field("event_time").type == pyarrow.timestamp("us", tz="UTC")
    assert table.schema.field("event_date").type == pyarrow.date32()
    assert table.schema.field("value").type == pyarrow.float64()
    assert table.schema.field("unit").type == pyarrow.string()
    assert [tuple(row[name] for name in COLUMNS) for row in table.to_pylist()] == ROWS


def test_duckdb_reads_the_same_rows_types_and_nulls(converted):
    duckdb.sql("set timezone = 'UTC'")
    relation = duckdb.sql(f"select {', '.join(COLUMNS)} from '{converted}'")
    kinds = dict(zip(relation.columns, map(str, relation.types)))
    assert kinds["event_time"] == "TIMESTAMP WITH TIME ZONE" and kinds["value"] == "DOUBLE"
    rows = [(*row[:3], row[3].astimezone(datetime.timezone.utc), *row[4:]) for row in relation.fetchall()]
    assert rows == ROWS


def test_polars_reads_the_same_rows_types_and_nulls(converted):
    frame = polars.read_parquet(converted)
    assert frame.schema["event_time"] == polars.Datetime("us", "UTC")
    assert frame.schema["event_date"] == polars.Date
    rows = frame.select(COLUMNS).rows()
    assert [(*row[:3], row[3].astimezone(datetime.timezone.utc), *row[4:]) for row in rows] == ROWS


def test_the_files_are_compressed_indexed_and_sorted(converted):
    metadata = pyarrow.parquet.ParquetFile(converted).metadata
    group = metadata.row_group(0)
    names = [group.column(at).path_in_schema for at in range(group.num_columns)]
    for name, column in zip(names, map(group.column, range(group.num_columns))):
        assert column.compression == "ZSTD", name
        assert column.has_offset_index, name
        # Bounds of `extra` would say nothing, and bounds of `owner` who somebody is.
        assert column.has_column_index == (name not in ("extra", "owner")), name
    sorting = [names[column.column_index] for column in group.sorting_columns]
    assert sorting[:2] == ["source", "event_time"]


def test_duckdb_counts_the_real_series(nab):
    files = glob.glob(str(nab / "lake/telemetry/*.parquet"))
    rows = duckdb.sql(f"select count(*), count(distinct source), count(distinct event_id || source) from read_parquet({files})")
    assert rows.fetchall()[0] == (152_965, 31, 152_965)
