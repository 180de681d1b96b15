"""The Delta tables, read by the Delta library for Python and by Polars."""

import json

import deltalake
import polars
from program import alluvium


def test_deltalake_for_python_reads_the_tables(nab):
    table = deltalake.DeltaTable(str(nab / "lake/telemetry"))
    protocol = table.protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert table.to_pyarrow_table().num_rows == 152_965
    ledger = deltalake.DeltaTable(str(nab / "lake/ledger")).to_pyarrow_table().to_pylist()
    assert sum(row["written"] for row in ledger) == 152_965
    assert all(row["received"] == row["written"] + row["filtered"] + row["dead"] for row in ledger)


def test_polars_and_our_sql_agree(nab):
    theirs = polars.scan_delta(str(nab / "lake/telemetry"))
    value = polars.col("value")
    theirs = theirs.group_by("source").agg(polars.len().alias("n"), value.min().alias("least"), value.max().alias("most"))
    theirs = {row.pop("source"): row for row in theirs.collect().to_dicts()}
    statement = "select source, count(*) as n, min(value) as least, max(value) as most from telemetry group by source"
    ours = [json.loads(line) for line in alluvium("--json", "sql", "--data", nab, statement).splitlines()]
    assert {row.pop("source"): row for row in ours} == theirs
    assert len(theirs) == 31


def test_the_log_holds_no_identities(nab):
    """Statistics in the Delta log are never written for the owner."""
    for entry in sorted((nab / "lake/telemetry/_delta_log").glob("*.json")):
        for line in entry.read_text().splitlines():
            add = json.loads(line).get("add")
            if add:
                stats = json.loads(add["stats"])
                assert stats["numRecords"] > 0
                assert "owner" not in stats["minValues"] and "event_id" not in stats["minValues"]
                assert {"source", "event_time"} <= stats["minValues"].keys()
