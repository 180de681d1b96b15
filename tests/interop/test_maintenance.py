"""The tables after compaction and vacuum, read by the Delta library for Python, by Polars, and by plain pyarrow following the log."""

import glob
import json
import os
import pathlib
import shutil
import time

import deltalake
import polars
import pyarrow
import pyarrow.parquet as parquet
import pytest
from program import ROOT, Node, alluvium

COLUMNS = ["source", "event_time", "value"]


def active_files(table):
    """The table's active files, by its newest checkpoint and the log entries after it."""
    log, files, first = os.path.join(table, "_delta_log"), set(), 0
    checkpoints = sorted(glob.glob(os.path.join(log, "*.checkpoint.parquet")))
    if checkpoints:
        first = int(os.path.basename(checkpoints[-1])[:20]) + 1
        files = {row["add"]["path"] for row in parquet.read_table(checkpoints[-1]).to_pylist() if row["add"]}
    for entry in sorted(glob.glob(os.path.join(log, "*.json"))):
        if int(os.path.basename(entry)[:20]) >= first:
            for action in map(json.loads, pathlib.Path(entry).read_text().splitlines()):
                if "add" in action:
                    files.add(action["add"]["path"])
                if "remove" in action:
                    files.discard(action["remove"]["path"])
    return [os.path.join(table, path) for path in sorted(files)]


def rows(table):
    """Sorted, so that tables can be compared."""
    return table.select(COLUMNS).sort_by([(name, "ascending") for name in COLUMNS]).combine_chunks()


@pytest.fixture(scope="module")
def maintained(nab, tmp_path_factory):
    """The 31 series, one of them sent twice, compacted; what was replaced is deleted."""
    data = tmp_path_factory.mktemp("maintained") / "node"
    shutil.copytree(nab, data)
    again = sorted((ROOT / "testdata/nab").glob("*.csv"))[0]
    node = Node(data)
    sent = json.loads(alluvium("--json", "replay", "--data", data, again))["accepted"]
    node.stop()
    node = Node(data)
    rounds = json.loads(alluvium("--json", "compact", "--data", data, "--table", "telemetry"))
    assert sum(done["duplicates"] for done in rounds) == sent > 1000
    node.stop()
    # The ledger copies the compaction when a committer runs; then nothing needs the old files.
    node = Node(data)
    for _ in range(100):
        vacuumed = json.loads(alluvium("--json", "vacuum", "--data", data, "--table", "telemetry", "--older-than", "0s"))["tables"][0]
        if vacuumed["removed"]["files"]:
            break
        time.sleep(0.1)
    assert vacuumed["removed"]["files"] == rounds[0]["files_before"]
    node.stop()
    return data


def test_all_readers_find_the_rows_that_were_there_before(nab, maintained):
    expected = rows(deltalake.DeltaTable(str(nab / "lake/telemetry")).to_pyarrow_table())
    table = str(maintained / "lake/telemetry")
    assert len(expected) == 152_965
    assert rows(deltalake.DeltaTable(table).to_pyarrow_table()) == expected
    found = polars.scan_delta(table).select(COLUMNS).collect().to_arrow()
    assert rows(found.cast(expected.schema)) == expected
    files = active_files(table)
    assert sorted(files) == sorted(glob.glob(os.path.join(table, "*.parquet"))), "nothing else is left"
    assert rows(pyarrow.concat_tables(parquet.read_table(file) for file in files)) == expected


def test_the_audit_balances(maintained):
    audit = json.loads(alluvium("--json", "audit", "--data", maintained))
    assert audit["balances"], audit["checks"]
