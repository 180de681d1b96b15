"""The golden files, read by engines that are not ours: every one sees the same rows."""

import datetime
import math

import duckdb
import polars
import pyarrow.parquet
import pytest
from program import ROOT

GOLDEN = sorted((ROOT / "testdata/golden").glob("*.parquet"))


def plain(value):
    """A value as all engines give it: times in UTC, members without order, floats that are equal or both NaN."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return value


def rows_of(names, rows):
    return [{name: plain(value) for name, value in zip(names, row)} for row in rows]


def expected_rows(path):
    """The first line of the description begins with their number."""
    return int(path.with_suffix(".txt").read_text().split()[0])


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_engines_agree_on_the_rows(path):
    table = pyarrow.parquet.read_table(path)
    by_pyarrow = [plain(row) for row in table.to_pylist()]
    assert len(by_pyarrow) == expected_rows(path)

    duckdb.sql("set timezone = 'UTC'")
    relation = duckdb.sql(f"select * from '{path}'")
    assert rows_of(relation.columns, relation.fetchall()) == by_pyarrow

    frame = polars.read_parquet(path)
    assert rows_of(frame.columns, frame.rows()) == by_pyarrow


def test_the_golden_files_are_there():
    assert {path.stem for path in GOLDEN} >= {"flat", "nested", "dead-letters", "nulls-flat", "row-groups", "pages"}


@pytest.mark.parametrize("name", ["flat", "pages"])
def test_one_source_is_found(name):
    path = ROOT / f"testdata/golden/{name}.parquet"
    table = pyarrow.parquet.read_table(path)
    source = table["source"][len(table) // 2].as_py()
    expected = sum(1 for found in table["source"].to_pylist() if found == source)
    assert 0 < expected < len(table)
    assert duckdb.sql(f"select count(*) from '{path}' where source = '{source}'").fetchall() == [(expected,)]
    found = polars.scan_parquet(path).filter(polars.col("source") == source).collect()
    assert len(found) == expected
    filtered = pyarrow.parquet.read_table(path, filters=[("source", "==", source)])
    assert len(filtered) == expected
